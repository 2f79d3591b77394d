/* Polls are deleted and made again under votes, ballots and reads, ranked ones among them: no vote
 * stands behind the deletion in the log, each vote continues the count of its own option, and no
 * memory is used that was given back. */
#include "engine/log/columns.h"
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"
#include "wal/base/clock.h"
#include "wal/wal.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLLS = 3, SMALL = 3, LARGE = 700, VOTERS = 2, READERS = 1, DELETERS = 1, ROUNDS = 60 };
enum { THREADS = DELETERS + VOTERS + READERS, IDS_MAX = ROUNDS * (LARGE + 8) + POLLS * LARGE };
enum { DAWDLE_NS = 3 * 1000 * 1000 };

static pthread_barrier_t start;
static _Atomic bool over;
static _Atomic uint64_t newest; /* option that was made */
static _Atomic uint64_t acknowledged;

struct delete_job {
    struct tally *tally;
    uint64_t seed;
    pthread_t thread;
};

static bool goes_on(void)
{
    /* T1: relaxed: the end may be seen late */
    return !atomic_load_explicit(&over, memory_order_relaxed);
}

static struct span name_of(uint64_t poll)
{
    static const struct span names[POLLS] = {{"a", 1}, {"b", 1}, {"large", 5}};
    return names[poll];
}

/* Poll b takes ballots, the others plain votes. */
static void make(struct handle *handle, uint64_t poll)
{
    struct edge_poll ask = {name_of(poll), EDGE_KEEP, EDGE_KEEP,
                            EDGE_KEEP,     EDGE_KEEP, poll == 1 ? POLL_CHANGE : POLL_FREE};
    int err;
    HANDLE_ASK(err, handle, edge_poll(handle->edge, &ask));
    EXPECT(handle_result(handle, err, NULL) == 0, "poll");
    int options = poll == POLLS - 1 ? LARGE : SMALL;
    for (int i = 0; i < options; i++) {
        char label[16];
        uint64_t id = 0;
        snprintf(label, sizeof label, "option %d", i);
        HANDLE_ASK(err, handle, edge_option(handle->edge, name_of(poll), span_of(label), SPAN("")));
        EXPECT(err == 0, "option: %s", tally_err_name(err));
        if (i + 1 == options) {
            EXPECT(handle_result(handle, err, &id) == 0 && id > 0 && id < IDS_MAX, "id");
            /* T2: relaxed: a hint which options there are */
            atomic_store_explicit(&newest, id, memory_order_relaxed);
        }
    }
}

/* An option that may be there, of one of the newest polls. */
static uint64_t some_option(struct seed *seed)
{
    uint64_t last = atomic_load_explicit(&newest, memory_order_relaxed); /* T2 */
    uint64_t back = seed_below(seed, seed_below(seed, 2) == 0 ? 8 : LARGE + 8);
    return back < last ? last - back : 1;
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

static void vote(struct handle *handle, struct seed *seed)
{
    uint64_t counted = 0;
    for (int i = 0; i < 8; i++) {
        struct edge_vote cast;
        int err = edge_vote(handle->edge, some_option(seed), 1, &cast);
        EXPECT(err == 0 || err == TALLY_PARK || err == TALLY_NOTFOUND || err == TALLY_INVAL,
               "vote: %s", tally_err_name(err));
        counted += err == 0;
    }
    if (seed_below(seed, 4) == 0) {
        dawdle(handle->edge);
    }
    edge_flush(handle->edge);
    edge_publish(handle->edge);
    edge_pass_end(handle->edge);
    edge_pass_begin(handle->edge);
    handle_settle(handle);
    atomic_fetch_add_explicit(&acknowledged, counted, memory_order_relaxed); /* T3: a count */
}

static void cast_ballot(struct handle *handle, struct seed *seed)
{
    char voter[16];
    char key[16] = "";
    snprintf(voter, sizeof voter, "v%u", (unsigned)seed_below(seed, 20));
    if (seed_below(seed, 3) == 0) {
        snprintf(key, sizeof key, "k%u", (unsigned)seed_below(seed, 1000));
    }
    struct edge_ballot ask = {.options = {some_option(seed)},
                              .option_count = 1,
                              .n = 1,
                              .voter = span_of(voter),
                              .key = span_of(key)};
    int err;
    HANDLE_ASK(err, handle, edge_ballot(handle->edge, &ask));
    err = handle_result(handle, err, NULL);
    EXPECT(err == 0 || err == TALLY_NOTFOUND || err == TALLY_EXISTS, "ballot: %s",
           tally_err_name(err));
}

static void *vote_main(void *arg)
{
    struct delete_job *job = arg;
    struct seed seed = {job->seed};
    struct handle handle;
    handle_open(&handle, job->tally);
    pthread_barrier_wait(&start);
    while (goes_on()) {
        vote(&handle, &seed);
        if (seed_below(&seed, 2) == 0) {
            cast_ballot(&handle, &seed);
        }
    }
    handle_close(&handle);
    return NULL;
}

static void *read_main(void *arg)
{
    struct delete_job *job = arg;
    struct seed seed = {job->seed};
    struct handle handle;
    handle_open(&handle, job->tally);
    pthread_barrier_wait(&start);
    while (goes_on()) {
        struct read_tally tally;
        struct read_trend trend;
        struct read_events events;
        struct found_label rows[FOUND_MAX];
        struct span name = name_of(seed_below(&seed, POLLS));
        read_tally_init(&tally, name, 20);
        int err = handle_read(&handle, &tally.read);
        EXPECT(err == 0 || err == TALLY_NOTFOUND || err == TALLY_BUSY, "%s", tally_err_name(err));
        uint64_t sum = 0;
        for (size_t i = 0; err == 0 && i < tally.row_count; i++) {
            sum += tally.rows[i].votes;
            EXPECT(memcmp(tally.rows[i].label.at, "option ", 7) == 0, "another label");
        }
        EXPECT(err != 0 || sum <= tally.total, "more votes than in all");
        read_tally_fini(&tally);
        read_trend_init(&trend, name, 0, 5);
        err = handle_read(&handle, &trend.top.read);
        EXPECT(err == 0 || err == TALLY_NOTFOUND || err == TALLY_BUSY, "%s", tally_err_name(err));
        read_trend_fini(&trend);
        read_events_init(&events, 20);
        EXPECT(handle_read(&handle, &events.read) == 0, "events");
        read_events_fini(&events);
        int found = edge_find(handle.edge, name, SPAN("option 1"), rows);
        EXPECT(found > 0 || found == TALLY_NOTFOUND || found == 0, "%d", found);
        for (int i = 0; i < found; i++) {
            EXPECT(memcmp(rows[i].label.at, "option ", 7) == 0, "another label");
        }
        edge_pass_end(handle.edge);
        edge_pass_begin(handle.edge);
    }
    handle_close(&handle);
    return NULL;
}

static void *delete_main(void *arg)
{
    struct delete_job *job = arg;
    struct seed seed = {job->seed};
    struct handle handle;
    handle_open(&handle, job->tally);
    pthread_barrier_wait(&start);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t poll = seed_below(&seed, 4) == 0 ? POLLS - 1 : seed_below(&seed, POLLS - 1);
        int err;
        HANDLE_ASK(err, &handle, edge_polldel(handle.edge, name_of(poll)));
        EXPECT(handle_result(&handle, err, NULL) == 0, "polldel: %s", tally_err_name(err));
        make(&handle, poll);
    }
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&over, true, memory_order_relaxed);
    handle_close(&handle);
    return NULL;
}

/* ---- the log ---- */

struct log_view {
    uint64_t *votes;   /* by option */
    uint64_t *poll_of; /* by option; 0: deleted, or not there */
    uint64_t polls, options, counted, deleted;
};

static int check_record(void *arg, const struct record *record)
{
    struct log_view *view = arg;
    static uint64_t names[POLLS]; /* the id of the poll with this name */
    if (record->type == RECORD_POLL || record->type == RECORD_OPTION) {
        for (uint64_t i = 0; i < POLLS; i++) {
            if (!span_equal(record->text[0], name_of(i))) {
                continue;
            }
            if (record->type == RECORD_POLL) {
                names[i] = ++view->polls;
            } else {
                view->poll_of[++view->options] = names[i];
            }
        }
    } else if (record->type == RECORD_POLLDEL) {
        view->deleted++;
        for (uint64_t i = 1; i <= view->options; i++) {
            uint64_t *of = &view->poll_of[i];
            *of = *of == record->num[POLLDEL_POLL] ? 0 : *of;
        }
    } else if (record->type == RECORD_VOTE) {
        uint64_t option = record->num[VOTE_OPTION];
        EXPECT(option <= view->options && view->poll_of[option] != 0,
               "a vote for an option that is deleted");
        EXPECT(record->num[VOTE_BEFORE] == view->votes[option], "the count does not go on");
        view->votes[option] += record->num[VOTE_N];
        view->counted += record->text[VOTE_KEY].len == 0 && record->text[VOTE_VOTER].len == 0
                             ? record->num[VOTE_N]
                             : 0;
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
    struct log_view view = {.votes = calloc(IDS_MAX, sizeof(uint64_t)),
                            .poll_of = calloc(IDS_MAX, sizeof(uint64_t))};
    EXPECT(view.votes != NULL && view.poll_of != NULL, "no memory");
    EXPECT(wal_file_io_new(&io, dir, 0) == 0, "wal_file_io_new");
    EXPECT(wal_reader_once(io, check_block, &view, &report) == 0, "%s", report.text);
    io->ops->destroy(io);
    /* T3: relaxed: the threads are joined */
    uint64_t told = atomic_load_explicit(&acknowledged, memory_order_relaxed);
    EXPECT(view.counted == told, "%lu votes are logged, %lu told", (unsigned long)view.counted,
           (unsigned long)told);
    EXPECT(view.deleted == ROUNDS, "%lu polls are deleted", (unsigned long)view.deleted);
    printf("%lu votes, %lu options\n", (unsigned long)told, (unsigned long)view.options);
    free(view.votes);
    free(view.poll_of);
}

int main(void)
{
    static void *(*const mains[])(void *) = {delete_main, vote_main, read_main};
    char dir[256];
    struct delete_job jobs[THREADS];
    struct handle handle;
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = handle_engine(dir, THREADS + 1);
    handle_open(&handle, tally);
    for (uint64_t i = 0; i < POLLS; i++) {
        make(&handle, i);
    }
    handle_close(&handle);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        int which = i < DELETERS ? 0 : i < DELETERS + VOTERS ? 1 : 2;
        jobs[i] = (struct delete_job){.tally = tally, .seed = (uint64_t)i + 1};
        EXPECT(pthread_create(&jobs[i].thread, NULL, mains[which], &jobs[i]) == 0, "thread");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
    }
    EXPECT(tally_close(tally) == 0, "close");
    tally = handle_engine(dir, 1); /* and it can be read */
    EXPECT(tally_close(tally) == 0, "close");
    check_log(dir);
    files_remove_tree(dir);
    return 0;
}
