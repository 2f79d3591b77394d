/* The lock on the directory of a log: one process at a time writes there. */
#ifndef TALLY_WAL_RECOVER_LOCK_H
#define TALLY_WAL_RECOVER_LOCK_H

#include "wal/disk/io.h"
#include "wal/types.h"

/* Locks the directory, until io is destroyed. Errors: TALLY_LOCKED, TALLY_DENIED, TALLY_NOSPC,
 * TALLY_NOMEM, TALLY_IO, each with a report. Threads: one; does not wait for another holder. */
int wal_lock(struct wal_io *io, struct wal_report *report);

#endif
