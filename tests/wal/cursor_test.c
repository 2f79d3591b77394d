/* The cursor of a scan: which block is the next one, and where the cursor stands behind it. */
#include "wal/read/cursor.h"

#include <criterion/criterion.h>

static struct wal_cursor cursor;

static void setup(void)
{
    wal_cursor_init(&cursor);
    wal_cursor_enter(&cursor, 0, 1);
}

TestSuite(wal_cursor, .init = setup);

static struct wal_block_header block(uint64_t first_lsn, uint32_t count)
{
    return (struct wal_block_header){
        .first_lsn = first_lsn, .durable_lsn = first_lsn - 1, .count = count, .stored_bytes = 100};
}

static void step(struct wal_block_header header, uint32_t epoch)
{
    cr_assert_eq(wal_cursor_check(&cursor, &header, epoch), WAL_CHAIN_NEXT);
    wal_cursor_step(&cursor, &header, epoch);
}

Test(wal_cursor, steps_from_block_to_block)
{
    step(block(1, 3), 1);
    step(block(4, 1), 1);
    cr_expect_eq(cursor.next_lsn, 5);
    cr_expect_eq(cursor.durable_lsn, 3);
    cr_expect_eq(cursor.offset, WAL_SEGMENT_FIRST_BLOCK + 2 * WAL_PAGE_BYTES);
}

Test(wal_cursor, tells_a_gap_and_an_older_block)
{
    step(block(1, 3), 2);
    struct wal_block_header header = block(5, 1);
    cr_expect_eq(wal_cursor_check(&cursor, &header, 2), WAL_CHAIN_GAP);
    header = block(3, 1);
    cr_expect_eq(wal_cursor_check(&cursor, &header, 2), WAL_CHAIN_GAP);
    step(block(4, 0), 2); /* a block without records: it says that record 3 is durable */
    header = block(4, 1);
    cr_expect_eq(wal_cursor_check(&cursor, &header, 1), WAL_CHAIN_OLDER, "of an older start");
    header.durable_lsn = 2;
    cr_expect_eq(wal_cursor_check(&cursor, &header, 2), WAL_CHAIN_OLDER, "knows less");
}

Test(wal_cursor, a_detached_one_takes_any_block)
{
    step(block(1, 3), 7);
    wal_cursor_detach(&cursor);
    const struct wal_block_header header = block(100, 1);
    cr_expect_eq(wal_cursor_check(&cursor, &header, 1), WAL_CHAIN_NEXT);
    wal_cursor_set_lsn(&cursor, 100);
    wal_cursor_step(&cursor, &header, 1);
    cr_expect_eq(cursor.next_lsn, 101);
}

Test(wal_cursor, rewinds_to_where_its_segment_began)
{
    struct wal_block_header seal = block(4, 0);
    seal.flags = WAL_BLOCK_SEAL;
    step(block(1, 3), 1);
    step(seal, 1);
    cr_expect(cursor.is_sealed && !cursor.is_clean);
    wal_cursor_enter(&cursor, 1, 2);
    cr_expect(!cursor.is_sealed);
    const struct wal_cursor begin = cursor;
    struct wal_block_header packed = block(4, 10);
    packed.flags = WAL_BLOCK_PACKED;
    step(packed, 2);
    cr_expect(cursor.is_packed);
    wal_cursor_rewind(&cursor);
    cr_expect_eq(cursor.next_lsn, begin.next_lsn);
    cr_expect_eq(cursor.durable_lsn, begin.durable_lsn);
    cr_expect_eq(cursor.epoch, begin.epoch);
    cr_expect_eq(cursor.offset, begin.offset);
    cr_expect(cursor.number == 2 && cursor.index == 1 && !cursor.is_packed);
}

Test(wal_cursor, restarts_before_the_log)
{
    step(block(1, 3), 1);
    wal_cursor_restart(&cursor);
    cr_expect(cursor.offset == 0 && cursor.next_lsn == 1);
}
