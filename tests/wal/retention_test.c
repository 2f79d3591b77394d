/* Readers beside retention: they go on, begin anew, or say which records they have missed; a
 * segment that is lost otherwise is damage. */
#include "tests/wal/log_dir.h"
#include "tests/wal/fault.h"

#include "wal/background/retain.h"
#include "wal/base/err.h"
#include "wal/files/snapshot_list.h"
#include "wal/files/snapshot_writer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 60, LIVE_BLOCKS = 3000 };

static struct log_dir disk;
static struct wal_io *io; /* the reader's */
static struct wal_reader *reader;
static struct wal_report report;

/* The blocks that a reader was shown. */
static struct {
    uint64_t first_lsn; /* 0: none yet */
    uint64_t next_lsn;
    void (*at)(void); /* called once, behind the block with this lsn */
    uint64_t at_lsn;
} seen;

static int see(void *arg, const struct wal_block *block)
{
    (void)arg;
    cr_assert(seen.first_lsn == 0 || block->first_lsn == seen.next_lsn, "%lu behind %lu",
              (unsigned long)block->first_lsn, (unsigned long)seen.next_lsn);
    seen.first_lsn = seen.first_lsn == 0 ? block->first_lsn : seen.first_lsn;
    seen.next_lsn = block->first_lsn + block->count;
    if (seen.at != NULL && block->count > 0 && block->first_lsn == seen.at_lsn) {
        seen.at();
        seen.at = NULL;
    }
    return 0;
}

static void setup(void)
{
    log_dir_init(&disk);
    memset(&seen, 0, sizeof(seen));
    cr_assert_eq(log_dir_open(&disk), 0);
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_assert_eq(wal_reader_new(&reader, io, see, NULL), 0);
}

static void teardown(void)
{
    wal_reader_destroy(reader);
    io->ops->destroy(io);
    log_dir_fini(&disk);
}

TestSuite(wal_retention, .init = setup, .fini = teardown);

/* One record a block, 14 blocks a segment: segment n begins with record 14 (n - 1) + 1. */
enum { A_SEGMENT = 14 };

static uint64_t begin_of(uint64_t segment)
{
    return A_SEGMENT * (segment - 1) + 1;
}

static void append(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        log_dir_must_append(&disk, 1);
    }
}

static int snap_at(uint64_t lsn)
{
    struct wal_snapshot_writer *snapshot = NULL;
    uint64_t bytes;
    int err = wal_snapshot_writer_new(&snapshot, disk.io, wal_uuid(disk.wal), lsn);
    err = err != 0 ? err : wal_snapshot_writer_put(snapshot, 1, "state", 5);
    err = err != 0 ? err : wal_snapshot_writer_end(snapshot, NULL, NULL, &bytes);
    wal_snapshot_writer_destroy(snapshot);
    return err;
}

/* Removes every segment before this one, by the rules. */
static void retain_from(uint64_t segment)
{
    uint64_t lsn = begin_of(segment) - 1;
    const struct wal_retain retain = {
        .safe_lsn = lsn, .bytes_max = 0, .files_lock = wal_files_lock(disk.wal)};
    cr_assert_eq(snap_at(lsn), 0);
    cr_assert_gt(wal_retain(disk.io, &retain), 0);
    cr_assert(!log_dir_has(&disk, log_dir_segment(segment - 1)) &&
              log_dir_has(&disk, log_dir_segment(segment)));
}

static void more(void)
{
    bool is_blank;
    cr_assert_eq(wal_reader_more(reader, &is_blank), 0);
}

static void expect_judged(int err, enum wal_end end)
{
    cr_assert_eq(wal_reader_judge(reader, &report), err, "%s", report.text);
    cr_assert_eq(report.end, end, "%s", report.text);
}

static void expect_cut(uint64_t from, uint64_t to)
{
    char range[64];
    snprintf(range, sizeof(range), "records %lu to %lu left the log by retention",
             (unsigned long)from, (unsigned long)to);
    cr_assert_eq(report.end, WAL_END_MISSED, "%s", report.text);
    cr_assert(strstr(report.text, range) != NULL, "'%s', not '%s'", report.text, range);
}

/* ---- a reader that stays ---- */

/* The reader is in segment 2 when that is removed: the file is still open, segment 3 is there. */
Test(wal_retention, in_a_removed_segment_it_reads_on_to_the_next)
{
    append(A_SEGMENT + 3);
    more();
    cr_assert_eq(seen.next_lsn, A_SEGMENT + 4);
    append(BLOCKS);
    retain_from(3);
    more();
    expect_judged(0, WAL_END_CLEAN);
    cr_assert_eq(seen.next_lsn, wal_next_lsn(disk.wal));
    append(BLOCKS);
    more();
    cr_assert_eq(seen.next_lsn, wal_next_lsn(disk.wal));
}

/* The segments behind the removed one are removed, too, while the reader reads its open file. */
static void retain_from_5(void)
{
    retain_from(5);
}

Test(wal_retention, in_a_removed_segment_it_says_what_it_has_missed)
{
    append(A_SEGMENT + 3);
    expect_judged(0, WAL_END_CLEAN);
    append(BLOCKS);
    retain_from(4);
    more();
    expect_judged(TALLY_MISSED, WAL_END_MISSED);
    expect_cut(A_SEGMENT + 4, 3 * A_SEGMENT);
    cr_assert_eq(report.row, 0);
    expect_judged(TALLY_MISSED, WAL_END_MISSED); /* a second call says the same */
    cr_assert_eq(seen.next_lsn, A_SEGMENT + 4);
}

Test(wal_retention, without_its_name_the_segment_is_read_to_its_end_and_then_it_says_so)
{
    append(A_SEGMENT + 3);
    more();
    append(BLOCKS);
    retain_from(3);
    seen.at = retain_from_5;
    seen.at_lsn = begin_of(3) - 2;
    more();
    expect_judged(TALLY_MISSED, WAL_END_MISSED);
    expect_cut(begin_of(3), begin_of(5) - 1);
    cr_assert_eq(seen.next_lsn, begin_of(3));
}

/* The reader has read all of segment 1, and its list has no other segment. */
Test(wal_retention, at_the_end_of_a_removed_segment_it_goes_on_behind_it)
{
    append(A_SEGMENT);
    more();
    cr_assert_eq(seen.next_lsn, begin_of(2));
    append(BLOCKS);
    retain_from(2);
    more();
    expect_judged(0, WAL_END_CLEAN);
    cr_assert_eq(seen.next_lsn, wal_next_lsn(disk.wal));
}

Test(wal_retention, at_the_end_of_a_removed_segment_it_says_what_it_has_missed)
{
    append(A_SEGMENT);
    expect_judged(0, WAL_END_CLEAN);
    append(BLOCKS);
    retain_from(4);
    expect_judged(TALLY_MISSED, WAL_END_MISSED);
    expect_cut(begin_of(2), begin_of(4) - 1);
}

static void retain_all(void)
{
    const struct wal_retain retain = {
        .safe_lsn = A_SEGMENT, .bytes_max = 0, .files_lock = wal_files_lock(disk.wal)};
    cr_assert_gt(wal_retain(disk.io, &retain), 0);
}

/* Segments without records: a clean close seals the active segment even if it has none. */
Test(wal_retention, segments_without_records_are_not_missed)
{
    append(5);
    more();
    for (int i = 0; i < 3; i++) {
        log_dir_close_clean(&disk);
        cr_assert_eq(log_dir_open(&disk), 0);
    }
    append(1);
    cr_assert_eq(snap_at(5), 0);
    const struct wal_retain retain = {
        .safe_lsn = 5, .bytes_max = 0, .files_lock = wal_files_lock(disk.wal)};
    cr_assert_eq(wal_retain(disk.io, &retain), 3);
    more();
    expect_judged(0, WAL_END_CLEAN);
    cr_assert_eq(seen.next_lsn, 7);
}

/* The reader reads the removed segment 1, while restarts make segments without records, which are
 * removed. */
Test(wal_retention, behind_a_nameless_segment_those_without_records_are_not_missed)
{
    append(5);
    more();
    append(A_SEGMENT - 5);
    for (int i = 0; i < 3; i++) {
        log_dir_close_clean(&disk);
        cr_assert_eq(log_dir_open(&disk), 0);
    }
    append(1);
    cr_assert_eq(snap_at(A_SEGMENT), 0);
    log_dir_unlink(&disk, log_dir_segment(1));
    seen.at = retain_all;
    seen.at_lsn = A_SEGMENT;
    more();
    expect_judged(0, WAL_END_CLEAN);
    cr_assert_eq(seen.next_lsn, wal_next_lsn(disk.wal));
}

/* ---- a reader that reads once ---- */

static int read_once(void)
{
    memset(&report, 0, sizeof(report));
    return wal_reader_once(io, see, NULL, &report);
}

static void retain_from_4(void)
{
    retain_from(4);
}

Test(wal_retention, a_segment_that_goes_while_it_is_before_it_is_told)
{
    append(BLOCKS);
    seen.at = retain_from_4;
    seen.at_lsn = 5;
    cr_assert_eq(read_once(), TALLY_MISSED, "%s", report.text);
    expect_cut(begin_of(2), begin_of(4) - 1);
    cr_assert_eq(seen.next_lsn, begin_of(2), "what is open is read");
}

/* Lets one open of segment 1 find it removed. */
static const struct wal_io_ops *real_ops;
static int opens;

static int open_late(struct wal_io *of, const char *name, enum wal_open_mode mode)
{
    if (strcmp(name, log_dir_segment(1)) == 0 && opens++ == 0) {
        retain_from(3);
    }
    return real_ops->open(of, name, mode);
}

Test(wal_retention, what_has_shown_nothing_yet_begins_anew)
{
    struct wal_io_ops ops = *io->ops;
    append(BLOCKS);
    real_ops = io->ops;
    opens = 0;
    ops.open = open_late;
    io->ops = &ops;
    cr_assert_eq(read_once(), 0, "%s", report.text);
    io->ops = real_ops;
    cr_assert_eq(opens, 1);
    cr_assert(seen.first_lsn == begin_of(3) && seen.next_lsn == wal_next_lsn(disk.wal));
}

/* ---- what retention does not do ---- */

static void unlink_3(void)
{
    log_dir_unlink(&disk, log_dir_segment(3));
}

Test(wal_retention, a_gap_in_the_middle_is_damage)
{
    append(A_SEGMENT + 3);
    more();
    append(BLOCKS);
    cr_assert_eq(snap_at(wal_next_lsn(disk.wal) - 1), 0);
    unlink_3();
    expect_judged(TALLY_DAMAGE, WAL_END_DAMAGE);
    cr_assert(strstr(report.text, "is missing") != NULL, "%s", report.text);
    memset(&seen, 0, sizeof(seen));
    cr_assert_eq(read_once(), TALLY_DAMAGE);
}

Test(wal_retention, a_gap_that_comes_while_it_is_read_is_damage)
{
    append(BLOCKS);
    cr_assert_eq(snap_at(wal_next_lsn(disk.wal) - 1), 0);
    seen.at = unlink_3;
    seen.at_lsn = begin_of(2) + 2;
    cr_assert_eq(read_once(), TALLY_DAMAGE);
    cr_assert(strstr(report.text, "is missing") != NULL, "%s", report.text);
}

static void unlink_from_3(void)
{
    for (uint64_t i = 3; log_dir_has(&disk, log_dir_segment(i)); i++) {
        log_dir_unlink(&disk, log_dir_segment(i));
    }
}

Test(wal_retention, an_end_that_goes_while_it_is_read_is_damage)
{
    append(BLOCKS);
    log_dir_close_clean(&disk);
    seen.at = unlink_from_3;
    seen.at_lsn = begin_of(2) + 2;
    cr_assert_eq(read_once(), TALLY_DAMAGE);
    cr_assert(strstr(report.text, "went away") != NULL, "%s", report.text);
}

/* Lets the starved_at-th listing of the directory fail for lack of memory. */
static unsigned starved_at;
static unsigned lists;

static int list_starved(struct wal_io *of, int (*fn)(void *arg, const char *name), void *arg)
{
    return ++lists == starved_at ? -ENOMEM : real_ops->list(of, fn, arg);
}

/* A log that ends with a seal: the reader lists once more to find a segment behind it. */
Test(wal_retention, without_memory_for_a_listing_no_log_is_called_whole)
{
    struct wal_io_ops ops = *io->ops;
    append(A_SEGMENT + 3);
    log_dir_close_clean(&disk);
    unlink_from_3(); /* the preallocated ones */
    real_ops = io->ops;
    ops.list = list_starved;
    io->ops = &ops;
    unsigned failed = 0;
    for (starved_at = 1; failed + 1 == starved_at; starved_at++) {
        memset(&seen, 0, sizeof(seen));
        lists = 0;
        int err = read_once();
        cr_assert(err == TALLY_NOMEM || (err == 0 && lists < starved_at), "listing %u: %d",
                  starved_at, err);
        failed += err == TALLY_NOMEM;
    }
    io->ops = real_ops;
    cr_assert_geq(failed, 2);
}

Test(wal_retention, without_a_snapshot_of_them_missing_segments_are_damage)
{
    append(A_SEGMENT + 3);
    more();
    append(BLOCKS);
    cr_assert_eq(snap_at(begin_of(3) - 2), 0);
    log_dir_unlink(&disk, log_dir_segment(1));
    log_dir_unlink(&disk, log_dir_segment(2));
    expect_judged(TALLY_DAMAGE, WAL_END_DAMAGE);
}

Test(wal_retention, a_log_without_any_segment_left_is_damage)
{
    append(A_SEGMENT / 2);
    more();
    cr_assert_eq(snap_at(wal_next_lsn(disk.wal) - 1), 0);
    log_dir_kill(&disk);
    for (uint64_t i = 1; i <= 2; i++) {
        if (log_dir_has(&disk, log_dir_segment(i))) {
            log_dir_unlink(&disk, log_dir_segment(i));
        }
    }
    expect_judged(TALLY_DAMAGE, WAL_END_DAMAGE);
}

/* A link without a target is always listed and never found. */
Test(wal_retention, a_segment_that_is_listed_and_not_there_is_an_error)
{
    char path[256];
    append(BLOCKS);
    log_dir_unlink(&disk, log_dir_segment(3));
    snprintf(path, sizeof(path), "%s/%s", disk.path, log_dir_segment(3));
    cr_assert_eq(symlink("/nonexistent/segment", path), 0);
    cr_assert_eq(read_once(), TALLY_IO);
    cr_assert_eq(report.row, 1, "%s", report.text);
}

/* ---- and a disk that fails ---- */

/* Lets one file call of a reader in segment 2, or behind it, fail while it relists. Returns whether
 * one has failed. */
static bool fail_one(struct wal_io *real, enum fault_call call, int after, uint64_t rest)
{
    struct fault_io fault;
    fault_io_init(&fault, real);
    memset(&seen, 0, sizeof(seen));
    wal_reader_destroy(reader);
    cr_assert_eq(wal_reader_new(&reader, &fault.io, see, NULL), 0);
    append(A_SEGMENT + 3);
    more();
    append(BLOCKS);
    retain_from(rest);
    fault_io_set(&fault, call, -EIO, after, 1);
    int err = wal_reader_judge(reader, &report);
    bool has_failed = fault.faults > 0;
    cr_assert_eq(err,
                 has_failed  ? TALLY_IO
                 : rest == 3 ? 0
                             : TALLY_MISSED,
                 "call %d after %d: %s", (int)call, after, report.text);
    fault_io_heal(&fault);
    err = wal_reader_judge(reader, &report);
    cr_assert_eq(err, rest == 3 ? 0 : TALLY_MISSED, "call %d after %d, healed: %s", (int)call,
                 after, report.text);
    cr_assert_eq(seen.next_lsn, rest == 3 ? wal_next_lsn(disk.wal) : A_SEGMENT + 4);
    wal_reader_destroy(reader);
    reader = NULL;
    fault_io_fini(&fault);
    return has_failed;
}

Test(wal_retention, a_failed_file_call_is_no_damage_and_the_place_is_kept)
{
    static const enum fault_call calls[] = {FAULT_OPEN, FAULT_PREAD, FAULT_LIST};
    int cases = 0;
    for (size_t i = 0; i < 6; i++) {
        bool goes_on = true;
        for (int after = 0; goes_on; after++, cases++) {
            goes_on = fail_one(io, calls[i / 2], after, i % 2 == 0 ? 3 : 4);
            log_dir_fini(&disk);
            log_dir_init(&disk);
            cr_assert_eq(log_dir_open(&disk), 0);
            io->ops->destroy(io);
            cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
            cr_assert_eq(wal_reader_new(&reader, io, see, NULL), 0);
        }
    }
    printf("%d times a file call failed beside retention\n", cases);
}

/* ---- all at once ---- */

static atomic_bool done;

/* Two snapshots are kept, and a few segments behind them. */
static int tidy_up(uint64_t newest, uint64_t older)
{
    const struct wal_retain retain = {
        .safe_lsn = older, .bytes_max = disk.segment_bytes, .files_lock = wal_files_lock(disk.wal)};
    int err = snap_at(newest);
    err = err != 0 ? err : wal_snapshot_list_keep(disk.io, newest, older);
    err = err != 0 ? err : wal_retain(disk.io, &retain);
    return err > 0 ? 0 : err;
}

static void *write_and_retain(void *arg)
{
    uint64_t newest = 0;
    int err = 0;
    for (uint32_t i = 1; err == 0 && i <= LIVE_BLOCKS; i++) {
        err = log_dir_append(&disk, 1, 20 + i % 3000, i % 2);
        if (err == 0 && i % 25 == 0) {
            uint64_t older = newest;
            newest = wal_next_lsn(disk.wal) - 1;
            err = tidy_up(newest, older);
        }
    }
    *(int *)arg = err;
    atomic_store_explicit(&done, true, memory_order_release);
    return NULL;
}

/* Reads on; a reader that has missed records begins anew. Returns whether it has missed any. */
static bool read_on(uint64_t *next_lsn)
{
    bool is_blank;
    seen.first_lsn = *next_lsn > 0 ? 1 : 0;
    seen.next_lsn = *next_lsn;
    int err = wal_reader_more(reader, &is_blank);
    cr_assert_eq(err, 0);
    err = is_blank ? 0 : wal_reader_judge(reader, &report);
    cr_assert(err == 0 || err == TALLY_MISSED, "row %d: %s", report.row, report.text);
    *next_lsn = seen.next_lsn;
    if (err == 0) {
        return false;
    }
    *next_lsn = 0;
    wal_reader_destroy(reader);
    cr_assert_eq(wal_reader_new(&reader, io, see, NULL), 0);
    return true;
}

/* A reader shows records in order, or says which it has missed, whichever segments are removed. */
Test(wal_retention, beside_a_log_that_is_written_and_cut_nothing_looks_like_damage)
{
    pthread_t writer;
    int failed = -1;
    unsigned reads = 0;
    unsigned cuts = 0;
    uint64_t next_lsn = 0;
    const struct wal_janitor_options janitor = {.pack_bytes_per_s = (uint64_t)1 << 30};
    log_dir_kill(&disk);
    disk.janitor = &janitor; /* the janitor replaces segments by packed files meanwhile */
    cr_assert_eq(log_dir_open(&disk), 0);
    cr_assert_eq(pthread_create(&writer, NULL, write_and_retain, &failed), 0);
    while (!atomic_load_explicit(&done, memory_order_acquire)) {
        memset(&seen, 0, sizeof(seen));
        int err = read_once();
        cr_assert(err == 0 || err == TALLY_MISSED, "row %d: %s", report.row, report.text);
        cuts += err == TALLY_MISSED;
        cuts += read_on(&next_lsn);
        reads++;
    }
    pthread_join(writer, NULL);
    cr_assert_eq(failed, 0);
    printf("%u rounds beside the writer, %u times cut\n", reads, cuts);
    cr_assert(!read_on(&next_lsn) || !read_on(&next_lsn));
    cr_assert_eq(next_lsn, wal_next_lsn(disk.wal));
}
