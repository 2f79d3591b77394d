/* The sentence that says how a log ends, for people. */
#include "wal/read/report.h"

#include "wal/base/err.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void wal_report_append(struct wal_report *report, const char *format, ...)
{
    size_t len = strlen(report->text);
    va_list args;
    va_start(args, format);
    vsnprintf(report->text + len, sizeof(report->text) - len, format, args);
    va_end(args);
}

int wal_report_refuse(struct wal_report *report, int err, const char *text)
{
    report->end = WAL_END_FAILED;
    snprintf(report->text, sizeof(report->text), "%s", text);
    return err;
}

/* "after record 10", or that there is none before. */
static void after_text(char *to, size_t capacity, uint64_t next_lsn)
{
    if (next_lsn > 1) {
        snprintf(to, capacity, "after record %" PRIu64, next_lsn - 1);
    } else {
        snprintf(to, capacity, "before the first record");
    }
}

/* The sentence for the rows that speak of the place where the scan stopped, 4 to 8. */
static void place_text(const struct wal_cursor *cursor, const struct wal_findings *findings,
                       const char *name, struct wal_report *report)
{
    const struct wal_tail *tail = &findings->tail;
    char *text = report->text;
    const size_t capacity = sizeof(report->text);
    char range[64];
    char after[48];
    char later[WAL_NAME_BYTES];
    after_text(after, sizeof(after), cursor->next_lsn);
    switch (findings->verdict.row) {
    case 4:
        wal_findings_range_text(range, sizeof(range), cursor->next_lsn, tail->later_lsn - 1);
        wal_segment_name(later, tail->later_number);
        snprintf(text, capacity,
                 "%s: damaged at offset %" PRIu64 ": %s of a sealed segment cannot be read, and %s "
                 "goes on",
                 name, cursor->offset, range, later);
        break;
    case 5:
        wal_findings_range_text(range, sizeof(range), cursor->next_lsn, tail->witness_lsn);
        snprintf(text, capacity,
                 "%s: damaged at offset %" PRIu64 ": %s cannot be read, and was acknowledged: the "
                 "block at offset %" PRIu64 " says so",
                 name, cursor->offset, range, tail->witness_offset);
        break;
    case 6:
        snprintf(text, capacity,
                 "%s: damaged at offset %" PRIu64 ", %s: bytes behind the block that %s, where "
                 "nothing is ever written",
                 name, cursor->offset, after,
                 cursor->is_clean ? "closed the log" : "sealed the segment");
        break;
    case 7:
        snprintf(text, capacity, "%s: %s at offset %" PRIu64 " %s", name,
                 cursor->is_clean ? "closed in order" : "ends", cursor->offset, after);
        break;
    default:
        snprintf(text, capacity,
                 "%s: a torn %s at offset %" PRIu64 " %s, from a write that was never acknowledged",
                 name, findings->evidence.zeros ? "header behind the end" : "tail", cursor->offset,
                 after);
        break;
    }
}

/* Makes it the report of a reader that has missed records. */
static void missed_fill(struct wal_report *report, uint64_t resume_lsn)
{
    char range[64];
    wal_findings_range_text(range, sizeof(range), report->next_lsn, resume_lsn - 1);
    report->row = 0;
    report->clean_shutdown = false;
    snprintf(report->text, sizeof(report->text),
             "%s left the log by retention before they were read; it goes on with record %" PRIu64,
             range, resume_lsn);
}

static enum wal_end end_of(const struct wal_scan *scan)
{
    static const enum wal_end ends[] = {
        [WAL_DECIDE_CLEAN] = WAL_END_CLEAN,          [WAL_DECIDE_TORN] = WAL_END_TORN,
        [WAL_DECIDE_REFUSE_IO] = WAL_END_FAILED,     [WAL_DECIDE_REFUSE_VERSION] = WAL_END_FAILED,
        [WAL_DECIDE_REFUSE_DAMAGE] = WAL_END_DAMAGE,
    };
    if (scan->retention.resume_lsn != 0) {
        return WAL_END_MISSED;
    }
    const struct wal_verdict *verdict = &scan->findings.verdict;
    return verdict->row == 0 ? WAL_END_EMPTY : ends[verdict->decision];
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
    if (scan->retention.resume_lsn != 0) {
        return TALLY_MISSED;
    }
    const struct wal_verdict *verdict = &scan->findings.verdict;
    return verdict->row == 0 ? 0 : errors[verdict->decision];
}

void wal_report_fill(const struct wal_scan *scan, struct wal_report *report)
{
    const struct wal_cursor *cursor = &scan->cursor;
    const struct wal_findings *findings = &scan->findings;
    const struct wal_visitor *visitor = &scan->visitor;
    *report = (struct wal_report){
        .end = end_of(scan),
        .row = findings->verdict.row,
        .records = visitor->records,
        .blocks = visitor->blocks,
        .stored_bytes = visitor->stored_bytes,
        .next_lsn = cursor->next_lsn,
        .segment = scan->segments.count > 0 ? scan->segments.at[cursor->index] : 0,
        .offset = cursor->offset,
        .clean_shutdown = findings->verdict.row == 7 && cursor->is_clean,
    };
    if (scan->retention.resume_lsn != 0) {
        missed_fill(report, scan->retention.resume_lsn);
    } else if (findings->verdict.row == 0) {
        snprintf(report->text, sizeof(report->text), "there is no log yet");
    } else if (findings->note_row == findings->verdict.row) {
        snprintf(report->text, sizeof(report->text), "%s", findings->note);
    } else {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, report->segment);
        place_text(cursor, findings, name, report);
    }
}
