/* The repair of a log after a scan, and the segment with which it goes on. */
#ifndef TALLY_WAL_RECOVER_RECOVER_H
#define TALLY_WAL_RECOVER_RECOVER_H

#include "wal/disk/io.h"
#include "wal/read/log_end.h"
#include "wal/read/scan.h"
#include "wal/types.h"
#include "wal/write/create.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A recovery between the scan and the first segment of the new epoch. Where the disk is full it
 * waits, and goes on later behind the last step done. Written by recover.c alone. Threads: one.
 */
struct wal_recovery {
    struct wal_io *io;      /* borrowed */
    struct wal_log_end end; /* as the scan has found it */
    bool is_swept;          /* temporary files that a killed process has left are removed */
    bool is_touched;        /* the last segment was changed */
    bool is_settled;        /* the last segment is in order */
};

/* REQUIRES: the scan was a recovery's and has run, and its verdict is to go on. The scan is not
 * needed after the call. */
void wal_recover_init(struct wal_recovery *recovery, struct wal_io *io,
                      const struct wal_scan *scan);

/*
 * Keeps a copy of a torn tail and clears it, seals the segment, cuts off its unused end, and opens
 * the first segment of the new epoch. Each step is on disk before the next one begins, and a crash
 * between any two leaves a log that recovers to the same records.
 * REQUIRES: the lock is held.
 * The segment is shorter than start_bytes where the disk has less space, or has no keep_bytes free
 * beside it.
 * Errors: TALLY_IO, TALLY_NOMEM; TALLY_NOSPC: there is no space even for the shortest segment, or
 * for the copy of the tail; the log has not changed, and the function may be called again.
 * report->text then says why. Owns: active->fd is the caller's.
 */
int wal_recover_run(struct wal_recovery *recovery, uint64_t start_bytes, uint64_t keep_bytes,
                    struct wal_segment *active, struct wal_report *report);

/* The first half of wal_recover_run alone: keeps a copy of a torn tail and clears it, writes a torn
 * header of an empty segment anew; a whole log is left as it is. As wal_recover_run. */
int wal_recover_tail(struct wal_recovery *recovery, struct wal_report *report);

#endif
