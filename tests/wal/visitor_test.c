/* The visitor of a scan: each block once, the members of a packed one, no record of a snapshot. */
#include "wal/read/visitor.h"

#include "wal/base/err.h"
#include "wal/format/member.h"

#include <criterion/criterion.h>
#include <string.h>

enum { SEEN_MAX = 8, MEMBER_BYTES = 30 };

static struct wal_block seen[SEEN_MAX];
static unsigned count;
static struct wal_visitor visitor;

static int see(void *arg, const struct wal_block *block)
{
    const int *err = arg;
    cr_assert_lt(count, SEEN_MAX);
    seen[count++] = *block;
    return *err;
}

static void begin(int *err)
{
    count = 0;
    wal_visitor_init(&visitor, see, err);
}

static struct wal_block block_of(uint64_t first_lsn, uint32_t records)
{
    return (struct wal_block){
        .first_lsn = first_lsn, .count = records, .stored_bytes = WAL_PAGE_BYTES};
}

static int show(uint64_t first_lsn, uint32_t records)
{
    struct wal_block block = block_of(first_lsn, records);
    return wal_visitor_show(&visitor, &block, false);
}

/* A packed block of three members, with 1, 2 and 3 records. */
static int show_packed(uint64_t first_lsn)
{
    unsigned char raw[3 * (MEMBER_BYTES + WAL_MEMBER_HEAD_BYTES_MAX)];
    size_t len = 0;
    for (uint32_t records = 1; records <= 3; records++) {
        len += wal_member_head_put(raw + len, records, MEMBER_BYTES);
        memset(raw + len, (int)records, MEMBER_BYTES);
        len += MEMBER_BYTES;
    }
    struct wal_block block = block_of(first_lsn, 6);
    block.raw = raw;
    block.raw_bytes = len;
    block.payload_bytes = len;
    return wal_visitor_show(&visitor, &block, true);
}

Test(wal_visitor, sees_the_members_of_a_packed_block)
{
    int err = 0;
    begin(&err);
    cr_assert_eq(show_packed(5), 0);
    cr_assert_eq(count, 3);
    size_t stored = 0;
    for (unsigned i = 0; i < 3; i++) {
        cr_expect(seen[i].member == i && seen[i].count == i + 1);
        cr_expect_eq(seen[i].raw_bytes, MEMBER_BYTES);
        stored += seen[i].stored_bytes;
    }
    cr_expect(seen[0].first_lsn == 5 && seen[1].first_lsn == 6 && seen[2].first_lsn == 8);
    cr_expect_eq(stored, WAL_PAGE_BYTES, "the page is shared out");
    cr_expect(visitor.records == 6 && visitor.blocks == 3);
}

Test(wal_visitor, sees_no_block_twice)
{
    int err = 0;
    begin(&err);
    cr_assert_eq(show(1, 4), 0);
    cr_assert_eq(show(5, 1), 0);
    cr_assert_eq(show_packed(5), 0); /* another file under the segment's name */
    cr_expect_eq(count, 4);
    cr_expect_eq(seen[2].first_lsn, 6);
    wal_visitor_begin_at(&visitor, 1);
    cr_assert_eq(show(1, 4), 0);
    cr_expect_eq(count, 5);
}

Test(wal_visitor, sees_nothing_that_the_snapshot_has)
{
    int err = 0;
    begin(&err);
    wal_visitor_set_snapshot(&visitor, 6);
    cr_assert_eq(show(1, 6), 0);
    cr_expect_eq(count, 0);
    cr_expect_eq(visitor.records, 6, "they count");
    cr_assert_eq(show(7, 0), 0);
    cr_assert_eq(show(7, 2), 0);
    cr_expect_eq(count, 2);
}

Test(wal_visitor, ends_a_packed_block_with_its_error)
{
    int err = TALLY_CORRUPT;
    begin(&err);
    cr_expect_eq(show_packed(1), TALLY_CORRUPT);
    cr_expect_eq(count, 1);
    cr_expect_eq(visitor.shown_lsn, 0, "what was refused may be shown again");
}
