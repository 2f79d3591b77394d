/* The repair of a log after a scan, and the segment with which it goes on. */
#ifndef TALLY_WAL_RECOVER_RECOVER_H
#define TALLY_WAL_RECOVER_RECOVER_H

#include "wal/disk/io.h"
#include "wal/read/scan.h"
#include "wal/types.h"
#include "wal/write/create.h"

#include <stdint.h>

/* Fills the report of an open that ends with err. Returns err. */
int wal_refuse(struct wal_report *report, int err, const char *text);

/* Locks the directory. Errors: TALLY_LOCKED, TALLY_DENIED, TALLY_NOSPC, TALLY_IO, with a report. */
int wal_lock(struct wal_io *io, struct wal_report *report);

/*
 * Keeps a copy of a torn tail and clears it, seals the segment, cuts off its unused end, and opens
 * the first segment of the new epoch. Each step is on disk before the next one begins, and a crash
 * between any two leaves a log that recovers to the same records.
 * REQUIRES: the lock is held; the scan was a recovery, and its verdict is to go on.
 * The segment is shorter than start_bytes where the disk has less, or has not keep_bytes beside it.
 * Errors: TALLY_IO, TALLY_NOMEM; TALLY_NOSPC: there is not even room for the shortest, or for the
 * copy of the tail; nothing that was there has changed, and it may be called again with the same
 * scan. report->text then says why. Owns: active->fd is the caller's.
 */
int wal_recover(struct wal_scan *scan, uint64_t start_bytes, uint64_t keep_bytes,
                struct wal_segment *active, struct wal_report *report);

/* The first half of wal_recover alone: a torn tail is kept and cleared, a torn header of an empty
 * segment written anew; a whole log is left as it is. As wal_recover. */
int wal_recover_tail(struct wal_scan *scan, struct wal_report *report);

#endif
