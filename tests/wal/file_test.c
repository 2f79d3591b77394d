/* The directory: temporary files, the lock, snapshots of a newer version, and no direct I/O. */
#include "tests/wal/log_dir.h"

#include "tests/lib/count.h"
#include "wal/base/bytes.h"
#include "wal/base/err.h"
#include "wal/format/codec.h"
#include "wal/files/snapshot_writer.h"
#include "wal/format/snapshot.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct log_dir disk;

static void setup(void)
{
    log_dir_init(&disk);
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(wal_file, .init = setup, .fini = teardown);

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", disk.path, name);
    return path;
}

static void make_log(void)
{
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    log_dir_must_append(&disk, 3);
    log_dir_kill(&disk);
}

Test(wal_file, only_names_that_tally_can_have_made_are_removed_at_a_start)
{
    static const char *const ours[] = {"wal-0000000000000009.tmp", "wal-0000000000000001.pack",
                                       "snap-0000000000000007.tmp", "torn-12.tmp"};
    static const char *const theirs[] = {"wal-mynotes.tmp", "snap-mine.tmp", "torn-pages.tmp",
                                         "wal-my.pack", "notes.tmp"};
    make_log();
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        log_dir_store(&disk, ours[i], "half", 4);
    }
    for (size_t i = 0; i < COUNT_OF(theirs); i++) {
        log_dir_store(&disk, theirs[i], "mine", 4);
    }
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        cr_expect_not(log_dir_has(&disk, ours[i]), "%s", ours[i]);
    }
    for (size_t i = 0; i < COUNT_OF(theirs); i++) {
        cr_expect(log_dir_has(&disk, theirs[i]), "%s", theirs[i]);
    }
}

static void expect_refused(const char *name)
{
    cr_expect_neq(log_dir_open(&disk), 0);
    cr_expect(strstr(disk.report.text, name) != NULL &&
                  strstr(disk.report.text, "not a regular file") != NULL,
              "%s", disk.report.text);
    cr_expect_eq(disk.report.end, WAL_END_FAILED);
    log_dir_kill(&disk);
}

Test(wal_file, a_directory_or_fifo_under_a_name_of_ours_is_refused_by_name)
{
    static const char *const names[] = {"wal-0000000000000009.tmp", "wal-0000000000000001.pack",
                                        "snap-0000000000000007.tmp", "torn-12.tmp"};
    make_log();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        cr_assert_eq(mkdir(path_of(names[i]), 0700), 0);
        expect_refused(names[i]);
        cr_assert_eq(rmdir(path_of(names[i])), 0, "it was not there any more");
        cr_assert_eq(mkfifo(path_of(names[i]), 0600), 0);
        expect_refused(names[i]);
        cr_assert_eq(unlink(path_of(names[i])), 0, "it was not there any more");
    }
    cr_expect_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
}

Test(wal_file, without_the_name_of_the_lock_nobody_else_comes_in)
{
    struct wal_io *second;
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    log_dir_must_append(&disk, 3);
    log_dir_unlink(&disk, "LOCK");
    cr_assert_eq(wal_file_io_new(&second, disk.path, 1), 0);
    const struct wal_options options = {.io = second};
    struct wal_report report;
    struct wal *wal = NULL;
    cr_expect_eq(wal_open(&wal, &options, NULL, NULL, &report), TALLY_LOCKED);
    cr_expect_eq(wal_repair(second, NULL, NULL, &report), TALLY_LOCKED);
    log_dir_must_append(&disk, 3);
    second->ops->destroy(second);
    log_dir_kill(&disk);
    cr_expect_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 6);
}

/* From now on an open with O_DIRECT fails with err. */
static bool refuse_direct(uint32_t err)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_DIRECT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = COUNT_OF(filter), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

Test(wal_file, where_direct_io_is_refused_the_cache_is_written_through)
{
    make_log();
    if (!refuse_direct(EOPNOTSUPP)) {
        cr_skip_test("seccomp: %s", strerror(errno));
    }
    cr_assert_eq(open(path_of(log_dir_segment(1)), O_RDWR | O_DIRECT | O_CLOEXEC), -1);
    cr_assert_eq(errno, EOPNOTSUPP);
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    for (int i = 0; i < 40; i++) {
        log_dir_must_append(&disk, 1);
    }
    log_dir_close_clean(&disk);
    cr_expect_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    cr_expect_eq(disk.report.records, 43);
}

/* ---- a newer version's snapshot ---- */

enum { AT_VERSION = 8, AT_CHECKSUM = 56 };

static int load_nothing(void *arg, const struct wal_block *block)
{
    (void)arg;
    (void)block;
    return 0;
}

static void write_snap(uint64_t lsn)
{
    struct wal_snapshot_writer *snapshot;
    uint64_t bytes;
    cr_assert_eq(wal_snapshot_writer_new(&snapshot, disk.io, log_dir_head(&disk, 1).uuid, lsn), 0);
    cr_assert_eq(wal_snapshot_writer_put(snapshot, 1, "image", 5), 0);
    cr_assert_eq(wal_snapshot_writer_end(snapshot, NULL, NULL, &bytes), 0, "%s",
                 wal_snapshot_writer_why(snapshot));
    wal_snapshot_writer_destroy(snapshot);
}

static void make_newer(const char *name)
{
    size_t len;
    unsigned char *bytes = log_dir_load(&disk, name, &len);
    put_le32(bytes + AT_VERSION, 2);
    put_le64(bytes + AT_CHECKSUM, wal_codec_checksum(bytes, AT_CHECKSUM, 0));
    log_dir_store(&disk, name, bytes, len);
    free(bytes);
}

static void expect_newer(const char *name)
{
    const struct wal_options options = {
        .io = disk.io, .segment_bytes = disk.segment_bytes, .load = load_nothing};
    struct wal *wal = NULL;
    struct wal_report report;
    cr_expect_eq(wal_open(&wal, &options, NULL, NULL, &report), TALLY_NEWER, "%s", report.text);
    cr_expect(strstr(report.text, name) != NULL && strstr(report.text, "newer version") != NULL,
              "%s", report.text);
    cr_expect_eq(wal_repair(disk.io, NULL, NULL, &report), TALLY_NEWER, "%s", report.text);
    cr_expect(log_dir_has(&disk, name), "it was removed");
}

Test(wal_file, nothing_that_a_newer_version_wrote_is_removed_or_passed_over)
{
    char names[2][WAL_NAME_BYTES];
    cr_assert_eq(log_dir_open(&disk), 0, "%s", disk.report.text);
    log_dir_must_append(&disk, 3);
    write_snap(2);
    write_snap(3);
    wal_close(disk.wal, true);
    disk.wal = NULL;
    wal_snapshot_name(names[0], 2);
    wal_snapshot_name(names[1], 3);
    make_newer(names[1]);
    expect_newer(names[1]);
    write_snap(3); /* the newest is of this version, the older one is not */
    make_newer(names[0]);
    expect_newer(names[0]);
}
