/* The beginning of a reading: record 1, or the oldest whole snapshot if older records are gone. */
#ifndef TALLY_TOOLS_TALLY_WAL_BEGINNING_H
#define TALLY_TOOLS_TALLY_WAL_BEGINNING_H

#include "engine/state/state.h"
#include "wal/disk/io.h"

/*
 * Finds where the log begins: *first_lsn is the lsn of its first record, 1 if no record is known to
 * be gone. If records are gone, loads the state of the oldest whole snapshot from which the log
 * goes on; then records at or before its lsn (state->lsn) must not be applied. Otherwise, and if
 * there is no such snapshot, the state stays empty. REQUIRES: the state is that of state_init.
 * Returns 0 or TALLY_NOMEM.
 */
int beginning_load(struct wal_io *io, struct state *state, uint64_t *first_lsn);

#endif
