/* Polls are closed and opened, and change their mode, under votes: after the OK to it their counts
 * do not move, each count is the number of acknowledged votes, and in the log no plain vote stands
 * behind a record that ends plain votes. */
#include "engine/log/columns.h"
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"
#include "wal/base/clock.h"
#include "wal/wal.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

enum { POLLS = 6, VOTERS = 3, ROUNDS = 30, DAWDLE_NS = 3 * 1000 * 1000 };

static pthread_barrier_t start;
static _Atomic bool over;
static _Atomic uint64_t acknowledged[POLLS];
static uint64_t option[POLLS];

struct gate_voter {
    struct tally *tally;
    uint64_t seed;
    uint64_t closed;   /* refusals */
    uint64_t balloted; /* refusals: the mode asks for a voter */
    pthread_t thread;
};

static bool goes_on(void)
{
    /* T1: relaxed: the end may be seen late */
    return !atomic_load_explicit(&over, memory_order_relaxed);
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

/* Makes a pass with some votes. A parked vote is not cast; a later pass asks again. */
static void vote(struct gate_voter *voter, struct handle *handle, struct seed *seed)
{
    uint64_t cast[POLLS] = {0};
    for (int i = 0; i < 8; i++) {
        struct edge_vote vote;
        uint64_t poll = seed_below(seed, POLLS);
        int err = edge_vote(handle->edge, option[poll], 1, &vote);
        EXPECT(err == 0 || err == TALLY_CLOSED || err == TALLY_INVAL || err == TALLY_PARK,
               "vote: %s", tally_err_name(err));
        cast[poll] += err == 0;
        voter->closed += err == TALLY_CLOSED;
        voter->balloted += err == TALLY_INVAL;
    }
    if (seed_below(seed, 4) == 0) {
        dawdle(handle->edge);
    }
    edge_flush(handle->edge);
    edge_publish(handle->edge);
    edge_pass_end(handle->edge);
    edge_pass_begin(handle->edge);
    handle_settle(handle);
    for (int i = 0; i < POLLS; i++) {
        /* T2: relaxed: a count, read after the join */
        atomic_fetch_add_explicit(&acknowledged[i], cast[i], memory_order_relaxed);
    }
}

static void *vote_main(void *arg)
{
    struct gate_voter *voter = arg;
    struct seed seed = {voter->seed};
    struct handle handle;
    handle_open(&handle, voter->tally);
    pthread_barrier_wait(&start);
    while (goes_on()) {
        vote(voter, &handle, &seed);
    }
    handle_close(&handle);
    return NULL;
}

static void name_of(char name[16], int poll)
{
    snprintf(name, 16, "p%d", poll);
}

/* Closes a poll or gives it another mode; or makes it an open and free one again. */
static void alter(struct handle *handle, int poll, int64_t close_ms, int64_t mode)
{
    char name[16];
    name_of(name, poll);
    const struct edge_poll ask = {span_of(name), EDGE_KEEP, close_ms, EDGE_KEEP, EDGE_KEEP, mode};
    int err = handle_result(handle, edge_poll(handle->edge, &ask), NULL);
    EXPECT(err == 0, "poll: %s", tally_err_name(err));
}

static uint64_t total_of(struct handle *handle, int poll)
{
    char name[16];
    struct read_tally r;
    name_of(name, poll);
    read_tally_init(&r, span_of(name), 1);
    int err = handle_read(handle, &r.read);
    EXPECT(err == 0, "tally: %s", tally_err_name(err));
    uint64_t total = r.total;
    read_tally_fini(&r);
    return total;
}

/* Ends plain votes for some polls and lets them go on, and looks at their counts meanwhile. */
static void close_round(struct handle *handle, struct seed *seed)
{
    uint64_t which = 1 + seed_below(seed, (1U << POLLS) - 1);
    uint64_t before[POLLS];
    for (int i = 0; i < POLLS; i++) {
        if ((which >> i & 1) != 0) {
            uint64_t how = seed_below(seed, 4);
            alter(handle, i, how == 0 || how == 3 ? 1 : EDGE_KEEP,
                  how == 0   ? EDGE_KEEP
                  : how == 1 ? POLL_ONCE
                             : POLL_CHANGE);
            before[i] = total_of(handle, i);
        }
    }
    for (int looks = 0; looks < 3; looks++) {
        handle_poll(handle, "other"); /* a commit */
        for (int i = 0; i < POLLS; i++) {
            EXPECT((which >> i & 1) == 0 || total_of(handle, i) == before[i],
                   "a vote was counted in a poll that is closed to plain votes");
        }
    }
    for (int i = 0; i < POLLS; i++) {
        if ((which >> i & 1) != 0) {
            alter(handle, i, 0, POLL_FREE);
        }
    }
}

/* ---- the log ---- */

static bool takes_votes[POLLS + 2]; /* by id, as the records up to here say */

static int check_record(void *arg, const struct record *record)
{
    uint64_t *windows = arg;
    if (record->type == RECORD_POLL_WINDOW && record->num[POLL_WINDOW_POLL] <= POLLS) {
        takes_votes[record->num[POLL_WINDOW_POLL]] =
            record->num[POLL_WINDOW_OPEN] != 0 && record->num[POLL_WINDOW_MODE] == POLL_FREE;
        ++*windows;
    } else if (record->type == RECORD_VOTE) {
        /* each poll has one option, made behind it: the two have one id */
        EXPECT(takes_votes[record->num[VOTE_OPTION]], "a vote stands behind what ends votes");
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
    uint64_t windows = 0;
    for (int i = 1; i <= POLLS; i++) {
        takes_votes[i] = true;
    }
    EXPECT(wal_file_io_new(&io, dir, 0) == 0, "wal_file_io_new");
    EXPECT(wal_reader_once(io, check_block, &windows, &report) == 0, "%s", report.text);
    EXPECT(windows > ROUNDS, "%lu windows", (unsigned long)windows);
    io->ops->destroy(io);
}

int main(void)
{
    char dir[256];
    char name[16];
    struct gate_voter voters[VOTERS];
    struct handle handle;
    struct seed seed = {1};
    uint64_t closed = 0;
    uint64_t balloted = 0;
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = handle_engine(dir, VOTERS + 1);
    handle_open(&handle, tally);
    for (int i = 0; i < POLLS; i++) {
        name_of(name, i);
        handle_poll(&handle, name);
        option[i] = handle_option(&handle, name, "yes");
    }
    pthread_barrier_init(&start, NULL, VOTERS + 1);
    for (int i = 0; i < VOTERS; i++) {
        voters[i] = (struct gate_voter){.tally = tally, .seed = (uint64_t)i + 2};
        EXPECT(pthread_create(&voters[i].thread, NULL, vote_main, &voters[i]) == 0, "thread");
    }
    pthread_barrier_wait(&start);
    for (int i = 0; IS_CONTROL || i < ROUNDS; i++) {
        close_round(&handle, &seed);
    }
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&over, true, memory_order_relaxed);
    for (int i = 0; i < VOTERS; i++) {
        while (pthread_tryjoin_np(voters[i].thread, NULL) != 0) {
            handle_poll(&handle, "other"); /* ends this thread's pass, for which the gate waits */
        }
        closed += voters[i].closed;
        balloted += voters[i].balloted;
    }
    for (int i = 0; i < POLLS; i++) {
        uint64_t told = atomic_load_explicit(&acknowledged[i], memory_order_relaxed); /* T2 */
        EXPECT(total_of(&handle, i) == told, "poll %d counts what was not acknowledged", i);
        printf("%lu ", (unsigned long)told);
    }
    printf("votes, %lu and %lu refused\n", (unsigned long)closed, (unsigned long)balloted);
    handle_close(&handle);
    EXPECT(closed > 0 && balloted > 0, "no vote met a closed poll, or one for voters");
    EXPECT(tally_close(tally) == 0, "close");
    check_log(dir);
    files_remove_tree(dir);
    return 0;
}
