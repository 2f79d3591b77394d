/* The block reader: a written block is read back, and each kind of damage has its own state. */
#include "wal/files/block_reader.h"

#include "tests/lib/count.h"
#include "tests/wal/log_dir.h"
#include "tests/wal/fault.h"

#include "wal/base/bytes.h"
#include "wal/format/codec.h"
#include "wal/format/member.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME  "blocks"
#define FILE_BYTES WAL_SEGMENT_BYTES_MIN
#define OFFSET     8192U

/* Offsets of the fields of a block's header; FORMAT.md has the table. */
enum {
    AT_FLAGS = 4,
    AT_CODEC = 6,
    AT_RESERVED = 7,
    AT_FIRST_LSN = 8,
    AT_DURABLE_LSN = 16,
    AT_COUNT = 24,
    AT_RAW_BYTES = 28,
    AT_STORED_BYTES = 32,
    AT_DURABLE_PAGES = 36,
    AT_PAYLOAD_CHECKSUM = 40,
    AT_RESERVED_TOO = 48,
    AT_HEADER_CHECKSUM = 56,
    HEADER_END = 64,
};

static const struct wal_segment_head home = {
    .uuid = "0123456789abcdef", .number = 7, .bytes = FILE_BYTES, .epoch = 3};

/* A file with one block in it, and a reader of it. */
struct shelf {
    struct log_dir dir;
    struct fault_io fault;
    struct wal_block_reader reader;
    struct wal_block_place place;
    struct wal_block_header header; /* as it was read */
    const unsigned char *raw;
    unsigned char file[FILE_BYTES]; /* the file's bytes */
};

static void shelf_init(struct shelf *shelf)
{
    memset(shelf, 0, sizeof(*shelf));
    log_dir_init(&shelf->dir);
    cr_assert_eq(wal_file_io_new(&shelf->dir.io, shelf->dir.path, 1), 0);
    fault_io_init(&shelf->fault, shelf->dir.io);
    wal_block_reader_init(&shelf->reader, &shelf->fault.io);
    shelf->place =
        (struct wal_block_place){.head = &home, .size_bytes = FILE_BYTES, .offset = OFFSET};
}

static void shelf_fini(struct shelf *shelf)
{
    wal_block_reader_fini(&shelf->reader);
    fault_io_fini(&shelf->fault);
    log_dir_fini(&shelf->dir);
}

static struct wal_block_header sample(void)
{
    return (struct wal_block_header){
        .first_lsn = 100, .durable_lsn = 99, .durable_pages = 2, .count = 5};
}

/* Makes the block; log_dir_fill's bytes are its payload. */
static void put(struct shelf *shelf, struct wal_block_header header, size_t raw_bytes, bool noise)
{
    unsigned char *raw = malloc(raw_bytes + 1);
    log_dir_fill(raw, raw_bytes + 1, 100, noise);
    memset(shelf->file, 0, sizeof(shelf->file));
    wal_block_pack(shelf->file + OFFSET, &header, raw, raw_bytes);
    wal_block_sign(shelf->file + OFFSET, &header, wal_block_seed(&home, OFFSET));
    free(raw);
}

/* Signs the header, and the payload, as a writer with a bug would. */
static void sign_again(struct shelf *shelf)
{
    unsigned char *block = shelf->file + OFFSET;
    uint64_t seed = wal_block_seed(&home, OFFSET);
    uint32_t stored = get_le32(block + AT_STORED_BYTES);
    if (stored <= FILE_BYTES - OFFSET - HEADER_END) {
        put_le64(block + AT_PAYLOAD_CHECKSUM, wal_codec_checksum(block + HEADER_END, stored, seed));
    }
    put_le64(block + AT_HEADER_CHECKSUM, wal_codec_checksum(block, AT_HEADER_CHECKSUM, seed));
}

/* Stores so many bytes of the file, and reads the block. */
static enum wal_block_state get(struct shelf *shelf, size_t file_bytes)
{
    struct wal_io *io = &shelf->fault.io;
    log_dir_store(&shelf->dir, FILE_NAME, shelf->file, file_bytes);
    int fd = io->ops->open(io, FILE_NAME, WAL_OPEN_READ);
    cr_assert(fd >= 0);
    wal_read_window_turn(&shelf->reader.window, fd);
    shelf->place.size_bytes = file_bytes;
    enum wal_block_state state =
        wal_block_reader_get(&shelf->reader, &shelf->place, &shelf->header, &shelf->raw);
    io->ops->close(io, fd);
    return state;
}

Test(wal_block_reader, brings_what_was_written)
{
    static const size_t sizes[] = {1, 4032, 4033, 20000, 40000};
    struct shelf *shelf = malloc(sizeof(*shelf));
    unsigned char wanted[40001];
    shelf_init(shelf);
    for (size_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
        size_t raw_bytes = sizes[i / 2];
        bool noise = i % 2 != 0;
        put(shelf, sample(), raw_bytes, noise);
        cr_assert_eq(get(shelf, FILE_BYTES), WAL_BLOCK_VALID, "%zu bytes", raw_bytes);
        log_dir_fill(wanted, raw_bytes + 1, 100, noise);
        cr_expect_eq(shelf->header.first_lsn, 100);
        cr_expect_eq(shelf->header.count, 5);
        cr_assert_eq(shelf->header.raw_bytes, raw_bytes);
        cr_expect(memcmp(shelf->raw, wanted, raw_bytes) == 0, "%zu bytes", raw_bytes);
    }
    shelf_fini(shelf);
    free(shelf);
}

Test(wal_block_reader, every_flipped_bit_is_told_by_the_checksum_that_covers_it)
{
    struct shelf *shelf = malloc(sizeof(*shelf));
    shelf_init(shelf);
    put(shelf, sample(), 300, true);
    for (size_t bit = 0; bit < (HEADER_END + 300) * 8; bit++) {
        enum wal_block_state wanted =
            bit < HEADER_END * 8 ? WAL_BLOCK_BAD_HEADER : WAL_BLOCK_BAD_CHECKSUM;
        shelf->file[OFFSET + bit / 8] ^= (unsigned char)(1U << bit % 8);
        cr_assert_eq(get(shelf, FILE_BYTES), wanted, "bit %zu", bit);
        shelf->file[OFFSET + bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_VALID);
    shelf_fini(shelf);
    free(shelf);
}

Test(wal_block_reader, every_field_is_checked_under_a_good_checksum)
{
    static const struct {
        const char *what;
        size_t at;
        size_t width;
        uint64_t value;
        enum wal_block_state state;
    } rows[] = {
        {"nothing changed", AT_FLAGS, 2, 0, WAL_BLOCK_VALID},
        {"a flag that is not known", AT_FLAGS, 2, 16, WAL_BLOCK_NEWER},
        {"a codec that is not known", AT_CODEC, 1, 2, WAL_BLOCK_NEWER},
        {"the reserved byte", AT_RESERVED, 1, 1, WAL_BLOCK_NEWER},
        {"the reserved bytes", AT_RESERVED_TOO, 8, 1, WAL_BLOCK_NEWER},
        {"clean, and no seal", AT_FLAGS, 2, WAL_BLOCK_CLEAN, WAL_BLOCK_CONTRADICTS},
        {"a seal with records", AT_FLAGS, 2, WAL_BLOCK_SEAL, WAL_BLOCK_CONTRADICTS},
        {"a confirmation with records", AT_FLAGS, 2, WAL_BLOCK_CONFIRM, WAL_BLOCK_CONTRADICTS},
        {"packed, of what is no member", AT_FLAGS, 2, WAL_BLOCK_PACKED, WAL_BLOCK_BAD_MEMBERS},
        {"compressed, and not shorter", AT_CODEC, 1, WAL_CODEC_LZ4, WAL_BLOCK_CONTRADICTS},
        {"no first lsn", AT_FIRST_LSN, 8, 0, WAL_BLOCK_CONTRADICTS},
        {"lsns that run over", AT_FIRST_LSN, 8, WAL_LSN_MAX, WAL_BLOCK_CONTRADICTS},
        {"durable before it was written", AT_DURABLE_LSN, 8, 100, WAL_BLOCK_CONTRADICTS},
        {"no records, and bytes", AT_COUNT, 4, 0, WAL_BLOCK_CONTRADICTS},
        {"raw bytes that are not those stored", AT_RAW_BYTES, 4, 299, WAL_BLOCK_CONTRADICTS},
        {"more than a segment holds", AT_STORED_BYTES, 4, UINT32_MAX, WAL_BLOCK_CONTRADICTS},
        {"no page durable", AT_DURABLE_PAGES, 4, 0, WAL_BLOCK_CONTRADICTS},
        {"itself durable", AT_DURABLE_PAGES, 4, 3, WAL_BLOCK_CONTRADICTS},
    };
    struct shelf *shelf = malloc(sizeof(*shelf));
    shelf_init(shelf);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put(shelf, sample(), 300, true);
        for (size_t byte = 0; byte < rows[i].width; byte++) {
            shelf->file[OFFSET + rows[i].at + byte] = (unsigned char)(rows[i].value >> 8 * byte);
        }
        sign_again(shelf);
        cr_expect_eq(get(shelf, FILE_BYTES), rows[i].state, "%s", rows[i].what);
    }
    shelf_fini(shelf);
    free(shelf);
}

Test(wal_block_reader, a_payload_that_does_not_decompress_is_told_behind_a_good_checksum)
{
    struct shelf *shelf = malloc(sizeof(*shelf));
    shelf_init(shelf);
    put(shelf, sample(), 20000, false);
    cr_assert_eq(shelf->file[OFFSET + AT_CODEC], WAL_CODEC_LZ4);
    memset(shelf->file + OFFSET + HEADER_END, 0xff,
           get_le32(shelf->file + OFFSET + AT_STORED_BYTES));
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_BAD_CHECKSUM);
    sign_again(shelf);
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_BAD_CODE);
    shelf_fini(shelf);
    free(shelf);
}

Test(wal_block_reader, members_have_to_make_up_the_count)
{
    struct shelf *shelf = malloc(sizeof(*shelf));
    shelf_init(shelf);
    for (uint32_t count = 4; count <= 6; count++) {
        unsigned char members[64];
        struct wal_block_header header = sample();
        size_t len = 0;
        for (uint32_t member = 2; member <= 3; member++) {
            len += wal_member_head_put(members + len, member, 7);
            memcpy(members + len, "payload", 7);
            len += 7;
        }
        header.count = count;
        header.flags = WAL_BLOCK_PACKED;
        memset(shelf->file, 0, sizeof(shelf->file));
        wal_block_pack(shelf->file + OFFSET, &header, members, len);
        wal_block_sign(shelf->file + OFFSET, &header, wal_block_seed(&home, OFFSET));
        cr_expect_eq(get(shelf, FILE_BYTES), count == 5 ? WAL_BLOCK_VALID : WAL_BLOCK_BAD_MEMBERS,
                     "count %u", count);
    }
    shelf_fini(shelf);
    free(shelf);
}

Test(wal_block_reader, zeros_and_a_short_file_are_told_from_damage)
{
    struct shelf *shelf = malloc(sizeof(*shelf));
    shelf_init(shelf);
    put(shelf, sample(), 20000, true);
    cr_expect_eq(get(shelf, OFFSET), WAL_BLOCK_SHORT, "nothing is there");
    cr_expect_eq(get(shelf, OFFSET + 4095), WAL_BLOCK_SHORT, "a part of the header's page");
    cr_expect_eq(get(shelf, OFFSET + 4096), WAL_BLOCK_SHORT, "the header's page alone");
    cr_expect_eq(get(shelf, OFFSET + 5 * 4096 - 1), WAL_BLOCK_SHORT, "all but a byte of padding");
    cr_expect_eq(get(shelf, OFFSET + 5 * 4096), WAL_BLOCK_VALID);
    memset(shelf->file + OFFSET, 0, 4096);
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_ZEROS, "although more stands behind that page");
    shelf->file[OFFSET + 4095] = 1;
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_BAD_HEADER);
    shelf_fini(shelf);
    free(shelf);
}

Test(wal_block_reader, a_block_is_valid_at_its_place_alone)
{
    struct shelf *shelf = malloc(sizeof(*shelf));
    struct wal_segment_head other = home;
    shelf_init(shelf);
    put(shelf, sample(), 300, false);
    memcpy(shelf->file + OFFSET + 4096, shelf->file + OFFSET, 4096);
    shelf->place.offset = OFFSET + 4096;
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_BAD_HEADER, "another offset");
    shelf->place.offset = OFFSET;
    shelf->place.head = &other;
    other.epoch++;
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_BAD_HEADER, "another epoch");
    other = home;
    other.number++;
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_BAD_HEADER, "another segment");
    other = home;
    other.uuid[0] ^= 1;
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_BAD_HEADER, "another log");
    other = home;
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_VALID);
    shelf_fini(shelf);
    free(shelf);
}

Test(wal_block_reader, a_failed_call_is_told_as_that)
{
    static const struct {
        int err;
        enum wal_block_state state;
    } rows[] = {{-EIO, WAL_BLOCK_IO_ERROR}, {-ENOMEM, WAL_BLOCK_NO_MEMORY}};
    struct shelf *shelf = malloc(sizeof(*shelf));
    shelf_init(shelf);
    put(shelf, sample(), 300, true);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fault_io_set(&shelf->fault, FAULT_PREAD, rows[i].err, 0, 1);
        cr_expect_eq(get(shelf, FILE_BYTES), rows[i].state);
        cr_expect_eq(shelf->reader.errnum, rows[i].err);
    }
    cr_expect_eq(get(shelf, FILE_BYTES), WAL_BLOCK_VALID, "it goes on afterwards");
    shelf_fini(shelf);
    free(shelf);
}
