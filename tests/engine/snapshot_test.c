/* An engine with snapshots: starts from them, falls back, removes what is old, survives a failure.
 */
#include "tests/engine/door.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[128];
static struct tally *tally;
static struct tally_report report;
static struct door door;

static void setup(void)
{
    torture_dir(dir, sizeof(dir));
}

static void teardown(void)
{
    torture_dir_remove(dir);
}

TestSuite(snapshot, .init = setup, .fini = teardown);

/* Old log goes as soon as two snapshots hold it. */
static int open_engine(void)
{
    struct tally_options options = {.dir = dir, .create = true, .edges = 1, .retain_bytes = 1};
    int err = tally_open(&tally, &options, &report);
    if (err == 0) {
        door_open(&door, tally);
    }
    return err;
}

static void close_engine(void)
{
    door_close(&door);
    cr_assert_eq(tally_close(tally), 0);
}

static int snapshot(uint64_t *lsn)
{
    struct edge_snapshot done = {.lsn = 0};
    uint64_t ticket = 0;
    int err = edge_snapshot(door.edge, &ticket, &done);
    while (err == TALLY_PARK) {
        door_wait(&door);
        err = edge_snapshot(door.edge, &ticket, &done);
    }
    *lsn = done.lsn;
    return err;
}

enum file { SEGMENT, SNAPSHOT, TEMP };

static void path_of(char path[256], enum file file, uint64_t number)
{
    static const char *const before[] = {"wal", "snap", "snap"};
    static const char *const behind[] = {"seg", "tally", "tmp"};
    snprintf(path, 256, "%s/%s-%016lx.%s", dir, before[file], (unsigned long)number, behind[file]);
}

static bool has(enum file file, uint64_t number)
{
    char path[256];
    path_of(path, file, number);
    return access(path, F_OK) == 0;
}

static void spoil(uint64_t lsn)
{
    char path[256];
    path_of(path, SNAPSHOT, lsn);
    int fd = open(path, O_WRONLY);
    cr_assert(fd >= 0 && pwrite(fd, "x", 1, 4096 + 65) == 1);
    close(fd);
}

static uint64_t polls(void)
{
    struct engine_info info;
    edge_info(door.edge, &info);
    return info.polls;
}

/* One run of the engine: a poll more, and a snapshot of it. */
static uint64_t run(const char *poll)
{
    uint64_t lsn = 0;
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    door_poll(&door, poll);
    cr_assert_eq(snapshot(&lsn), 0);
    close_engine();
    return lsn;
}

Test(snapshot, old_log_goes_and_each_of_the_two_snapshots_is_enough)
{
    uint64_t lsns[4];
    static const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        lsns[i] = run(names[i]);
        cr_assert_eq(lsns[i], (uint64_t)i + 1);
    }
    cr_assert(!has(SNAPSHOT, lsns[0]) && !has(SNAPSHOT, lsns[1]), "two are kept");
    cr_assert(has(SNAPSHOT, lsns[2]) && has(SNAPSHOT, lsns[3]));
    cr_assert(!has(SEGMENT, 1) && !has(SEGMENT, 2), "what both hold is gone");
    cr_assert(has(SEGMENT, 4), "what only the newest holds is there");
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    cr_assert(report.snapshot_lsn == lsns[3] && !report.snapshot_passed && polls() == 4);
    close_engine();
    spoil(lsns[3]);
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    cr_assert(report.snapshot_lsn == lsns[2] && report.snapshot_passed && polls() == 4);
    close_engine();
    spoil(lsns[2]);
    cr_assert_eq(open_engine(), TALLY_DAMAGE);
    cr_assert(strstr(report.text, "is missing") != NULL, "%s", report.text);
}

/* The one that is damaged is not one of the two that make removing safe. */
Test(snapshot, behind_a_damaged_one_two_new_ones_are_needed)
{
    (void)run("a");
    uint64_t good = run("b");
    uint64_t bad = run("c");
    spoil(bad);
    uint64_t lsn = run("d");
    cr_assert(has(SNAPSHOT, good) && has(SNAPSHOT, lsn) && !has(SNAPSHOT, bad));
    cr_assert(has(SEGMENT, 3), "the good one does not hold record 3");
    spoil(lsn);
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    cr_assert(report.snapshot_lsn == good && polls() == 4);
    close_engine();
}

Test(snapshot, what_has_not_changed_is_not_saved_again)
{
    uint64_t lsn = 0;
    struct engine_info info;
    cr_assert_eq(open_engine(), 0);
    cr_assert(snapshot(&lsn) == 0 && lsn == 0, "an empty state");
    door_poll(&door, "a");
    for (int i = 0; i < 3; i++) {
        cr_assert(snapshot(&lsn) == 0 && lsn == 1);
    }
    edge_info(door.edge, &info);
    cr_assert(info.snapshots == 1 && info.snapshot_lsn == 1 && info.snapshot_bytes > 0);
    close_engine();
}

/* A directory stands where its file should. */
Test(snapshot, one_that_cannot_be_written_changes_nothing)
{
    char path[256];
    uint64_t lsn = 0;
    struct engine_info info;
    path_of(path, TEMP, 1);
    cr_assert_eq(open_engine(), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    door_poll(&door, "a");
    cr_assert_eq(snapshot(&lsn), TALLY_IO);
    edge_info(door.edge, &info);
    cr_assert(info.snapshot_failures == 1 && info.snapshots == 0 && !info.snapshot_running);
    door_poll(&door, "b");
    cr_assert(snapshot(&lsn) == 0 && lsn == 2, "the next one is another file");
    cr_assert_eq(rmdir(path), 0);
    cr_assert(has(SNAPSHOT, 2) && !has(TEMP, 2));
    close_engine();
}

/* Ending in the middle of one leaves nothing that counts, and nothing that stays. */
Test(snapshot, an_engine_that_ends_gives_it_up)
{
    uint64_t ticket = 0;
    uint64_t lsn = 0;
    struct edge_snapshot done;
    cr_assert_eq(open_engine(), 0);
    for (uint64_t i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof(name), "poll%lu", (unsigned long)i);
        door_poll(&door, name);
        cr_assert_eq(edge_snapshot(door.edge, &ticket, &done), TALLY_PARK);
        ticket = 0;
        close_engine();
        cr_assert_eq(open_engine(), 0, "%s", report.text);
        cr_assert_eq(polls(), i + 1);
        cr_assert(!has(TEMP, i + 1), "half of a snapshot is still there");
    }
    cr_assert_eq(snapshot(&lsn), 0);
    close_engine();
}
