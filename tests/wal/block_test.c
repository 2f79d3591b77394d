/* Blocks and segment headers as bytes: written ones are read back, and changed ones are refused. */
#include "tests/lib/seed.h"
#include "tests/wal/log_dir.h"

#include "tests/lib/count.h"
#include "wal/base/bytes.h"
#include "wal/format/codec.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct wal_segment_head home = {
    .uuid = "0123456789abcdef",
    .number = 7,
    .bytes = WAL_SEGMENT_BYTES_DEFAULT,
    .epoch = 3,
};
#define OFFSET 8192U

static struct wal_block_header sample(void)
{
    return (struct wal_block_header){
        .first_lsn = 100,
        .durable_lsn = 99,
        .durable_pages = 2,
        .count = 5,
    };
}

/* A block at its place; the caller frees. */
static unsigned char *make(struct wal_block_header *header, size_t raw_bytes, bool noise,
                           size_t *bytes)
{
    unsigned char *raw = malloc(raw_bytes + 1);
    unsigned char *block = malloc(wal_block_bytes(raw_bytes));
    log_dir_fill(raw, raw_bytes + 1, 100, noise);
    *bytes = wal_block_pack(block, header, raw, raw_bytes);
    wal_block_sign(block, header, wal_block_seed(&home, OFFSET));
    free(raw);
    return block;
}

static enum wal_block_state check(const unsigned char *block, struct wal_block_header *header)
{
    enum wal_block_state state = wal_block_header_get(block, header, &home, OFFSET);
    if (state != WAL_BLOCK_VALID) {
        return state;
    }
    return wal_block_payload_check(header, block + WAL_BLOCK_HEADER_BYTES,
                                   wal_block_seed(&home, OFFSET));
}

Test(wal_block, comes_back_as_it_was)
{
    static const size_t sizes[] = {1, 511, 512, 4031, 4032, 4033, 5000, 100000, 3000000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int noise = 0; noise <= 1; noise++) {
            struct wal_block_header header = sample();
            struct wal_block_header got;
            size_t bytes;
            unsigned char *block = make(&header, sizes[i], noise, &bytes);
            cr_assert_eq(check(block, &got), WAL_BLOCK_VALID);
            cr_expect_eq(bytes % 4096, 0);
            cr_expect_eq(bytes, wal_block_bytes(got.stored_bytes));
            cr_expect_eq(got.first_lsn, 100);
            cr_expect_eq(got.durable_lsn, 99);
            cr_expect_eq(got.durable_pages, 2);
            cr_expect_eq(got.count, 5);
            cr_expect_eq(got.raw_bytes, sizes[i]);
            unsigned char *raw = malloc(sizes[i]);
            unsigned char *wanted = malloc(sizes[i] + 1);
            log_dir_fill(wanted, sizes[i] + 1, 100, noise);
            if (got.codec == WAL_CODEC_RAW) {
                memcpy(raw, block + WAL_BLOCK_HEADER_BYTES, sizes[i]);
            } else {
                cr_expect_eq(wal_block_unpack(&got, block + WAL_BLOCK_HEADER_BYTES, raw), 0);
            }
            cr_expect(memcmp(raw, wanted, sizes[i]) == 0);
            free(raw);
            free(wanted);
            free(block);
        }
    }
}

Test(wal_block, is_compressed_only_where_that_saves_a_page)
{
    static const struct {
        size_t raw_bytes;
        bool noise;
        enum wal_codec codec;
    } rows[] = {
        {4032, false, WAL_CODEC_RAW},   {4033, false, WAL_CODEC_LZ4},
        {100000, true, WAL_CODEC_RAW},  {100000, false, WAL_CODEC_LZ4},
        {1000000, true, WAL_CODEC_RAW}, {511, false, WAL_CODEC_RAW},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct wal_block_header header = sample();
        size_t bytes;
        free(make(&header, rows[i].raw_bytes, rows[i].noise, &bytes));
        cr_expect_eq(header.codec, rows[i].codec, "%zu bytes", rows[i].raw_bytes);
        if (header.codec == WAL_CODEC_LZ4) {
            cr_expect(bytes < wal_block_bytes(rows[i].raw_bytes));
        }
    }
}

Test(wal_block, every_flipped_bit_of_the_header_is_refused)
{
    struct wal_block_header header = sample();
    struct wal_block_header got;
    size_t bytes;
    unsigned char *block = make(&header, 5000, true, &bytes);
    for (size_t bit = 0; bit < WAL_BLOCK_HEADER_BYTES * 8; bit++) {
        block[bit / 8] ^= (unsigned char)(1U << bit % 8);
        cr_expect_eq(check(block, &got), WAL_BLOCK_BAD_HEADER, "bit %zu", bit);
        block[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    cr_expect_eq(check(block, &got), WAL_BLOCK_VALID);
    free(block);
}

Test(wal_block, every_flipped_bit_of_the_payload_is_refused)
{
    for (int noise = 0; noise <= 1; noise++) {
        struct wal_block_header header = sample();
        struct wal_block_header got;
        size_t bytes;
        unsigned char *block = make(&header, 5000, noise, &bytes);
        size_t end = (WAL_BLOCK_HEADER_BYTES + header.stored_bytes) * 8;
        for (size_t bit = WAL_BLOCK_HEADER_BYTES * 8; bit < end; bit++) {
            block[bit / 8] ^= (unsigned char)(1U << bit % 8);
            cr_assert_eq(check(block, &got), WAL_BLOCK_BAD_CHECKSUM, "bit %zu", bit);
            block[bit / 8] ^= (unsigned char)(1U << bit % 8);
        }
        free(block);
    }
}

Test(wal_block, is_valid_at_its_place_alone)
{
    struct wal_block_header header = sample();
    struct wal_block_header got;
    struct wal_segment_head other = home;
    size_t bytes;
    unsigned char *block = make(&header, 300, false, &bytes);
    cr_expect_eq(wal_block_header_get(block, &got, &home, OFFSET), WAL_BLOCK_VALID);
    cr_expect_eq(wal_block_header_get(block, &got, &home, OFFSET + 4096), WAL_BLOCK_BAD_HEADER);
    other.epoch++;
    cr_expect_eq(wal_block_header_get(block, &got, &other, OFFSET), WAL_BLOCK_BAD_HEADER);
    other = home;
    other.number++;
    cr_expect_eq(wal_block_header_get(block, &got, &other, OFFSET), WAL_BLOCK_BAD_HEADER);
    other = home;
    other.uuid[15] ^= 1;
    cr_expect_eq(wal_block_header_get(block, &got, &other, OFFSET), WAL_BLOCK_BAD_HEADER);
    free(block);
}

/* Signs the header again after a change at one offset, as a writer with a bug would. */
static enum wal_block_state state_with(size_t at, uint64_t value, size_t width)
{
    struct wal_block_header header = sample();
    struct wal_block_header got;
    size_t bytes;
    unsigned char *block = make(&header, 300, false, &bytes);
    for (size_t i = 0; i < width; i++) {
        block[at + i] = (unsigned char)(value >> 8 * i);
    }
    uint64_t seed = wal_block_seed(&home, OFFSET);
    put_le64(block + 56, wal_codec_checksum(block, 56, seed));
    enum wal_block_state state = wal_block_header_get(block, &got, &home, OFFSET);
    free(block);
    return state;
}

Test(wal_block, what_a_newer_version_wrote_is_told_from_damage)
{
    cr_expect_eq(state_with(6, 2, 1), WAL_BLOCK_NEWER, "codec");
    cr_expect_eq(state_with(6, 255, 1), WAL_BLOCK_NEWER, "codec");
    cr_expect_eq(state_with(4, 16, 2), WAL_BLOCK_NEWER, "flag");
    cr_expect_eq(state_with(7, 1, 1), WAL_BLOCK_NEWER, "reserved");
    cr_expect_eq(state_with(48, 1, 1), WAL_BLOCK_NEWER, "reserved");
}

Test(wal_block, what_contradicts_itself_is_wrong_under_a_good_checksum)
{
    cr_expect_eq(state_with(4, 0, 2), WAL_BLOCK_VALID, "nothing changed");
    cr_expect_eq(state_with(4, WAL_BLOCK_CLEAN, 2), WAL_BLOCK_CONTRADICTS, "clean without seal");
    cr_expect_eq(state_with(8, 0, 8), WAL_BLOCK_CONTRADICTS, "lsn 0");
    cr_expect_eq(state_with(8, UINT64_MAX - 2, 8), WAL_BLOCK_CONTRADICTS, "lsn runs over");
    cr_expect_eq(state_with(16, 100, 8), WAL_BLOCK_CONTRADICTS, "durable before it is written");
    cr_expect_eq(state_with(24, 0, 4), WAL_BLOCK_CONTRADICTS, "bytes without records");
    cr_expect_eq(state_with(28, 299, 4), WAL_BLOCK_CONTRADICTS, "raw and stored differ");
    cr_expect_eq(state_with(28, WAL_RAW_BYTES_MAX + 1, 4), WAL_BLOCK_CONTRADICTS, "too large");
    cr_expect_eq(state_with(32, UINT32_MAX, 4), WAL_BLOCK_CONTRADICTS, "stored runs over");
    cr_expect_eq(state_with(36, 0, 4), WAL_BLOCK_CONTRADICTS, "not even the header is durable");
    cr_expect_eq(state_with(36, 3, 4), WAL_BLOCK_CONTRADICTS, "itself durable");
    cr_expect_eq(state_with(6, WAL_CODEC_LZ4, 1), WAL_BLOCK_CONTRADICTS, "packed without gain");
}

/* One buffer for blocks of all sizes in a random order: each is what a fresh buffer would hold. */
Test(wal_block, a_buffer_that_is_used_again_is_padded_with_zeros)
{
    enum { BLOCKS = 3000, RAW_MAX = 30000, ROOM = 40960 };
    static unsigned char raw[RAW_MAX];
    static unsigned char fresh[ROOM];
    static unsigned char again[ROOM];
    struct wal_block_zeros zeros = {0};
    struct seed seed = {7};
    memset(again, 0xa5, sizeof(again));
    for (int i = 0; i < BLOCKS; i++) {
        bool noise = seed_below(&seed, 2) == 0;
        size_t raw_bytes = seed_below(&seed, seed_below(&seed, 4) == 0 ? RAW_MAX : 6000);
        struct wal_block_header one = sample();
        struct wal_block_header two = sample();
        log_dir_fill(raw, raw_bytes, (uint64_t)i, noise);
        memset(fresh, 0, sizeof(fresh));
        size_t bytes = wal_block_pack(fresh, &one, raw, raw_bytes);
        cr_assert_eq(wal_block_pack_again(again, &two, raw, raw_bytes, &zeros), bytes);
        cr_assert_eq(one.stored_bytes, two.stored_bytes);
        cr_assert_eq(memcmp(fresh + WAL_BLOCK_HEADER_BYTES, again + WAL_BLOCK_HEADER_BYTES,
                            bytes - WAL_BLOCK_HEADER_BYTES),
                     0, "block %d of %zu bytes, noise %d", i, raw_bytes, noise);
    }
}

Test(wal_block, room_for_the_seal_is_always_kept)
{
    struct wal_segment_head head = home;
    struct wal_block_header header = sample();
    struct wal_block_header got;
    unsigned char block[4096];
    head.bytes = WAL_SEGMENT_BYTES_MIN;
    uint64_t last = head.bytes - 4096;
    wal_block_pack(block, &header, "x", 1);
    wal_block_sign(block, &header, wal_block_seed(&head, last));
    cr_expect_eq(wal_block_header_get(block, &got, &head, last), WAL_BLOCK_CONTRADICTS);
    header.flags = WAL_BLOCK_SEAL;
    wal_block_sign(block, &header, wal_block_seed(&head, last));
    cr_expect_eq(wal_block_header_get(block, &got, &head, last), WAL_BLOCK_CONTRADICTS,
                 "with records");
    header.count = 0;
    wal_block_pack(block, &header, NULL, 0);
    wal_block_sign(block, &header, wal_block_seed(&head, last));
    cr_expect_eq(wal_block_header_get(block, &got, &head, last), WAL_BLOCK_VALID);
}

Test(wal_codec, garbage_never_decompresses_beyond_its_room)
{
    unsigned char raw[1000 + 16];
    unsigned char packed[600];
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        log_dir_fill(packed, sizeof(packed), seed, true);
        memset(raw, 0xa5, sizeof(raw));
        wal_codec_unpack(packed, 1 + seed % sizeof(packed), raw, 1000);
        for (size_t i = 1000; i < sizeof(raw); i++) {
            cr_assert_eq(raw[i], 0xa5);
        }
    }
}

Test(wal_codec, the_length_must_be_exact)
{
    unsigned char raw[5000];
    unsigned char packed[5000];
    unsigned char back[5001];
    log_dir_fill(raw, sizeof(raw), 1, false);
    size_t n = wal_codec_pack(raw, sizeof(raw), packed, sizeof(packed));
    cr_assert(n > 0);
    cr_expect_eq(wal_codec_unpack(packed, n, back, 5000), 0);
    cr_expect_eq(wal_codec_unpack(packed, n, back, 5001), -1);
    cr_expect_eq(wal_codec_unpack(packed, n, back, 4999), -1);
    cr_expect_eq(wal_codec_unpack(packed, n - 1, back, 5000), -1);
    cr_expect_eq(wal_codec_pack(raw, sizeof(raw), packed, n - 1), 0);
}

Test(wal_segment, a_header_comes_back_as_it_was)
{
    unsigned char page[WAL_PAGE_BYTES];
    struct wal_segment_head got;
    wal_segment_head_put(page, &home);
    cr_assert_eq(wal_segment_head_get(page, &got), WAL_HEAD_OK);
    cr_expect(memcmp(got.uuid, home.uuid, WAL_UUID_BYTES) == 0);
    cr_expect_eq(got.number, 7);
    cr_expect_eq(got.bytes, WAL_SEGMENT_BYTES_DEFAULT);
    cr_expect_eq(got.epoch, 3);
}

Test(wal_segment, one_good_copy_of_the_header_is_enough)
{
    unsigned char page[WAL_PAGE_BYTES];
    struct wal_segment_head got;
    for (size_t bit = 0; bit < 64 * 8; bit++) {
        wal_segment_head_put(page, &home);
        page[bit / 8] ^= (unsigned char)(1U << bit % 8);
        cr_assert_eq(wal_segment_head_get(page, &got), WAL_HEAD_OK, "bit %zu", bit);
        cr_expect_eq(got.number, 7);
        page[512 + bit / 8] ^= (unsigned char)(1U << bit % 8);
        cr_assert_eq(wal_segment_head_get(page, &got), WAL_HEAD_BAD, "bit %zu twice", bit);
    }
    wal_segment_head_put(page, &home);
    memcpy(page + 512, page, 64);
    memset(page, 0, 64);
    cr_expect_eq(wal_segment_head_get(page, &got), WAL_HEAD_BAD, "a copy in the wrong place");
}

Test(wal_segment, of_two_headers_the_newer_epoch_counts)
{
    unsigned char page[WAL_PAGE_BYTES];
    unsigned char older[WAL_PAGE_BYTES];
    struct wal_segment_head head = home;
    struct wal_segment_head got;
    wal_segment_head_put(older, &head);
    head.epoch = 4;
    wal_segment_head_put(page, &head);
    memcpy(page, older, 64);
    cr_assert_eq(wal_segment_head_get(page, &got), WAL_HEAD_OK);
    cr_expect_eq(got.epoch, 4);
    wal_segment_head_put(page, &head);
    memcpy(page + 512, older + 512, 64);
    cr_assert_eq(wal_segment_head_get(page, &got), WAL_HEAD_OK);
    cr_expect_eq(got.epoch, 4);
}

Test(wal_segment, names_are_read_strictly)
{
    char name[WAL_NAME_BYTES];
    uint64_t number;
    wal_segment_name(name, 0x1234abcdU);
    cr_expect_str_eq(name, "wal-000000001234abcd.seg");
    cr_assert(wal_segment_is_name(name, &number));
    cr_expect_eq(number, 0x1234abcdU);
    cr_expect(wal_segment_is_name("wal-ffffffffffffffff.seg", &number));
    cr_expect_not(wal_segment_is_name("wal-0000000000000000.seg", &number));
    cr_expect_not(wal_segment_is_name("wal-000000001234ABCD.seg", &number));
    cr_expect_not(wal_segment_is_name("wal-000000001234abcd.tmp", &number));
    cr_expect_not(wal_segment_is_name("wal-1.seg", &number));
    cr_expect_not(wal_segment_is_name("wal-00000000000000001.seg", &number));
    cr_expect_not(wal_segment_is_name("", &number));
    wal_segment_temp_name(name, 1);
    cr_expect(wal_segment_is_temp(name));
    cr_expect(wal_segment_is_temp("torn-12.tmp"));
    cr_expect_not(wal_segment_is_temp("torn-12.bin"));
    cr_expect(wal_segment_is_temp("torn-18446744073709551615.tmp"));
    cr_expect(wal_segment_is_temp("wal-00000000000000ab.pack"));
    cr_expect(wal_segment_is_temp("snap-00000000000000ab.tmp"));
    static const char *const theirs[] = {
        "notes.tmp",
        "wal-mynotes.tmp",
        "snap-mine.tmp",
        "torn-.tmp",
        "torn-1.2.tmp",
        "torn-012.tmp",
        "wal-my.pack",
        "wal-00000000000000AB.tmp",
        "snap-00000000000000ab.pack",
        "wal-1.tmp",
        "wal-.tmp",
        "torn-123456789012345678901.tmp",
    };
    for (size_t i = 0; i < COUNT_OF(theirs); i++) {
        cr_expect_not(wal_segment_is_temp(theirs[i]), "%s", theirs[i]);
    }
    cr_expect_not(wal_segment_is_temp("wal-0000000000000001.seg"));
}
