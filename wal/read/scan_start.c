/* Where a scan begins: with record 1, behind a snapshot, or with the oldest segment left. */
#include "wal/read/scan_start.h"

#include "wal/files/snapshot_list.h"

#include <inttypes.h>
#include <string.h>

void wal_scan_start_witness(struct wal_scan *scan)
{
    struct wal_snapshot_info info;
    int err = wal_snapshot_list_witness(scan->io, &info);
    if (err != 0) {
        wal_findings_failed(&scan->findings, "cannot read the newest snapshot", err);
    }
    scan->start.witness_lsn = info.lsn;
    memcpy(scan->start.witness_uuid, info.uuid, WAL_UUID_BYTES);
}

/* Opens a listed segment beside the cursor's. A failure is in the findings. */
static bool probe_open(struct wal_scan *scan, struct wal_segment_file *probe, size_t index)
{
    uint64_t number = scan->segments.at[index];
    bool is_open = wal_segment_file_open(probe, number, wal_scan_state_is_unsynced(scan, number));
    if (is_open || scan->findings.missing_number == 0) {
        wal_cursor_set_index(&scan->cursor, index); /* the report names the last segment read */
    }
    return is_open;
}

/* The last segment whose first page of blocks shows a block header: only that one may hold a record
 * that is not on the disk yet. 0: none. The pages are read past the page cache. */
static uint64_t find_active(struct wal_scan *scan, struct wal_segment_file *probe)
{
    for (size_t i = scan->segments.count; i-- > 0 && !scan->findings.evidence.read_error;) {
        struct wal_block_header header;
        if (probe_open(scan, probe, i) && wal_block_state_has_header(wal_segment_file_header(
                                              probe, WAL_SEGMENT_FIRST_BLOCK, &header))) {
            return scan->segments.at[i];
        }
    }
    return 0;
}

/* Adds that the log has lost its beginning: records are missing that no snapshot holds. */
static void note_no_beginning(struct wal_findings *findings, uint64_t first_number,
                              uint64_t snapshot_lsn)
{
    char name[WAL_NAME_BYTES];
    if (snapshot_lsn > 0) {
        wal_findings_add(findings, WAL_SIGN_MISNUMBERED,
                         "the log begins with segment %" PRIu64 ", behind record %" PRIu64
                         ", where the snapshot ends",
                         first_number, snapshot_lsn);
        return;
    }
    wal_segment_name(name, 1);
    wal_findings_add(findings, WAL_SIGN_MISNUMBERED,
                     "%s is missing: the log goes on with segment %" PRIu64
                     ", and no snapshot that can be read holds what was before it",
                     name, first_number);
}

/*
 * Finds where the walk begins. Without a snapshot: with record 1, in segment 1. With a snapshot: in
 * the last segment that begins at or before the record behind it; older segments are not read, for
 * no record of theirs is needed. A reader that loads no snapshot begins with the oldest segment
 * that is left, if a snapshot holds the records before it. Returns the segment's place in the list.
 */
static size_t find_begin(struct wal_scan *scan, struct wal_segment_file *probe)
{
    const struct wal_listing *segments = &scan->segments;
    uint64_t snapshot = scan->visitor.snapshot_lsn;
    if (!scan->needs_beginning && segments->at[0] != 1) {
        int err = wal_snapshot_list_newest(scan->io, &snapshot);
        if (err != 0) {
            wal_findings_segment_failed(&scan->findings, segments->at[0],
                                        "cannot list the snapshots", err);
            return 0;
        }
    }
    size_t last = scan->needs_beginning ? segments->count : 1;
    for (size_t i = last; snapshot > 0 && i-- > 0 && !scan->findings.evidence.read_error;) {
        uint64_t lsn = probe_open(scan, probe, i) ? wal_segment_file_first_lsn(probe) : 0;
        if (lsn > 0 && lsn <= snapshot + 1) {
            wal_cursor_set_lsn(&scan->cursor, lsn);
            return i;
        }
    }
    if (segments->at[0] != 1) {
        note_no_beginning(&scan->findings, segments->at[0], scan->visitor.snapshot_lsn);
    }
    return 0;
}

void wal_scan_start_find(struct wal_scan *scan)
{
    if (scan->segments.count == 0) {
        uint64_t known = scan->visitor.snapshot_lsn;
        uint64_t lsn = known > 0 ? known : scan->start.witness_lsn;
        if (lsn > 0) {
            wal_findings_add(&scan->findings, WAL_SIGN_MISNUMBERED,
                             "there is a snapshot at record %" PRIu64 ", and no log", lsn);
        }
        return;
    }
    struct wal_segment_file probe;
    wal_segment_file_init(&probe, scan->io, &scan->identity, &scan->findings);
    if (scan->is_recovery) {
        scan->start.active_number = find_active(scan, &probe);
    }
    if (!scan->findings.evidence.read_error) {
        size_t begin = find_begin(scan, &probe);
        wal_cursor_enter(&scan->cursor, begin, scan->segments.at[begin]);
    }
    wal_segment_file_fini(&probe);
}
