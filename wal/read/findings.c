/* The findings of a scan at its stop: the evidence, a sentence for people, the verdict. */
#include "wal/read/findings.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/format/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void wal_findings_reset(struct wal_findings *findings)
{
    *findings = (struct wal_findings){.note_row = 0};
}

void wal_findings_clear(struct wal_findings *findings)
{
    findings->evidence = (struct wal_evidence){.read_error = false};
    findings->tail = (struct wal_tail){.filled_end = 0};
    findings->missing_number = 0;
    findings->errnum = 0;
    findings->note_row = 0;
}

/* Whether a note of that row replaces the one that is there. */
static bool takes_note(const struct wal_findings *findings, int row)
{
    return findings->note_row == 0 || row < findings->note_row;
}

/* Sets the evidence that belongs to a sign. */
static void sign_set(struct wal_evidence *evidence, enum wal_sign sign)
{
    switch (sign) {
    case WAL_SIGN_NEWER:
        evidence->newer = true;
        break;
    case WAL_SIGN_MISNUMBERED:
        evidence->misnumbered = true;
        break;
    case WAL_SIGN_FOREIGN:
        evidence->foreign = true;
        break;
    case WAL_SIGN_UNCHAINED:
        evidence->unchained = true;
        break;
    case WAL_SIGN_MISSHAPEN:
        evidence->misshapen = true;
        break;
    case WAL_SIGN_LATER_FILLED:
        evidence->later_filled = true;
        break;
    case WAL_SIGN_LATER_BLOCK:
        evidence->later_block = true;
        break;
    case WAL_SIGN_ACKNOWLEDGED:
        evidence->acknowledged = true;
        break;
    }
}

/* The row of the table that a sign alone leads to. */
static int row_of(enum wal_sign sign)
{
    struct wal_evidence evidence = {.read_error = false};
    sign_set(&evidence, sign);
    return wal_decide(&evidence).row;
}

void wal_findings_add(struct wal_findings *findings, enum wal_sign sign, const char *format, ...)
{
    int row = row_of(sign);
    sign_set(&findings->evidence, sign);
    if (!takes_note(findings, row)) {
        return;
    }
    va_list args;
    va_start(args, format);
    findings->note_row = row;
    vsnprintf(findings->note, sizeof(findings->note), format, args);
    va_end(args);
}

void wal_findings_failed(struct wal_findings *findings, const char *doing, int err)
{
    CHECK(err < 0); /* callers come here with a file call's error alone */
    findings->evidence.read_error = true;
    findings->errnum = err;
    findings->no_memory = findings->no_memory || err == -ENOMEM;
    if (takes_note(findings, 1)) {
        findings->note_row = 1;
        snprintf(findings->note, sizeof(findings->note), "%s: %s", doing, tally_err_reason(err));
    }
}

void wal_findings_segment_failed(struct wal_findings *findings, uint64_t number, const char *doing,
                                 int err)
{
    char name[WAL_NAME_BYTES];
    char what[WAL_NAME_BYTES + 64];
    wal_segment_name(name, number);
    snprintf(what, sizeof(what), "%s: %s", name, doing);
    wal_findings_failed(findings, what, err);
}

void wal_findings_missing(struct wal_findings *findings, uint64_t number)
{
    findings->missing_number = number;
    wal_findings_segment_failed(findings, number, "cannot open", -ENOENT);
}

void wal_findings_no_memory(struct wal_findings *findings)
{
    findings->no_memory = true;
}

void wal_findings_stop(struct wal_findings *findings, uint64_t filled_end, bool is_sealed)
{
    findings->tail.filled_end = filled_end;
    findings->evidence.zeros = filled_end == 0;
    findings->evidence.after_seal = is_sealed;
}

void wal_findings_witness(struct wal_findings *findings, uint64_t offset, uint64_t durable_lsn)
{
    if (!findings->evidence.acknowledged) {
        findings->tail.witness_offset = offset;
    }
    findings->evidence.acknowledged = true;
    if (durable_lsn > findings->tail.witness_lsn) {
        findings->tail.witness_lsn = durable_lsn;
    }
}

void wal_findings_later(struct wal_findings *findings, uint64_t number, uint64_t first_lsn)
{
    findings->evidence.later_block = true;
    findings->tail.later_number = number;
    findings->tail.later_lsn = first_lsn;
}

void wal_findings_torn_header(struct wal_findings *findings)
{
    findings->evidence.torn_header = true;
}

void wal_findings_decide(struct wal_findings *findings)
{
    findings->verdict = wal_decide(&findings->evidence);
}

bool wal_findings_is_stopped(const struct wal_findings *findings)
{
    return findings->evidence.read_error || findings->evidence.misnumbered;
}

void wal_findings_range_text(char *to, size_t capacity, uint64_t from, uint64_t until)
{
    if (until < from) {
        snprintf(to, capacity, "a block without records");
    } else if (until == from) {
        snprintf(to, capacity, "record %" PRIu64, from);
    } else {
        snprintf(to, capacity, "records %" PRIu64 " to %" PRIu64, from, until);
    }
}
