/* wal_repair: a torn tail is copied and cleared, whichever call fails; nothing else changes. */
#include "tests/wal/log_dir.h"
#include "tests/lib/count.h"
#include "tests/wal/fault.h"

#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 40, TORN_SEGMENT = 3, TORN_PAGE = 1 + RECORDS - 28 };

static struct log_dir disk;

static void setup(void)
{
    log_dir_init(&disk);
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < RECORDS; i++) {
        log_dir_must_append(&disk, 1);
    }
    log_dir_kill(&disk);
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(wal_repair, .init = setup, .fini = teardown);

static void tear(void)
{
    log_dir_poke(&disk, log_dir_segment(TORN_SEGMENT), TORN_PAGE * WAL_PAGE_BYTES, "half a block",
                 12);
}

static int repair(struct log_dir *at, struct wal_io *io)
{
    return wal_repair(io, NULL, NULL, &at->report);
}

static int repair_plainly(struct log_dir *at)
{
    struct wal_io *io;
    cr_assert_eq(wal_file_io_new(&io, at->path, 0), 0);
    int err = repair(at, io);
    io->ops->destroy(io);
    return err;
}

static void expect_kept(const struct log_dir *at)
{
    size_t len;
    unsigned char *kept = log_dir_load(at, "torn-41.bin", &len);
    cr_assert(len == WAL_PAGE_BYTES && memcmp(kept, "half a block", 12) == 0);
    free(kept);
}

/* Repairs a copy of the disk whose k-th call fails, then repairs it again. Returns how many calls
 * have failed: 0 when there are fewer than k. */
static long repair_with_fault(enum fault_call call, int error, int after)
{
    struct log_dir copy;
    struct wal_io *real;
    static struct fault_io fault;
    log_dir_copy(&disk, &copy);
    cr_assert_eq(wal_file_io_new(&real, copy.path, 1), 0);
    fault_io_init(&fault, real);
    fault_io_set(&fault, call, error, after, 1);
    int err = repair(&copy, &fault.io);
    cr_assert(err == 0 || err == TALLY_IO || err == TALLY_NOSPC, "call %d: %d", after, err);
    cr_assert_str_not_empty(copy.report.text);
    real->ops->destroy(real);
    fault_io_fini(&fault);
    if (err == 0) {
        expect_kept(&copy);
    }
    cr_assert_eq(repair_plainly(&copy), 0, "%s", copy.report.text);
    expect_kept(&copy);
    cr_assert_eq(log_dir_read(&copy), 0);
    cr_assert_eq(copy.report.end, WAL_END_CLEAN, "%s", copy.report.text);
    cr_assert_eq(copy.report.records, RECORDS);
    log_dir_kill(&copy);
    cr_assert_eq(log_dir_open(&copy), 0, "%s", copy.report.text);
    cr_assert_eq(copy.report.records, RECORDS);
    log_dir_must_append(&copy, 1);
    log_dir_fini(&copy);
    return fault.faults;
}

Test(wal_repair, any_call_of_it_may_fail)
{
    static const enum fault_call calls[] = {
        FAULT_OPEN,       FAULT_PWRITE, FAULT_PREAD,   FAULT_DATASYNC, FAULT_SYNC,
        FAULT_DROP_CACHE, FAULT_RENAME, FAULT_SYNCDIR, FAULT_LIST,     FAULT_LOCK,
    };
    tear();
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        int after = 0;
        while (repair_with_fault(calls[i], -EIO, after) > 0) {
            after++;
        }
        cr_expect(after > 0, "call %zu is never made", i);
    }
    for (int after = 0; repair_with_fault(FAULT_PWRITE, -ENOSPC, after) > 0;) {
        after++;
    }
}

Test(wal_repair, what_is_repaired_is_a_log_that_ends_there)
{
    tear();
    cr_assert_eq(repair_plainly(&disk), 0);
    cr_expect_eq(disk.report.end, WAL_END_TORN);
    cr_expect_eq(disk.report.row, 8);
    cr_expect_eq(disk.report.records, RECORDS);
    cr_expect_not_null(strstr(disk.report.text, "kept in torn-41.bin"), "%s", disk.report.text);
    expect_kept(&disk);
    cr_assert_eq(repair_plainly(&disk), 0);
    cr_expect_eq(disk.report.end, WAL_END_CLEAN);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
}

Test(wal_repair, somebody_else_has_the_directory)
{
    tear();
    struct wal_io *io;
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_assert_eq(io->ops->lock(io, "LOCK"), 0);
    cr_expect_eq(repair_plainly(&disk), TALLY_LOCKED);
    cr_expect_not(log_dir_has(&disk, "torn-41.bin"));
    io->ops->destroy(io);
}

static int refuse_30(void *arg, const struct wal_block *block)
{
    (void)arg;
    return block->first_lsn == 30 ? TALLY_CORRUPT : 0;
}

/* A log that the visitor refuses is not changed. */
Test(wal_repair, a_visitor_that_refuses_a_block_leaves_all_as_it_was)
{
    tear();
    size_t len;
    size_t len_after;
    struct wal_io *io;
    unsigned char *before = log_dir_load(&disk, log_dir_segment(TORN_SEGMENT), &len);
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_expect_eq(wal_repair(io, refuse_30, NULL, &disk.report), TALLY_CORRUPT);
    io->ops->destroy(io);
    unsigned char *after = log_dir_load(&disk, log_dir_segment(TORN_SEGMENT), &len_after);
    cr_expect(len == len_after && memcmp(before, after, len) == 0);
    cr_expect_not(log_dir_has(&disk, "torn-41.bin"));
    free(before);
    free(after);
}
