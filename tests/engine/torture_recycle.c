/* Workers leave, are forgotten and come again while they claim; need sets and queues come and go
 * while edges walk them. No claim is lost, and a start makes the same state from the log. */
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"
#include "wal/base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

enum {
    CLAIMERS = 3,
    WORKERS = 8,
    BACK_ONE_IN = 16,
    QUEUES = 300,
    OPEN_MAX = 200,
    DAWDLE_NS = 2 * 1000 * 1000
};
/* small, so finished builds and queues are soon forgotten; the newest events take an eighth */
enum { MEMORY_BYTES = 3 << 19 };

static const uint64_t run_ns = 1500 * 1000 * 1000;

#define ALL_TAGS "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p"

static _Atomic bool over;

struct claimer {
    struct tally *tally;
    uint64_t seed;
    uint64_t done;
    uint64_t missing; /* claims for a worker that was not registered */
    pthread_t thread;
};

static bool goes_on(void)
{
    /* T1: relaxed: the end may be seen late */
    return !atomic_load_explicit(&over, memory_order_relaxed);
}

static struct span name_of(char name[16], const char *kind, uint64_t number)
{
    int len = snprintf(name, 16, "%s%lu", kind, (unsigned long)number);
    return (struct span){name, (size_t)len};
}

static void come(struct handle *handle, struct span name)
{
    struct edge_worker ask = {.id = name, .slots = 3, .tags = SPAN(ALL_TAGS)};
    int err = handle_result(handle, edge_worker(handle->edge, &ask), NULL);
    EXPECT(err == 0, "worker: %s", tally_err_name(err));
}

/* Lets the pass go on while others commit, with a claim in it that is not published yet. */
static void dawdle(const struct edge *edge)
{
    uint64_t commits = edge_commits(edge);
    uint64_t until_ns = clock_mono_ns() + DAWDLE_NS;
    while (edge_commits(edge) < commits + 4 && clock_mono_ns() < until_ns) {
        sched_yield();
    }
}

static void submit(struct handle *handle, struct seed *seed)
{
    char name[16];
    char need[4];
    uint64_t a = seed_below(seed, 15);
    int len = snprintf(need, sizeof(need), "%c,%c", (int)('a' + a),
                       (int)('a' + a + 1 + seed_below(seed, 15 - a)));
    struct edge_submit ask = {.queue = name_of(name, "q", seed_below(seed, QUEUES)),
                              .need = {need, (size_t)len},
                              .payload = SPAN("make"),
                              .lease_ms = 60000,
                              .tries = 3};
    int err = handle_result(handle, edge_submit(handle->edge, &ask), NULL);
    EXPECT(err == 0, "submit: %s", tally_err_name(err));
}

/* Completes the build, unless its worker has left meanwhile. */
static bool finish(struct handle *handle, const struct edge_claimed *got)
{
    int err;
    HANDLE_ASK(err, handle, edge_done(handle->edge, got->id, got->token, SPAN("fine")));
    EXPECT(err == 0 || err == TALLY_STALE, "done: %s", tally_err_name(err));
    handle_settle(handle);
    return err == 0;
}

static void claim_one(struct claimer *claimer, struct handle *handle, struct seed *seed)
{
    char worker[16];
    char queues[CLAIM_QUEUES_MAX][16];
    struct edge_claimed got;
    bool is_steady = seed_below(seed, 4) == 0; /* a worker that stays, so that all builds end */
    struct edge_claim ask = {.worker = is_steady ? name_of(worker, "steady", claimer->seed)
                                                 : name_of(worker, "w", seed_below(seed, WORKERS)),
                             .queue_count = CLAIM_QUEUES_MAX,
                             .fresh_only = true};
    for (unsigned i = 0; i < ask.queue_count; i++) {
        ask.queues[i] = name_of(queues[i], "q", seed_below(seed, QUEUES));
    }
    int err = edge_claim(handle->edge, &ask, &got);
    if (err == 0 && seed_below(seed, 4) == 0) {
        dawdle(handle->edge);
    }
    if (err == TALLY_NOTFOUND) {
        claimer->missing++;
        if (seed_below(seed, BACK_ONE_IN) == 0) { /* late enough that it may be forgotten first */
            come(handle, ask.worker);
        }
    }
    EXPECT(err >= 0 || err == TALLY_NOTFOUND || err == TALLY_PARK || err == TALLY_ROOM, "claim: %s",
           tally_err_name(err));
    handle_settle(handle);
    if (err == 0 && (is_steady || seed_below(seed, 8) != 0)) {
        claimer->done += finish(handle, &got);
    }
    edge_pass_end(handle->edge);
    edge_pass_begin(handle->edge);
}

static void *claim_main(void *arg)
{
    struct claimer *claimer = arg;
    struct seed seed = {claimer->seed};
    struct handle handle;
    char name[16];
    handle_open(&handle, claimer->tally);
    come(&handle, name_of(name, "steady", claimer->seed));
    while (goes_on()) {
        claim_one(claimer, &handle, &seed);
    }
    handle_close(&handle);
    return NULL;
}

static uint64_t open_builds(struct handle *handle)
{
    struct engine_info info;
    edge_info(handle->edge, &info);
    return info.builds_by_state[BUILD_PENDING] + info.builds_by_state[BUILD_ASSIGNED];
}

static void leave(struct handle *handle, struct seed *seed)
{
    char name[16];
    struct span worker = name_of(name, "w", seed_below(seed, WORKERS));
    int err = handle_result(handle, edge_bye(handle->edge, worker), NULL);
    EXPECT(err == 0 || err == TALLY_NOTFOUND, "bye: %s", tally_err_name(err));
}

/* Completes the builds that are left with one worker; workers that left hold none. */
static uint64_t drain(struct handle *handle)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < WORKERS; i++) {
        char name[16];
        int err = handle_result(handle, edge_bye(handle->edge, name_of(name, "w", i)), NULL);
        EXPECT(err == 0 || err == TALLY_NOTFOUND, "bye: %s", tally_err_name(err));
    }
    come(handle, SPAN("last"));
    for (uint64_t i = 0; i < QUEUES; i++) {
        char name[16];
        struct edge_claim ask = {.worker = SPAN("last"), .queue_count = 1};
        struct edge_claimed got;
        int err = 0;
        ask.queues[0] = name_of(name, "q", i);
        while (err == 0) {
            HANDLE_ASK(err, handle, edge_claim(handle->edge, &ask, &got));
            handle_settle(handle);
            EXPECT(err == EDGE_NIL || (err == 0 && finish(handle, &got)), "the last worker");
            count += err == 0;
        }
    }
    EXPECT(open_builds(handle) == 0, "a build belongs to nobody");
    return count;
}

/* Whether some queues and some workers were forgotten and came again. */
static bool has_recycled(const struct tally *tally)
{
    return FIELD_GET(tally->state.queue_last) > QUEUES + 10 &&
           FIELD_GET(tally->state.worker_last) > 2 * WORKERS;
}

static void run(struct tally *tally, struct handle *handle)
{
    struct claimer claimers[CLAIMERS];
    struct seed seed = {1};
    uint64_t submitted = 0;
    uint64_t done = 0;
    uint64_t missing = 0;
    for (int i = 0; i < CLAIMERS; i++) {
        claimers[i] = (struct claimer){.tally = tally, .seed = (uint64_t)i + 2};
        EXPECT(pthread_create(&claimers[i].thread, NULL, claim_main, &claimers[i]) == 0, "thread");
    }
    uint64_t until_ns = clock_mono_ns() + run_ns;
    while (IS_CONTROL || clock_mono_ns() < until_ns || !has_recycled(tally)) {
        for (int i = 0; i < 8 && open_builds(handle) < OPEN_MAX; i++) {
            submit(handle, &seed);
            submitted++;
        }
        leave(handle, &seed);
    }
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&over, true, memory_order_relaxed);
    for (int i = 0; i < CLAIMERS; i++) {
        while (pthread_tryjoin_np(claimers[i].thread, NULL) != 0) {
            leave(handle, &seed); /* also ends this thread's pass, so that no grace period waits */
            come(handle, SPAN("last"));
        }
        done += claimers[i].done;
        missing += claimers[i].missing;
    }
    done += drain(handle);
    printf("%lu submitted, %lu done, %lu workers missed; ids %lu, %lu\n", (unsigned long)submitted,
           (unsigned long)done, (unsigned long)missing,
           (unsigned long)FIELD_GET(tally->state.worker_last),
           (unsigned long)FIELD_GET(tally->state.queue_last));
    EXPECT(done > 0 && missing > 0, "nothing was tried");
    EXPECT(done <= submitted, "a build was done twice");
}

int main(void)
{
    char dir[256];
    struct handle handle;
    struct engine_info before;
    struct engine_info after;
    files_temp_dir(dir, sizeof(dir));
    struct tally_options options = {
        .dir = dir, .create = true, .edges = CLAIMERS + 1, .memory_bytes = MEMORY_BYTES};
    struct tally *tally = handle_engine_with(&options);
    handle_open(&handle, tally);
    run(tally, &handle);
    edge_info(handle.edge, &before);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    tally = handle_engine_with(&options);
    handle_open(&handle, tally);
    edge_info(handle.edge, &after);
    EXPECT(before.workers == after.workers && after.workers == CLAIMERS + 1,
           "the workers of a start");
    EXPECT(before.queues >= after.queues && before.builds >= after.builds, "more than there was");
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    return 0;
}
