/* The repair of a torn tail, without going on with the log. */
#ifndef TALLY_WAL_RECOVER_REPAIR_H
#define TALLY_WAL_RECOVER_REPAIR_H

#include "wal/disk/io.h"
#include "wal/types.h"

/*
 * Locks the directory and does what wal_open would do to a torn tail, and nothing else: keeps a
 * copy and clears it; a torn header of an empty segment is written anew. A whole log is left as it
 * is, and so is one that is refused. report->end is the log's end before the repair. Errors:
 * TALLY_LOCKED, TALLY_DENIED, TALLY_IO, TALLY_NOSPC, TALLY_DAMAGE, TALLY_NEWER, TALLY_NOMEM; what
 * visit returned. report is filled in every case. Threads: one; may block for long.
 */
int wal_repair(struct wal_io *io, wal_visit_fn visit, void *arg, struct wal_report *report);

#endif
