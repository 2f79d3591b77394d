/* The findings of a scan: which note stays, the row of each sign, and which fields are reset. */
#include "wal/read/findings.h"
#include "tests/lib/count.h"
#include "wal/read/identity.h"

#include <criterion/criterion.h>
#include <errno.h>

static struct wal_findings findings;

static void setup(void)
{
    wal_findings_reset(&findings);
}

TestSuite(wal_findings, .init = setup);

static int decided(void)
{
    wal_findings_decide(&findings);
    return findings.verdict.row;
}

Test(wal_findings, each_sign_has_its_row)
{
    static const int rows[] = {
        [WAL_SIGN_NEWER] = 2,       [WAL_SIGN_MISNUMBERED] = 3,  [WAL_SIGN_FOREIGN] = 3,
        [WAL_SIGN_UNCHAINED] = 3,   [WAL_SIGN_MISSHAPEN] = 3,    [WAL_SIGN_LATER_FILLED] = 3,
        [WAL_SIGN_LATER_BLOCK] = 4, [WAL_SIGN_ACKNOWLEDGED] = 5,
    };
    for (size_t sign = 0; sign < COUNT_OF(rows); sign++) {
        wal_findings_reset(&findings);
        wal_findings_add(&findings, (enum wal_sign)sign, "sign %zu", sign);
        cr_expect_eq(decided(), rows[sign], "sign %zu", sign);
        cr_expect_eq(findings.note_row, rows[sign], "sign %zu", sign);
    }
}

Test(wal_findings, the_first_note_of_the_first_row_stays)
{
    wal_findings_add(&findings, WAL_SIGN_LATER_BLOCK, "a later block");
    wal_findings_add(&findings, WAL_SIGN_FOREIGN, "foreign");
    wal_findings_add(&findings, WAL_SIGN_MISSHAPEN, "misshapen");
    cr_expect_str_eq(findings.note, "foreign");
    wal_findings_segment_failed(&findings, 1, "cannot read", -EIO);
    wal_findings_failed(&findings, "cannot list the directory", -EACCES);
    cr_expect_str_eq(findings.note, "wal-0000000000000001.seg: cannot read: Input/output error");
    cr_expect_eq(decided(), 1);
    cr_expect_eq(findings.errnum, -EACCES);
}

Test(wal_findings, a_call_without_memory_is_not_forgotten)
{
    wal_findings_failed(&findings, "cannot list the directory", -ENOMEM);
    wal_findings_clear(&findings);
    cr_expect(!wal_findings_is_stopped(&findings) && findings.errnum == 0);
    cr_expect(findings.no_memory);
    wal_findings_reset(&findings);
    cr_expect(!findings.no_memory);
}

Test(wal_findings, a_missing_segment_stops_the_scan_until_it_is_cleared)
{
    wal_findings_missing(&findings, 7);
    cr_expect(wal_findings_is_stopped(&findings) && findings.missing_number == 7);
    cr_expect_eq(findings.errnum, -ENOENT);
    wal_findings_clear(&findings);
    cr_expect(!wal_findings_is_stopped(&findings) && findings.missing_number == 0);
}

Test(wal_findings, the_first_witness_has_the_offset_and_all_have_the_lsn)
{
    wal_findings_stop(&findings, 3 * WAL_PAGE_BYTES, false);
    wal_findings_witness(&findings, 2 * WAL_PAGE_BYTES, 10);
    wal_findings_witness(&findings, 3 * WAL_PAGE_BYTES, 12);
    wal_findings_witness(&findings, 4 * WAL_PAGE_BYTES, 11);
    cr_expect_eq(findings.tail.witness_offset, 2 * WAL_PAGE_BYTES);
    cr_expect_eq(findings.tail.witness_lsn, 12);
    cr_expect_eq(decided(), 5);
}

Test(wal_findings, the_stop_alone_is_clean_torn_or_damaged)
{
    wal_findings_stop(&findings, 0, false);
    cr_expect_eq(decided(), 7);
    wal_findings_torn_header(&findings);
    cr_expect_eq(decided(), 8);
    wal_findings_stop(&findings, WAL_PAGE_BYTES, false);
    cr_expect_eq(decided(), 8);
    wal_findings_stop(&findings, WAL_PAGE_BYTES, true);
    cr_expect_eq(decided(), 6);
    wal_findings_later(&findings, 2, 5);
    cr_expect_eq(decided(), 4);
    cr_expect(findings.tail.later_number == 2 && findings.tail.later_lsn == 5);
}

static const struct wal_segment_head good = {
    .uuid = "the log's", .number = 3, .bytes = WAL_SEGMENT_BYTES_MIN, .epoch = 4};

/* Learns from a header behind that of segment 3, and returns the findings. */
static struct wal_evidence learned(struct wal_segment_head head, enum wal_head_state state)
{
    struct wal_identity identity = {.has_uuid = false};
    wal_findings_reset(&findings);
    wal_identity_learn(&identity, 3, WAL_HEAD_OK, &good, &findings);
    cr_expect(identity.epoch_max == 4 && wal_identity_is_same(&identity, good.uuid));
    cr_expect_eq(findings.note_row, 0);
    wal_identity_learn(&identity, 4, state, &head, &findings);
    return findings.evidence;
}

Test(wal_findings, headers_of_one_log_agree)
{
    struct wal_segment_head next = good;
    next.number = 4;
    learned(next, WAL_HEAD_OK);
    cr_expect_eq(findings.note_row, 0);
    learned(next, WAL_HEAD_BAD); /* no sign: the tail scan judges a bad header */
    cr_expect_eq(findings.note_row, 0);
    cr_expect(learned(next, WAL_HEAD_NEWER).newer);
    cr_expect(learned(good, WAL_HEAD_OK).misnumbered);
    struct wal_segment_head other = next;
    other.uuid[0] ^= 1;
    cr_expect(learned(other, WAL_HEAD_OK).foreign);
    other = next;
    other.bytes++;
    cr_expect(learned(other, WAL_HEAD_OK).misshapen);
    other = next;
    other.epoch = WAL_EPOCH_MAX + 1;
    cr_expect(learned(other, WAL_HEAD_OK).misshapen);
}
