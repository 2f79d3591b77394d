/* Where a log without its beginning is taken up: the oldest snapshot that can be read. */
#ifndef TALLY_TOOLS_WAL_BEGINNING_H
#define TALLY_TOOLS_WAL_BEGINNING_H

#include "engine/state.h"
#include "wal/io.h"

/*
 * Where the first segment is not number 1, loads the state of the oldest whole snapshot; records at
 * or before its lsn (state->lsn) are then not to be applied. Else, and where there is none, the
 * state stays empty. REQUIRES: the state is that of state_init. Returns 0 or TALLY_NOMEM.
 */
int beginning_load(struct wal_io *io, struct state *state);

#endif
