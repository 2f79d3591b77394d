/* A reader whose segment is gone: whether retention took it, and where to go on then. */
#include "wal/read/retention.h"

#include "wal/base/err.h"
#include "wal/read/scan_start.h"
#include "wal/files/snapshot_list.h"
#include "wal/read/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Looks for a segment in the list; scan->index is then where it stands. */
static bool find(struct wal_scan *scan, uint64_t number)
{
    for (scan->index = 0; scan->index < scan->segments.count; scan->index++) {
        if (scan->segments.at[scan->index] == number) {
            return true;
        }
    }
    scan->index = 0;
    return false;
}

void wal_retention_lost(struct wal_scan *scan, uint64_t number)
{
    scan->evidence.misnumbered = true;
    wal_report_note(scan, 3, "segment %" PRIu64 " went away while it was read", number);
}

/* The lsn with which the first segment that is left begins, 0 when it does not say so. The scan
 * keeps its own segment open. Returns 0, 1 when that first one is gone, too, or TALLY_NOMEM; a
 * failed file call is left in the evidence. */
static int first_of_rest(struct wal_scan *scan, uint64_t *lsn)
{
    struct wal_scan aside;
    uint64_t number = scan->segments.at[0];
    wal_scan_init(&aside, scan->io, NULL, NULL);
    if (wal_listing_reserve(&aside.segments, 1) != 0) {
        return TALLY_NOMEM;
    }
    aside.segments.at[0] = number;
    aside.segments.count = 1;
    aside.has_uuid = scan->has_uuid;
    memcpy(aside.uuid, scan->uuid, WAL_UUID_BYTES);
    *lsn = wal_scan_start_lsn(&aside, 0);
    *lsn = aside.evidence.foreign || aside.evidence.misnumbered ? 0 : *lsn;
    bool is_gone = aside.lost_number != 0;
    if (aside.evidence.read_error && !is_gone) {
        wal_scan_failed(scan, number, "cannot read", aside.errnum);
    }
    wal_scan_fini(&aside);
    return is_gone;
}

/* Puts a segment that has no name any more in front of the list: it is open, and sealed. */
static int list_nameless(struct wal_scan *scan, uint64_t number)
{
    struct wal_listing *segments = &scan->segments;
    if (wal_listing_reserve(segments, segments->count + 1) != 0) {
        return TALLY_NOMEM;
    }
    memmove(segments->at + 1, segments->at, segments->count * sizeof(*segments->at));
    segments->at[0] = number;
    segments->count++;
    scan->is_nameless = true;
    return 0;
}

/* The place's segment, and all before it, are gone. Returns 0 or TALLY_NOMEM. */
static int go_on_behind(struct wal_scan *scan, uint64_t number, uint64_t rest_lsn)
{
    uint64_t snapshot_lsn = 0;
    int err = wal_snapshot_list_newest(scan->io, &snapshot_lsn);
    if (err != 0) {
        wal_scan_failed(scan, number, "cannot list the snapshots", err);
        return 0;
    }
    if (rest_lsn == 0 || rest_lsn > snapshot_lsn + 1 || rest_lsn < scan->next_lsn) {
        wal_retention_lost(scan, number);
        return 0;
    }
    if (scan->blocks == 0 && !scan->has_run) {
        scan->offset = 0; /* nothing was shown: the log begins later now */
        scan->next_lsn = 1;
        return 0;
    }
    if (rest_lsn == scan->next_lsn) {
        wal_scan_begin(scan); /* all of what has gone was shown */
        return 0;
    }
    if (scan->segments.at[0] == number + 1 && scan->fd >= 0 && scan->head.number == number) {
        return list_nameless(scan, number);
    }
    scan->resume_lsn = rest_lsn;
    return 0;
}

int wal_retention_relist(struct wal_scan *scan)
{
    uint64_t number = scan->offset > 0 ? scan->number : 0;
    uint64_t tried = 0;
    scan->is_nameless = false;
    for (;;) {
        uint64_t rest_lsn = 0;
        int err = wal_scan_list(scan);
        if (err != 0 || number == 0 || find(scan, number)) {
            return err;
        }
        bool is_known = !scan->evidence.read_error && !scan->evidence.misnumbered;
        if (scan->is_recovery || !is_known || scan->segments.count == 0 ||
            scan->segments.at[0] < number || scan->segments.at[0] == tried) {
            wal_retention_lost(scan, number);
            return 0;
        }
        err = first_of_rest(scan, &rest_lsn);
        if (err < 0 || scan->evidence.read_error) {
            return err;
        }
        if (err == 0) {
            return go_on_behind(scan, number, rest_lsn);
        }
        tried = scan->segments.at[0];
    }
}
