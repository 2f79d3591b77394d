/* The block writer: the block reader accepts each of its blocks, and no block can be written at
 * another block's place. */
#include "wal/files/block_writer.h"

#include "tests/lib/count.h"
#include "tests/lib/files.h"
#include "tests/wal/fault.h"
#include "tests/wal/log_dir.h"

#include "wal/files/block_reader.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME    "blocks"
#define FILE_BYTES   WAL_SEGMENT_BYTES_MIN
#define PIECE_BYTES  4096U

/* The exit code of a process that a failed CHECK has ended. */
#define CHECK_FAILED 70

static const struct wal_segment_head home = {
    .uuid = "0123456789abcdef", .number = 7, .bytes = FILE_BYTES, .epoch = 3};

static struct log_dir dir;
static struct fault_io fault;
static struct wal_block_writer writer;
static unsigned char block[FILE_BYTES];

static void setup(void)
{
    log_dir_init(&dir);
    cr_assert_eq(wal_file_io_new(&dir.io, dir.path, 1), 0);
    fault_io_init(&fault, dir.io);
    writer = (struct wal_block_writer){
        .io = &fault.io,
        .fd = fault.io.ops->open(&fault.io, FILE_NAME, WAL_OPEN_CREATE),
        .head = home,
        .end = FILE_BYTES,
        .offset = WAL_SEGMENT_FIRST_BLOCK,
    };
    cr_assert(writer.fd >= 0);
}

static void teardown(void)
{
    fault.io.ops->close(&fault.io, writer.fd);
    fault_io_fini(&fault);
    log_dir_fini(&dir);
}

TestSuite(wal_block_writer, .init = setup, .fini = teardown);

/* Packs a block of that many bytes; its records begin at first_lsn. */
static struct wal_block_header make(uint64_t first_lsn, size_t raw_bytes)
{
    struct wal_block_header header = {.count = 3};
    unsigned char *raw = malloc(raw_bytes + 1);
    log_dir_fill(raw, raw_bytes + 1, first_lsn, true);
    wal_block_pack(block, &header, raw, raw_bytes);
    wal_block_follow(&header, first_lsn, (uint32_t)(writer.offset / WAL_PAGE_BYTES));
    free(raw);
    return header;
}

static struct wal_block_header make_seal(uint64_t first_lsn)
{
    struct wal_block_header header = {.flags = WAL_BLOCK_SEAL};
    wal_block_pack(block, &header, NULL, 0);
    wal_block_follow(&header, first_lsn, (uint32_t)(writer.offset / WAL_PAGE_BYTES));
    return header;
}

/* Reads the block at the offset. */
static enum wal_block_state get(uint64_t offset, struct wal_block_header *header)
{
    const struct wal_block_place place = {
        .head = &home, .size_bytes = writer.offset, .offset = offset};
    struct wal_block_reader reader;
    const unsigned char *raw;
    wal_block_reader_init(&reader, &fault.io);
    wal_read_window_turn(&reader.window, writer.fd);
    enum wal_block_state state = wal_block_reader_get(&reader, &place, header, &raw);
    wal_block_reader_fini(&reader);
    return state;
}

Test(wal_block_writer, goes_on_block_by_block_to_the_seal)
{
    static const size_t sizes[] = {1, 4032, 4033, 20000};
    uint64_t offset = WAL_SEGMENT_FIRST_BLOCK;
    uint64_t lsn = 1;
    struct wal_block_header header;
    struct wal_block_header got;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        header = make(lsn, sizes[i]);
        cr_assert_eq(wal_block_writer_put(&writer, block, &header), 0);
        cr_assert_eq(writer.offset, offset + wal_block_bytes(sizes[i]));
        cr_assert_eq(get(offset, &got), WAL_BLOCK_VALID, "%zu bytes", sizes[i]);
        cr_expect(got.first_lsn == lsn && got.durable_lsn == lsn - 1 && got.count == 3);
        cr_expect_eq((uint64_t)got.durable_pages * WAL_PAGE_BYTES, offset);
        offset = writer.offset;
        lsn += 3;
    }
    cr_expect_eq(fault.calls[FAULT_DATASYNC], 0, "the caller says when");
    header = make_seal(lsn);
    cr_assert_eq(wal_block_writer_put(&writer, block, &header), 0);
    cr_assert_eq(wal_block_writer_sync(&writer), 0);
    cr_expect_eq(fault.calls[FAULT_DATASYNC], 1);
    cr_assert_eq(get(offset, &got), WAL_BLOCK_VALID);
    cr_expect_eq(got.flags, WAL_BLOCK_SEAL);
}

/* Accepts so many pieces, and refuses the next. */
static int pace(void *arg, size_t bytes)
{
    int *left = arg;
    cr_expect_eq(bytes, PIECE_BYTES);
    return (*left)-- > 0 ? 0 : -ECANCELED;
}

Test(wal_block_writer, each_piece_is_synced_and_may_be_the_last)
{
    int left = 5;
    const struct wal_block_pieces pieces = {.bytes = PIECE_BYTES, .pace = pace, .arg = &left};
    struct wal_block_header header = make(1, 20000 - 1000);
    struct wal_block_header got;
    cr_assert_eq(wal_block_writer_put_pieces(&writer, block, &header, &pieces), 0);
    cr_expect(left == 0 && fault.calls[FAULT_DATASYNC] == 5 && fault.calls[FAULT_PWRITE] == 5);
    cr_expect_eq(get(WAL_SEGMENT_FIRST_BLOCK, &got), WAL_BLOCK_VALID);
    uint64_t offset = writer.offset;
    left = 2;
    header = make(4, 20000 - 1000);
    cr_expect_eq(wal_block_writer_put_pieces(&writer, block, &header, &pieces), -ECANCELED);
    cr_expect_eq(writer.offset, offset, "what is half written is no block");
}

Test(wal_block_writer, a_failed_call_leaves_the_offset)
{
    static const enum fault_call calls[] = {FAULT_PWRITE, FAULT_DATASYNC};
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        int left = 100;
        const struct wal_block_pieces pieces = {.bytes = PIECE_BYTES, .pace = pace, .arg = &left};
        struct wal_block_header header = make(1, 3 * PIECE_BYTES - 1000);
        fault_io_set(&fault, calls[i], -EIO, 1, 1);
        cr_expect_eq(wal_block_writer_put_pieces(&writer, block, &header, &pieces), -EIO);
        cr_expect_eq(writer.offset, WAL_SEGMENT_FIRST_BLOCK);
    }
    struct wal_block_header header = make(1, 100);
    fault_io_set(&fault, FAULT_PWRITE, -ENOSPC, 0, 1);
    cr_expect_eq(wal_block_writer_put(&writer, block, &header), -ENOSPC);
    cr_expect_eq(writer.offset, WAL_SEGMENT_FIRST_BLOCK);
}

Test(wal_block_writer, the_last_page_is_the_seals)
{
    writer.offset = FILE_BYTES - WAL_PAGE_BYTES;
    struct wal_block_header header = make_seal(1);
    cr_assert_eq(wal_block_writer_put(&writer, block, &header), 0);
    cr_expect_eq(writer.offset, FILE_BYTES);
}

/* A put that ends the process: the directory goes before, since no teardown comes after. */
static void put_that_ends(struct wal_block_header *header)
{
    files_remove_tree(dir.path);
    wal_block_writer_put(&writer, block, header);
}

Test(wal_block_writer, a_block_in_the_seals_page_is_a_bug, .exit_code = CHECK_FAILED)
{
    writer.offset = FILE_BYTES - WAL_PAGE_BYTES;
    struct wal_block_header header = make(1, 100);
    put_that_ends(&header);
}

Test(wal_block_writer, a_block_between_two_pages_is_a_bug, .exit_code = CHECK_FAILED)
{
    struct wal_block_header header = make(1, 100);
    writer.offset += 512;
    put_that_ends(&header);
}

Test(wal_block_writer, to_call_itself_durable_is_a_bug, .exit_code = CHECK_FAILED)
{
    struct wal_block_header header = make(1, 100);
    header.durable_lsn = 1;
    put_that_ends(&header);
}
