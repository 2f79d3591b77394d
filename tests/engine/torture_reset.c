/* Polls are reset under votes of all kinds, a large poll among them: the votes that the RESETs tell
 * and those left are the acknowledged ones, and each vote has the number that the log gives it. */
#include "engine/log/columns.h"
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"
#include "wal/base/clock.h"
#include "wal/wal.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

/* the last poll has so many options that its words are set in several rounds of the committer */
enum { POLLS = 3, SMALL = 2, LARGE = 10000, OPTIONS = (POLLS - 1) * SMALL + LARGE };
#define STUCK_NS (20 * NS_PER_S)
enum { VOTERS = 3, RESETTERS = 2, ROUNDS = 40, DAWDLE_NS = 3 * 1000 * 1000, NUMBERS = 1 << 16 };

static pthread_barrier_t start;
static _Atomic bool over;
static _Atomic uint64_t acknowledged[POLLS];
static _Atomic uint64_t told[POLLS]; /* by RESETs */
/* how often a vote was told to be the n-th: by replies; in the log */
static _Atomic uint32_t replied[POLLS][NUMBERS];
static uint32_t logged[POLLS][NUMBERS];

struct reset_job {
    struct tally *tally;
    uint64_t seed;
    pthread_t thread;
};

static bool goes_on(void)
{
    /* T1: relaxed: the end may be seen late */
    return !atomic_load_explicit(&over, memory_order_relaxed);
}

/* Options of the small polls come first. */
static uint64_t poll_of(uint64_t option)
{
    uint64_t poll = (option - 1) / SMALL;
    return poll < POLLS - 1 ? poll : POLLS - 1;
}

static struct span name_of(uint64_t poll)
{
    static const struct span names[POLLS] = {{"a", 1}, {"b", 1}, {"large", 5}};
    return names[poll];
}

/* Lets the pass go on while others commit, but not for ever, since the gate waits for it. */
static void dawdle(const struct edge *edge)
{
    uint64_t commits = edge_commits(edge);
    uint64_t until_ns = clock_mono_ns() + DAWDLE_NS;
    while (edge_commits(edge) < commits + 2 && clock_mono_ns() < until_ns) {
        sched_yield();
    }
}

/* Counts votes that were told: n up to this number. */
static void count_told(uint64_t option, uint64_t number, uint64_t n)
{
    EXPECT(number >= n && number < NUMBERS, "the vote is number %lu", (unsigned long)number);
    /* T2: relaxed, both: counts, read after the join */
    atomic_fetch_add_explicit(&acknowledged[poll_of(option)], n, memory_order_relaxed);
    for (uint64_t i = number - n + 1; i <= number; i++) {
        atomic_fetch_add_explicit(&replied[poll_of(option)][i], 1, memory_order_relaxed);
    }
}

/* A ballot or a SEED, which are steps of the committer. */
static void vote_ordered(struct handle *handle, struct seed *seed)
{
    uint64_t option = 1 + seed_below(seed, (POLLS - 1) * SMALL);
    uint64_t number = 0;
    bool is_seed = seed_below(seed, 2) == 0;
    const struct edge_seed seeds = {.option = option, .n = 2, .over_ms = 1000};
    const struct edge_ballot ballot = {
        .options = {option}, .option_count = 1, .n = 1, .voter = SPAN("somebody")};
    int err;
    HANDLE_ASK(err, handle,
               is_seed ? edge_seed(handle->edge, &seeds) : edge_ballot(handle->edge, &ballot));
    err = handle_result(handle, err, &number);
    EXPECT(err == 0, "a ballot or a SEED: %s", tally_err_name(err));
    count_told(option, number, is_seed ? 2 : 1);
}

/* Makes a pass with some votes. A parked vote is not cast; a later pass asks again. */
static void vote(struct handle *handle, struct seed *seed)
{
    enum { VOTES = 8 };
    struct edge_vote cast[VOTES];
    uint64_t options[VOTES];
    int count = 0;
    for (int i = 0; i < VOTES; i++) {
        uint64_t below = seed_below(seed, 3) == 0 ? OPTIONS : (POLLS - 1) * SMALL;
        uint64_t option = 1 + seed_below(seed, below);
        int err = edge_vote(handle->edge, option, 1, &cast[count]);
        EXPECT(err == 0 || err == TALLY_PARK, "vote: %s", tally_err_name(err));
        options[count] = option;
        count += err == 0;
    }
    if (seed_below(seed, 4) == 0) {
        dawdle(handle->edge);
    }
    edge_flush(handle->edge);
    for (int i = 0; i < count; i++) {
        count_told(options[i], edge_votes_after(handle->edge, cast[i]), 1);
    }
    edge_publish(handle->edge);
    edge_pass_end(handle->edge);
    edge_pass_begin(handle->edge);
    handle_settle(handle);
}

static void *vote_main(void *arg)
{
    struct reset_job *job = arg;
    struct seed seed = {job->seed};
    struct handle handle;
    handle_open(&handle, job->tally);
    pthread_barrier_wait(&start);
    while (goes_on()) {
        vote(&handle, &seed);
        if (seed_below(&seed, 3) == 0) {
            vote_ordered(&handle, &seed);
        }
    }
    handle_close(&handle);
    return NULL;
}

/* Votes of a lane that is stuck would wait for ever beside RESETs that go on. */
static void expect_votes_go_on(uint64_t *seen, uint64_t *seen_ns)
{
    uint64_t votes = 0;
    for (int i = 0; i < POLLS; i++) {
        votes += atomic_load_explicit(&acknowledged[i], memory_order_relaxed); /* T2 */
    }
    uint64_t now_ns = clock_mono_ns();
    EXPECT(votes != *seen || now_ns - *seen_ns < STUCK_NS, "no vote is answered any more");
    *seen_ns = votes != *seen ? now_ns : *seen_ns;
    *seen = votes;
}

static void *reset_main(void *arg)
{
    struct reset_job *job = arg;
    struct seed seed = {job->seed};
    struct handle handle;
    handle_open(&handle, job->tally);
    pthread_barrier_wait(&start);
    uint64_t seen = 0;
    uint64_t seen_ns = clock_mono_ns();
    for (int i = 0; IS_CONTROL || i < ROUNDS; i++) {
        uint64_t poll = seed_below(&seed, POLLS);
        uint64_t total = 0;
        int err = handle_result(&handle, edge_reset(handle.edge, name_of(poll), SPAN("")), &total);
        EXPECT(err == 0, "reset: %s", tally_err_name(err));
        atomic_fetch_add_explicit(&told[poll], total, memory_order_relaxed); /* T2 */
        expect_votes_go_on(&seen, &seen_ns);
    }
    handle_close(&handle);
    return NULL;
}

/* ---- the log ---- */

static uint64_t votes_of[OPTIONS + 1];
static uint64_t total_of[POLLS];

/* A VOTE or a SEED. */
static void check_votes(uint64_t option, uint64_t before, uint64_t n)
{
    uint64_t poll = poll_of(option);
    EXPECT(before == votes_of[option], "option %lu: %lu votes, not %lu", (unsigned long)option,
           (unsigned long)before, (unsigned long)votes_of[option]);
    for (uint64_t i = 0; i < n; i++) {
        logged[poll][++votes_of[option]]++;
    }
    total_of[poll] += n;
}

static int check_record(void *arg, const struct record *record)
{
    uint64_t *resets = arg;
    if (record->type == RECORD_RESET) {
        uint64_t poll = record->num[RESET_POLL] - 1;
        total_of[poll] = 0;
        for (uint64_t option = 1; option <= OPTIONS; option++) {
            votes_of[option] = poll_of(option) == poll ? 0 : votes_of[option];
        }
        ++*resets;
    } else if (record->type == RECORD_VOTE) {
        check_votes(record->num[VOTE_OPTION], record->num[VOTE_BEFORE], record->num[VOTE_N]);
    } else if (record->type == RECORD_SEED) {
        check_votes(record->num[SEED_OPTION], record->num[SEED_BEFORE], record->num[SEED_N]);
    }
    return 0;
}

static int check_block(void *arg, const struct wal_block *block)
{
    return block->count == 0 ? 0
                             : columns_decode(block->raw, block->raw_bytes, block->first_lsn,
                                              block->count, check_record, arg);
}

static void check_log(const char *dir)
{
    struct wal_io *io;
    struct wal_report report;
    uint64_t resets = 0;
    EXPECT(wal_file_io_new(&io, dir, 0) == 0, "wal_file_io_new");
    EXPECT(wal_reader_once(io, check_block, &resets, &report) == 0, "%s", report.text);
    io->ops->destroy(io);
    EXPECT(resets == ROUNDS * RESETTERS, "%lu resets in the log", (unsigned long)resets);
    for (int i = 0; i < POLLS; i++) {
        /* T2: relaxed: the threads are joined */
        uint64_t all = atomic_load_explicit(&acknowledged[i], memory_order_relaxed);
        uint64_t before = atomic_load_explicit(&told[i], memory_order_relaxed);
        EXPECT(all == before + total_of[i], "poll %d: %lu votes, and %lu told by RESETs, %lu left",
               i, (unsigned long)all, (unsigned long)before, (unsigned long)total_of[i]);
        for (int n = 0; n < NUMBERS; n++) {
            uint32_t times = atomic_load_explicit(&replied[i][n], memory_order_relaxed); /* T2 */
            EXPECT(times == logged[i][n], "poll %d: vote %d was told %u times, not %u", i, n, times,
                   logged[i][n]);
        }
        printf("%lu of %lu votes left; ", (unsigned long)total_of[i], (unsigned long)all);
    }
    printf("%lu resets\n", (unsigned long)resets);
}

static void set_up(struct handle *handle)
{
    uint64_t option = 0;
    for (uint64_t i = 0; i < POLLS; i++) {
        handle_poll(handle, name_of(i).at);
        for (int k = 0; k < (i < POLLS - 1 ? SMALL : LARGE); k++) {
            char label[16];
            snprintf(label, sizeof label, "option %d", k);
            int err = edge_option(handle->edge, name_of(i), span_of(label), SPAN(""));
            EXPECT(err == 0, "option: %s", tally_err_name(err));
            option++;
            if (option % 1000 == 0) {
                handle_settle(handle);
            }
        }
        handle_settle(handle);
    }
}

int main(void)
{
    char dir[256];
    struct reset_job jobs[VOTERS + RESETTERS];
    struct handle handle;
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = handle_engine(dir, VOTERS + RESETTERS + 1);
    handle_open(&handle, tally);
    set_up(&handle);
    handle_close(&handle);
    pthread_barrier_init(&start, NULL, VOTERS + RESETTERS);
    for (int i = 0; i < VOTERS + RESETTERS; i++) {
        jobs[i] = (struct reset_job){.tally = tally, .seed = (uint64_t)i + 1};
        EXPECT(pthread_create(&jobs[i].thread, NULL, i < RESETTERS ? reset_main : vote_main,
                              &jobs[i]) == 0,
               "thread");
    }
    for (int i = 0; i < VOTERS + RESETTERS; i++) {
        if (i == RESETTERS) {
            /* T1: relaxed: the end may be seen late */
            atomic_store_explicit(&over, true, memory_order_relaxed);
        }
        pthread_join(jobs[i].thread, NULL);
    }
    EXPECT(tally_close(tally) == 0, "close");
    check_log(dir);
    files_remove_tree(dir);
    return 0;
}
