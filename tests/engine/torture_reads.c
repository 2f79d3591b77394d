/* Long reads beside votes: each TALLY shows one moment, a thread sees its own votes, and lists are
 * whole. */
#include "engine/edge/slice.h"
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    POLLS = 12, /* more than are ranked at a time */
    OPTIONS = READ_SLICE + 100,
    THREADS = 2,
    READS = 60,
    WORKERS = 3 * READ_SLICE,
    BATCH = 32, /* votes between two reads */
};

struct voter {
    struct tally *tally;
    pthread_barrier_t *start;
    pthread_t thread;
    unsigned number;
    uint64_t votes[POLLS][OPTIONS]; /* cast by this thread */
    uint64_t busy;                  /* reads that were answered BUSY */
};

static uint64_t first_option[POLLS];

static void fill(struct handle *handle)
{
    for (unsigned p = 0; p < POLLS; p++) {
        char poll[16];
        snprintf(poll, sizeof poll, "p%u", p);
        handle_poll(handle, poll);
        for (unsigned i = 0; i < OPTIONS; i++) {
            char label[16];
            snprintf(label, sizeof label, "o%u", i);
            EXPECT(edge_option(handle->edge, span_of(poll), span_of(label), SPAN("")) == 0,
                   "OPTION");
        }
        handle_settle(handle);
        uint64_t id = 0;
        EXPECT(edge_option_find(handle->edge, span_of(poll), SPAN("o0"), &id) == 0, "no option");
        first_option[p] = id;
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        char worker[16];
        snprintf(worker, sizeof worker, "w%u", i);
        struct edge_worker ask = {.id = span_of(worker), .name = SPAN("a name"), .slots = 1};
        EXPECT(edge_worker(handle->edge, &ask) == 0, "WORKER");
    }
    handle_settle(handle);
}

/* Appends one record with one vote. */
static void vote(struct handle *handle, uint64_t option)
{
    struct edge_vote cast;
    int err;
    HANDLE_ASK(err, handle, edge_vote(handle->edge, option, 1, &cast));
    EXPECT(err == 0, "VOTE: %s", tally_err_name(err));
    edge_flush(handle->edge);
}

static void expect_order(const struct read_tally *r)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->row_count; i++) {
        const struct tally_row *row = &r->rows[i];
        sum += row->votes;
        EXPECT(i == 0 || row[-1].votes > row->votes ||
                   (row[-1].votes == row->votes && row[-1].id < row->id),
               "option %lu is not in its place", (unsigned long)row->id);
    }
    EXPECT(r->row_count == OPTIONS, "%zu options", r->row_count);
    EXPECT(sum == r->total, "total %lu, but %lu votes", (unsigned long)r->total,
           (unsigned long)sum);
}

/* The votes of this thread's options must be exactly those it has cast; all of them are applied. */
static void look(struct voter *v, struct handle *handle, unsigned p)
{
    char poll[16];
    struct read_tally r;
    snprintf(poll, sizeof poll, "p%u", p);
    read_tally_init(&r, span_of(poll), SIZE_MAX);
    handle_settle(handle);
    int err = handle_read(handle, &r.read);
    if (err == TALLY_BUSY) {
        v->busy++;
        read_tally_fini(&r);
        return;
    }
    EXPECT(err == 0, "TALLY: %s", tally_err_name(err));
    expect_order(&r);
    for (size_t i = 0; i < r.row_count; i++) {
        uint64_t place = r.rows[i].id - first_option[p];
        EXPECT(place % THREADS != v->number || r.rows[i].votes == v->votes[p][place],
               "option %lu has %lu votes, not %lu", (unsigned long)r.rows[i].id,
               (unsigned long)r.rows[i].votes, (unsigned long)v->votes[p][place]);
    }
    read_tally_fini(&r);
}

static void *vote_main(void *arg)
{
    struct voter *v = arg;
    struct seed seed = {v->number + 1};
    struct handle handle;
    handle_open(&handle, v->tally);
    pthread_barrier_wait(v->start);
    for (unsigned i = 0; i < READS; i++) {
        for (unsigned n = 0; n < BATCH; n++) {
            unsigned p = (unsigned)seed_below(&seed, POLLS);
            uint64_t place = seed_below(&seed, OPTIONS / THREADS) * THREADS + v->number;
            vote(&handle, first_option[p] + place);
            v->votes[p][place]++;
        }
        look(v, &handle, (unsigned)seed_below(&seed, POLLS));
    }
    handle_close(&handle);
    return NULL;
}

/* While there are only votes, one a record and for one poll, the total must match the lsn. */
static void *cut_main(void *arg)
{
    struct voter *v = arg;
    struct seed seed = {v->number + 10};
    struct handle handle;
    handle_open(&handle, v->tally);
    pthread_barrier_wait(v->start);
    for (unsigned i = 0; i < READS * BATCH; i++) {
        vote(&handle, first_option[0] + seed_below(&seed, OPTIONS));
        if (i % BATCH == 0) {
            handle_wait(&handle);
        }
    }
    handle_close(&handle);
    return NULL;
}

static void expect_cuts(struct handle *handle)
{
    uint64_t base = 0;
    uint64_t last = 0;
    for (unsigned i = 0; i < READS; i++) {
        struct read_tally r;
        read_tally_init(&r, SPAN("p0"), SIZE_MAX);
        int err = handle_read(handle, &r.read);
        EXPECT(err == 0 || err == TALLY_BUSY, "TALLY: %s", tally_err_name(err));
        if (err == 0) {
            expect_order(&r);
            base = base == 0 ? r.read.lsn - r.total : base;
            EXPECT(r.read.lsn - r.total == base, "%lu votes at %lu, not %lu",
                   (unsigned long)r.total, (unsigned long)r.read.lsn,
                   (unsigned long)(r.read.lsn - base));
            EXPECT(r.read.lsn >= last, "the past was read");
            last = r.read.lsn;
        }
        read_tally_fini(&r);
    }
}

static void expect_workers(struct handle *handle)
{
    struct read_workers r;
    read_workers_init(&r, (struct span){NULL, 0});
    EXPECT(handle_read(handle, &r.read) == 0, "WORKERS");
    EXPECT(r.row_count == WORKERS, "%zu workers", r.row_count);
    for (size_t i = 0; i < r.row_count; i++) {
        EXPECT(span_equal(r.rows[i].name, SPAN("a name")), "a worker's name");
        EXPECT(i == 0 || r.rows[i - 1].id.len != r.rows[i].id.len ||
                   memcmp(r.rows[i - 1].id.at, r.rows[i].id.at, r.rows[i].id.len) <= 0,
               "workers out of order");
    }
    read_workers_fini(&r);
}

/* Reads that were cancelled must end, too. */
static void expect_ends(struct handle *handle)
{
    enum { COUNT = 20 };
    struct read_workers reads[COUNT];
    for (int i = 0; i < COUNT; i++) {
        read_workers_init(&reads[i], (struct span){NULL, 0});
        EXPECT(edge_read(handle->edge, &reads[i].read) == EDGE_QUEUED, "it is not that long");
        read_is_unwanted(&reads[i].read);
    }
    for (int i = 0; i < COUNT; i++) {
        while (!read_is_done(&reads[i].read)) {
            handle_wait(handle);
        }
        read_workers_fini(&reads[i]);
    }
}

static uint64_t run(struct tally *tally, struct voter *voters, void *(*main_fn)(void *arg),
                    struct handle *handle)
{
    pthread_barrier_t start;
    uint64_t busy = 0;
    pthread_barrier_init(&start, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++) {
        voters[i].tally = tally;
        voters[i].start = &start;
        voters[i].number = i;
        EXPECT(pthread_create(&voters[i].thread, NULL, main_fn, &voters[i]) == 0, "thread");
    }
    pthread_barrier_wait(&start);
    if (main_fn == cut_main) {
        expect_cuts(handle);
    }
    edge_pass_end(handle->edge);
    rcu_offline();
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(voters[i].thread, NULL);
        busy += voters[i].busy;
    }
    rcu_online();
    edge_pass_begin(handle->edge);
    pthread_barrier_destroy(&start);
    return busy;
}

int main(void)
{
    char dir[256];
    struct handle handle;
    struct voter *voters = calloc(THREADS, sizeof *voters);
    EXPECT(voters != NULL, "memory");
    files_temp_dir(dir, sizeof dir);
    struct tally *tally = handle_engine(dir, THREADS + 1);
    handle_open(&handle, tally);
    fill(&handle);
    uint64_t busy = run(tally, voters, vote_main, &handle);
    for (unsigned i = 0; i < THREADS; i++) {
        look(&voters[i], &handle, i);
    }
    run(tally, voters, cut_main, &handle);
    expect_workers(&handle);
    expect_ends(&handle);
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    free(voters);
    printf("%d reads of long polls, %lu overtaken by votes\n", THREADS * READS,
           (unsigned long)busy);
    return 0;
}
