/* Relisting: the segments are listed anew, and the cursor's segment is found in the new list. */
#include "wal/read/relist.h"

#include "wal/base/err.h"
#include "wal/files/snapshot_list.h"
#include "wal/read/segment_list.h"

#include <inttypes.h>

void wal_relist_lost(struct wal_findings *findings, uint64_t number)
{
    wal_findings_add(findings, WAL_SIGN_MISNUMBERED,
                     "segment %" PRIu64 " went away while it was read", number);
}

/* Gets the lsn with which the first segment that is left begins, 0 when its first block does not
 * say so. The scan keeps its own segment open. Returns whether that first segment is there; a
 * failed file call is left in the findings. */
static bool read_rest_lsn(struct wal_scan *scan, uint64_t *lsn)
{
    struct wal_segment_file rest;
    struct wal_findings findings = {.note_row = 0};
    struct wal_identity identity = scan->identity; /* a copy: a fault there is not the cursor's */
    uint64_t number = scan->segments.at[0];
    wal_segment_file_init(&rest, scan->io, &identity, &findings);
    *lsn = wal_segment_file_open(&rest, number, false) ? wal_segment_file_first_lsn(&rest) : 0;
    *lsn = findings.evidence.foreign || findings.evidence.misnumbered ? 0 : *lsn;
    bool is_there = findings.missing_number == 0;
    if (findings.evidence.read_error && is_there) {
        wal_findings_segment_failed(&scan->findings, number, "cannot read", findings.errnum);
    }
    wal_segment_file_fini(&rest);
    return is_there;
}

/* Goes on where the cursor's segment and all before it are gone. Returns 0 or TALLY_NOMEM. */
static int pass_gap(struct wal_scan *scan, uint64_t rest_lsn)
{
    const struct wal_segment_file *file = &scan->file;
    uint64_t number = scan->cursor.number;
    uint64_t first = scan->segments.at[0];
    struct wal_retention_gap gap = {
        .rest_lsn = rest_lsn,
        .next_lsn = scan->cursor.next_lsn,
        .has_shown = scan->visitor.blocks > 0 || scan->retention.has_run,
        .is_open = first == number + 1 && file->fd >= 0 && file->head.number == number,
    };
    int err = wal_snapshot_list_newest(scan->io, &gap.snapshot_lsn);
    if (err != 0) {
        wal_findings_segment_failed(&scan->findings, number, "cannot list the snapshots", err);
        return 0;
    }
    switch (wal_retention_decide(&gap)) {
    case WAL_RETENTION_LOST:
        wal_relist_lost(&scan->findings, number);
        break;
    case WAL_RETENTION_RESTART:
        wal_cursor_restart(&scan->cursor);
        break;
    case WAL_RETENTION_BEHIND:
        wal_cursor_enter(&scan->cursor, 0, first);
        break;
    case WAL_RETENTION_NAMELESS:
        wal_retention_set_nameless(&scan->retention, true);
        return wal_listing_prepend(&scan->segments, number) == 0 ? 0 : TALLY_NOMEM;
    case WAL_RETENTION_MISSED:
        wal_retention_set_missed(&scan->retention, rest_lsn);
        break;
    }
    return 0;
}

/* Finds the cursor's segment in the list; without it the cursor is at the first one. */
static bool locate_cursor(struct wal_scan *scan)
{
    size_t index = 0;
    bool is_found = wal_listing_find(&scan->segments, scan->cursor.number, &index);
    wal_cursor_set_index(&scan->cursor, index);
    return is_found;
}

int wal_relist_run(struct wal_scan *scan)
{
    const struct wal_listing *segments = &scan->segments;
    const uint64_t number = scan->cursor.number;
    const bool has_begun = scan->cursor.offset > 0;
    uint64_t tried = 0;
    wal_retention_set_nameless(&scan->retention, false);
    for (;;) {
        uint64_t rest_lsn = 0;
        int err = wal_segment_list_read(&scan->segments, scan->io, &scan->findings);
        if (err != 0 || !has_begun || locate_cursor(scan)) {
            return err;
        }
        if (scan->is_recovery || wal_findings_is_stopped(&scan->findings) || segments->count == 0 ||
            segments->at[0] < number || segments->at[0] == tried) {
            wal_relist_lost(&scan->findings, number);
            return 0;
        }
        bool is_there = read_rest_lsn(scan, &rest_lsn);
        if (scan->findings.evidence.read_error) {
            return 0;
        }
        if (is_there) {
            return pass_gap(scan, rest_lsn);
        }
        tried = segments->at[0];
    }
}
