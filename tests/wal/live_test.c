/* A reader beside a writer: it sees every record that was acknowledged before it began, and never
 * takes a block that is being written for damage. */
#include "tests/wal/log_dir.h"

#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define BLOCKS 4000U

static struct log_dir disk;
static _Atomic uint64_t acknowledged;
static atomic_bool done;

static const struct wal_janitor_options janitor = {.pack_bytes_per_s = (uint64_t)1 << 30};

static void setup(void)
{
    log_dir_init(&disk);
    disk.janitor = &janitor; /* the janitor replaces segments by packed files meanwhile */
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(wal_live, .init = setup, .fini = teardown);

static void *write_log(void *arg)
{
    (void)arg;
    log_dir_append_all_kinds(&disk, BLOCKS, &acknowledged);
    atomic_store_explicit(&done, true, memory_order_release);
    return NULL;
}

static int count_records(void *arg, const struct wal_block *block)
{
    uint64_t *next_lsn = arg;
    cr_assert_eq(block->first_lsn, *next_lsn);
    *next_lsn += block->count;
    return 0;
}

Test(wal_live, a_log_can_be_read_while_it_is_written)
{
    pthread_t writer;
    struct wal_io *io;
    uint64_t reads = 0;
    uint64_t last = 0;
    cr_assert_eq(log_dir_open(&disk), 0);
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_assert_eq(pthread_create(&writer, NULL, write_log, NULL), 0);
    for (bool is_last = false; !is_last; reads++) {
        uint64_t next_lsn = 1;
        struct wal_report report;
        is_last = atomic_load_explicit(&done, memory_order_acquire);
        uint64_t before = atomic_load_explicit(&acknowledged, memory_order_acquire);
        int err = wal_reader_once(io, count_records, &next_lsn, &report);
        cr_assert_eq(err, 0, "read %llu: row %d: %s", (unsigned long long)reads, report.row,
                     report.text);
        cr_assert(report.records >= before && report.records >= last, "%llu of %llu",
                  (unsigned long long)report.records, (unsigned long long)before);
        last = report.records;
    }
    pthread_join(writer, NULL);
    cr_expect(reads > 3);
    cr_expect_eq(last, wal_next_lsn(disk.wal) - 1);
    struct wal_janitor_stats stats;
    wal_janitor_stats(disk.wal, &stats);
    cr_expect(stats.packed_segments > 0 && stats.pack_failures == 0);
    io->ops->destroy(io);
}

static void *restart_log(void *arg)
{
    (void)arg;
    for (int i = 0; i < 60; i++) {
        if (log_dir_open(&disk) != 0) {
            break;
        }
        for (int k = 0; k < i % 20; k++) {
            if (log_dir_append(&disk, 1, 20, false) != 0) {
                break;
            }
        }
        if (i % 5 == 0) {
            log_dir_close_clean(&disk);
        } else {
            log_dir_kill(&disk);
        }
    }
    atomic_store_explicit(&done, true, memory_order_release);
    return NULL;
}

Test(wal_live, a_log_can_be_read_while_it_is_started_again)
{
    pthread_t writer;
    struct wal_io *io;
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_assert_eq(pthread_create(&writer, NULL, restart_log, NULL), 0);
    while (!atomic_load_explicit(&done, memory_order_acquire)) {
        uint64_t next_lsn = 1;
        struct wal_report report;
        int err = wal_reader_once(io, count_records, &next_lsn, &report);
        cr_assert_eq(err, 0, "row %d: %s", report.row, report.text);
    }
    pthread_join(writer, NULL);
    io->ops->destroy(io);
}
