/* The state of a scan: its parts, each written in its own file. */
#ifndef TALLY_WAL_READ_SCAN_STATE_H
#define TALLY_WAL_READ_SCAN_STATE_H

#include "wal/disk/io.h"
#include "wal/files/listing.h"
#include "wal/format/segment.h"
#include "wal/read/cursor.h"
#include "wal/read/findings.h"
#include "wal/read/identity.h"
#include "wal/read/retention.h"
#include "wal/read/segment_file.h"
#include "wal/read/visitor.h"
#include "wal/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a scan learns before its first block. Written by scan_start.c alone. */
struct wal_scan_start {
    uint64_t active_number; /* of a recovery: the last segment that shows a block; 0: any may be */

    /* The newest snapshot that has a header: these records were durable before the run. */
    uint64_t witness_lsn; /* 0: there is none */
    unsigned char witness_uuid[WAL_UUID_BYTES];
};

/*
 * One scan:
 *
 *   segments ──▶ file ──▶ block ──▶ cursor: is it the next one? ──▶ visitor
 *                  │                   │ no
 *                  ▼                   ▼
 *               identity            findings ──▶ verdict
 *
 * Each part is written in its own file, and the first three fields by scan.c.
 * Threads: one at a time; it shares nothing but the files.
 */
struct wal_scan {
    struct wal_io *io;
    bool is_recovery;     /* the lock is held; the end of the log is read past the page cache */
    bool needs_beginning; /* record 1, or the one behind the snapshot, has to be there */

    struct wal_scan_start start;
    struct wal_listing segments;
    struct wal_segment_file file; /* the cursor's segment */
    struct wal_cursor cursor;
    struct wal_visitor visitor;
    struct wal_identity identity;
    struct wal_findings findings;
    struct wal_retention retention;
};

/* Whether the end of that segment may be unsynced and has to be read from the disk: a start may
 * have cleared the active segment behind its last block, and all later ones, without a sync. */
static inline bool wal_scan_state_is_unsynced(const struct wal_scan *scan, uint64_t number)
{
    return scan->is_recovery && number >= scan->start.active_number;
}

#endif
