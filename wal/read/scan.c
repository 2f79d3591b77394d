/* The scan of a log: walks its blocks in order and, at the stop, finds out why it ends there. */
#include "wal/read/scan.h"

#include "wal/base/bytes.h"
#include "wal/base/err.h"
#include "wal/read/relist.h"
#include "wal/read/scan_start.h"
#include "wal/read/tail_scan.h"
#include "wal/read/walk.h"

#include <errno.h>
#include <inttypes.h>

void wal_scan_init(struct wal_scan *scan, struct wal_io *io, wal_visit_fn visit, void *arg)
{
    *scan = (struct wal_scan){.io = io};
    wal_segment_file_init(&scan->file, io, &scan->identity, &scan->findings);
    wal_cursor_init(&scan->cursor);
    wal_visitor_init(&scan->visitor, visit, arg);
}

void wal_scan_fini(struct wal_scan *scan)
{
    wal_segment_file_fini(&scan->file);
    wal_listing_fini(&scan->segments);
}

void wal_scan_set_recovery(struct wal_scan *scan, bool needs_beginning)
{
    scan->is_recovery = true;
    scan->needs_beginning = needs_beginning;
}

void wal_scan_set_snapshot(struct wal_scan *scan, const unsigned char uuid[WAL_UUID_BYTES],
                           uint64_t lsn)
{
    wal_visitor_set_snapshot(&scan->visitor, lsn);
    wal_identity_set_uuid(&scan->identity, uuid);
}

static bool is_refusal(const struct wal_verdict *verdict)
{
    return verdict->row > 0 && verdict->decision != WAL_DECIDE_CLEAN &&
           verdict->decision != WAL_DECIDE_TORN;
}

/* Whether the scan cannot read on. */
static bool must_stop(const struct wal_scan *scan)
{
    return wal_findings_is_stopped(&scan->findings) || scan->retention.resume_lsn != 0;
}

/* Whether a listed segment was not there when it was opened. In a recovery, which holds the lock,
 * this is a failed call like any other. */
static bool is_missing(const struct wal_scan *scan)
{
    return !scan->is_recovery && scan->findings.missing_number != 0;
}

/*
 * Forgets the findings at the cursor, and opens its segment again. The segment may have been sealed
 * and packed meanwhile; then its name leads to another file, which has other offsets. That file is
 * read from its begin, and no record is shown twice. The packed file is shorter, and its header
 * says so: that is how the two are told apart.
 */
static void reopen_segment(struct wal_scan *scan)
{
    struct wal_segment_file *file = &scan->file;
    struct wal_cursor *cursor = &scan->cursor;
    const uint64_t bytes = file->head.bytes;
    const uint64_t number = scan->segments.at[cursor->index];
    wal_findings_clear(&scan->findings);
    bool is_open =
        scan->retention.is_nameless
            ? wal_segment_file_reopen(file)
            : wal_segment_file_open(file, number, wal_scan_state_is_unsynced(scan, number));
    bool is_other = is_open && file->head_state == WAL_HEAD_OK && file->head.bytes != bytes;
    if (is_other && cursor->offset != WAL_SEGMENT_FIRST_BLOCK && !cursor->is_sealed) {
        wal_cursor_rewind(cursor);
    }
}

/*
 * A log may be written while it is read: the block at the cursor can be half written when it is
 * read, and later blocks be there when the scan comes to them. The writer goes strictly forward, so
 * once evidence was seen behind the cursor, the block at the cursor is complete. A verdict to
 * refuse therefore counts only if that block is still not valid when it is read once more. And a
 * sealed segment may have got a next one.
 */
static bool is_final(struct wal_scan *scan, const struct wal_verdict *before, bool has_moved)
{
    struct wal_findings *findings = &scan->findings;
    if (scan->is_recovery || findings->evidence.read_error) {
        return true; /* in a recovery nobody else writes */
    }
    if (findings->verdict.decision != WAL_DECIDE_CLEAN) {
        return !has_moved && before->row != 0 &&
               (is_refusal(before) || !is_refusal(&findings->verdict));
    }
    if (scan->cursor.is_sealed && wal_relist_run(scan) != 0) {
        wal_findings_no_memory(findings);
        return true;
    }
    if (!scan->cursor.is_sealed || must_stop(scan)) {
        wal_findings_decide(findings);
        return true;
    }
    return scan->cursor.index + 1 >= scan->segments.count;
}

/* Whether retention cannot have removed the segment: it is listed and yet not there, or an older
 * one is still there. */
static bool is_lost_for_good(struct wal_scan *scan, uint64_t lost)
{
    const struct wal_listing *segments = &scan->segments;
    size_t index;
    if (lost == 0 || scan->retention.is_nameless || segments->count == 0 ||
        segments->at[0] > lost) {
        return false;
    }
    if (wal_listing_find(segments, lost, &index)) {
        wal_findings_segment_failed(&scan->findings, lost, "cannot open", -ENOENT);
    } else {
        wal_relist_lost(&scan->findings, lost);
    }
    return true;
}

/*
 * Finds where to begin or to go on, and does so again if a segment was removed meanwhile: retention
 * only goes forward, so that ends. A failure is in the findings. Returns 0 or TALLY_NOMEM.
 */
static int place_cursor(struct wal_scan *scan)
{
    do {
        uint64_t lost = is_missing(scan) ? scan->findings.missing_number : 0;
        wal_findings_clear(&scan->findings);
        int err = scan->retention.resume_lsn == 0 ? wal_relist_run(scan) : 0;
        if (err != 0 || must_stop(scan) || is_lost_for_good(scan, lost) ||
            scan->cursor.offset > 0) {
            return err;
        }
        wal_scan_start_find(scan);
    } while (is_missing(scan));
    return 0;
}

/* Reads on until there is a verdict. Returns 0, TALLY_NOMEM, or what visit returned. */
static int judge_log(struct wal_scan *scan)
{
    struct wal_findings *findings = &scan->findings;
    struct wal_verdict before = {.row = 0};
    for (;;) {
        const struct wal_cursor was = scan->cursor;
        reopen_segment(scan);
        int err = findings->evidence.read_error ? 0 : wal_walk_run(scan);
        bool has_moved = scan->cursor.index != was.index || scan->cursor.offset != was.offset;
        if (err == 0 && !findings->evidence.read_error) {
            err = wal_tail_scan_run(scan);
        }
        bool is_lost = err == 0 && is_missing(scan);
        err = is_lost ? place_cursor(scan) : err;
        if (err != 0) {
            return err;
        }
        if (is_lost && !must_stop(scan)) {
            before.row = 0;
            continue;
        }
        wal_findings_decide(findings);
        if (is_lost || is_final(scan, &before, has_moved)) {
            return 0;
        }
        before = findings->verdict;
    }
}

static int run_to_verdict(struct wal_scan *scan)
{
    wal_findings_reset(&scan->findings);
    wal_scan_start_witness(scan);
    int err = scan->findings.evidence.read_error ? 0 : place_cursor(scan);
    if (err != 0) {
        return err;
    }
    if (must_stop(scan)) {
        wal_findings_decide(&scan->findings);
        return 0;
    }
    return scan->segments.count > 0 ? judge_log(scan) : 0;
}

/* A lack of memory is told as such: it is not a fault of the disk. */
int wal_scan_run(struct wal_scan *scan)
{
    int err = run_to_verdict(scan);
    wal_retention_set_run(&scan->retention);
    return err == 0 && scan->findings.no_memory ? TALLY_NOMEM : err;
}

void wal_scan_detach(struct wal_scan *scan)
{
    wal_cursor_detach(&scan->cursor);
}

/* Judges how a lone segment ends: later ones are there, so all of it was synced and is sealed. */
static void judge_sealed(const struct wal_cursor *cursor, uint64_t filled_end,
                         struct wal_findings *findings)
{
    char name[WAL_NAME_BYTES];
    wal_findings_stop(findings, filled_end, cursor->is_sealed);
    if (!findings->evidence.read_error && !cursor->is_sealed) {
        wal_segment_name(name, cursor->number);
        wal_findings_add(findings, WAL_SIGN_LATER_BLOCK,
                         "%s: damaged at offset %" PRIu64
                         ": what stands there, from record %" PRIu64
                         " on, cannot be read, and the segment is sealed",
                         name, cursor->offset, cursor->next_lsn);
    }
    wal_findings_decide(findings);
}

int wal_scan_sealed(struct wal_scan *scan, uint64_t number, bool *is_whole)
{
    uint64_t filled_end = 0;
    int err = 0;
    *is_whole = false;
    if (wal_listing_set(&scan->segments, number) != 0) {
        return TALLY_NOMEM;
    }
    wal_findings_reset(&scan->findings);
    wal_segment_file_close(&scan->file);
    wal_cursor_enter(&scan->cursor, 0, number);
    if (wal_segment_file_open(&scan->file, number, false)) {
        err = wal_walk_run(scan);
    }
    if (err == 0 && scan->cursor.is_sealed && !scan->findings.evidence.read_error) {
        err = wal_tail_scan_seal(&scan->file, &scan->cursor, &filled_end);
    }
    if (err != 0) {
        return err;
    }
    judge_sealed(&scan->cursor, filled_end, &scan->findings);
    *is_whole = scan->findings.verdict.row == 7;
    return 0;
}

/* One round of wal_scan_more, with the segments that are there when it begins. */
static int walk_on(struct wal_scan *scan)
{
    int err = 0;
    if (scan->cursor.is_sealed || scan->segments.count == 0) {
        err = place_cursor(scan);
    } else {
        wal_findings_clear(&scan->findings);
    }
    if (err != 0 || scan->cursor.offset == 0 || must_stop(scan)) {
        return err;
    }
    reopen_segment(scan);
    return scan->findings.evidence.read_error ? 0 : wal_walk_run(scan);
}

int wal_scan_more(struct wal_scan *scan, bool *is_blank)
{
    const unsigned char *page;
    uint64_t blocks;
    int err;
    do { /* behind a new seal, the next segment may be newer than the list */
        blocks = scan->visitor.blocks;
        err = walk_on(scan);
    } while (err == 0 && scan->cursor.is_sealed && scan->visitor.blocks != blocks);
    wal_retention_set_run(&scan->retention);
    *is_blank = scan->cursor.offset == 0; /* there is no log yet */
    if (err != 0 || *is_blank || must_stop(scan)) {
        return err;
    }
    err = wal_segment_file_bytes(&scan->file, scan->cursor.offset, WAL_PAGE_BYTES, &page);
    *is_blank = err == 0 && page != NULL && bytes_are_zero(page, WAL_PAGE_BYTES);
    return err;
}
