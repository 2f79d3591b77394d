/* An engine with snapshots: it starts from them, falls back to an older one, removes old files, and
 * survives a failed one. */
#include "engine/apply/apply.h"
#include "engine/apply/digest.h"
#include "engine/engine.h"
#include "engine/log/columns.h"
#include "engine/apply/snapshot_capture.h"
#include "tests/engine/handle.h"
#include "wal/files/snapshot_writer.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[128];
static struct tally *tally;
static struct tally_report report;
static struct handle handle;

static void setup(void)
{
    files_temp_dir(dir, sizeof(dir));
}

static void teardown(void)
{
    files_remove_tree(dir);
}

TestSuite(snapshot, .init = setup, .fini = teardown);

/* Opens an engine that removes old log as soon as two snapshots hold it. */
static int open_engine(void)
{
    struct tally_options options = {.dir = dir, .create = true, .edges = 1, .retain_bytes = 1};
    int err = tally_open(&tally, &options, &report);
    if (err == 0) {
        handle_open(&handle, tally);
    }
    return err;
}

static void close_engine(void)
{
    handle_close(&handle);
    cr_assert_eq(tally_close(tally), 0);
}

static int snapshot(uint64_t *lsn)
{
    struct edge_snapshot done = {.lsn = 0};
    uint64_t ticket = 0;
    int err = edge_snapshot(handle.edge, &ticket, &done);
    while (err == TALLY_PARK) {
        handle_wait(&handle);
        err = edge_snapshot(handle.edge, &ticket, &done);
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

/* Spoils the header of the seal, which is read last: all images are loaded by then. */
static void spoil_end(uint64_t lsn)
{
    char path[256];
    path_of(path, SNAPSHOT, lsn);
    int fd = open(path, O_WRONLY);
    off_t size = lseek(fd, 0, SEEK_END);
    cr_assert(fd >= 0 && size > 8192 && pwrite(fd, "x", 1, size - 4096 + 8) == 1);
    close(fd);
}

static uint64_t polls(void)
{
    struct engine_info info;
    edge_info(handle.edge, &info);
    return info.polls;
}

/* Runs the engine once: makes a poll, and a snapshot. */
static uint64_t run(const char *poll)
{
    uint64_t lsn = 0;
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    handle_poll(&handle, poll);
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

/* The images already loaded from the damaged newest snapshot must be thrown away. */
Test(snapshot, one_that_is_damaged_at_its_end_leaves_nothing_behind)
{
    uint64_t lsns[2];
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    handle_poll(&handle, "a");
    (void)handle_option(&handle, "a", "first");
    cr_assert_eq(snapshot(&lsns[0]), 0);
    handle_poll(&handle, "b");
    (void)handle_option(&handle, "b", "second");
    cr_assert_eq(snapshot(&lsns[1]), 0);
    (void)handle_option(&handle, "b", "third");
    close_engine();
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    uint64_t whole = digest_state(&tally->state);
    cr_assert(report.snapshot_lsn == lsns[1] && !report.snapshot_passed);
    close_engine();
    spoil_end(lsns[1]);
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    cr_assert(report.snapshot_lsn == lsns[0] && report.snapshot_passed, "%s", report.text);
    cr_assert_eq(digest_state(&tally->state), whole);
    close_engine();
}

/* A damaged snapshot is not one of the two that must exist before log is removed. */
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
    handle_poll(&handle, "a");
    for (int i = 0; i < 3; i++) {
        cr_assert(snapshot(&lsn) == 0 && lsn == 1);
    }
    edge_info(handle.edge, &info);
    cr_assert(info.snapshots == 1 && info.snapshot_lsn == 1 && info.snapshot_bytes > 0);
    close_engine();
}

/* A directory has the name of its file. */
Test(snapshot, one_that_cannot_be_written_changes_nothing)
{
    char path[256];
    uint64_t lsn = 0;
    struct engine_info info;
    path_of(path, TEMP, 1);
    cr_assert_eq(open_engine(), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    handle_poll(&handle, "a");
    cr_assert_eq(snapshot(&lsn), TALLY_IO);
    edge_info(handle.edge, &info);
    cr_assert(info.snapshot_failures == 1 && info.snapshots == 0 && !info.snapshot_running);
    handle_poll(&handle, "b");
    cr_assert(snapshot(&lsn) == 0 && lsn == 2, "the next one is another file");
    cr_assert_eq(rmdir(path), 0);
    cr_assert(has(SNAPSHOT, 2) && !has(TEMP, 2));
    close_engine();
}

/* An engine that ends during a snapshot leaves no snapshot that counts, and no file. */
Test(snapshot, an_engine_that_ends_gives_it_up)
{
    uint64_t ticket = 0;
    uint64_t lsn = 0;
    struct edge_snapshot done;
    cr_assert_eq(open_engine(), 0);
    for (uint64_t i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof(name), "poll%lu", (unsigned long)i);
        handle_poll(&handle, name);
        cr_assert_eq(edge_snapshot(handle.edge, &ticket, &done), TALLY_PARK);
        ticket = 0;
        close_engine();
        cr_assert_eq(open_engine(), 0, "%s", report.text);
        cr_assert_eq(polls(), i + 1);
        cr_assert(!has(TEMP, i + 1), "half of a snapshot is still there");
    }
    cr_assert_eq(snapshot(&lsn), 0);
    close_engine();
}

/* A byte changes in a segment that the start does not read any more. */
Test(snapshot, damage_that_the_scrub_finds_is_answered_with_a_new_one)
{
    char path[256];
    cr_assert_eq(run("a"), 1);
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    handle_poll(&handle, "b");
    close_engine();
    path_of(path, SEGMENT, 1);
    int fd = open(path, O_WRONLY);
    cr_assert(fd >= 0 && pwrite(fd, "x", 1, 4096 + 70) == 1);
    close(fd);
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    cr_assert_eq(report.snapshot_lsn, 1);
    while (!has(SNAPSHOT, 2)) {
        sched_yield();
    }
    cr_assert_eq(polls(), 2);
    close_engine();
}

/* A byte changes in the snapshot itself, and no record has come since it was made. */
Test(snapshot, a_damaged_one_is_made_again_though_nothing_has_changed)
{
    char path[256];
    uint64_t lsn = 0;
    struct engine_info info = {.snapshots = 0};
    cr_assert_eq(open_engine(), 0);
    handle_poll(&handle, "a");
    cr_assert(snapshot(&lsn) == 0 && lsn == 1);
    path_of(path, SNAPSHOT, 1);
    int fd = open(path, O_WRONLY);
    cr_assert(fd >= 0 && pwrite(fd, "x", 1, 4096 + 70) == 1);
    close(fd);
    snapshot_renew(&tally->shared);
    while (info.snapshots < 2) {
        sched_yield();
        edge_info(handle.edge, &info);
    }
    cr_assert_eq(info.snapshot_lsn, 1);
    close_engine();
    cr_assert_eq(open_engine(), 0, "%s", report.text);
    cr_assert(report.snapshot_lsn == 1 && !report.snapshot_passed);
    cr_assert_eq(polls(), 1);
    close_engine();
}

/* ---- a snapshot in the middle of a block, which no engine makes ---- */

static int snap_put(void *arg, struct image_buf *images)
{
    int err = wal_snapshot_writer_put(arg, images->count, images->at, images->len);
    image_buf_fini(images);
    *images = (struct image_buf){.at = NULL};
    return err;
}

static void add(struct columns *columns, struct state *state, const struct record *record)
{
    struct apply_result result;
    cr_assert_eq(columns_add(columns, record), 0);
    if (state != NULL) {
        cr_assert(apply(state, record, &result) == 0 && result.err == 0);
    }
}

/* Adds a poll, an option and votes to one block. The state gets the records up to lsn. */
static void add_all(struct columns *columns, struct state *state, uint64_t lsn, uint64_t votes)
{
    struct record record = {.type = RECORD_POLL, .lsn = 1, .time_ms = 1000};
    record.text[POLL_NAME] = SPAN("p");
    add(columns, state, &record);
    record = (struct record){.type = RECORD_OPTION, .lsn = 2, .time_ms = 1000};
    record.text[OPTION_POLL] = SPAN("p");
    record.text[OPTION_LABEL] = SPAN("o");
    record.text[OPTION_FOLD] = SPAN("o");
    add(columns, state, &record);
    for (uint64_t i = 0; i < votes; i++) {
        record =
            (struct record){.type = RECORD_VOTE, .lsn = 3 + i, .time_ms = 1000, .num = {1, i, 1}};
        add(columns, record.lsn <= lsn ? state : NULL, &record);
    }
}

static void save(struct wal *wal, struct wal_io *io, struct state *state)
{
    struct wal_snapshot_writer *snap = NULL;
    struct capture capture;
    uint64_t bytes;
    cr_assert_eq(wal_snapshot_writer_new(&snap, io, wal_uuid(wal), FIELD_OWN(state->lsn)), 0);
    snapshot_capture_begin(&capture, state, snap_put, snap);
    cr_assert(snapshot_capture_walk(&capture, 100) && capture.err == 0);
    snapshot_capture_end(&capture);
    cr_assert_eq(wal_snapshot_writer_end(snap, NULL, NULL, &bytes), 0);
    wal_snapshot_writer_destroy(snap);
}

Test(snapshot, of_a_block_that_it_has_in_part_the_rest_is_replayed)
{
    enum { LSN = 40, VOTES = 100 };
    static struct state state;
    struct columns columns = {.count = 0};
    struct wal_report found;
    struct wal_io *io;
    struct wal *wal;
    struct engine_info info;
    const unsigned char *block;
    size_t len;
    cr_assert_eq(state_init(&state), 0);
    columns_begin(&columns, 1000);
    add_all(&columns, &state, LSN, VOTES);
    cr_assert_eq(columns_end(&columns, &block, &len), 0);

    cr_assert_eq(wal_file_io_new(&io, dir, 1), 0);
    cr_assert_eq(wal_open(&wal, &(struct wal_options){.io = io}, NULL, NULL, &found), 0);
    cr_assert_eq(wal_append(wal, columns.count, block, len), 0);
    save(wal, io, &state);
    cr_assert_eq(wal_close(wal, true), 0);
    io->ops->destroy(io);
    columns_fini(&columns);
    state_fini(&state);

    cr_assert_eq(open_engine(), 0, "%s", report.text);
    cr_assert_eq(report.snapshot_lsn, LSN);
    edge_info(handle.edge, &info);
    cr_assert_eq(info.votes, VOTES);
    close_engine();
}
