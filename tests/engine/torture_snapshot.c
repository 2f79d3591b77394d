/* Snapshots one after the other under votes, ballots, resets and builds: each snapshot with the
 * records behind it makes the same state as the whole log. */
#include "engine/apply/digest.h"
#include "engine/apply/snapshot_load.h"
#include "engine/apply/apply.h"
#include "tests/engine/handle.h"
#include "wal/files/snapshot_read.h"
#include "wal/format/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    OPTIONS = 300,
    VOTERS = 2,
    VOTES = 1500,
    BUILDS = 400,
    SNAPSHOTS_MIN = 3,
    SLICE = 8,
    RESET_EACH = 30,
    BALLOT_OPTIONS = 3,
    BALLOTS = 4000,
    BALLOT_VOTERS = 700,
    BALLOT_RESET_EACH = 1500
};

static atomic_bool over;

struct job {
    struct tally *tally;
    pthread_barrier_t *start;
    pthread_t thread;
    uint64_t count;
};

static void *vote_main(void *arg)
{
    struct job *job = arg;
    struct session *s = NULL;
    uint64_t votes = 0;
    EXPECT(tally_session_new(&s, job->tally) == 0, "session");
    pthread_barrier_wait(job->start);
    for (uint64_t i = 0; i < VOTES; i++) {
        EXPECT(tally_vote(s, 1 + i * 7 % OPTIONS, 1, &votes) == 0, "vote");
    }
    tally_session_destroy(s);
    return NULL;
}

static void *build_main(void *arg)
{
    struct job *job = arg;
    struct session *s = NULL;
    struct tally_claim claim;
    uint64_t id = 0;
    uint64_t votes = 0;
    EXPECT(tally_session_new(&s, job->tally) == 0, "session");
    EXPECT(tally_worker(s, "w", 2) == 0, "worker");
    pthread_barrier_wait(job->start);
    for (int i = 0; i < BUILDS; i++) {
        EXPECT(tally_submit(s, i % 3 == 0 ? "p" : "q", SPAN("make"), &id) == 0, "submit");
        EXPECT(i % RESET_EACH != 0 || tally_reset(s, "poll", &votes) == 0, "reset");
        EXPECT(tally_claim(s, "w", i % 3 == 0 ? "p" : "q", &claim) == 0, "claim");
        free(claim.payload);
        int err = i % 4 == 0   ? tally_release(s, claim.id, claim.token)
                  : i % 4 == 1 ? tally_fail(s, claim.id, claim.token, SPAN("no"))
                               : tally_done(s, claim.id, claim.token, SPAN("yes"));
        EXPECT(err == 0, "the end of a build");
    }
    tally_session_destroy(s);
    return NULL;
}

/* One ballot, or its taking back; now and then all are taken away. */
static void vote_by_name(struct handle *handle, uint64_t number)
{
    char name[40];
    int len = snprintf(name, sizeof(name), "%0*u", 5 + (int)(number % 30),
                       (unsigned)(number * 31 % BALLOT_VOTERS));
    struct span voter = {name, (size_t)len};
    struct edge_ballot ballot = {.option_count = 1 + number % 2, .n = 1, .voter = voter};
    ballot.options[0] = OPTIONS + 1 + number % BALLOT_OPTIONS;
    ballot.options[1] = OPTIONS + 1 + (number + 1) % BALLOT_OPTIONS;
    int err;
    if (number % BALLOT_RESET_EACH == BALLOT_RESET_EACH - 1) {
        HANDLE_ASK(err, handle, edge_reset(handle->edge, SPAN("ballots"), SPAN("")));
        err = handle_result(handle, err, NULL); /* it may be answered later than it is applied */
    } else if (number % 5 == 0) {
        HANDLE_ASK(err, handle, edge_unvote(handle->edge, SPAN("ballots"), voter, SPAN("")));
    } else {
        HANDLE_ASK(err, handle, edge_ballot(handle->edge, &ballot));
    }
    EXPECT(err == 0, "a ballot: %s", tally_err_name(err));
}

static void *ballot_main(void *arg)
{
    struct job *job = arg;
    struct handle handle;
    handle_open(&handle, job->tally);
    pthread_barrier_wait(job->start);
    for (uint64_t i = 0; i < BALLOTS; i++) {
        vote_by_name(&handle, i);
        if (i % 20 == 0) {
            handle_settle(&handle);
        }
    }
    handle_settle(&handle);
    handle_close(&handle);
    return NULL;
}

static void make_polls(struct handle *handle)
{
    const struct edge_poll ballots = {.name = SPAN("ballots"), .mode = POLL_CHANGE};
    handle_poll(handle, "poll");
    int err = handle_result(handle, edge_poll(handle->edge, &ballots), NULL);
    EXPECT(err == 0, "a poll: %s", tally_err_name(err));
    for (int i = 0; i < OPTIONS + BALLOT_OPTIONS; i++) {
        char label[16];
        snprintf(label, sizeof(label), "option %d", i);
        handle_option(handle, i < OPTIONS ? "poll" : "ballots", label);
    }
}

static uint64_t one_snapshot(struct handle *handle)
{
    struct edge_snapshot done;
    uint64_t ticket = 0;
    int err = edge_snapshot(handle->edge, &ticket, &done);
    while (err == TALLY_PARK) {
        handle_wait(handle);
        err = edge_snapshot(handle->edge, &ticket, &done);
    }
    EXPECT(err == 0, "a snapshot: %s", tally_err_name(err));
    return done.lsn;
}

static void *snapshot_main(void *arg)
{
    struct job *job = arg;
    struct handle handle;
    uint64_t last = 0;
    handle_open(&handle, job->tally);
    pthread_barrier_wait(job->start);
    /* relaxed: the loop may end a moment later */
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        uint64_t lsn = one_snapshot(&handle);
        EXPECT(lsn >= last, "snapshot at %lu after %lu", (unsigned long)lsn, (unsigned long)last);
        job->count += lsn > last;
        last = lsn;
    }
    handle_close(&handle);
    return NULL;
}

static void run(struct tally *tally)
{
    enum { JOBS = VOTERS + 3 };
    struct job jobs[JOBS];
    pthread_barrier_t start;
    struct handle handle;
    handle_open(&handle, tally);
    make_polls(&handle);
    handle_close(&handle);
    pthread_barrier_init(&start, NULL, JOBS);
    for (int i = 0; i < JOBS; i++) {
        void *(*mains[])(void *) = {snapshot_main, build_main, ballot_main, vote_main};
        jobs[i] = (struct job){.tally = tally, .start = &start};
        EXPECT(pthread_create(&jobs[i].thread, NULL, mains[i < 3 ? i : 3], &jobs[i]) == 0,
               "thread");
    }
    for (int i = 1; i < JOBS; i++) {
        pthread_join(jobs[i].thread, NULL);
    }
    /* relaxed: as the load */
    atomic_store_explicit(&over, true, memory_order_relaxed);
    pthread_join(jobs[0].thread, NULL);
    pthread_barrier_destroy(&start);
    printf("%lu snapshots under way with %d votes and %d builds\n", (unsigned long)jobs[0].count,
           VOTERS * VOTES, BUILDS);
    EXPECT(jobs[0].count >= SNAPSHOTS_MIN, "too few snapshots to mean anything");
}

/* ---- reading the directory, without an engine ---- */

struct made {
    struct state state;
    struct snapshot_load load;
    uint64_t from; /* the snapshot's lsn */
};

static int made_image(void *arg, const struct image *image)
{
    return snapshot_load_image(&((struct made *)arg)->load, image);
}

static int made_load(void *arg, const struct wal_block *block)
{
    struct made *made = arg;
    return block->count > 0
               ? image_each(block->raw, block->raw_bytes, block->count, made_image, made)
               : snapshot_load_end(&made->load);
}

static int made_apply(void *arg, const struct record *record)
{
    struct made *made = arg;
    struct apply_result result;
    return record->lsn <= made->from ? 0 : apply(&made->state, record, &result);
}

static int made_visit(void *arg, const struct wal_block *block)
{
    return block->count == 0 ? 0
                             : columns_decode(block->raw, block->raw_bytes, block->first_lsn,
                                              block->count, made_apply, arg);
}

/* The digest of a snapshot (0: none) and the records behind it. */
static uint64_t digest_from(struct wal_io *io, uint64_t lsn)
{
    static struct made made;
    struct wal_snapshot_info info;
    struct wal_report report;
    EXPECT(state_init(&made.state) == 0, "memory");
    snapshot_load_init(&made.load, &made.state);
    made.from = lsn;
    if (lsn > 0) {
        int err = wal_snapshot_read(io, lsn, made_load, &made, &info);
        EXPECT(err == 0, "snapshot at %lu: %s", (unsigned long)lsn, info.text);
    }
    int err = wal_reader_once(io, made_visit, &made, &report);
    EXPECT(err == 0, "from %lu: %s", (unsigned long)lsn, report.text);
    uint64_t digest = digest_state(&made.state);
    snapshot_load_fini(&made.load);
    state_fini(&made.state);
    return digest;
}

struct snapshot_lsns {
    uint64_t lsn[8];
    int count;
};

static int find(void *arg, const char *name)
{
    struct snapshot_lsns *found = arg;
    uint64_t lsn = 0;
    if (wal_snapshot_is_name(name, &lsn)) {
        EXPECT(found->count < 8, "too many snapshots are kept");
        found->lsn[found->count++] = lsn;
    }
    return 0;
}

static void check(const char *dir)
{
    struct wal_io *io = NULL;
    struct snapshot_lsns found = {.count = 0};
    EXPECT(wal_file_io_new(&io, dir, 0) == 0, "open %s", dir);
    EXPECT(io->ops->list(io, find, &found) == 0, "list %s", dir);
    EXPECT(found.count == 2, "%d snapshots are kept", found.count);
    uint64_t whole = digest_from(io, 0);
    for (int i = 0; i < found.count; i++) {
        EXPECT(digest_from(io, found.lsn[i]) == whole, "the snapshot at %lu is another state",
               (unsigned long)found.lsn[i]);
    }
    io->ops->destroy(io);
}

int main(void)
{
    char dir[128];
    files_temp_dir(dir, sizeof(dir));
    struct tally_options options = {
        .dir = dir, .create = true, .edges = VOTERS + 4, .snapshot_slice = SLICE};
    struct tally_report report;
    struct tally *tally = NULL;
    EXPECT(tally_open(&tally, &options, &report) == 0, "open: %s", report.text);
    run(tally);
    EXPECT(tally_close(tally) == 0, "close");
    check(dir);
    EXPECT(tally_open(&tally, &options, &report) == 0, "open again: %s", report.text);
    EXPECT(report.snapshot_lsn > 0, "no snapshot was loaded");
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    return 0;
}
