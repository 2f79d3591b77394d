/* Where a log without its beginning is taken up: the oldest snapshot that can be read. */
#ifndef TALLY_TOOLS_TALLY_WAL_BEGINNING_H
#define TALLY_TOOLS_TALLY_WAL_BEGINNING_H

#include "engine/state/state.h"
#include "wal/disk/io.h"

/*
 * Finds where the log begins: *first_lsn is that of its first record, 1 where none is known to be
 * gone. If some are, loads the state of the oldest whole snapshot that the log goes on from;
 * records at or before its lsn (state->lsn) are then not to be applied. Else, and where there is
 * none, the state stays empty. REQUIRES: the state is that of state_init. Returns 0 or TALLY_NOMEM.
 */
int beginning_load(struct wal_io *io, struct state *state, uint64_t *first_lsn);

#endif
