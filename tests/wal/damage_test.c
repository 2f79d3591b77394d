/* Torn tails are cleared, damage is refused: each shape on real files, by its row of the table. */
#include "tests/wal/log_dir.h"

#include "wal/base/bytes.h"
#include "wal/base/err.h"
#include "wal/format/codec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct log_dir disk;

static void setup(void)
{
    log_dir_init(&disk);
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(wal_damage, .init = setup, .fini = teardown);

/* blocks of 10 records each, one page each, from offset 4096 of segment 1; then a kill. */
static void make_log(unsigned blocks)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (unsigned i = 0; i < blocks; i++) {
        log_dir_must_append(&disk, 10);
    }
    log_dir_kill(&disk);
}

static uint64_t page(uint64_t n)
{
    return n * 4096;
}

/* Reader and recovery must agree, and a refusal must change nothing. */
static void expect_refused(int row, int error)
{
    size_t len;
    size_t len_after;
    cr_expect_eq(log_dir_read(&disk), error, "read: %s", disk.report.text);
    cr_expect_eq(disk.report.row, row, "read: row %d: %s", disk.report.row, disk.report.text);
    unsigned char *before = log_dir_load(&disk, log_dir_segment(1), &len);
    cr_expect_eq(log_dir_open(&disk), error, "open: %s", disk.report.text);
    cr_expect_eq(disk.report.row, row, "open: row %d: %s", disk.report.row, disk.report.text);
    cr_expect_eq(disk.report.end, error == TALLY_DAMAGE ? WAL_END_DAMAGE : WAL_END_FAILED);
    unsigned char *after = log_dir_load(&disk, log_dir_segment(1), &len_after);
    cr_expect(len == len_after && memcmp(before, after, len) == 0);
    free(before);
    free(after);
}

static void expect_text(const char *part)
{
    cr_expect(strstr(disk.report.text, part) != NULL, "no '%s' in: %s", part, disk.report.text);
}

/* Expects a tail that is torn behind so many records, and a log that works afterwards. */
static void expect_torn(uint64_t records)
{
    cr_expect_eq(log_dir_read(&disk), 0, "read: %s", disk.report.text);
    cr_expect_eq(disk.report.end, WAL_END_TORN, "read: %s", disk.report.text);
    cr_assert_eq(log_dir_open(&disk), 0, "open: %s", disk.report.text);
    cr_expect_eq(disk.report.end, WAL_END_TORN, "open: %s", disk.report.text);
    cr_expect_eq(disk.report.row, 8);
    cr_expect_eq(disk.report.records, records);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "again: %s", disk.report.text);
    cr_expect_eq(disk.report.end, WAL_END_CLEAN);
    cr_expect_eq(disk.report.records, records + 1);
}

Test(wal_damage, a_torn_last_block_is_kept_cleared_and_gone_beyond)
{
    size_t len;
    make_log(3);
    log_dir_flip(&disk, log_dir_segment(1), page(3) * 8 + 700);
    unsigned char *before = log_dir_load(&disk, log_dir_segment(1), &len);
    expect_torn(20);
    size_t kept_len;
    unsigned char *kept = log_dir_load(&disk, "torn-21.bin", &kept_len);
    cr_expect_eq(kept_len, 4096);
    cr_expect(memcmp(kept, before + page(3), 4096) == 0);
    free(before);
    free(kept);
}

Test(wal_damage, a_half_written_block_is_torn_wherever_it_ends)
{
    struct log_dir whole;
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    cr_assert_eq(log_dir_append(&disk, 3, 5000, true), 0);
    log_dir_kill(&disk);
    log_dir_copy(&disk, &whole);
    for (uint64_t end = page(2); end < page(2) + 15000; end += 512) {
        struct log_dir copy;
        log_dir_copy(&whole, &copy);
        log_dir_zero(&copy, log_dir_segment(1), end, page(6) - end);
        cr_assert_eq(log_dir_open(&copy), 0, "%s", copy.report.text);
        cr_assert_eq(copy.report.records, 10);
        cr_assert_eq(copy.report.end, end == page(2) ? WAL_END_CLEAN : WAL_END_TORN);
        log_dir_fini(&copy);
    }
    log_dir_fini(&whole);
}

Test(wal_damage, sectors_of_the_last_block_may_be_missing_in_any_pattern)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    cr_assert_eq(log_dir_append(&disk, 1, 4000, true), 0);
    log_dir_kill(&disk);
    for (unsigned pattern = 1; pattern < 256; pattern += 6) {
        struct log_dir copy;
        log_dir_copy(&disk, &copy);
        for (unsigned i = 0; i < 8; i++) {
            if (pattern >> i & 1) {
                log_dir_zero(&copy, log_dir_segment(1), page(2) + i * 512, 512);
            }
        }
        cr_assert_eq(log_dir_open(&copy), 0, "pattern %02x: %s", pattern, copy.report.text);
        cr_assert_eq(copy.report.records, 10, "pattern %02x", pattern);
        log_dir_fini(&copy);
    }
}

Test(wal_damage, the_same_lsn_torn_twice_keeps_both_copies)
{
    make_log(1);
    log_dir_poke(&disk, log_dir_segment(1), page(2), "first", 5);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_kill(&disk);
    log_dir_poke(&disk, log_dir_segment(2), page(1), "second", 6);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.end, WAL_END_TORN);
    expect_text("torn-11.2.bin");
    cr_expect(log_dir_has(&disk, "torn-11.bin"));
    cr_expect(log_dir_has(&disk, "torn-11.2.bin"));
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 11);
}

Test(wal_damage, an_acknowledged_block_is_missed)
{
    make_log(4);
    log_dir_flip(&disk, log_dir_segment(1), page(2) * 8 + 900);
    expect_refused(5, TALLY_DAMAGE);
    expect_text("wal-0000000000000001.seg");
    expect_text("offset 8192");
    expect_text("records 11 to 30");
    cr_expect_eq(disk.report.segment, 1);
    cr_expect_eq(disk.report.offset, 8192);
}

Test(wal_damage, an_acknowledged_block_full_of_zeros_is_missed)
{
    make_log(4);
    log_dir_zero(&disk, log_dir_segment(1), page(1), 4096);
    expect_refused(5, TALLY_DAMAGE);
    expect_text("offset 4096");
    expect_text("records 1 to 30");
}

Test(wal_damage, a_confirmed_last_block_is_missed)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    cr_assert_eq(wal_confirm(disk.wal), 0);
    log_dir_kill(&disk);
    log_dir_flip(&disk, log_dir_segment(1), page(1) * 8 + 1);
    expect_refused(5, TALLY_DAMAGE);
    expect_text("records 1 to 10");
}

Test(wal_damage, a_damaged_mark_with_records_behind_it_is_missed)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    cr_assert_eq(wal_confirm(disk.wal), 0);
    log_dir_must_append(&disk, 10);
    log_dir_kill(&disk);
    log_dir_flip(&disk, log_dir_segment(1), page(2) * 8 + 100);
    expect_refused(5, TALLY_DAMAGE);
    expect_text("a block without records");
}

Test(wal_damage, a_last_block_in_front_of_a_seal_is_missed)
{
    make_log(2);
    cr_assert_eq(log_dir_open(&disk), 0); /* seals segment 1 */
    log_dir_kill(&disk);
    log_dir_flip(&disk, log_dir_segment(1), page(2) * 8 + 600);
    expect_refused(5, TALLY_DAMAGE);
    expect_text("records 11 to 20");
}

Test(wal_damage, a_bad_block_in_a_sealed_segment_is_missed)
{
    make_log(3);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 5);
    log_dir_kill(&disk);
    log_dir_flip(&disk, log_dir_segment(1), page(2) * 8);
    expect_refused(4, TALLY_DAMAGE);
    expect_text("offset 8192");
    expect_text("records 11 to 30");
    expect_text("wal-0000000000000002.seg");
}

Test(wal_damage, a_missing_seal_in_front_of_later_records_is_missed)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 15; i++) {
        log_dir_must_append(&disk, 1);
    }
    log_dir_kill(&disk);
    log_dir_zero(&disk, log_dir_segment(1), page(15), 4096);
    expect_refused(4, TALLY_DAMAGE);
}

Test(wal_damage, anything_behind_a_clean_end_is_refused)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    log_dir_close_clean(&disk);
    log_dir_poke(&disk, log_dir_segment(1), page(5) + 77, "x", 1);
    expect_refused(6, TALLY_DAMAGE);
    expect_text("offset 12288");
    expect_text("after record 10");
}

Test(wal_damage, anything_behind_a_seal_is_refused)
{
    make_log(1);
    struct wal_block_header seal = {
        .first_lsn = 11, .durable_lsn = 10, .durable_pages = 2, .flags = WAL_BLOCK_SEAL};
    log_dir_forge(&disk, 1, page(2), seal, NULL, 0);
    log_dir_poke(&disk, log_dir_segment(1), page(9), "x", 1);
    expect_refused(6, TALLY_DAMAGE);
}

Test(wal_damage, a_clean_end_that_is_damaged_is_refused)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    log_dir_close_clean(&disk);
    log_dir_flip(&disk, log_dir_segment(1), page(2) * 8 + 40);
    expect_refused(3, TALLY_DAMAGE); /* the file is short, and nothing seals it */
}

Test(wal_damage, a_later_segment_that_is_not_empty_is_refused)
{
    make_log(1);
    struct wal_segment_head head = log_dir_head(&disk, 1);
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 15; i++) {
        log_dir_must_append(&disk, 1); /* then there is a segment 3, and perhaps a 4 */
    }
    log_dir_kill(&disk);
    if (!log_dir_has(&disk, log_dir_segment(4))) {
        unsigned char *file = calloc(1, WAL_SEGMENT_BYTES_MIN);
        head.number = 4;
        wal_segment_head_put(file, &head);
        log_dir_store(&disk, log_dir_segment(4), file, WAL_SEGMENT_BYTES_MIN);
        free(file);
    }
    log_dir_poke(&disk, log_dir_segment(4), page(15) + 4095, "x", 1);
    expect_refused(3, TALLY_DAMAGE);
    expect_text("wal-0000000000000004.seg");
}

Test(wal_damage, a_missing_segment_is_refused)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 40; i++) {
        log_dir_must_append(&disk, 1);
    }
    log_dir_kill(&disk);
    log_dir_unlink(&disk, log_dir_segment(2));
    expect_refused(3, TALLY_DAMAGE);
    expect_text("wal-0000000000000002.seg is missing");
}

Test(wal_damage, the_first_segment_must_be_there)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 20; i++) {
        log_dir_must_append(&disk, 1);
    }
    log_dir_kill(&disk);
    log_dir_unlink(&disk, log_dir_segment(1));
    cr_expect_eq(log_dir_open(&disk), TALLY_DAMAGE);
    cr_expect_eq(disk.report.row, 3);
}

Test(wal_damage, a_segment_of_another_log_is_refused)
{
    struct log_dir other;
    size_t len;
    make_log(20);
    log_dir_init(&other);
    cr_assert_eq(log_dir_open(&other), 0);
    for (int i = 0; i < 20; i++) {
        log_dir_must_append(&other, 10);
    }
    log_dir_kill(&other);
    unsigned char *bytes = log_dir_load(&other, log_dir_segment(2), &len);
    log_dir_store(&disk, log_dir_segment(2), bytes, len);
    free(bytes);
    log_dir_fini(&other);
    expect_refused(3, TALLY_DAMAGE);
    expect_text("another log");
}

Test(wal_damage, a_segment_under_a_wrong_name_is_refused)
{
    size_t len;
    make_log(40);
    unsigned char *bytes = log_dir_load(&disk, log_dir_segment(1), &len);
    log_dir_store(&disk, log_dir_segment(2), bytes, len);
    free(bytes);
    expect_refused(3, TALLY_DAMAGE);
}

Test(wal_damage, a_block_that_is_not_next_is_refused)
{
    struct wal_block_header header = {
        .first_lsn = 12, .durable_lsn = 10, .durable_pages = 1, .count = 1};
    make_log(1);
    log_dir_forge(&disk, 1, page(2), header, "x", 1);
    expect_refused(3, TALLY_DAMAGE);
    header.first_lsn = 5;
    header.durable_lsn = 4;
    log_dir_forge(&disk, 1, page(2), header, "x", 1);
    expect_refused(3, TALLY_DAMAGE);
}

Test(wal_damage, a_block_that_goes_back_behind_what_was_durable_is_refused)
{
    struct wal_block_header header = {
        .first_lsn = 21, .durable_lsn = 3, .durable_pages = 1, .count = 1};
    make_log(2); /* the second block says that record 10 is durable */
    log_dir_forge(&disk, 1, page(3), header, "x", 1);
    expect_refused(3, TALLY_DAMAGE);
}

Test(wal_damage, blocks_that_were_not_yet_durable_are_torn_together)
{
    /* as if a writer had two blocks in flight, and only the second had reached the disk */
    unsigned char raw[40];
    struct wal_block_header header = {
        .first_lsn = 21, .durable_lsn = 10, .durable_pages = 2, .count = 2};
    log_dir_fill(raw, sizeof(raw), 21, false);
    make_log(1);
    log_dir_forge(&disk, 1, page(3), header, raw, sizeof(raw));
    expect_torn(10);
    size_t len;
    free(log_dir_load(&disk, "torn-11.bin", &len));
    cr_expect_eq(len, 2 * 4096);
}

Test(wal_damage, a_newer_version_is_refused_as_such)
{
    unsigned char head[64];
    size_t len;
    make_log(1);
    unsigned char *bytes = log_dir_load(&disk, log_dir_segment(1), &len);
    memcpy(head, bytes, sizeof(head));
    free(bytes);
    put_le32(head + 8, 2);
    put_le64(head + 56, wal_codec_checksum(head, 56, 0));
    log_dir_poke(&disk, log_dir_segment(1), 0, head, sizeof(head));
    expect_refused(2, TALLY_NEWER);
}

Test(wal_damage, a_newer_block_is_refused_as_such)
{
    struct wal_block_header header = {
        .first_lsn = 11, .durable_lsn = 10, .durable_pages = 2, .count = 1, .flags = 64};
    make_log(1);
    log_dir_forge(&disk, 1, page(2), header, "x", 1);
    expect_refused(2, TALLY_NEWER);
    expect_text("offset 8192");
}

Test(wal_damage, one_damaged_copy_of_a_header_does_not_matter)
{
    make_log(2);
    log_dir_zero(&disk, log_dir_segment(1), 0, 512);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 20);
}

Test(wal_damage, a_segment_with_blocks_and_no_header_is_refused)
{
    make_log(2);
    log_dir_zero(&disk, log_dir_segment(1), 0, 4096);
    expect_refused(3, TALLY_DAMAGE);
    expect_text("no readable header");
}

Test(wal_damage, a_header_that_was_there_before_the_blocks_is_refused)
{
    size_t len;
    make_log(1);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_kill(&disk);
    unsigned char *before = log_dir_load(&disk, log_dir_segment(2), &len);
    for (int starts = 0; starts < 3; starts++) { /* each gives the segment a later epoch */
        cr_assert_eq(log_dir_open(&disk), 0);
        log_dir_kill(&disk);
    }
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    cr_assert_eq(wal_confirm(disk.wal), 0);
    log_dir_kill(&disk);
    log_dir_poke(&disk, log_dir_segment(2), 0, before, 4096);
    free(before);
    expect_refused(3, TALLY_DAMAGE);
    expect_text("newer than the segment's header");
}

Test(wal_damage, a_torn_header_of_an_empty_segment_is_made_anew)
{
    make_log(1);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_kill(&disk);
    log_dir_poke(&disk, log_dir_segment(2), 3, "torn", 4);
    log_dir_zero(&disk, log_dir_segment(2), 512, 512);
    expect_torn(10);
}

Test(wal_damage, a_log_that_never_had_a_block_begins_anew_under_a_torn_header)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_kill(&disk);
    log_dir_zero(&disk, log_dir_segment(1), 0, 4096);
    if (log_dir_has(&disk, log_dir_segment(2))) {
        log_dir_zero(&disk, log_dir_segment(2), 0, 4096);
    }
    expect_torn(0);
}

Test(wal_damage, a_shortened_file_is_refused_at_every_length)
{
    make_log(5);
    for (uint64_t len = 0; len < WAL_SEGMENT_BYTES_MIN; len += 1000) {
        struct log_dir copy;
        log_dir_copy(&disk, &copy);
        log_dir_truncate(&copy, log_dir_segment(1), len);
        cr_assert_eq(log_dir_open(&copy), TALLY_DAMAGE, "%zu bytes: %s", (size_t)len,
                     copy.report.text);
        log_dir_fini(&copy);
    }
}

Test(wal_damage, a_sealed_file_may_end_anywhere_behind_its_seal_and_nowhere_before)
{
    make_log(2);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    for (uint64_t len = 0; len <= 6 * 4096; len += 512) {
        struct log_dir copy;
        log_dir_copy(&disk, &copy);
        log_dir_truncate(&copy, log_dir_segment(1), len);
        int err = log_dir_open(&copy);
        cr_assert_eq(err, len < page(4) ? TALLY_DAMAGE : 0, "%zu bytes: %s", (size_t)len,
                     copy.report.text);
        cr_assert(err != 0 || copy.report.records == 21);
        log_dir_fini(&copy);
    }
}

/* Flips every bit of the used pages: the log has every acknowledged record, or is refused. Damage
 * to the last block is the exception of the README; here a confirmation is behind it. */
Test(wal_damage, one_flipped_bit_is_never_believed)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 3);
    log_dir_must_append(&disk, 4);
    cr_assert_eq(wal_confirm(disk.wal), 0);
    log_dir_kill(&disk);
    uint64_t opened = 0;
    for (uint64_t bit = 0; bit < page(5) * 8; bit += bit % (4096 * 8) < 640 ? 1 : 131) {
        log_dir_flip(&disk, log_dir_segment(1), bit);
        int err = log_dir_read(&disk);
        cr_assert(err == TALLY_DAMAGE || err == TALLY_NEWER || disk.report.records == 7,
                  "bit %zu: %s", (size_t)bit, disk.report.text);
        opened += err == 0;
        log_dir_flip(&disk, log_dir_segment(1), bit);
    }
    cr_expect(opened > 0);
    cr_expect_eq(log_dir_read(&disk), 0);
}
