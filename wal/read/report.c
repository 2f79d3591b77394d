/* The sentence that says how a log ends, for people. */
#include "wal/read/report.h"

#include "wal/base/err.h"
#include "wal/disk/full_io.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void wal_report_note(struct wal_scan *scan, int row, const char *format, ...)
{
    if (scan->note_row != 0 && scan->note_row <= row) {
        return;
    }
    va_list args;
    va_start(args, format);
    scan->note_row = row;
    vsnprintf(scan->note, sizeof(scan->note), format, args);
    va_end(args);
}

void wal_report_failure(struct wal_scan *scan, uint64_t number, const char *doing, int err)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    wal_report_note(scan, 1, "%s: %s: %s", name, doing, tally_err_reason(err));
}

void wal_report_append(struct wal_report *report, const char *format, ...)
{
    size_t len = strlen(report->text);
    va_list args;
    va_start(args, format);
    vsnprintf(report->text + len, sizeof(report->text) - len, format, args);
    va_end(args);
}

void wal_report_range(char *to, size_t room, uint64_t from, uint64_t until)
{
    if (until < from) {
        snprintf(to, room, "a block without records");
    } else if (until == from) {
        snprintf(to, room, "record %" PRIu64, from);
    } else {
        snprintf(to, room, "records %" PRIu64 " to %" PRIu64, from, until);
    }
}

/* "after record 10", or that there is none before. */
static void after_tell(char *to, size_t room, uint64_t next_lsn)
{
    if (next_lsn > 1) {
        snprintf(to, room, "after record %" PRIu64, next_lsn - 1);
    } else {
        snprintf(to, room, "before the first record");
    }
}

/* Rows 4 to 8 speak of the place. */
static void place_tell(const struct wal_scan *scan, const char *name, char *text, size_t room)
{
    char range[64];
    char after[48];
    char later[WAL_NAME_BYTES];
    after_tell(after, sizeof(after), scan->next_lsn);
    switch (scan->verdict.row) {
    case 4:
        wal_report_range(range, sizeof(range), scan->next_lsn, scan->tail.later_lsn - 1);
        wal_segment_name(later, scan->tail.later_number);
        snprintf(text, room,
                 "%s: damaged at offset %" PRIu64 ": %s of a sealed segment cannot be read, and %s "
                 "goes on",
                 name, scan->offset, range, later);
        break;
    case 5:
        wal_report_range(range, sizeof(range), scan->next_lsn, scan->tail.witness_lsn);
        snprintf(text, room,
                 "%s: damaged at offset %" PRIu64 ": %s cannot be read, and was acknowledged: the "
                 "block at offset %" PRIu64 " says so",
                 name, scan->offset, range, scan->tail.witness_offset);
        break;
    case 6:
        snprintf(text, room,
                 "%s: damaged at offset %" PRIu64 ", %s: bytes behind the block that %s, where "
                 "nothing is ever written",
                 name, scan->offset, after, scan->clean ? "closed the log" : "sealed the segment");
        break;
    case 7:
        snprintf(text, room, "%s: %s at offset %" PRIu64 " %s", name,
                 scan->clean ? "closed in order" : "ends", scan->offset, after);
        break;
    default:
        snprintf(text, room,
                 "%s: a torn %s at offset %" PRIu64 " %s, from a write that was never acknowledged",
                 name, scan->evidence.zeros ? "header behind the end" : "tail", scan->offset,
                 after);
        break;
    }
}

static enum wal_end end_of(const struct wal_scan *scan)
{
    if (scan->resume_lsn != 0) {
        return WAL_END_CUT;
    }
    if (scan->verdict.row == 0) {
        return WAL_END_EMPTY;
    }
    static const enum wal_end ends[] = {
        [WAL_DECIDE_CLEAN] = WAL_END_CLEAN,          [WAL_DECIDE_TORN] = WAL_END_TORN,
        [WAL_DECIDE_REFUSE_IO] = WAL_END_FAILED,     [WAL_DECIDE_REFUSE_VERSION] = WAL_END_FAILED,
        [WAL_DECIDE_REFUSE_DAMAGE] = WAL_END_DAMAGE,
    };
    return ends[scan->verdict.decision];
}

int wal_report_error(const struct wal_scan *scan)
{
    static const int errors[] = {
        [WAL_DECIDE_CLEAN] = 0,
        [WAL_DECIDE_TORN] = 0,
        [WAL_DECIDE_REFUSE_IO] = TALLY_IO,
        [WAL_DECIDE_REFUSE_VERSION] = TALLY_NEWER,
        [WAL_DECIDE_REFUSE_DAMAGE] = TALLY_DAMAGE,
    };
    if (scan->resume_lsn != 0) {
        return TALLY_CUT;
    }
    return scan->verdict.row == 0 ? 0 : errors[scan->verdict.decision];
}

void wal_report_fill(const struct wal_scan *scan, struct wal_report *report)
{
    *report = (struct wal_report){
        .end = end_of(scan),
        .row = scan->verdict.row,
        .records = scan->records,
        .blocks = scan->blocks,
        .stored_bytes = scan->stored_bytes,
        .next_lsn = scan->next_lsn,
        .segment = scan->segments.count > 0 ? scan->segments.at[scan->index] : 0,
        .offset = scan->offset,
        .clean_shutdown = scan->verdict.row == 7 && scan->clean,
    };
    if (scan->resume_lsn != 0) {
        char range[64];
        wal_report_range(range, sizeof(range), scan->next_lsn, scan->resume_lsn - 1);
        report->row = 0;
        report->clean_shutdown = false;
        snprintf(report->text, sizeof(report->text),
                 "%s left the log by retention before they were read; it goes on with record "
                 "%" PRIu64,
                 range, scan->resume_lsn);
    } else if (scan->verdict.row == 0) {
        snprintf(report->text, sizeof(report->text), "there is no log yet");
    } else if (scan->note_row == scan->verdict.row) {
        snprintf(report->text, sizeof(report->text), "%s", scan->note);
    } else {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, report->segment);
        place_tell(scan, name, report->text, sizeof(report->text));
    }
}
