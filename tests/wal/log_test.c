/* The log in order: appended, rotated, closed, killed, opened again. */
#include "tests/wal/log_dir.h"

#include "wal/base/err.h"

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

TestSuite(wal, .init = setup, .fini = teardown);

Test(wal, a_new_directory_is_an_empty_log)
{
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.end, WAL_END_EMPTY);
    cr_expect_eq(disk.report.row, 0);
    cr_expect_eq(disk.report.next_lsn, 1);
    cr_expect_eq(wal_next_lsn(disk.wal), 1);
    cr_expect_str_empty(wal_why(disk.wal));
    cr_expect(log_dir_has(&disk, "LOCK"));
    cr_expect(log_dir_has(&disk, log_dir_segment(1)));
}

Test(wal, what_was_appended_is_there_after_a_clean_close)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (uint32_t i = 1; i <= 5; i++) {
        log_dir_must_append(&disk, i);
    }
    log_dir_close_clean(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.end, WAL_END_CLEAN);
    cr_expect_eq(disk.report.row, 7);
    cr_expect(disk.report.clean_shutdown);
    cr_expect_eq(disk.report.records, 15);
    cr_expect_eq(disk.report.next_lsn, 16);
}

Test(wal, what_was_appended_is_there_after_a_kill)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 7);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.end, WAL_END_CLEAN);
    cr_expect_not(disk.report.clean_shutdown);
    cr_expect_eq(disk.report.records, 8);
}

Test(wal, a_copy_of_the_files_of_a_running_log_opens)
{
    struct log_dir copy;
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 40; i++) {
        log_dir_must_append(&disk, 3);
    }
    log_dir_copy(&disk, &copy);
    cr_assert_eq(log_dir_open(&copy), 0, "%s", copy.report.text);
    cr_expect_eq(copy.report.records, 120);
    log_dir_must_append(&copy, 1);
    log_dir_fini(&copy);
}

Test(wal, it_goes_on_over_many_segments)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    uint64_t records = 0;
    for (uint32_t i = 0; i < 200; i++) {
        cr_assert_eq(log_dir_append(&disk, 1 + i % 9, 100 + i * 13, i % 3 != 0), 0);
        records += 1 + i % 9;
    }
    struct wal_stats stats;
    wal_stats(disk.wal, &stats);
    cr_expect(stats.segments > 3);
    cr_expect(stats.blocks >= 200);
    cr_expect(stats.stored_bytes % 4096 == 0);
    cr_expect(stats.sync_ns > 0);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, records);
}

Test(wal, a_block_may_be_larger_than_the_first_segment)
{
    disk.segment_bytes = WAL_SEGMENT_BYTES_DEFAULT;
    cr_assert_eq(log_dir_open(&disk), 0);
    size_t bytes = 9U << 20;
    unsigned char *raw = malloc(bytes);
    log_dir_fill(raw, bytes, 1, true);
    cr_assert_eq(wal_append(disk.wal, 1, raw, bytes), 0);
    free(raw);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 2);
}

Test(wal, what_no_segment_can_hold_is_refused_and_changes_nothing)
{
    static unsigned char raw[WAL_SEGMENT_BYTES_MIN];
    cr_assert_eq(log_dir_open(&disk), 0);
    raw[0] = 1;
    log_dir_fill(raw, sizeof(raw), 1, true);
    cr_expect_eq(wal_append(disk.wal, 1, raw, sizeof(raw)), TALLY_TOOBIG);
    cr_expect_eq(wal_append(disk.wal, 1, raw, sizeof(raw) - 8192 - 63), TALLY_TOOBIG);
    cr_expect_eq(wal_append(disk.wal, 1, raw, sizeof(raw) - 8192 - 64), 0);
    cr_expect_eq(wal_next_lsn(disk.wal), 2);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
}

Test(wal, it_starts_again_and_again)
{
    uint64_t records = 0;
    uint32_t epoch = 0;
    for (uint32_t i = 0; i < 12; i++) {
        cr_assert_eq(log_dir_open(&disk), 0, "start %u: %s", i, disk.report.text);
        cr_expect_eq(disk.report.records, records);
        for (uint32_t k = 0; k < i % 4; k++) {
            log_dir_must_append(&disk, 2);
            records += 2;
        }
        if (i % 3 == 2) {
            log_dir_close_clean(&disk);
        } else {
            log_dir_kill(&disk);
        }
        uint64_t last = 1;
        while (log_dir_has(&disk, log_dir_segment(last + 1))) {
            last++;
        }
        cr_expect(log_dir_head(&disk, last).epoch >= epoch);
        epoch = log_dir_head(&disk, last).epoch;
    }
    cr_expect(epoch >= 11);
}

Test(wal, a_start_without_an_append_uses_up_no_segment)
{
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(log_dir_open(&disk), 0);
        log_dir_kill(&disk);
    }
    cr_expect_not(log_dir_has(&disk, log_dir_segment(3)));
    cr_expect_eq(log_dir_head(&disk, 1).epoch, 5);
}

Test(wal, an_old_segment_gives_its_unused_end_back)
{
    size_t len;
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    log_dir_close_clean(&disk);
    for (uint64_t number = 1; number <= 2; number++) {
        free(log_dir_load(&disk, log_dir_segment(number), &len));
        cr_expect_eq(len, 3 * 4096, "header, block, seal: not %zu", len);
    }
}

Test(wal, confirm_says_what_is_durable_once)
{
    struct wal_stats before;
    struct wal_stats after;
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 3);
    cr_expect_eq(wal_confirm(disk.wal), 0);
    wal_stats(disk.wal, &before);
    cr_expect_eq(wal_confirm(disk.wal), 0);
    wal_stats(disk.wal, &after);
    cr_expect_eq(before.blocks, 2);
    cr_expect_eq(after.blocks, 2);
    cr_expect_eq(wal_next_lsn(disk.wal), 4);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 3);
}

Test(wal, confirm_goes_over_to_the_next_segment_when_it_must)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 14; i++) { /* 64 KiB: header, 14 blocks, seal */
        log_dir_must_append(&disk, 1);
    }
    cr_expect_eq(wal_confirm(disk.wal), 0);
    cr_expect_eq(wal_confirm(disk.wal), 0);
    log_dir_must_append(&disk, 1);
    cr_expect_eq(wal_confirm(disk.wal), 0);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 15);
}

Test(wal, room_is_what_can_be_appended_for_sure)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    uint64_t room = wal_room_bytes(disk.wal);
    cr_expect(room == 14 * 4096 || room == 28 * 4096, "%llu", (unsigned long long)room);
    log_dir_must_append(&disk, 1);
    cr_expect(wal_room_bytes(disk.wal) + 4096 == room || room == 14 * 4096);
    cr_expect_not(wal_disk_full(disk.wal));
    cr_expect_eq(wal_block_bytes(1), 4096);
    cr_expect_eq(wal_block_bytes(4096 - 64), 4096);
    cr_expect_eq(wal_block_bytes(4096 - 63), 8192);
}

Test(wal, the_directory_is_locked)
{
    struct wal_io *other;
    struct wal *wal;
    struct wal_report report;
    cr_assert_eq(log_dir_open(&disk), 0);
    cr_assert_eq(wal_file_io_new(&other, disk.path, 1), 0);
    struct wal_options options = {.io = other};
    cr_expect_eq(wal_open(&wal, &options, NULL, NULL, &report), TALLY_LOCKED);
    cr_expect_eq(report.end, WAL_END_FAILED);
    cr_expect_str_not_empty(report.text);
    log_dir_kill(&disk);
    cr_expect_eq(wal_open(&wal, &options, NULL, NULL, &report), 0);
    cr_expect_eq(wal_close(wal, true), 0);
    other->ops->destroy(other);
}

static int stop_at_second(void *arg, const struct wal_block *block)
{
    (void)arg;
    return block->first_lsn > 1 ? TALLY_CORRUPT : 0;
}

/* Opens a log with a torn tail for a visitor that does not accept it. */
static void check_refused_open(wal_visit_fn visit, int (*seen)(void *arg))
{
    struct wal_io *io;
    struct wal *wal;
    struct wal_report report;
    size_t len;
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    log_dir_poke(&disk, log_dir_segment(1), 3 * 4096, "torn", 4);
    unsigned char *before = log_dir_load(&disk, log_dir_segment(1), &len);

    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    struct wal_options options = {.io = io, .segment_bytes = WAL_SEGMENT_BYTES_MIN, .seen = seen};
    uint32_t blocks = 0;
    cr_expect_eq(wal_open(&wal, &options, visit, &blocks, &report), TALLY_CORRUPT);
    cr_expect_eq(report.end, WAL_END_FAILED);
    io->ops->destroy(io);

    size_t len_after;
    unsigned char *after = log_dir_load(&disk, log_dir_segment(1), &len_after);
    cr_expect_eq(len, len_after);
    cr_expect(memcmp(before, after, len) == 0);
    free(before);
    free(after);
}

Test(wal, what_the_visitor_says_ends_the_open_and_changes_nothing)
{
    check_refused_open(stop_at_second, NULL);
}

static int count_block(void *arg, const struct wal_block *block)
{
    (void)block;
    ++*(uint32_t *)arg;
    return 0;
}

static int stop_at_end(void *arg)
{
    cr_expect_eq(*(const uint32_t *)arg, 2);
    return TALLY_CORRUPT;
}

Test(wal, the_visitors_last_word_ends_the_open_and_changes_nothing)
{
    check_refused_open(count_block, stop_at_end);
}

Test(wal, a_wrong_segment_size_is_refused)
{
    disk.segment_bytes = 4096;
    cr_expect_eq(log_dir_open(&disk), TALLY_INVAL);
    disk.segment_bytes = WAL_SEGMENT_BYTES_MIN + 1;
    cr_expect_eq(log_dir_open(&disk), TALLY_INVAL);
}

Test(wal, the_segment_size_may_change_between_starts)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 20; i++) {
        log_dir_must_append(&disk, 1);
    }
    log_dir_kill(&disk);
    disk.segment_bytes = 4 * WAL_SEGMENT_BYTES_MIN;
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_assert_eq(log_dir_append(&disk, 1, 3 * WAL_SEGMENT_BYTES_MIN, true), 0);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    disk.segment_bytes = WAL_SEGMENT_BYTES_MIN;
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 22);
}

Test(wal, what_was_left_half_made_is_removed)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_kill(&disk);
    log_dir_store(&disk, "wal-0000000000000009.tmp", "half", 4);
    log_dir_store(&disk, "torn-3.tmp", "half", 4);
    log_dir_store(&disk, "notes.txt", "mine", 4);
    cr_assert_eq(log_dir_open(&disk), 0);
    cr_expect_not(log_dir_has(&disk, "wal-0000000000000009.tmp"));
    cr_expect_not(log_dir_has(&disk, "torn-3.tmp"));
    cr_expect(log_dir_has(&disk, "notes.txt"));
}

Test(wal, a_missing_directory_is_made_once)
{
    struct wal_io *io;
    char path[160];
    snprintf(path, sizeof(path), "%s/new", disk.path);
    cr_expect_lt(wal_file_io_new(&io, path, 0), 0);
    cr_assert_eq(wal_file_io_new(&io, path, 1), 0);
    io->ops->destroy(io);
    cr_assert_eq(wal_file_io_new(&io, path, 1), 0);
    io->ops->destroy(io);
    cr_expect_eq(remove(path), 0);
}

Test(wal, reading_an_empty_directory_finds_no_log)
{
    cr_expect_eq(log_dir_read(&disk), 0);
    cr_expect_eq(disk.report.end, WAL_END_EMPTY);
    cr_expect_not(log_dir_has(&disk, "LOCK"), "a reader changes nothing");
}
