/* Forged directories: which logs a start refuses, and which files it does not touch. */
#include "tests/hostile/forge.h"
#include "tests/lib/count.h"
#include "tests/wal/log_dir.h"
#include "wal/base/err.h"
#include "wal/files/snapshot_read.h"
#include "wal/format/snapshot.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIB ((uint64_t)1 << 40)

static struct log_dir disk;
static struct wal_report report;

static void setup(void)
{
    log_dir_init(&disk);
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(hostile_wal, .init = setup, .fini = teardown);

static int see_nothing(void *arg, const struct wal_block *block)
{
    (void)arg;
    (void)block;
    return 0;
}

static struct wal_io *io_new(void)
{
    struct wal_io *io;
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    return io;
}

/* Starts as the server does, and closes what it has opened. */
static int start(void)
{
    struct wal_io *io = io_new();
    struct wal *wal;
    struct wal_options options = {
        .io = io, .segment_bytes = WAL_SEGMENT_BYTES_MIN, .load = see_nothing};
    int err = wal_open(&wal, &options, see_nothing, NULL, &report);
    if (err == 0) {
        (void)wal_close(wal, true);
    }
    io->ops->destroy(io);
    return err;
}

static int repair(void)
{
    struct wal_io *io = io_new();
    int err = wal_repair(io, see_nothing, NULL, &report);
    io->ops->destroy(io);
    return err;
}

static int read_it(void)
{
    struct wal_io *io = io_new();
    int err = wal_reader_once(io, see_nothing, NULL, &report);
    io->ops->destroy(io);
    return err;
}

static int read_snapshot(uint64_t lsn, struct wal_snapshot_info *info)
{
    struct wal_io *io = io_new();
    int err = wal_snapshot_read(io, lsn, see_nothing, NULL, info);
    io->ops->destroy(io);
    return err;
}

static void path_of(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", disk.path, name);
}

static void expect_all_refuse(const char *what, const char *text)
{
    int err = start();
    cr_expect_eq(err, TALLY_DAMAGE, "%s: the start says %d: %s", what, err, report.text);
    cr_expect(text == NULL || strstr(report.text, text) != NULL, "%s: %s", what, report.text);
    err = repair();
    cr_expect_eq(err, TALLY_DAMAGE, "%s: the repair says %d: %s", what, err, report.text);
    err = read_it();
    cr_expect_eq(err, TALLY_DAMAGE, "%s: the reader says %d: %s", what, err, report.text);
}

static struct wal_segment_head head_of(uint64_t number, uint32_t epoch)
{
    struct wal_segment_head head = {
        .number = number, .bytes = WAL_SEGMENT_BYTES_MIN, .epoch = epoch};
    memcpy(head.uuid, forge_uuid, sizeof(head.uuid));
    return head;
}

/* ---- damage of records that count: a refusal, and no lost records ---- */

static void forge_log(uint64_t number, uint32_t epoch, uint64_t first_lsn)
{
    struct forge forge;
    struct wal_segment_head head = head_of(number, epoch);
    forge_segment(&forge, disk.path, &head, first_lsn);
    forge_block(&forge, 0, 1, "x", 1);
    forge_seal(&forge);
}

Test(hostile_wal, the_last_epoch_is_refused_and_loses_nothing)
{
    forge_log(1, UINT32_MAX, 1);
    expect_all_refuse("epoch 2^32 - 1", "epoch");
    forge_log(1, WAL_EPOCH_MAX, 1);
    cr_expect_eq(read_it(), 0, "%s", report.text);
    cr_expect_eq(start(), TALLY_DAMAGE, "there is none behind it");
    cr_expect_not_null(strstr(report.text, "no epoch left"), "%s", report.text);
    forge_log(1, WAL_EPOCH_MAX - 1, 1);
    cr_expect_eq(start(), 0, "%s", report.text);
    cr_expect_eq(start(), TALLY_DAMAGE, "that was the last one");
    cr_expect_eq(read_it(), 0, "what was written then is there: %s", report.text);
}

static void forge_behind_snapshot(uint64_t number, uint64_t lsn)
{
    struct forge forge;
    forge_snapshot(&forge, disk.path, lsn);
    forge_block(&forge, 0, 1, "image", 5);
    forge_snapshot_end(&forge, true, 1);
    forge_log(number, 1, lsn + 1);
}

Test(hostile_wal, the_last_segment_number_is_refused)
{
    forge_behind_snapshot(UINT64_MAX, 10);
    expect_all_refuse("segment 2^64 - 1", "number");
    log_dir_unlink(&disk, log_dir_segment(UINT64_MAX));
    forge_behind_snapshot(WAL_NUMBER_MAX, 10);
    cr_expect_eq(read_it(), 0, "%s", report.text);
    cr_expect_eq(start(), TALLY_DAMAGE);
    cr_expect_not_null(strstr(report.text, "no numbers left for more segments"), "%s", report.text);
}

Test(hostile_wal, the_last_lsn_is_refused)
{
    struct forge forge;
    struct wal_snapshot_info info;
    forge_behind_snapshot(7, UINT64_MAX - 1000);
    cr_expect_eq(read_snapshot(UINT64_MAX - 1000, &info), TALLY_DAMAGE);
    cr_expect_eq(start(), TALLY_DAMAGE, "%s", report.text);
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, UINT64_MAX - 1000);
    log_dir_unlink(&disk, name);
    forge_behind_snapshot(7, WAL_LSN_MAX - WAL_LSN_MARGIN);
    cr_expect_eq(start(), TALLY_DAMAGE);
    cr_expect_not_null(strstr(report.text, "no numbers left for more records"), "%s", report.text);
    forge_small_segment(&forge, disk.path, 1, 1);
    forge_any_block(&forge, &(struct wal_block_header){.count = 5, .first_lsn = WAL_LSN_MAX - 2},
                    "x", 1);
    forge_close(&forge);
    cr_expect_eq(read_it(), TALLY_DAMAGE, "%s", report.text);
}

/* ---- blocks that contradict their kind ---- */

Test(hostile_wal, a_seal_or_a_confirmation_with_records_is_refused)
{
    static const uint16_t flags[] = {WAL_BLOCK_SEAL, WAL_BLOCK_SEAL | WAL_BLOCK_CLEAN,
                                     WAL_BLOCK_SEAL | WAL_BLOCK_PACKED, WAL_BLOCK_CONFIRM};
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        struct forge forge;
        forge_small_segment(&forge, disk.path, 1, 1);
        forge_block(&forge, 0, 1, "x", 1);
        forge_block(&forge, flags[i], 2, "yz", 2);
        forge_close(&forge);
        expect_all_refuse("a mark with records", "contradicts itself");
    }
}

Test(hostile_wal, a_snapshot_has_images_up_to_its_seal_and_in_no_other_way)
{
    static const struct {
        const char *what;
        uint16_t flags;
        uint32_t count;
    } cases[] = {
        {"images in the seal", WAL_BLOCK_SEAL | WAL_BLOCK_CLEAN, 1},
        {"a block without images", 0, 0},
        {"a confirmation", WAL_BLOCK_CONFIRM, 0},
        {"members", WAL_BLOCK_PACKED, 1},
        {"a seal that does not close", WAL_BLOCK_SEAL, 0},
    };
    struct wal_snapshot_info info;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct forge forge;
        bool is_member = cases[i].flags == WAL_BLOCK_PACKED;
        forge_snapshot(&forge, disk.path, 3);
        forge_block(&forge, 0, 1, "one", 3);
        forge_block(&forge, cases[i].flags, cases[i].count, is_member ? "\x01\x01x" : "xyz",
                    cases[i].count * 3);
        bool is_sealed = (cases[i].flags & WAL_BLOCK_SEAL) != 0;
        forge_snapshot_end(&forge, !is_sealed, 1 + cases[i].count);
        cr_expect_eq(read_snapshot(3, &info), TALLY_DAMAGE, "%s: %s", cases[i].what, info.text);
    }
}

/* ---- links, pipes, giants ---- */

static struct stat stat_of(const char *path)
{
    struct stat stat;
    cr_assert_eq(lstat(path, &stat), 0, "%s", path);
    return stat;
}

/* A torn log outside the directory, and a link to it: clearing its tail would write outside. */
Test(hostile_wal, nothing_is_written_or_read_through_a_link)
{
    struct forge forge;
    char inside[256];
    char outside[256];
    forge_small_segment(&forge, disk.path, 1, 1);
    forge_block(&forge, 0, 1, "x", 1);
    cr_assert_eq(pwrite(forge.fd, "torn", 4, (off_t)forge.offset + 100), 4);
    forge_close(&forge);
    path_of(inside, log_dir_segment(1));
    snprintf(outside, sizeof(outside), "%s-outside", disk.path);
    cr_assert_eq(rename(inside, outside), 0);
    cr_assert_eq(symlink(outside, inside), 0);
    struct stat before = stat_of(outside);
    cr_expect_eq(start(), TALLY_IO, "%s", report.text);
    cr_expect_not_null(strstr(report.text, "not a regular file"), "%s", report.text);
    cr_expect_eq(repair(), TALLY_IO);
    cr_expect_eq(read_it(), TALLY_IO);
    struct stat after = stat_of(outside);
    cr_expect(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
              before.st_mtim.tv_nsec == after.st_mtim.tv_nsec && before.st_size == after.st_size);
    cr_assert_eq(unlink(outside), 0);
    cr_expect_eq(start(), TALLY_IO, "a link to nothing is not an empty directory");
    cr_assert_eq(unlink(inside), 0);
}

/* A link has the name under which the copy of a torn tail is kept. */
Test(hostile_wal, a_torn_tail_is_kept_beside_a_link)
{
    struct forge forge;
    char inside[256];
    char outside[256];
    forge_small_segment(&forge, disk.path, 1, 1);
    forge_block(&forge, 0, 1, "x", 1);
    cr_assert_eq(pwrite(forge.fd, "torn", 4, (off_t)forge.offset + 100), 4);
    forge_close(&forge);
    path_of(inside, "torn-2.bin");
    snprintf(outside, sizeof(outside), "%s-outside", disk.path);
    cr_assert_eq(symlink(outside, inside), 0);
    cr_expect_eq(start(), 0, "%s", report.text);
    cr_expect(report.end == WAL_END_TORN && log_dir_has(&disk, "torn-2.2.bin"), "%s", report.text);
    cr_expect_eq(access(outside, F_OK), -1, "and nothing was made outside");
}

Test(hostile_wal, the_lock_is_no_link_either)
{
    char inside[256];
    char outside[256];
    path_of(inside, "LOCK");
    snprintf(outside, sizeof(outside), "%s-outside", disk.path);
    cr_assert_eq(symlink(outside, inside), 0);
    cr_expect_eq(start(), TALLY_IO, "%s", report.text);
    cr_expect_eq(access(outside, F_OK), -1, "and nothing was made outside");
}

/* A start that opens the pipe would hang for ever, until the timeout of the test. */
Test(hostile_wal, a_pipe_hangs_nobody, .timeout = 20)
{
    static const char *const names[] = {"wal-0000000000000001.seg", "snap-0000000000000005.tally",
                                        "LOCK"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[256];
        path_of(path, names[i]);
        (void)unlink(path);
        cr_assert_eq(mkfifo(path, 0600), 0);
        (void)start();
        (void)repair();
        (void)read_it();
        cr_assert_eq(unlink(path), 0);
    }
}

/* A start does not read through the holes of a file that is longer than its header says. */
Test(hostile_wal, a_sparse_giant_is_refused_at_once, .timeout = 20)
{
    struct forge forge;
    forge_small_segment(&forge, disk.path, 1, 1);
    forge_block(&forge, 0, 1, "x", 1);
    cr_assert_eq(ftruncate(forge.fd, 8 * (off_t)TIB), 0);
    forge_close(&forge);
    expect_all_refuse("longer than its header says", "was made with");
    struct wal_segment_head head = head_of(1, 1);
    head.bytes = 8 * TIB;
    forge_segment(&forge, disk.path, &head, 1);
    forge_block(&forge, 0, 1, "x", 1);
    forge_close(&forge);
    expect_all_refuse("as long as its header says", "impossible length");
    head.bytes = 0;
    forge_segment(&forge, disk.path, &head, 1);
    cr_assert_eq(ftruncate(forge.fd, 8 * (off_t)TIB), 0);
    cr_assert_eq(pwrite(forge.fd, "no header at all", 16, 0), 16);
    cr_assert_eq(pwrite(forge.fd, "no header at all", 16, 512), 16);
    forge_close(&forge);
    expect_all_refuse("without a header", "no readable header");
}

/* ---- snapshots as proof of what was durable ---- */

enum { SNAP_LSN = 3 };

/* Forges three records, a snapshot of all three, and no seal, as after a kill. */
static void forge_saved_log(void)
{
    struct forge forge;
    forge_snapshot(&forge, disk.path, SNAP_LSN);
    forge_block(&forge, 0, 1, "image", 5);
    forge_snapshot_end(&forge, true, 1);
    forge_small_segment(&forge, disk.path, 1, 1);
    forge_any_block(&forge, &(struct wal_block_header){.count = 1, .durable_pages = 1}, "a", 1);
    forge_block(&forge, 0, 1, "b", 1);
    forge_block(&forge, 0, 1, "c", 1);
    forge_close(&forge);
}

static void expect_snapshot_says(const char *what, const char *text)
{
    expect_all_refuse(what, text);
    read_it();
    cr_expect_not_null(strstr(report.text, text), "%s: the reader: %s", what, report.text);
    repair();
    cr_expect_not_null(strstr(report.text, text), "%s: the repair: %s", what, report.text);
}

Test(hostile_wal, what_a_snapshot_proves_holds_for_reader_repair_and_start)
{
    const char *segment = log_dir_segment(1);
    forge_saved_log();
    cr_assert_eq(read_it(), 0, "%s", report.text);
    log_dir_poke(&disk, segment, 8192 + 70, "garbage", 7);
    log_dir_poke(&disk, segment, 8192 + 10, "garbage", 7);
    log_dir_poke(&disk, segment, 12288 + 10, "garbage", 7);
    expect_snapshot_says("garbage", "records 2 to 3 cannot be read, and were acknowledged");
    forge_saved_log();
    log_dir_zero(&disk, segment, 12288, 4096);
    expect_snapshot_says("zeros", "record 3 cannot be read, and was acknowledged");
    log_dir_zero(&disk, segment, 4096, 8192);
    expect_snapshot_says("zeros from the beginning", "there is a snapshot of them");
    log_dir_unlink(&disk, segment);
    expect_snapshot_says("no segment", "there is a snapshot at record 3, and no log");
}

/* The header was written last, so it proves the same lsn when the rest is damaged. */
Test(hostile_wal, a_snapshot_that_is_damaged_behind_its_header_proves_as_much)
{
    forge_saved_log();
    log_dir_poke(&disk, "snap-0000000000000003.tally", 4096 + 66, "x", 1);
    cr_expect_eq(start(), 0, "the log has it all: %s", report.text);
    cr_expect(report.snapshot_passed);
    log_dir_fini(&disk);
    log_dir_init(&disk);
    forge_saved_log();
    log_dir_poke(&disk, "snap-0000000000000003.tally", 4096 + 66, "x", 1);
    log_dir_zero(&disk, log_dir_segment(1), 12288, 4096);
    expect_snapshot_says("zeros", "record 3 cannot be read, and was acknowledged");
}

Test(hostile_wal, no_message_speaks_of_record_0)
{
    log_dir_open(&disk);
    log_dir_kill(&disk);
    cr_assert_eq(read_it(), 0);
    cr_expect_not_null(strstr(report.text, "before the first record"), "%s", report.text);
    log_dir_poke(&disk, log_dir_segment(1), 5000, "torn", 4);
    cr_assert_eq(read_it(), 0);
    cr_expect_not_null(strstr(report.text, "before the first record"), "%s", report.text);
}
