/* A reader that keeps its place beside a writer: it sees each block once, whole and in order. */
#include "tests/wal/log_dir.h"

#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 1500U

static struct log_dir disk;
static struct wal_io *io;
static struct wal_reader *reader;
static struct wal_report report;
static uint64_t next_lsn;
static atomic_bool done;

static void setup(void)
{
    log_dir_init(&disk);
    next_lsn = 1;
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_assert_eq(wal_reader_new(&reader, io, log_dir_check_block, &next_lsn), 0);
}

static void teardown(void)
{
    wal_reader_destroy(reader);
    io->ops->destroy(io);
    log_dir_fini(&disk);
}

TestSuite(wal_reader, .init = setup, .fini = teardown);

static bool more(void)
{
    bool is_blank = false;
    cr_assert_eq(wal_reader_more(reader, &is_blank), 0);
    return is_blank;
}

static void judge(enum wal_end end)
{
    cr_assert_eq(wal_reader_judge(reader, &report), 0, "%s", report.text);
    cr_assert_eq(report.end, end, "%s", report.text);
}

Test(wal_reader, goes_on_where_it_stopped)
{
    cr_expect(more());
    judge(WAL_END_EMPTY);
    cr_assert_eq(log_dir_open(&disk), 0);
    cr_expect(more());
    for (uint64_t i = 1; i <= 100; i++) { /* over eight segments */
        log_dir_must_append(&disk, 1);
        if (i % 3 == 0) {
            cr_expect(more());
            cr_assert_eq(next_lsn, i + 1);
        } else if (i % 3 == 1) {
            judge(WAL_END_CLEAN);
            cr_assert_eq(report.records, i);
            cr_assert_eq(next_lsn, i + 1);
        }
    }
    log_dir_close_clean(&disk);
    judge(WAL_END_CLEAN);
    cr_expect(report.clean_shutdown);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 7);
    cr_expect(more());
    cr_assert_eq(next_lsn, 108);
}

Test(wal_reader, waits_before_a_torn_tail_and_goes_on_when_it_is_cut)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    cr_expect(more());
    log_dir_kill(&disk);
    log_dir_poke(&disk, log_dir_segment(1), 2 * WAL_PAGE_BYTES, "half a block", 12);
    cr_expect_not(more());
    judge(WAL_END_TORN);
    cr_expect_not(more());
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    cr_expect(more());
    cr_assert_eq(next_lsn, 3);
}

/* The reader's list has no second segment when it comes to the seal of the first: it finds it. */
Test(wal_reader, finds_a_segment_that_is_newer_than_its_list)
{
    for (int round = 0; round < 50; round++) {
        cr_assert_eq(log_dir_open(&disk), 0);
        log_dir_must_append(&disk, 1);
        cr_expect(more());
        judge(WAL_END_CLEAN); /* lists segments, perhaps before the next one was made */
        log_dir_kill(&disk);
        cr_assert_eq(log_dir_open(&disk), 0);
        log_dir_must_append(&disk, 1);
        cr_assert(more());
        cr_assert_eq(next_lsn, 2 * (uint64_t)round + 3);
        log_dir_close_clean(&disk);
    }
}

Test(wal_reader, tells_damage_behind_its_place)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    cr_expect(more());
    for (int i = 0; i < 3; i++) {
        log_dir_must_append(&disk, 1);
    }
    log_dir_flip(&disk, log_dir_segment(1), (2 * WAL_PAGE_BYTES + 70) * 8);
    cr_expect_not(more());
    cr_expect_eq(wal_reader_judge(reader, &report), TALLY_DAMAGE);
    cr_expect_eq(next_lsn, 2);
}

Test(wal_reader, tells_that_its_segment_went_away)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    cr_expect(more());
    log_dir_kill(&disk);
    log_dir_unlink(&disk, log_dir_segment(1));
    cr_expect_eq(wal_reader_judge(reader, &report), TALLY_DAMAGE);
    cr_assert_str_not_empty(report.text);
}

static void *write_log(void *arg)
{
    (void)arg;
    log_dir_append_all_kinds(&disk, BLOCKS, NULL);
    atomic_store_explicit(&done, true, memory_order_release);
    return NULL;
}

/* A block that is being written may have any bytes, and is never damage. */
Test(wal_reader, sees_each_block_once_while_they_are_written)
{
    pthread_t writer;
    cr_assert_eq(log_dir_open(&disk), 0);
    cr_assert_eq(pthread_create(&writer, NULL, write_log, NULL), 0);
    for (bool is_last = false; !is_last;) {
        is_last = atomic_load_explicit(&done, memory_order_acquire);
        if (!more()) {
            cr_assert_eq(wal_reader_judge(reader, &report), 0, "row %d: %s", report.row,
                         report.text);
        }
    }
    pthread_join(writer, NULL);
    cr_expect(more());
    cr_expect_eq(next_lsn, wal_next_lsn(disk.wal));
    cr_expect_eq(next_lsn, 2 * BLOCKS + 1);
}
