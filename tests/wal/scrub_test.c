/* The scrub: damage on the disk under an open log is reported, and nothing else is. */
#include "tests/wal/log_dir.h"
#include "tests/wal/fault.h"

#include "wal/format/segment.h"
#include "wal/files/snapshot_writer.h"
#include "wal/format/snapshot.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static struct log_dir disk;
static atomic_ulong told;

static void on_damage(void *arg, const struct wal_report *damage)
{
    const char *const *wanted = arg;
    cr_assert(strstr(damage->text, *wanted) != NULL, "no '%s' in: %s", *wanted, damage->text);
    atomic_fetch_add_explicit(&told, 1, memory_order_relaxed);
}

static const char *wanted = "wal-0000000000000001.seg";

static const struct wal_janitor_options eager = {
    .pack_bytes_per_s = (uint64_t)1 << 34,
    .retry_ms = 1,
    .scrub_bytes_per_s = (uint64_t)1 << 34,
    .scrub_every_ms = 1,
    .on_damage = on_damage,
    .arg = &wanted,
};

static void setup(void)
{
    log_dir_init(&disk);
    disk.janitor = &eager;
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(wal_scrub, .init = setup, .fini = teardown);

static struct wal_janitor_stats stats_now(void)
{
    struct wal_janitor_stats stats;
    wal_janitor_stats(disk.wal, &stats);
    return stats;
}

static uint64_t damaged(void)
{
    struct wal_report report;
    return wal_damage(disk.wal, &report);
}

/* Waits for the end of a pass that begins after this call. */
static void await_pass(void)
{
    uint64_t passes = stats_now().scrub_passes + 2;
    while (stats_now().scrub_passes < passes) {
        sched_yield();
    }
}

/* Makes segments of 14 blocks of one record each; all sealed ones are packed. */
static void make_log(unsigned segments)
{
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    for (unsigned i = 0; i < segments * 14 + 1; i++) {
        log_dir_must_append(&disk, 1);
    }
    while (stats_now().next <= segments) {
        sched_yield();
    }
}

Test(wal_scrub, a_whole_log_is_told_to_be_whole)
{
    make_log(4);
    await_pass();
    cr_expect_eq(damaged(), 0);
    cr_expect(stats_now().scrub_bytes > 0);
}

Test(wal_scrub, a_log_that_is_written_and_packed_meanwhile_is_whole)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (uint32_t i = 0; i < 3000; i++) {
        cr_assert_eq(log_dir_append(&disk, 1 + i % 3, 20 + i % 4000, i % 2), 0);
    }
    await_pass();
    cr_expect_eq(damaged(), 0);
    cr_expect(stats_now().packed_segments > 0);
    cr_expect_eq(stats_now().pack_failures, 0);
}

Test(wal_scrub, a_byte_that_turns_in_a_sealed_segment_is_told)
{
    struct wal_report report;
    make_log(3);
    log_dir_flip(&disk, log_dir_segment(1), 4096 * 8 + 600);
    await_pass();
    cr_assert_eq(wal_damage(disk.wal, &report), 1);
    cr_expect_eq(report.end, WAL_END_DAMAGE);
    cr_expect_eq(report.segment, 1);
    cr_expect_eq(report.offset, 4096);
    cr_expect(strstr(report.text, "offset 4096") != NULL, "%s", report.text);
    cr_expect(atomic_load_explicit(&told, memory_order_relaxed) > 0);

    log_dir_must_append(&disk, 5); /* the log goes on */
    log_dir_flip(&disk, log_dir_segment(1), 4096 * 8 + 600);
    await_pass();
    cr_expect_eq(damaged(), 0, "and it is forgotten when it is gone");
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 3 * 14 + 1 + 5);
}

Test(wal_scrub, a_segment_that_was_removed_is_not_missed)
{
    make_log(3);
    pthread_mutex_lock(wal_files_lock(disk.wal));
    log_dir_unlink(&disk, log_dir_segment(1));
    pthread_mutex_unlock(wal_files_lock(disk.wal));
    await_pass();
    cr_expect_eq(damaged(), 0);
}

Test(wal_scrub, one_damaged_segment_does_not_make_the_next_one_damaged)
{
    make_log(3);
    log_dir_truncate(&disk, log_dir_segment(1), 4096);
    await_pass();
    cr_expect_eq(damaged(), 1);
}

Test(wal_scrub, a_disk_that_cannot_be_read_is_damage)
{
    static struct fault_io fault;
    struct wal_io *real;
    cr_assert_eq(wal_file_io_new(&real, disk.path, 1), 0);
    fault_io_init(&fault, real);
    disk.io = &fault.io;
    wanted = "cannot";
    make_log(2);
    await_pass();
    cr_expect_eq(damaged(), 0);
    fault_io_set(&fault, FAULT_PREAD, -EIO, 0, -1);
    await_pass();
    cr_expect_eq(damaged(), 2);
    fault_io_heal(&fault);
    await_pass();
    cr_expect_eq(damaged(), 0);
    cr_expect_eq(wal_close(disk.wal, true), 0);
    disk.wal = NULL;
    disk.io = NULL;
    real->ops->destroy(real);
    fault_io_fini(&fault);
}

/* Makes a snapshot at record 1, as the engine does. Its name is in *name. */
static void make_snapshot(char name[WAL_NAME_BYTES])
{
    struct wal_snapshot_writer *snapshot = NULL;
    unsigned char image[5000];
    uint64_t bytes = 0;
    memset(image, 7, sizeof(image));
    cr_assert_eq(wal_snapshot_writer_new(&snapshot, disk.io, wal_uuid(disk.wal), 1), 0);
    cr_assert_eq(wal_snapshot_writer_put(snapshot, 3, image, sizeof(image)), 0);
    cr_assert_eq(wal_snapshot_writer_end(snapshot, NULL, NULL, &bytes), 0);
    wal_snapshot_writer_destroy(snapshot);
    wal_snapshot_name(name, 1);
}

Test(wal_scrub, a_byte_that_turns_in_a_snapshot_is_told)
{
    char name[WAL_NAME_BYTES];
    struct wal_report report;
    wanted = "snap-0000000000000001.tally";
    make_log(1);
    make_snapshot(name);
    await_pass();
    cr_expect_eq(damaged(), 0);
    log_dir_flip(&disk, name, 8 * 4096 + 8 * 70);
    await_pass();
    cr_assert_eq(wal_damage(disk.wal, &report), 1);
    cr_expect(strstr(report.text, wanted) != NULL, "%s", report.text);
    log_dir_unlink(&disk, name);
    await_pass();
    cr_expect_eq(damaged(), 0, "one that is gone is not missed");
}
