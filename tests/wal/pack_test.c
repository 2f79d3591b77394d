/* Packing: the same records in a few large blocks, whichever call fails, wherever it ends. */
#include "tests/wal/log_dir.h"
#include "tests/lib/count.h"
#include "tests/wal/fault.h"

#include "wal/base/err.h"
#include "wal/background/pack.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct wal_janitor_options fast = {.pack_bytes_per_s = (uint64_t)1 << 34,
                                                .retry_ms = 1};

static struct log_dir disk;
static pthread_mutex_t replaces = PTHREAD_MUTEX_INITIALIZER;

static void setup(void)
{
    log_dir_init(&disk);
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(wal_pack, .init = setup, .fini = teardown);

static int at_once(void *arg, size_t bytes)
{
    (void)arg;
    (void)bytes;
    return 0;
}

/* Packs one segment of a log that is not open. */
static int pack(struct wal_io *io, uint64_t number, struct wal_pack *result)
{
    *result = (struct wal_pack){.io = io, .number = number, .replaces = &replaces, .pace = at_once};
    return wal_pack_run(result);
}

static int pack_quiet(uint64_t number)
{
    struct wal_pack result;
    struct wal_io *io;
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    int err = pack(io, number, &result);
    io->ops->destroy(io);
    return err;
}

static size_t file_bytes(uint64_t number)
{
    size_t len;
    free(log_dir_load(&disk, log_dir_segment(number), &len));
    return len;
}

static char *pack_name(uint64_t number)
{
    static char name[WAL_NAME_BYTES];
    wal_segment_pack_name(name, number);
    return name;
}

/* Makes so many blocks of one small record, and a start that seals the last segment. */
static void make_log(int blocks)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < blocks; i++) {
        log_dir_must_append(&disk, 1);
        if (i % 5 == 0) {
            cr_assert_eq(wal_confirm(disk.wal), 0);
        }
    }
    log_dir_close_clean(&disk);
    cr_assert_eq(log_dir_open(&disk), 0);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
}

static void expect_records(uint64_t records)
{
    cr_assert_eq(log_dir_read(&disk), 0, "%s", disk.report.text);
    cr_assert_eq(disk.report.records, records);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_assert_eq(disk.report.records, records);
    log_dir_must_append(&disk, 1);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_read(&disk), 0, "%s", disk.report.text);
    cr_assert_eq(disk.report.records, records + 1);
}

Test(wal_pack, a_packed_segment_holds_the_same_records_in_less)
{
    make_log(30);
    cr_assert_eq(pack_quiet(1), WAL_PACKED);
    cr_assert_eq(pack_quiet(2), WAL_PACKED);
    cr_expect_eq(file_bytes(1), 3 * WAL_PAGE_BYTES);
    cr_expect_not(log_dir_has(&disk, pack_name(1)));
    expect_records(31);
    cr_expect_eq(pack_quiet(1), WAL_PACKED_LEFT, "once is enough");
}

static int note_blocks(void *arg, const struct wal_block *block)
{
    uint64_t *sums = arg;
    sums[0] += block->stored_bytes;
    sums[1] += block->count > 0;
    sums[2] += (block->flags & WAL_BLOCK_CLEAN) != 0;
    sums[3] += (block->flags & WAL_BLOCK_CONFIRM) != 0;
    return 0;
}

Test(wal_pack, members_are_shown_as_the_blocks_they_were)
{
    uint64_t sums[4] = {0};
    struct wal_report report;
    struct wal_io *io;
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 10; i++) {
        log_dir_must_append(&disk, 3);
    }
    cr_assert_eq(wal_confirm(disk.wal), 0);
    log_dir_close_clean(&disk);
    cr_assert_eq(pack_quiet(1), WAL_PACKED);
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_assert_eq(wal_reader_once(io, note_blocks, sums, &report), 0, "%s", report.text);
    io->ops->destroy(io);
    cr_expect_eq(sums[0], 2 * WAL_PAGE_BYTES, "one packed block and the seal");
    cr_expect_eq(sums[1], 10);
    cr_expect_eq(sums[2], 1, "the clean end is kept");
    cr_expect_eq(sums[3], 0, "confirmations are not");
    cr_expect_eq(report.stored_bytes, sums[0]);
    cr_expect_eq(report.blocks, 11);
    cr_expect(report.clean_shutdown);
}

/* Packs the segment that the reader has open, after it has shown so many records. */
struct overtaking {
    uint64_t next_lsn;
    uint64_t at_lsn;
};

static int overtake(void *arg, const struct wal_block *block)
{
    struct overtaking *overtaking = arg;
    cr_assert_eq(block->first_lsn, overtaking->next_lsn);
    overtaking->next_lsn += block->count;
    if (block->first_lsn == overtaking->at_lsn) {
        for (int i = 0; i < 20; i++) {
            log_dir_must_append(&disk, 1);
        }
        cr_assert_eq(pack_quiet(1), WAL_PACKED);
        overtaking->at_lsn = 0;
    }
    return 0;
}

/* The reader's window still shows zeros behind the last block, and the next segment has blocks.
 * This looks like damage until the segment is opened again: then its name leads to another file. */
Test(wal_pack, a_reader_goes_on_in_the_packed_file_where_it_was_in_the_old_one)
{
    for (uint64_t at_lsn = 1; at_lsn <= 5; at_lsn++) {
        struct log_dir copy;
        struct overtaking overtaking = {.next_lsn = 1, .at_lsn = at_lsn};
        struct wal_report report;
        struct wal_io *io;
        log_dir_init(&copy);
        log_dir_fini(&disk);
        disk = copy;
        cr_assert_eq(log_dir_open(&disk), 0);
        for (int i = 0; i < 5; i++) {
            log_dir_must_append(&disk, 1);
        }
        while (!log_dir_has(&disk, log_dir_segment(2))) {
            sched_yield();
        }
        cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
        cr_assert_eq(wal_reader_once(io, overtake, &overtaking, &report), 0, "%s", report.text);
        io->ops->destroy(io);
        cr_expect_eq(overtaking.next_lsn, 26);
        cr_expect_eq(report.records, 25);
    }
}

/* Large blocks, up to the maximum, that are never gathered, beside small ones. */
Test(wal_pack, blocks_of_any_size_are_packed)
{
    disk.segment_bytes = 32U << 20;
    uint64_t records = 0;
    cr_assert_eq(log_dir_open(&disk), 0);
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t count = 1 + i * 7 % 50;
        size_t each = i % 40 == 0 ? 70000 : 1 + i * 131 % 900;
        cr_assert_eq(log_dir_append(&disk, count, each, i % 9 == 1), 0);
        records += count;
    }
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0);
    uint64_t last = disk.report.segment;
    log_dir_kill(&disk);
    for (uint64_t number = 1; number <= last; number++) {
        size_t before = file_bytes(number);
        cr_assert_eq(pack_quiet(number), WAL_PACKED);
        cr_expect(file_bytes(number) <= before / 4 * 3);
    }
    expect_records(records);
}

Test(wal_pack, the_largest_block_is_kept_as_it_is)
{
    disk.segment_bytes = 64U << 20;
    struct wal_options options = {.segment_bytes = disk.segment_bytes};
    unsigned char *raw = calloc(1, WAL_RAW_BYTES_MAX);
    struct wal_pack result;
    cr_assert_eq(wal_file_io_new(&options.io, disk.path, 1), 0);
    cr_assert_eq(wal_open(&disk.wal, &options, NULL, NULL, &disk.report), 0);
    cr_assert_eq(wal_append(disk.wal, 1, raw, WAL_RAW_BYTES_MAX), 0);
    cr_assert_eq(wal_append(disk.wal, 1, raw, 10), 0);
    cr_assert_eq(wal_close(disk.wal, true), 0);
    disk.wal = NULL;
    cr_assert_eq(pack(options.io, 1, &result), WAL_PACKED_LEFT, "it was compressed before");
    cr_assert_eq(wal_reader_once(options.io, NULL, NULL, &disk.report), 0);
    options.io->ops->destroy(options.io);
    free(raw);
}

Test(wal_pack, what_does_not_shrink_is_left_alone)
{
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(log_dir_append(&disk, 2, 4000, true), 0);
    }
    log_dir_close_clean(&disk);
    size_t before = file_bytes(1);
    cr_expect_eq(pack_quiet(1), WAL_PACKED_LEFT);
    cr_expect_eq(file_bytes(1), before);
    cr_expect_not(log_dir_has(&disk, pack_name(1)));
}

Test(wal_pack, a_damaged_or_unsealed_segment_is_never_packed)
{
    struct wal_pack result;
    make_log(10);
    struct wal_io *io;
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_expect_eq(pack(io, 2, &result), -EBADMSG, "it has no seal");
    log_dir_flip(&disk, log_dir_segment(1), 3 * 4096 * 8 + 520);
    cr_expect_eq(pack(io, 1, &result), -EBADMSG);
    cr_expect(result.is_damaged);
    cr_expect(strstr(result.damage.text, "offset 12288") != NULL, "%s", result.damage.text);
    log_dir_flip(&disk, log_dir_segment(1), 3 * 4096 * 8 + 520);
    cr_expect_eq(pack(io, 9, &result), -ENOENT);
    io->ops->destroy(io);
    cr_expect_not(log_dir_has(&disk, pack_name(1)));
    expect_records(11);
}

Test(wal_pack, what_a_crash_left_half_packed_is_removed)
{
    make_log(10);
    log_dir_store(&disk, pack_name(1), "half", 4);
    cr_assert_eq(log_dir_read(&disk), 0, "%s", disk.report.text);
    expect_records(11);
    cr_expect_not(log_dir_has(&disk, pack_name(1)));
}

/* Flips every bit that can matter: the records are right, or the log is refused. */
Test(wal_pack, one_flipped_bit_in_a_packed_segment_is_never_believed)
{
    uint64_t refused = 0;
    make_log(12);
    cr_assert_eq(pack_quiet(1), WAL_PACKED);
    uint64_t bits = file_bytes(1) * 8;
    for (uint64_t bit = 0; bit < bits; bit += bit % (4096 * 8) < 3000 ? 1 : 131) {
        log_dir_flip(&disk, log_dir_segment(1), bit);
        int err = log_dir_read(&disk);
        cr_assert(err == TALLY_DAMAGE || err == TALLY_NEWER || disk.report.records == 13,
                  "bit %zu: %s", (size_t)bit, disk.report.text);
        refused += err != 0;
        log_dir_flip(&disk, log_dir_segment(1), bit);
    }
    cr_expect(refused > 2000);
    expect_records(13);
}

/* No segment behind the packed one has records. */
Test(wal_pack, a_packed_segment_that_is_cut_or_loses_its_seal_is_refused)
{
    make_log(12);
    for (uint64_t number = 2; log_dir_has(&disk, log_dir_segment(number)); number++) {
        log_dir_unlink(&disk, log_dir_segment(number));
    }
    cr_assert_eq(pack_quiet(1), WAL_PACKED);
    size_t len = file_bytes(1);
    for (size_t to = 0; to <= len; to += 512) {
        struct log_dir copy;
        log_dir_copy(&disk, &copy);
        log_dir_truncate(&copy, log_dir_segment(1), to);
        int err = log_dir_open(&copy);
        cr_assert_eq(err, to < len ? TALLY_DAMAGE : 0, "%zu bytes: %s", to, copy.report.text);
        log_dir_fini(&copy);
    }
    log_dir_zero(&disk, log_dir_segment(1), len - 4096, 4096);
    cr_expect_eq(log_dir_open(&disk), TALLY_DAMAGE);
    cr_expect_eq(disk.report.row, 3, "%s", disk.report.text);
}

/* Packs a copy of the disk with one call failing. Returns how many calls have failed. */
static long pack_with_fault(enum fault_call call, int error, int after)
{
    static struct fault_io fault;
    struct log_dir copy;
    struct wal_io *real;
    struct wal_pack result;
    log_dir_copy(&disk, &copy);
    cr_assert_eq(wal_file_io_new(&real, copy.path, 0), 0);
    fault_io_init(&fault, real);
    fault_io_set(&fault, call, error, after, 1);
    int err = pack(&fault.io, 1, &result);
    cr_assert(err == WAL_PACKED || err == error, "call %d: %d", after, err);
    cr_assert(err == WAL_PACKED || fault.faults > 0);
    real->ops->destroy(real);
    fault_io_fini(&fault);
    bool is_left = log_dir_has(&copy, pack_name(1));
    cr_assert(!is_left || call == FAULT_UNLINK);
    cr_assert_eq(log_dir_open(&copy), 0, "%s", copy.report.text);
    cr_assert_eq(copy.report.records, 31, "%s", copy.report.text);
    cr_assert_not(log_dir_has(&copy, pack_name(1)));
    log_dir_fini(&copy);
    return fault.faults;
}

Test(wal_pack, any_call_of_the_packing_may_fail)
{
    static const enum fault_call calls[] = {
        FAULT_OPEN,       FAULT_PWRITE, FAULT_PREAD,  FAULT_DATASYNC, FAULT_SYNC,
        FAULT_DROP_CACHE, FAULT_RENAME, FAULT_UNLINK, FAULT_SYNCDIR,
    };
    make_log(30);
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        int after = 0;
        while (pack_with_fault(calls[i], -EIO, after) > 0) {
            after++;
        }
        cr_expect(after > 0, "call %zu is never made", i);
    }
    for (int after = 0; pack_with_fault(FAULT_PWRITE, -ENOSPC, after) > 0;) {
        after++;
    }
}

/* A wrong byte in any page that is read back is found. */
Test(wal_pack, what_is_read_back_wrong_is_not_put_in_place)
{
    static struct fault_io fault;
    struct wal_io *real;
    struct wal_pack result;
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(log_dir_append(&disk, 1, 1500, true), 0);
    }
    log_dir_close_clean(&disk);
    size_t before = file_bytes(1);
    cr_assert_eq(wal_file_io_new(&real, disk.path, 0), 0);
    fault_io_init(&fault, real);
    fault_io_set(&fault, FAULT_OPEN, 0, 0, 0);
    fault.garble = 1;
    cr_expect_eq(pack(&fault.io, 1, &result), -EIO);
    cr_expect_eq(fault.faults, 1);
    cr_expect_eq(file_bytes(1), before);
    cr_expect_not(log_dir_has(&disk, pack_name(1)));
    cr_expect_eq(pack(&fault.io, 1, &result), WAL_PACKED);
    real->ops->destroy(real);
    fault_io_fini(&fault);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 10);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Runs one life of a process, and packs as its janitor might have. Returns the records. */
static uint64_t random_life(uint64_t *x)
{
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    uint64_t steps = next_random(x) % 60;
    for (uint64_t i = 0; i < steps; i++) {
        uint32_t count = (uint32_t)(1 + next_random(x) % 20);
        size_t each = 1 + next_random(x) % (next_random(x) % 8 == 0 ? 2000 : 60);
        cr_assert_eq(log_dir_append(&disk, count, each, next_random(x) % 4 == 0), 0);
        if (next_random(x) % 5 == 0) {
            cr_assert_eq(wal_confirm(disk.wal), 0);
        }
    }
    uint64_t records = wal_next_lsn(disk.wal) - 1;
    uint64_t active = disk.report.segment;
    if (next_random(x) % 2 == 0) {
        log_dir_close_clean(&disk);
    } else {
        log_dir_kill(&disk);
    }
    for (uint64_t number = 1; number < active; number++) {
        int err = next_random(x) % 2 == 0 ? pack_quiet(number) : 0;
        cr_assert(err == WAL_PACKED || err == WAL_PACKED_LEFT, "segment %zu: %d", (size_t)number,
                  err);
    }
    return records;
}

Test(wal_pack, random_logs_hold_the_same_records_packed)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint64_t x = seed * 0x9e3779b97f4a7c15U;
        struct log_dir next;
        log_dir_init(&next);
        log_dir_fini(&disk);
        disk = next;
        for (int life = 0; life < 8; life++) {
            uint64_t records = random_life(&x);
            cr_assert_eq(log_dir_read(&disk), 0, "seed %zu: %s", (size_t)seed, disk.report.text);
            cr_assert_eq(disk.report.records, records, "seed %zu", (size_t)seed);
        }
    }
}

static void await_packed(uint64_t below)
{
    struct wal_janitor_stats stats;
    do {
        sched_yield();
        wal_janitor_stats(disk.wal, &stats);
    } while (stats.next < below);
}

Test(wal_pack, the_janitor_packs_what_is_sealed_and_nothing_else)
{
    struct wal_janitor_stats stats;
    disk.janitor = &fast;
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 14 * 5 + 3; i++) {
        log_dir_must_append(&disk, 1);
    }
    await_packed(6);
    wal_janitor_stats(disk.wal, &stats);
    cr_expect_eq(stats.packed_segments, 5);
    cr_expect_eq(stats.packed_from_bytes, 5 * WAL_SEGMENT_BYTES_MIN);
    cr_expect_eq(stats.packed_to_bytes, 5 * 3 * WAL_PAGE_BYTES);
    cr_expect_eq(stats.pack_failures, 0);
    cr_expect_eq(file_bytes(6), WAL_SEGMENT_BYTES_MIN);
    log_dir_kill(&disk);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 14 * 5 + 3);
    await_packed(7);
    wal_janitor_stats(disk.wal, &stats);
    cr_expect_eq(stats.packed_segments, 1, "the one that the start has sealed");
}

Test(wal_pack, a_full_disk_stops_the_packing_and_nothing_else)
{
    static struct fault_io fault;
    struct wal_io *real;
    struct wal_janitor_stats stats;
    cr_assert_eq(wal_file_io_new(&real, disk.path, 1), 0);
    fault_io_init(&fault, real);
    disk.io = &fault.io;
    disk.janitor = &fast;
    fault.pack_only = true;
    fault_io_set(&fault, FAULT_PWRITE, -ENOSPC, 0, -1);
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 14 * 3 + 1; i++) {
        log_dir_must_append(&disk, 1);
    }
    fault_io_await(&fault, 5); /* the janitor tries the segment again */
    for (int i = 0; i < 14; i++) {
        log_dir_must_append(&disk, 1);
    }
    wal_janitor_stats(disk.wal, &stats);
    cr_expect(stats.pack_failures >= 4);
    cr_expect_eq(stats.packed_segments, 0);
    fault_io_heal(&fault);
    do {
        sched_yield();
        wal_janitor_stats(disk.wal, &stats);
    } while (stats.packed_segments < 4);
    wal_close(disk.wal, false);
    cr_expect_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 14 * 4 + 1);
    wal_close(disk.wal, false);
    disk.wal = NULL;
    disk.io = NULL;
    real->ops->destroy(real);
    fault_io_fini(&fault);
}

/* A server with one vote a second: each vote takes a page until its segment is packed. */
Test(wal_pack, small_blocks_do_not_keep_a_page_each)
{
    struct wal_janitor_stats stats;
    disk.segment_bytes = 8U << 20;
    disk.janitor = &fast;
    cr_assert_eq(log_dir_open(&disk), 0);
    for (int i = 0; i < 16000; i++) {
        log_dir_must_append(&disk, 1);
    }
    await_packed(8);
    wal_janitor_stats(disk.wal, &stats);
    cr_expect_eq(stats.packed_segments, 7);
    cr_expect(stats.packed_to_bytes < stats.packed_from_bytes / 20, "%zu of %zu bytes",
              (size_t)stats.packed_to_bytes, (size_t)stats.packed_from_bytes);
}
