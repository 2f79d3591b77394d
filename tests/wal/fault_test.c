/* Disks that fail: acknowledged records stay, a failure is final, a full disk heals. */
#include "tests/wal/log_dir.h"
#include "tests/lib/count.h"
#include "tests/wal/fault.h"

#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct log_dir disk;
static struct wal_io *real;
static struct fault_io fault;

/* The disk's io is the faulty one; the real one below it belongs to the test. */
static void setup(void)
{
    log_dir_init(&disk);
    cr_assert_eq(wal_file_io_new(&real, disk.path, 1), 0);
    fault_io_init(&fault, real);
    disk.io = &fault.io;
}

/* What log_dir_kill does, without giving up the faulty io. */
static void stop(void)
{
    if (disk.wal != NULL) {
        wal_close(disk.wal, false);
        disk.wal = NULL;
    }
}

static void teardown(void)
{
    stop();
    disk.io = NULL;
    real->ops->destroy(real);
    fault_io_fini(&fault);
    log_dir_fini(&disk);
}

/* Waits for the next segment, so that the fault does not strike the helper thread's calls. */
static void await_next_segment(void)
{
    while (wal_room_bytes(disk.wal) < 15 * 4096) {
        sched_yield();
    }
}

TestSuite(wal_fault, .init = setup, .fini = teardown);

static void expect_reopens(uint64_t records_min, uint64_t records_max)
{
    fault_io_heal(&fault);
    stop();
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect(disk.report.records >= records_min && disk.report.records <= records_max,
              "%llu records: %s", (unsigned long long)disk.report.records, disk.report.text);
}

Test(wal_fault, one_failed_sync_is_final)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    await_next_segment();
    fault_io_set(&fault, FAULT_DATASYNC, -EIO, 0, 1);
    cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_IO);
    long syncs = fault.calls[FAULT_DATASYNC];
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_IO);
        cr_expect_eq(wal_confirm(disk.wal), TALLY_IO);
    }
    cr_expect_eq(fault.calls[FAULT_DATASYNC], syncs, "a failed sync is never tried again");
    cr_expect_eq(wal_next_lsn(disk.wal), 11);
    cr_expect(strstr(wal_why(disk.wal), "cannot sync") != NULL, "%s", wal_why(disk.wal));
    cr_expect(strstr(wal_why(disk.wal), "wal-0000000000000001.seg") != NULL);
    cr_expect_eq(wal_close(disk.wal, true), TALLY_IO);
    disk.wal = NULL;
    expect_reopens(10, 11);
    cr_expect_not(disk.report.clean_shutdown);
}

Test(wal_fault, one_failed_write_is_final)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    fault.temp_only = false;
    await_next_segment();
    fault_io_set(&fault, FAULT_PWRITE, -EIO, 0, 1);
    cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_IO);
    cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_IO);
    cr_expect(strstr(wal_why(disk.wal), "cannot write") != NULL, "%s", wal_why(disk.wal));
    expect_reopens(10, 10);
}

Test(wal_fault, no_space_in_the_active_segment_is_a_failed_write)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    await_next_segment();
    fault_io_set(&fault, FAULT_PWRITE, -ENOSPC, 0, 1);
    cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_IO);
    cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_IO);
}

Test(wal_fault, a_full_disk_is_told_and_heals)
{
    fault.temp_only = true;
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    fault_io_set(&fault, FAULT_PWRITE, -ENOSPC, 0, -1);
    int err = 0;
    uint64_t records = 1;
    /* one segment may be ready already; the one behind it can not be made */
    while ((err = log_dir_append(&disk, 1, 20, false)) == 0) {
        records++;
        cr_assert(records < 100);
    }
    cr_expect_eq(err, TALLY_NOSPC);
    cr_expect(wal_disk_full(disk.wal));
    cr_expect_eq(wal_room_bytes(disk.wal), 0);
    cr_expect_str_empty(wal_why(disk.wal));
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_NOSPC);
        cr_expect_eq(wal_next_lsn(disk.wal), records + 1);
    }
    cr_expect_eq(log_dir_read(&disk), 0, "it can be read: %s", disk.report.text);
    cr_expect_eq(disk.report.records, records);

    fault_io_await(&fault, 3); /* the helper tries again by itself */
    fault_io_heal(&fault);
    while (wal_room_bytes(disk.wal) == 0) {
        sched_yield();
    }
    cr_expect_not(wal_disk_full(disk.wal));
    log_dir_must_append(&disk, 5);
    expect_reopens(records + 5, records + 5);
}

Test(wal_fault, a_full_disk_in_the_middle_of_a_segment_goes_on_where_it_was)
{
    fault.temp_only = true;
    disk.segment_bytes = 4U << 20;
    /* the first segment: 16 steps, header; half of the next */
    fault_io_set(&fault, FAULT_PWRITE, -ENOSPC, 16 + 1 + 8, 2);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    fault_io_await(&fault, 2);
    cr_assert_eq(log_dir_append(&disk, 1, 3U << 20, true), 0);
    while (wal_room_bytes(disk.wal) < 4U << 20) {
        sched_yield();
    }
    cr_assert_eq(log_dir_append(&disk, 1, 3U << 20, true), 0);
    expect_reopens(2, 2);
}

Test(wal_fault, a_full_disk_at_the_start_is_told)
{
    fault.temp_only = true;
    fault_io_set(&fault, FAULT_PWRITE, -ENOSPC, 0, -1);
    cr_expect_eq(log_dir_open(&disk), TALLY_NOSPC);
    cr_expect_eq(disk.report.end, WAL_END_FAILED);
    cr_expect_str_not_empty(disk.report.text);
    expect_reopens(0, 0);
}

Test(wal_fault, a_next_segment_that_cannot_be_made_is_final_when_it_is_needed)
{
    fault.temp_only = true;
    fault_io_set(&fault, FAULT_PWRITE, -EIO, 1 + 1, -1); /* the first segment: one step, header */
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    uint64_t records = 0;
    while (log_dir_append(&disk, 1, 20, false) == 0) {
        records++;
        cr_assert(records < 100);
    }
    cr_expect_eq(records, 14);
    cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_IO);
    cr_expect(strstr(wal_why(disk.wal), "next segment") != NULL, "%s", wal_why(disk.wal));
    expect_reopens(14, 14);
}

static char troubles[4][192];
static _Atomic int trouble_count;

static int troubles_heard(void)
{
    return atomic_load_explicit(&trouble_count, memory_order_acquire);
}

static void hear_trouble(void *arg, const char *what)
{
    (void)arg;
    int n = troubles_heard();
    snprintf(troubles[n % 4], sizeof(troubles[0]), "%s", what);
    atomic_store_explicit(&trouble_count, n + 1, memory_order_release);
}

/* A failure that can pass is tried again, reported once and counted, and never ends the log. */
static void expect_passes(enum fault_call call, int err, int times)
{
    fault.temp_only = true;
    disk.on_trouble = hear_trouble;
    atomic_store_explicit(&trouble_count, 0, memory_order_relaxed);
    fault_io_heal(&fault);
    stop();
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    await_next_segment();
    fault_io_set(&fault, call, err, 0, times);
    uint64_t records = wal_next_lsn(disk.wal) - 1;
    for (int i = 0; i < 40;) { /* more than two segments */
        int got = log_dir_append(&disk, 1, 20, false);
        cr_assert(got == 0 || got == TALLY_NOSPC, "call %d, %s: %s", call, strerror(-err),
                  wal_why(disk.wal));
        i += got == 0;
    }
    await_next_segment();
    cr_expect_eq(fault.faults, times);
    cr_expect_eq(wal_segment_failures(disk.wal), (uint64_t)times);
    cr_expect_eq(troubles_heard(), 2, "%d said", troubles_heard());
    cr_expect(strstr(troubles[0], "tried again") != NULL &&
                  strstr(troubles[0], strerror(-err)) != NULL,
              "%s", troubles[0]);
    cr_expect(strstr(troubles[1], "after all") != NULL, "%s", troubles[1]);
    fault.temp_only = false;
    expect_reopens(records + 40, records + 40);
}

Test(wal_fault, what_can_pass_is_tried_again_when_the_next_segment_is_made)
{
    static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM, -EINTR, -EAGAIN, -ENOSPC};
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        expect_passes(FAULT_OPEN, errors[i], 1);
    }
    expect_passes(FAULT_DATASYNC, -EINTR, 1);
    expect_passes(FAULT_SYNC, -ENOMEM, 1);
    expect_passes(FAULT_RENAME, -EINTR, 1);
    expect_passes(FAULT_OPEN, -EMFILE, 3);
}

Test(wal_fault, what_cannot_pass_is_said_when_it_happens)
{
    fault.temp_only = true;
    disk.on_trouble = hear_trouble;
    fault_io_set(&fault, FAULT_PWRITE, -EIO, 1 + 1, -1); /* the first segment: one step, header */
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    while (troubles_heard() == 0) {
        sched_yield();
    }
    cr_expect(strstr(troubles[0], "ever: Input/output error") != NULL, "%s", troubles[0]);
}

Test(wal_fault, short_and_interrupted_calls_are_continued)
{
    fault.stutter = true;
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(log_dir_append(&disk, 3, 700, i % 2), 0, "%s", wal_why(disk.wal));
    }
    expect_reopens(90, 90);
}

Test(wal_fault, a_read_error_is_not_an_end)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 10);
    stop();
    for (int after = 0; after < 100; after++) {
        fault_io_set(&fault, FAULT_PREAD, -EIO, after, 1);
        int err = log_dir_open(&disk);
        if (fault.faults == 0) {
            cr_expect_eq(err, 0);
            cr_expect(after > 3);
            return;
        }
        cr_assert(err == TALLY_IO || disk.report.records == 10, "read %d: %s", after,
                  disk.report.text);
        cr_assert(err == 0 || disk.report.end == WAL_END_FAILED);
        fault_io_heal(&fault);
        stop();
    }
    cr_assert_fail("the reads do not end");
}

/* Starts a copy of the disk whose k-th call fails. Returns how many calls have failed: 0 when there
 * are fewer than k. */
static long start_with_fault(enum fault_call call, int error, int after, uint64_t records)
{
    struct log_dir copy;
    struct wal_io *copy_real;
    static struct fault_io copy_fault;
    log_dir_copy(&disk, &copy);
    cr_assert_eq(wal_file_io_new(&copy_real, copy.path, 1), 0);
    fault_io_init(&copy_fault, copy_real);
    copy.io = &copy_fault.io;
    fault_io_set(&copy_fault, call, error, after, 1);
    int err = log_dir_open(&copy);
    if (err == 0) {
        cr_assert_eq(copy.report.records, records, "%s", copy.report.text);
        wal_close(copy.wal, false);
        copy.wal = NULL;
    } else {
        cr_assert(err == TALLY_IO || err == TALLY_NOSPC, "call %d: %d", after, err);
        cr_assert_eq(copy.report.end, WAL_END_FAILED);
        cr_assert_str_not_empty(copy.report.text);
    }
    copy.io = NULL;
    copy_real->ops->destroy(copy_real);
    fault_io_fini(&copy_fault);

    cr_assert_eq(log_dir_open(&copy), 0, "%s", copy.report.text);
    cr_assert_eq(copy.report.records, records, "%s", copy.report.text);
    log_dir_must_append(&copy, 1);
    cr_assert(log_dir_has(&copy, "torn-41.bin") == log_dir_has(&disk, "expect-torn"));
    log_dir_fini(&copy);
    return copy_fault.faults;
}

static void start_with_each_fault(uint64_t records)
{
    static const enum fault_call calls[] = {
        FAULT_OPEN,     FAULT_PWRITE, FAULT_PREAD,   FAULT_DATASYNC, FAULT_SYNC, FAULT_DROP_CACHE,
        FAULT_TRUNCATE, FAULT_UNLINK, FAULT_SYNCDIR, FAULT_LIST,     FAULT_LOCK, FAULT_RENAME,
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        int after = 0;
        while (start_with_fault(calls[i], -EIO, after, records) > 0) {
            after++;
        }
        /* a start with a preallocated segment makes no rename */
        cr_expect(after > 0 || calls[i] == FAULT_RENAME, "call %zu is never made", i);
    }
    for (int after = 0; start_with_fault(FAULT_PWRITE, -ENOSPC, after, records) > 0;) {
        after++;
    }
    for (int after = 0; start_with_fault(FAULT_SYNC, -ENOSPC, after, records) > 0;) {
        after++;
    }
}

/* Makes 40 records in three segments, the last one not sealed, and temporary files. */
static void make_log(void)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 40; i++) {
        log_dir_must_append(&disk, 1);
    }
    stop();
    log_dir_store(&disk, "wal-0000000000000077.tmp", "half", 4);
}

/* A log is opened without space for its next segment, or for the copy of its torn tail: the disk is
 * not changed, and the log goes on when there is space. */
static void expect_waits(uint64_t records)
{
    size_t before_len, after_len;
    unsigned char *before = log_dir_load(&disk, log_dir_segment(3), &before_len);
    fault.temp_only = true;
    fault_io_set(&fault, FAULT_PWRITE, -ENOSPC, 0, -1);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, records);
    cr_expect(strstr(disk.report.text, "no room to go on") != NULL, "%s", disk.report.text);
    cr_expect(wal_disk_full(disk.wal));
    cr_expect_eq(wal_room_bytes(disk.wal), 0);
    cr_expect_eq(wal_next_lsn(disk.wal), records + 1);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(log_dir_append(&disk, 1, 20, false), TALLY_NOSPC);
        cr_expect_eq(wal_confirm(disk.wal), TALLY_NOSPC);
    }
    cr_expect_not(log_dir_has(&disk, "torn-41.tmp"), "the copy that found no room is still there");
    stop();
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    unsigned char *after = log_dir_load(&disk, log_dir_segment(3), &after_len);
    cr_expect(disk.report.end != WAL_END_TORN ||
                  (before_len == after_len && memcmp(before, after, before_len) == 0),
              "a torn tail was changed before its copy was kept");
    free(before);
    free(after);
    fault_io_heal(&fault);
    int err;
    while ((err = log_dir_append(&disk, 1, 20, false)) == TALLY_NOSPC) {
        sched_yield();
    }
    cr_assert_eq(err, 0, "%s", wal_why(disk.wal));
    log_dir_must_append(&disk, 20);
    fault.temp_only = false;
    expect_reopens(records + 21, records + 21);
}

Test(wal_fault, a_log_is_opened_without_room_for_its_next_segment)
{
    make_log();
    log_dir_unlink(&disk, log_dir_segment(4)); /* the preallocated one */
    expect_waits(40);
}

Test(wal_fault, a_log_with_a_torn_tail_is_opened_without_room_for_its_copy)
{
    make_log();
    log_dir_poke(&disk, log_dir_segment(3), (1 + 40 - 28) * 4096, "half a block", 12);
    expect_waits(40);
    cr_expect(log_dir_has(&disk, "torn-41.bin"));
}

Test(wal_fault, where_there_is_little_room_the_first_segment_is_shorter)
{
    make_log();
    log_dir_unlink(&disk, log_dir_segment(4));
    disk.segment_bytes = 4U << 20;
    fault.temp_only = true;
    fault_io_set(&fault, FAULT_PWRITE, -ENOSPC, 3, 1);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(fault.faults, 1);
    log_dir_must_append(&disk, 1);
    cr_expect_eq(log_dir_head(&disk, 4).bytes, 2U << 20);
    fault.temp_only = false;
    expect_reopens(41, 41);
}

Test(wal_fault, any_call_of_a_start_may_fail)
{
    make_log();
    start_with_each_fault(40);
}

Test(wal_fault, any_call_of_a_repair_may_fail)
{
    make_log();
    log_dir_poke(&disk, log_dir_segment(3), (1 + 40 - 28) * 4096, "half a block", 12);
    log_dir_store(&disk, "expect-torn", "", 0);
    start_with_each_fault(40);
}

Test(wal_fault, any_failed_call_of_a_running_log_is_final_and_loses_nothing)
{
    static const enum fault_call calls[] = {FAULT_PWRITE, FAULT_DATASYNC, FAULT_SYNC,
                                            FAULT_RENAME, FAULT_SYNCDIR,  FAULT_OPEN};
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        for (int after = 0; after < 60; after += 7) {
            cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
            uint64_t records = wal_next_lsn(disk.wal) - 1;
            fault_io_set(&fault, calls[i], -EIO, after, 1);
            for (int k = 0; k < 40; k++) {
                int err = log_dir_append(&disk, 1, 20, false);
                if (err != 0) {
                    cr_assert_eq(err, TALLY_IO);
                    cr_assert_eq(log_dir_append(&disk, 1, 20, false), TALLY_IO);
                    cr_assert_str_not_empty(wal_why(disk.wal));
                    break;
                }
                records++;
            }
            expect_reopens(records, records + 1);
            stop();
        }
    }
}
