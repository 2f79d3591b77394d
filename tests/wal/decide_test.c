/* The decision table over all combinations of evidence: the row of each is checked. */
#include "wal/read/decide.h"

#include <criterion/criterion.h>
#include <string.h>

#define SIGNS 12

static struct wal_evidence signs_of(unsigned bits)
{
    return (struct wal_evidence){
        .read_error = bits & 1,
        .newer = bits >> 1 & 1,
        .misnumbered = bits >> 2 & 1,
        .foreign = bits >> 3 & 1,
        .unchained = bits >> 4 & 1,
        .misshapen = bits >> 5 & 1,
        .later_filled = bits >> 6 & 1,
        .later_block = bits >> 7 & 1,
        .acknowledged = bits >> 8 & 1,
        .after_seal = bits >> 9 & 1,
        .zeros = bits >> 10 & 1,
        .torn_header = bits >> 11 & 1,
    };
}

/* A row matches when the evidence under `mask` is exactly `are`. Patterns, so that the test is not
 * the same code as decide.c: r n mfucl s a e z t, low bit first. */
static const struct decide_row {
    int row;
    unsigned mask;
    unsigned are;
    enum wal_decision decision;
} rows[] = {
    {1, 0x001, 0x001, WAL_DECIDE_REFUSE_IO},
    {2, 0x002, 0x002, WAL_DECIDE_REFUSE_VERSION},
    {3, 0x004, 0x004, WAL_DECIDE_REFUSE_DAMAGE},
    {3, 0x008, 0x008, WAL_DECIDE_REFUSE_DAMAGE},
    {3, 0x010, 0x010, WAL_DECIDE_REFUSE_DAMAGE},
    {3, 0x020, 0x020, WAL_DECIDE_REFUSE_DAMAGE},
    {3, 0x040, 0x040, WAL_DECIDE_REFUSE_DAMAGE},
    {4, 0x080, 0x080, WAL_DECIDE_REFUSE_DAMAGE},
    {5, 0x100, 0x100, WAL_DECIDE_REFUSE_DAMAGE},
    {6, 0x600, 0x200, WAL_DECIDE_REFUSE_DAMAGE}, /* after a seal, and not zeros */
    {7, 0xc00, 0x400, WAL_DECIDE_CLEAN},         /* zeros, and no torn header */
    {8, 0x000, 0x000, WAL_DECIDE_TORN},
};

Test(wal_decide, every_combination_has_its_row)
{
    unsigned count[9] = {0};
    for (unsigned bits = 0; bits < 1U << SIGNS; bits++) {
        const struct decide_row *row = rows;
        while ((bits & row->mask) != row->are) {
            row++;
        }
        struct wal_evidence evidence = signs_of(bits);
        struct wal_verdict verdict = wal_decide(&evidence);
        cr_assert_eq(verdict.row, row->row, "signs 0x%03x: row %d, not %d", bits, verdict.row,
                     row->row);
        cr_assert_eq(verdict.decision, row->decision, "signs 0x%03x", bits);
        count[verdict.row]++;
    }
    static const unsigned pinned[9] = {0, 2048, 1024, 992, 16, 8, 2, 2, 4};
    for (int row = 0; row <= 8; row++) {
        cr_expect_eq(count[row], pinned[row], "row %d: %u", row, count[row]);
    }
}

Test(wal_decide, nothing_is_cut_off_when_anything_speaks_of_damage)
{
    for (unsigned bits = 0; bits < 1U << SIGNS; bits++) {
        struct wal_evidence evidence = signs_of(bits);
        bool goes_on = wal_decide(&evidence).row >= 7;
        cr_assert(!goes_on || (bits & 0x1ff) == 0, "signs 0x%03x", bits);
    }
}
