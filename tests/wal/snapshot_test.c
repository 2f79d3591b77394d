/* Snapshots on real files: loaded whole, or passed over for the older one; and retention. */
#include "wal/background/retain.h"
#include "wal/files/snapshot_list.h"
#include "wal/files/snapshot_writer.h"
#include "wal/format/block.h"
#include "wal/format/snapshot.h"

#include "tests/wal/log_dir.h"
#include "tests/wal/fault.h"
#include "wal/recover/log_begin.h"
#include "wal/base/bytes.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 6000 };

static int blocks = 3; /* number of blocks of a snapshot */

static struct log_dir disk;

static void setup(void)
{
    log_dir_init(&disk);
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(wal_snapshot, .init = setup, .fini = teardown);

/* ---- a small snapshot: its blocks say its lsn ---- */

static void fill(unsigned char *raw, uint64_t lsn, int block)
{
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        raw[i] = (unsigned char)(i % (5 + (size_t)block) + i / 1000);
    }
    put_le64(raw, lsn);
}

static int write_snap(struct wal_io *io, const unsigned char *uuid, uint64_t lsn)
{
    unsigned char raw[BLOCK_BYTES];
    struct wal_snapshot_writer *snapshot = NULL;
    uint64_t bytes = 0;
    int err = wal_snapshot_writer_new(&snapshot, io, uuid, lsn);
    for (int i = 0; err == 0 && i < blocks; i++) {
        fill(raw, lsn, i);
        err = wal_snapshot_writer_put(snapshot, 10, raw, sizeof(raw));
    }
    err = err != 0 ? err : wal_snapshot_writer_end(snapshot, NULL, NULL, &bytes);
    cr_assert(snapshot == NULL || err == 0 || wal_snapshot_writer_why(snapshot)[0] != '\0');
    wal_snapshot_writer_destroy(snapshot);
    return err;
}

/* The blocks that a loader was shown. */
struct seen {
    uint64_t lsn; /* of the snapshot; 0: none */
    int blocks;
    uint64_t next_lsn;
    bool sealed;
    int forgotten; /* number of snapshots that turned out not to be whole */
};

static int see_snap(void *arg, const struct wal_block *block)
{
    struct seen *seen = arg;
    unsigned char wanted[BLOCK_BYTES];
    if (block->count == 0) {
        seen->sealed = true;
        seen->next_lsn = seen->lsn + 1;
        return 0;
    }
    seen->lsn = get_le64(block->raw);
    fill(wanted, seen->lsn, seen->blocks++);
    cr_assert_eq(block->raw_bytes, BLOCK_BYTES);
    cr_assert(memcmp(block->raw, wanted, BLOCK_BYTES) == 0, "shown and not what was written");
    return 0;
}

static int forget_snap(void *arg)
{
    struct seen *seen = arg;
    cr_assert(seen->blocks > 0, "nothing was shown");
    *seen = (struct seen){.next_lsn = 1, .forgotten = seen->forgotten + 1};
    return 0;
}

static int see_log(void *arg, const struct wal_block *block)
{
    struct seen *seen = arg;
    cr_assert(block->first_lsn <= seen->next_lsn, "a hole in front of %lu",
              (unsigned long)block->first_lsn);
    cr_assert(block->count == 0 || block->first_lsn + block->count > seen->next_lsn);
    if (block->count > 0) {
        seen->next_lsn = block->first_lsn + block->count;
    }
    return 0;
}

static void snap_name(char name[64], uint64_t lsn)
{
    snprintf(name, 64, "snap-%016lx.tally", (unsigned long)lsn);
}

/* The offset of a snapshot's second block. */
static uint64_t first_block_end(const unsigned char *file)
{
    uint32_t stored = get_le32(file + WAL_SNAPSHOT_FIRST_BLOCK + 32);
    return WAL_SNAPSHOT_FIRST_BLOCK + wal_block_bytes(stored);
}

/* Opens the log with its snapshots. */
static int open_with(struct seen *seen)
{
    *seen = (struct seen){.next_lsn = 1};
    if (disk.io == NULL) {
        cr_assert_eq(wal_file_io_new(&disk.io, disk.path, 1), 0);
    }
    struct wal_options options = {.io = disk.io,
                                  .segment_bytes = disk.segment_bytes,
                                  .load = see_snap,
                                  .unload = forget_snap};
    int err = wal_open(&disk.wal, &options, see_log, seen, &disk.report);
    if (err != 0) {
        disk.wal = NULL;
    } else {
        cr_assert_eq(wal_next_lsn(disk.wal), seen->next_lsn);
        cr_assert_eq(disk.report.snapshot_lsn, seen->lsn);
    }
    return err;
}

static void append_many(int count)
{
    for (int i = 0; i < count; i++) {
        log_dir_must_append(&disk, 3);
    }
}

static uint64_t snap_now(void)
{
    uint64_t lsn = wal_next_lsn(disk.wal) - 1;
    cr_assert_eq(write_snap(disk.io, wal_uuid(disk.wal), lsn), 0);
    return lsn;
}

/* Makes a log with two snapshots, and records before, between and behind them. */
static void open_with_two(uint64_t *older, uint64_t *newest)
{
    struct seen seen;
    cr_assert_eq(open_with(&seen), 0);
    append_many(40);
    *older = snap_now();
    append_many(40);
    *newest = snap_now();
    append_many(40);
}

static void spoil(uint64_t lsn)
{
    char name[64];
    snap_name(name, lsn);
    log_dir_flip(&disk, name, 8 * (WAL_PAGE_BYTES + 70)); /* in the payload of the first block */
}

/* ---- damage of one file ---- */

static const unsigned char uuid[WAL_UUID_BYTES] = "sixteen bytes id";

Test(wal_snapshot, every_bit_of_a_snapshot_flipped)
{
    char name[64];
    size_t len = 0;
    uint64_t refused = 0;
    blocks = 1;
    cr_assert_eq(wal_file_io_new(&disk.io, disk.path, 1), 0);
    cr_assert_eq(write_snap(disk.io, uuid, 77), 0);
    snap_name(name, 77);
    free(log_dir_load(&disk, name, &len));
    for (uint64_t bit = 0; bit < len * 8; bit++) {
        struct wal_snapshot_info info;
        struct seen seen = {.lsn = 0};
        log_dir_flip(&disk, name, bit);
        int err = wal_snapshot_read(disk.io, 77, see_snap, &seen, &info);
        cr_assert(err == TALLY_DAMAGE || err == TALLY_NEWER || (err == 0 && seen.lsn == 77));
        cr_assert(err == 0 ? seen.sealed && seen.blocks == blocks : info.text[0] != '\0');
        refused += err != 0;
        log_dir_flip(&disk, name, bit);
    }
    printf("%zu bits of a snapshot flipped: %lu refused, the others are padding\n", len * 8,
           (unsigned long)refused);
    cr_assert_gt(refused, WAL_PAGE_BYTES * 8);
}

Test(wal_snapshot, every_truncation_and_every_page_lost_or_taken_from_another_place)
{
    char name[64];
    size_t len = 0;
    struct wal_snapshot_info info;
    cr_assert_eq(wal_file_io_new(&disk.io, disk.path, 1), 0);
    cr_assert_eq(write_snap(disk.io, uuid, 77), 0);
    snap_name(name, 77);
    unsigned char *good = log_dir_load(&disk, name, &len);
    for (size_t cut = 0; cut < len; cut += 64) {
        log_dir_store(&disk, name, good, cut);
        cr_assert_eq(wal_snapshot_read(disk.io, 77, NULL, NULL, &info), TALLY_DAMAGE);
    }
    for (size_t to = 0; to < len; to += WAL_PAGE_BYTES) {
        for (size_t from = 0; from < len; from += WAL_PAGE_BYTES) {
            log_dir_store(&disk, name, good, len);
            log_dir_poke(&disk, name, to, good + from, WAL_PAGE_BYTES);
            int err = wal_snapshot_read(disk.io, 77, NULL, NULL, &info);
            cr_assert_eq(err, from == to ? 0 : TALLY_DAMAGE);
        }
        log_dir_store(&disk, name, good, len);
        log_dir_zero(&disk, name, to, WAL_PAGE_BYTES);
        cr_assert_eq(wal_snapshot_read(disk.io, 77, NULL, NULL, &info), TALLY_DAMAGE);
    }
    /* a good file under the name of another lsn */
    snap_name(name, 78);
    log_dir_store(&disk, name, good, len);
    cr_assert_eq(wal_snapshot_read(disk.io, 78, NULL, NULL, &info), TALLY_DAMAGE);
    free(good);
}

Test(wal_snapshot, each_file_call_of_the_writing_fails_once)
{
    static const int errs[] = {EIO, ENOSPC};
    struct fault_io fault;
    int cases = 0;
    cr_assert_eq(wal_file_io_new(&disk.io, disk.path, 1), 0);
    fault_io_init(&fault, disk.io);
    for (int call = FAULT_OPEN; call <= FAULT_SYNCDIR; call++) {
        int err = TALLY_IO;
        for (int after = 0; err != 0; after++) {
            uint64_t lsn = 0;
            fault_io_set(&fault, (enum fault_call)call, -errs[after % 2], after, 1);
            err = write_snap(&fault.io, uuid, 100 + (uint64_t)cases);
            cases++;
            bool has_failed = fault.faults > 0 && call != FAULT_UNLINK;
            fault_io_heal(&fault);
            cr_assert_eq(err != 0, has_failed, "call %d after %d: %d", call, after, err);
            cr_assert_eq(wal_snapshot_list_newest(disk.io, &lsn), 0);
            cr_assert(call == FAULT_SYNCDIR || (lsn == 0) == (err != 0));
            cr_assert_eq(wal_snapshot_list_keep(disk.io, 0, 0), 0);
        }
    }
    printf("%d times a file call failed while a snapshot was written\n", cases);
    fault_io_fini(&fault);
}

/* ---- snapshots and the log ---- */

Test(wal_snapshot, a_start_reads_only_what_is_behind_the_snapshot)
{
    struct seen seen;
    cr_assert_eq(open_with(&seen), 0);
    append_many(100);
    uint64_t lsn = snap_now();
    append_many(30);
    uint64_t next = wal_next_lsn(disk.wal);
    log_dir_kill(&disk);
    cr_assert_eq(open_with(&seen), 0, "%s", disk.report.text);
    cr_assert(seen.lsn == lsn && seen.next_lsn == next);
    cr_assert_lt(disk.report.blocks, 100); /* only blocks of the snapshot's segment and later */
    append_many(1);
    log_dir_kill(&disk);
}

Test(wal_snapshot, a_damaged_one_is_passed_over)
{
    struct seen seen;
    uint64_t older;
    uint64_t newest;
    open_with_two(&older, &newest);
    uint64_t next = wal_next_lsn(disk.wal);
    log_dir_kill(&disk);
    spoil(newest);
    cr_assert_eq(open_with(&seen), 0, "%s", disk.report.text);
    cr_assert(seen.lsn == older && seen.next_lsn == next);
    cr_assert(disk.report.snapshot_passed && strstr(disk.report.text, "snap-") != NULL, "%s",
              disk.report.text);
    log_dir_kill(&disk);
    spoil(older);
    cr_assert_eq(open_with(&seen), 0, "the log reaches back to its first record");
    cr_assert(seen.lsn == 0 && seen.next_lsn == next && disk.report.snapshot_passed);
    log_dir_kill(&disk);
}

/* A snapshot is shown while it is verified, so a damaged one has to be forgotten. */
Test(wal_snapshot, wherever_it_is_damaged_what_was_shown_is_forgotten)
{
    struct seen seen;
    uint64_t older;
    uint64_t newest;
    char name[64];
    size_t len = 0;
    open_with_two(&older, &newest);
    log_dir_kill(&disk);
    snap_name(name, newest);
    unsigned char *good = log_dir_load(&disk, name, &len);
    for (size_t at = 0; at < len; at += WAL_PAGE_BYTES) {
        log_dir_store(&disk, name, good, len);
        log_dir_flip(&disk, name, at * 8);
        cr_assert_eq(open_with(&seen), 0, "%s", disk.report.text);
        cr_expect(seen.lsn == older && seen.sealed && seen.blocks == blocks, "page at %zu", at);
        /* with damage to the header or the first block nothing of it was shown */
        bool is_begun = at >= first_block_end(good);
        cr_expect_eq(seen.forgotten, is_begun, "page at %zu", at);
        log_dir_kill(&disk);
    }
    log_dir_store(&disk, name, good, len - WAL_PAGE_BYTES);
    cr_assert_eq(open_with(&seen), 0, "%s", disk.report.text);
    cr_expect(seen.lsn == older && seen.forgotten == 0, "a wrong length is seen in the header");
    log_dir_kill(&disk);
    free(good);
}

static uint64_t refused_lsn;

/* A loader that refuses one snapshot. */
static int see_and_refuse(void *arg, const struct wal_block *block)
{
    return block->segment == refused_lsn ? TALLY_CORRUPT : see_snap(arg, block);
}

Test(wal_snapshot, what_a_loader_refuses_counts_only_if_the_file_is_whole)
{
    struct seen seen = {.next_lsn = 1};
    uint64_t older;
    uint64_t newest;
    open_with_two(&older, &newest);
    log_dir_kill(&disk);
    cr_assert_eq(wal_file_io_new(&disk.io, disk.path, 1), 0);
    refused_lsn = newest;
    const struct wal_snapshot_loader loader = {.load = see_and_refuse, .arg = &seen};
    struct wal_snapshot_info info;
    cr_expect_eq(wal_snapshot_list_load(disk.io, &loader, &info), TALLY_CORRUPT);
    cr_expect_eq(seen.lsn, 0);
    spoil(newest);
    cr_expect_eq(wal_snapshot_list_load(disk.io, &loader, &info), 0);
    cr_expect(seen.lsn == older && info.lsn == older && info.text[0] != '\0');
}

Test(wal_snapshot, without_the_log_behind_it_the_start_is_refused)
{
    struct seen seen;
    uint64_t older;
    uint64_t newest;
    open_with_two(&older, &newest);
    const struct wal_retain retain = {.safe_lsn = older, .bytes_max = 0};
    cr_assert_gt(wal_retain(disk.io, &retain), 0);
    log_dir_kill(&disk);
    spoil(newest);
    cr_assert_eq(open_with(&seen), 0, "the log reaches back to the older one");
    cr_assert_eq(seen.lsn, older);
    log_dir_kill(&disk);
    spoil(older);
    cr_assert_eq(open_with(&seen), TALLY_DAMAGE);
    cr_assert_eq(disk.report.row, 3);
    cr_assert(strstr(disk.report.text, "wal-0000000000000001.seg is missing") != NULL &&
                  strstr(disk.report.text, "snap-") != NULL,
              "%s", disk.report.text);
    log_dir_kill(&disk);
}

/* A snapshot is a witness: its records were durable. */
Test(wal_snapshot, a_log_that_ends_before_the_snapshot_is_refused)
{
    struct seen seen;
    cr_assert_eq(open_with(&seen), 0);
    append_many(5);
    (void)snap_now();
    log_dir_kill(&disk);
    log_dir_zero(&disk, log_dir_segment(1), 5 * WAL_PAGE_BYTES, WAL_PAGE_BYTES);
    cr_assert_eq(open_with(&seen), TALLY_DAMAGE);
    cr_assert_eq(disk.report.row, 5, "%s", disk.report.text);
    log_dir_kill(&disk);
    log_dir_unlink(&disk, log_dir_segment(1));
    if (log_dir_has(&disk, log_dir_segment(2))) {
        log_dir_unlink(&disk, log_dir_segment(2));
    }
    cr_assert_eq(open_with(&seen), TALLY_DAMAGE);
    cr_assert_eq(disk.report.row, 3, "%s", disk.report.text);
    log_dir_kill(&disk);
}

Test(wal_snapshot, a_snapshot_of_another_log_is_refused)
{
    struct seen seen;
    cr_assert_eq(open_with(&seen), 0);
    append_many(5);
    cr_assert_eq(write_snap(disk.io, uuid, 3), 0);
    log_dir_kill(&disk);
    cr_assert_eq(open_with(&seen), TALLY_DAMAGE);
    cr_assert(strstr(disk.report.text, "belongs to another log") != NULL, "%s", disk.report.text);
    log_dir_kill(&disk);
}

/* ---- retention ---- */

static uint64_t segments(void)
{
    uint64_t count = 0;
    for (uint64_t number = 1; number < 200; number++) {
        count += log_dir_has(&disk, log_dir_segment(number));
    }
    return count;
}

/* Ends the log, and with it the preallocation thread: now only the test changes the directory. */
static void stand_still(void)
{
    log_dir_kill(&disk);
    cr_assert_eq(wal_file_io_new(&disk.io, disk.path, 0), 0);
}

/* Wherever the safe lsn is in a segment: a start from a snapshot of that lsn finds all records
 * behind it. */
Test(wal_snapshot, a_segment_goes_only_when_the_older_snapshot_holds_it)
{
    struct seen seen;
    cr_assert_eq(open_with(&seen), 0);
    append_many(60);
    uint64_t next = wal_next_lsn(disk.wal);
    unsigned char id[WAL_UUID_BYTES];
    memcpy(id, wal_uuid(disk.wal), sizeof(id));
    stand_still();
    uint64_t before = segments();
    for (uint64_t lsn = 0; lsn < next; lsn += 7) {
        const struct wal_retain retain = {.safe_lsn = lsn, .bytes_max = 0};
        cr_assert_geq(wal_retain(disk.io, &retain), 0);
        if (lsn > 0) {
            cr_assert_eq(write_snap(disk.io, id, lsn), 0);
            cr_assert_eq(wal_snapshot_list_keep(disk.io, lsn, 0), 0);
        }
        struct log_dir copy;
        struct log_dir live = disk;
        log_dir_copy(&disk, &copy);
        disk = copy;
        cr_assert_eq(open_with(&seen), 0, "%s", disk.report.text);
        cr_assert(seen.lsn == lsn && seen.next_lsn == next);
        log_dir_kill(&disk);
        log_dir_fini(&disk);
        disk = live;
    }
    cr_assert_lt(segments(), before);
    cr_assert_geq(segments(), 1);
    cr_assert_eq(open_with(&seen), 0);
    append_many(20);
    log_dir_kill(&disk);
}

static bool never_old(void *arg, const struct wal_block *block)
{
    (*(int *)arg)++;
    cr_assert(block->count > 0 && block->raw != NULL);
    return false;
}

static bool all_old(void *arg, const struct wal_block *block)
{
    (void)block;
    return --*(int *)arg >= 0;
}

Test(wal_snapshot, what_is_to_be_kept_stays)
{
    struct seen seen;
    int asked = 0;
    cr_assert_eq(open_with(&seen), 0);
    append_many(60);
    uint64_t lsn = wal_next_lsn(disk.wal) - 1;
    stand_still();
    uint64_t before = segments();
    struct wal_retain retain = {
        .safe_lsn = lsn, .bytes_max = UINT64_MAX, .is_old = never_old, .arg = &asked};
    cr_assert_eq(wal_retain(disk.io, &retain), 0);
    cr_assert_eq(asked, 1);
    asked = 2; /* number of segments that are too old */
    retain.is_old = all_old;
    cr_assert_eq(wal_retain(disk.io, &retain), 2);
    cr_assert(!log_dir_has(&disk, log_dir_segment(1)) && !log_dir_has(&disk, log_dir_segment(2)));
    retain = (struct wal_retain){.safe_lsn = lsn, .bytes_max = (before - 3) * disk.segment_bytes};
    cr_assert_eq(wal_retain(disk.io, &retain), 1); /* one more is too many */
    retain = (struct wal_retain){.safe_lsn = 0, .bytes_max = 0};
    cr_assert_eq(wal_retain(disk.io, &retain), 0); /* there are not two snapshots */
    log_dir_kill(&disk);
}

/* A log as `tally-wal replay` makes it when the beginning was removed. */
Test(wal_snapshot, a_log_can_be_made_to_begin_behind_a_snapshot)
{
    struct seen seen;
    cr_assert_eq(wal_file_io_new(&disk.io, disk.path, 1), 0);
    cr_assert_eq(wal_log_begin_behind(disk.io, uuid, 77), 0);
    cr_assert_eq(open_with(&seen), TALLY_DAMAGE, "the snapshot is missing");
    cr_assert_eq(disk.report.row, 3, "%s", disk.report.text);
    cr_assert_eq(write_snap(disk.io, uuid, 77), 0);
    for (uint64_t next = 78; next < 98; next += 10) {
        cr_assert_eq(open_with(&seen), 0, "%s", disk.report.text);
        cr_assert(seen.lsn == 77 && seen.next_lsn == next);
        cr_assert_eq(log_dir_append(&disk, 10, 20, false), 0);
        log_dir_kill(&disk);
        cr_assert_eq(wal_file_io_new(&disk.io, disk.path, 0), 0);
        cr_assert_eq(wal_reader_once(disk.io, NULL, NULL, &disk.report), 0, "%s", disk.report.text);
        cr_assert_eq(disk.report.next_lsn, next + 10);
    }
    log_dir_kill(&disk);
}

/* A reader that loads no snapshot begins with the oldest segment, and still notices a hole. */
Test(wal_snapshot, a_reader_takes_a_log_that_has_lost_its_beginning)
{
    struct seen seen;
    cr_assert_eq(open_with(&seen), 0);
    append_many(60);
    uint64_t lsn = snap_now();
    const struct wal_retain retain = {.safe_lsn = lsn, .bytes_max = 4 * disk.segment_bytes};
    cr_assert_gt(wal_retain(disk.io, &retain), 0);
    seen = (struct seen){.next_lsn = UINT64_MAX / 2};
    cr_assert_eq(wal_reader_once(disk.io, NULL, NULL, &disk.report), 0, "%s", disk.report.text);
    cr_assert_eq(disk.report.next_lsn, lsn + 1);
    cr_assert_eq(wal_snapshot_list_keep(disk.io, 0, 0), 0);
    cr_assert_eq(wal_reader_once(disk.io, NULL, NULL, &disk.report), TALLY_DAMAGE);
    log_dir_kill(&disk);
}
