/* Where a scan begins: with record 1, behind a snapshot, or with what is left of the log. */
#include "wal/read/scan_start.h"

#include "wal/files/snapshot_list.h"
#include "wal/read/report.h"

#include <inttypes.h>

/* The header of a segment's first block. Opens the segment; a failure is in the evidence. */
static enum wal_block_state first_header(struct wal_scan *scan, size_t index,
                                         struct wal_block_header *header)
{
    return wal_scan_open(scan, index) ? wal_scan_header(scan, WAL_SEGMENT_FIRST_BLOCK, header)
                                      : WAL_BLOCK_IO_ERROR;
}

/* The last segment whose first page of blocks shows a block header: the only one that may hold
 * a record that is not on the disk yet. 0: none. It is looked for on the disk. */
static uint64_t find_active(struct wal_scan *scan)
{
    for (size_t i = scan->segments.count; i-- > 0 && !scan->evidence.read_error;) {
        struct wal_block_header header;
        if (wal_block_state_has_header(first_header(scan, i, &header))) {
            return scan->segments.at[i];
        }
    }
    return 0;
}

uint64_t wal_scan_start_lsn(struct wal_scan *scan, size_t index)
{
    struct wal_block_header header;
    return first_header(scan, index, &header) == WAL_BLOCK_VALID ? header.first_lsn : 0;
}

/* The log has lost its beginning: what no snapshot holds is not there. */
static void note_no_beginning(struct wal_scan *scan)
{
    char name[WAL_NAME_BYTES];
    scan->evidence.misnumbered = true;
    if (scan->snapshot_lsn > 0) {
        wal_report_note(scan, 3,
                        "the log begins with segment %" PRIu64 ", behind record %" PRIu64
                        ", where the snapshot ends",
                        scan->segments.at[0], scan->snapshot_lsn);
        return;
    }
    wal_segment_name(name, 1);
    wal_report_note(scan, 3,
                    "%s is missing: the log goes on with segment %" PRIu64
                    ", and no snapshot that can be read holds what was before it",
                    name, scan->segments.at[0]);
}

/*
 * Where the walk begins: without a snapshot with record 1 in segment 1; with one in the last
 * segment that begins at or before the record behind it. What is before that is not read: nothing
 * depends on it. A reader that loads no snapshot takes what is left, if there is one for the rest.
 */
static void find_begin(struct wal_scan *scan)
{
    uint64_t snapshot = scan->snapshot_lsn;
    scan->begin = 0;
    if (!scan->needs_beginning && scan->segments.at[0] != 1) {
        int err = wal_snapshot_list_newest(scan->io, &snapshot);
        if (err != 0) {
            wal_scan_failed(scan, scan->segments.at[0], "cannot list the snapshots", err);
            return;
        }
    }
    size_t last = scan->needs_beginning ? scan->segments.count : 1;
    for (size_t i = last; snapshot > 0 && i-- > 0 && !scan->evidence.read_error;) {
        uint64_t lsn = wal_scan_start_lsn(scan, i);
        if (lsn > 0 && lsn <= snapshot + 1) {
            scan->begin = i;
            scan->next_lsn = lsn;
            return;
        }
    }
    if (scan->segments.at[0] != 1) {
        note_no_beginning(scan);
    }
}

void wal_scan_start_find(struct wal_scan *scan)
{
    if (scan->segments.count == 0) {
        uint64_t lsn = scan->snapshot_lsn > 0 ? scan->snapshot_lsn : scan->witness_lsn;
        if (lsn > 0) {
            scan->evidence.misnumbered = true;
            wal_report_note(scan, 3, "there is a snapshot at record %" PRIu64 ", and no log", lsn);
        }
        return;
    }
    if (scan->is_recovery) {
        scan->active_number = find_active(scan);
    }
    if (!scan->evidence.read_error) {
        find_begin(scan);
        scan->index = scan->begin;
        wal_scan_begin(scan);
    }
}
