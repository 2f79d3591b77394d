/* A torn tail that a start has cleared, and that the next start finds cleared only in the cache. */
#include "tests/crash/disk.h"
#include "wal/base/err.h"
#include "wal/wal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>

enum { TORN_BYTES = 19000, LARGE_BYTES = 52 << 10, HEADERS = 3000 };

static struct disk disk;
static struct wal *wal;
static struct wal_report report;
static unsigned char raw[LARGE_BYTES];

/* The call at which the power fails, or which fails itself, after so many writes. */
static enum disk_call last_call;
static uint64_t last_writes;
static int last_err; /* 0: the power fails */

static void before(void *arg, const struct disk *is, enum disk_call call)
{
    (void)arg;
    if (last_writes == 0 || call != last_call || is->by_call[DISK_PWRITE] < last_writes) {
        return;
    }
    last_writes = 0;
    disk.is_off = last_err == 0;
    disk.fault = (struct disk_fault){.countdown = last_err != 0, .err = last_err};
}

/* Sets that call, and the number of writes before it. */
static void ends_at(enum disk_call call, uint64_t writes, int err)
{
    last_call = call;
    last_writes = disk.by_call[DISK_PWRITE] + writes;
    last_err = err;
}

static int start(struct disk *on)
{
    const struct wal_options options = {.io = &on->io,
                                        .segment_bytes = WAL_SEGMENT_BYTES_MIN,
                                        .start_bytes = WAL_SEGMENT_BYTES_MIN};
    return wal_open(&wal, &options, NULL, NULL, &report);
}

static void await_next_segment(void)
{
    while (wal_room_bytes(wal) < WAL_SEGMENT_BYTES_MIN) {
        sched_yield();
    }
}

/* Makes a log whose first block was being written when the power failed. */
static void setup(void)
{
    disk_init(&disk);
    seed_fill(1, raw, sizeof(raw));
    cr_assert_eq(start(&disk), 0);
    await_next_segment();
    disk.before = before;
    ends_at(DISK_DATASYNC, 1, 0);
    cr_assert_eq(wal_append(wal, 3, raw, TORN_BYTES), TALLY_IO);
    wal_close(wal, false);
    disk_kill(&disk);
    disk_crash(&disk, (struct disk_choice){DISK_LOSE_MASK, 0x5555555555555555});
}

static void teardown(void)
{
    disk_fini(&disk);
}

TestSuite(wal_cleared, .init = setup, .fini = teardown);

Test(wal_cleared, the_zeros_are_durable_before_the_header_is_written_anew)
{
    ends_at(DISK_DATASYNC, 2, 0); /* the copy and the zeros are written */
    cr_assert_eq(wal_repair(&disk.io, NULL, NULL, &report), TALLY_IO);
    disk_kill(&disk);
    ends_at(DISK_SYNC, 1, 0); /* so is the header */
    cr_assert_eq(start(&disk), TALLY_IO);
    disk_kill(&disk);
    disk.habits = DISK_GARBLES;
    for (uint64_t i = 0; i < HEADERS; i++) {
        struct disk image;
        disk_clone(&image, &disk);
        disk_crash(&image, (struct disk_choice){DISK_LOSE_RANDOM, i});
        cr_assert_eq(start(&image), 0, "%s", report.text);
        cr_expect_eq(report.records, 0);
        wal_close(wal, false);
        disk_fini(&image);
    }
}

Test(wal_cleared, zeros_that_a_failed_sync_has_left_in_the_cache_are_not_believed)
{
    ends_at(DISK_DATASYNC, 2, -EIO);
    cr_assert_eq(wal_repair(&disk.io, NULL, NULL, &report), TALLY_IO);
    disk_kill(&disk);
    cr_assert_eq(start(&disk), 0, "%s", report.text);
    await_next_segment();
    cr_assert_eq(wal_append(wal, 1, raw, 1000), 0);
    cr_assert_eq(wal_append(wal, 1, raw, LARGE_BYTES), 0);
    cr_assert_eq(wal_append(wal, 1, raw, LARGE_BYTES), 0); /* not in the same segment */
    wal_close(wal, false);
    disk_kill(&disk);
    disk_crash(&disk, (struct disk_choice){DISK_LOSE_ALL, 0});
    cr_assert_eq(start(&disk), 0, "%s", report.text);
    cr_expect_eq(report.records, 3);
    wal_close(wal, false);
}
