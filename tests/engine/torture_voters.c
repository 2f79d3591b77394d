/* Voters vote, vote again and take back, several requests in one pass: each voter belongs to one
 * thread, whose model says what each request is told. Meanwhile the polls are read. */
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, VOTERS = 3, OPTIONS = 3, ROUNDS = 150, PASS = 8 };

enum voter_poll { POLL_OF_ONCE, POLL_OF_CHANGE, POLLS };

static const char *const names[POLLS] = {"once", "change"};
static const int64_t modes[POLLS] = {POLL_ONCE, POLL_CHANGE};

static uint64_t options[POLLS][OPTIONS];
static _Atomic unsigned running;

struct voter_thread {
    struct tally *tally;
    size_t index;
    struct seed seed;
    uint64_t has[POLLS][VOTERS]; /* the option of each voter; 0: none */
    pthread_t thread;
};

/* A request on its way, and what it must be told. */
struct asked {
    uint64_t pos;
    int err;
    bool is_nil;
    uint64_t prev; /* 0: none */
};

static void ask_vote(struct voter_thread *t, struct handle *handle, struct asked *asked)
{
    char name[32];
    int err = 0;
    enum voter_poll poll = (enum voter_poll)seed_below(&t->seed, POLLS);
    size_t voter = seed_below(&t->seed, VOTERS);
    uint64_t *has = &t->has[poll][voter];
    snprintf(name, sizeof(name), "v-%zu-%zu", t->index, voter);
    *asked = (struct asked){.pos = 0};
    if (seed_below(&t->seed, 3) == 0) {
        HANDLE_ASK(err, handle,
                   edge_unvote(handle->edge, span_of(names[poll]), span_of(name), SPAN("")));
        asked->is_nil = *has == 0;
        *has = 0;
    } else {
        uint64_t option = options[poll][seed_below(&t->seed, OPTIONS)];
        const struct edge_ballot ask = {
            .options = {option}, .option_count = 1, .n = 1, .voter = span_of(name)};
        HANDLE_ASK(err, handle, edge_ballot(handle->edge, &ask));
        asked->err = poll == POLL_OF_ONCE && *has != 0 ? TALLY_VOTED : 0;
        asked->prev = asked->err == 0 ? *has : 0;
        *has = asked->err == 0 ? option : *has;
    }
    EXPECT(err == 0, "%s: %s", name, tally_err_name(err));
    asked->pos = edge_tail(handle->edge);
}

static void hear(struct handle *handle, const struct asked *asked)
{
    struct edge_result result = {0};
    int err = 0;
    while ((err = edge_apply_result(handle->edge, asked->pos, &result)) == TALLY_PARK) {
        handle_wait(handle);
    }
    EXPECT(err == asked->err, "a request was told %s instead of %s", tally_err_name(err),
           tally_err_name(asked->err));
    if (err != 0) {
        return;
    }
    uint64_t prev = result.prev_count > 0 ? result.prev[0] : 0;
    EXPECT(result.nil == asked->is_nil && prev == asked->prev,
           "a request was told nil %d and prev %" PRIu64 " instead of %d and %" PRIu64, result.nil,
           prev, asked->is_nil, asked->prev);
}

static void *voter_main(void *arg)
{
    struct voter_thread *t = arg;
    struct handle handle;
    handle_open(&handle, t->tally);
    for (size_t round = 0; IS_CONTROL || round < ROUNDS; round++) {
        struct asked asked[PASS];
        for (size_t i = 0; i < PASS; i++) {
            ask_vote(t, &handle, &asked[i]);
        }
        edge_publish(handle.edge);
        while (edge_applied(handle.edge) < edge_tail(handle.edge)) {
            handle_wait(&handle);
        }
        for (size_t i = 0; i < PASS; i++) {
            hear(&handle, &asked[i]);
        }
        edge_free(handle.edge, edge_applied(handle.edge));
    }
    handle_close(&handle);
    /* T1: release; pairs with T2 */
    atomic_fetch_sub_explicit(&running, 1, memory_order_release);
    return NULL;
}

/* Reads a poll, whose lines must add up. Returns its total. */
static uint64_t look(struct handle *handle, enum voter_poll poll, uint64_t votes[OPTIONS])
{
    struct read_tally r;
    uint64_t sum = 0;
    int err = TALLY_BUSY;
    while (err == TALLY_BUSY) { /* ballots have overtaken it */
        read_tally_init(&r, span_of(names[poll]), SIZE_MAX);
        err = handle_read(handle, &r.read);
        if (err == TALLY_BUSY) {
            read_tally_fini(&r);
        }
    }
    EXPECT(err == 0 && r.row_count == OPTIONS, "tally: %s", tally_err_name(err));
    for (size_t i = 0; i < OPTIONS; i++) {
        votes[r.rows[i].id - options[poll][0]] = r.rows[i].votes;
        sum += r.rows[i].votes;
    }
    EXPECT(sum == r.total, "%s: %" PRIu64 " votes of %" PRIu64, names[poll], sum, r.total);
    read_tally_fini(&r);
    return sum;
}

static void look_often(struct handle *handle)
{
    uint64_t votes[OPTIONS];
    /* T2: acquire; pairs with T1 */
    while (atomic_load_explicit(&running, memory_order_acquire) > 0) {
        EXPECT(look(handle, POLL_OF_ONCE, votes) <= (uint64_t)THREADS * VOTERS, "too many votes");
        EXPECT(look(handle, POLL_OF_CHANGE, votes) <= (uint64_t)THREADS * VOTERS, "too many votes");
        handle_poll(handle, "other"); /* ends the pass, for which the gate waits */
    }
}

/* The polls have what the models of all threads have together. */
static void check_end(struct handle *handle, const struct voter_thread *threads)
{
    for (enum voter_poll poll = POLL_OF_ONCE; poll < POLLS; poll++) {
        uint64_t votes[OPTIONS];
        uint64_t wanted[OPTIONS] = {0};
        (void)look(handle, poll, votes);
        for (size_t i = 0; i < (size_t)THREADS * VOTERS; i++) {
            uint64_t has = threads[i / VOTERS].has[poll][i % VOTERS];
            if (has != 0) {
                wanted[has - options[poll][0]]++;
            }
        }
        EXPECT(memcmp(votes, wanted, sizeof(votes)) == 0, "%s is not what was told", names[poll]);
    }
}

static void make_polls(struct handle *handle)
{
    for (int poll = 0; poll < POLLS; poll++) {
        const struct edge_poll ask = {
            span_of(names[poll]), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, modes[poll]};
        EXPECT(handle_result(handle, edge_poll(handle->edge, &ask), NULL) == 0, "poll");
        for (int i = 0; i < OPTIONS; i++) {
            char label[] = {(char)('a' + i), '\0'};
            options[poll][i] = handle_option(handle, names[poll], label);
        }
    }
}

int main(void)
{
    char dir[256];
    static struct voter_thread threads[THREADS];
    struct handle handle;
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = handle_engine(dir, THREADS + 1);
    handle_open(&handle, tally);
    make_polls(&handle);
    atomic_init(&running, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        threads[i] = (struct voter_thread){.tally = tally, .index = i, .seed = {i + 1}};
        EXPECT(pthread_create(&threads[i].thread, NULL, voter_main, &threads[i]) == 0, "thread");
    }
    look_often(&handle);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
    }
    check_end(&handle, threads);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    printf("%d requests of %d threads were told what they should be\n", THREADS * ROUNDS * PASS,
           THREADS);
    return 0;
}
