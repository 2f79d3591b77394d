/* TREND beside votes: each line adds up, all lines are of one moment, and a past line stays. */
#include "engine/edge/slice.h"
#include "tests/engine/handle.h"
#include "tests/engine/turned_clock.h"
#include "tests/lib/count.h"
#include "tests/lib/seed.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    POLLS = 2,
    THREADS = 2,
    BATCHES = 400,
    BATCH = 16, /* votes between two waits */
};

/* The second poll is ranked; only its leading options are voted for, so that all of them show. */
static const unsigned option_counts[POLLS] = {20, READ_SLICE + 50};
enum { VOTED_OPTIONS = 20 };

struct trend_voter {
    struct tally *tally;
    pthread_t thread;
    unsigned number;
};

static struct turned turned;
static uint64_t first_option[POLLS];
static _Atomic unsigned running;

static void fill(struct handle *handle)
{
    for (unsigned p = 0; p < POLLS; p++) {
        char poll[16];
        snprintf(poll, sizeof poll, "p%u", p);
        handle_poll(handle, poll);
        for (unsigned i = 0; i < option_counts[p]; i++) {
            char label[16];
            snprintf(label, sizeof label, "o%u", i);
            uint64_t id = handle_option(handle, poll, label);
            first_option[p] = i == 0 ? id : first_option[p];
        }
    }
}

static void vote(struct handle *handle, uint64_t option)
{
    struct edge_vote cast;
    int err;
    HANDLE_ASK(err, handle, edge_vote(handle->edge, option, 1, &cast));
    EXPECT(err == 0, "VOTE: %s", tally_err_name(err));
    edge_flush(handle->edge);
}

/* Votes, while time goes on: mostly a few seconds, seldom an hour. */
static void *vote_main(void *arg)
{
    const struct trend_voter *v = arg;
    struct seed seed = {v->number + 1};
    struct handle handle;
    handle_open(&handle, v->tally);
    for (unsigned i = 0; i < BATCHES || IS_CONTROL; i++) {
        for (unsigned n = 0; n < BATCH; n++) {
            uint64_t place = seed_below(&seed, VOTED_OPTIONS);
            vote(&handle, first_option[seed_below(&seed, POLLS)] + place);
        }
        handle_settle(&handle);
        turned_skip(&turned, seed_below(&seed, seed_below(&seed, 50) == 0 ? 3600000 : 4000));
    }
    handle_close(&handle);
    /* relaxed: the join publishes */
    atomic_fetch_sub_explicit(&running, 1, memory_order_relaxed);
    return NULL;
}

/* The lines of the read before, of one poll and one window. */
struct seen_lines {
    uint64_t first_ms;
    size_t final_count; /* lines before one in which a vote came: no later vote is of theirs */
    uint64_t totals[TREND_LINES_MAX];
    uint64_t lsn;
};

static void expect_lines(const struct read_trend *r, struct seen_lines *seen)
{
    for (size_t i = 0; i < r->line_count; i++) {
        uint64_t ms = r->first_ms + i * r->every_ms;
        uint64_t sum = 0;
        for (size_t k = 0; k < r->row_count; k++) {
            sum += r->rows[k].votes[i];
        }
        EXPECT(sum == r->totals[i], "line %zu: %lu votes, total %lu", i, (unsigned long)sum,
               (unsigned long)r->totals[i]);
        EXPECT(i == 0 || r->totals[i] >= r->totals[i - 1], "line %zu is less than the one before",
               i);
        size_t at = ms >= seen->first_ms ? (size_t)((ms - seen->first_ms) / r->every_ms) : SIZE_MAX;
        if (at < seen->final_count) {
            EXPECT(seen->totals[at] == r->totals[i], "the line of %lu was %lu and is %lu",
                   (unsigned long)ms, (unsigned long)seen->totals[at], (unsigned long)r->totals[i]);
        }
    }
    size_t final = r->line_count - 1;
    while (final > 0 && r->totals[final - 1] == r->totals[r->line_count - 1]) {
        final--;
    }
    EXPECT(r->top.read.lsn >= seen->lsn, "the past was read");
    EXPECT(r->from_ms == r->first_ms, "it is not exact");
    *seen =
        (struct seen_lines){.first_ms = r->first_ms, .final_count = final, .lsn = r->top.read.lsn};
    memcpy(seen->totals, r->totals, sizeof seen->totals);
}

static unsigned look(struct handle *handle, unsigned p, unsigned window, struct seen_lines *seen)
{
    static struct read_trend r;
    char poll[16];
    snprintf(poll, sizeof poll, "p%u", p);
    read_trend_init(&r, span_of(poll), window, TREND_TOP_MAX);
    int err = handle_read(handle, &r.top.read);
    EXPECT(err == 0 || err == TALLY_BUSY, "TREND: %s", tally_err_name(err));
    if (err == 0) {
        expect_lines(&r, seen);
    }
    read_trend_fini(&r);
    return err == 0;
}

int main(void)
{
    static struct seen_lines seen[POLLS][TREND_WINDOWS];
    struct trend_voter voters[THREADS];
    struct handle handle;
    unsigned reads = 0;
    char dir[256];
    turned_wall(&turned, 0);
    struct tally_clock clock = turned_clock(&turned);
    files_temp_dir(dir, sizeof dir);
    struct tally *tally = handle_engine_with(
        &(struct tally_options){.dir = dir, .create = true, .edges = THREADS + 1, .clock = &clock});
    handle_open(&handle, tally);
    fill(&handle);
    atomic_init(&running, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        voters[i] = (struct trend_voter){.tally = tally, .number = i};
        EXPECT(pthread_create(&voters[i].thread, NULL, vote_main, &voters[i]) == 0, "thread");
    }
    /* relaxed: as above */
    for (unsigned i = 0; atomic_load_explicit(&running, memory_order_relaxed) > 0; i++) {
        unsigned p = i % POLLS;
        unsigned window = i / POLLS % TREND_WINDOWS;
        reads += look(&handle, p, window, &seen[p][window]);
        edge_pass_end(handle.edge);
        edge_pass_begin(handle.edge);
    }
    edge_pass_end(handle.edge);
    rcu_offline();
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(voters[i].thread, NULL);
    }
    rcu_online();
    edge_pass_begin(handle.edge);
    for (unsigned i = 0; i < POLLS * TREND_WINDOWS; i++) {
        reads += look(&handle, i % POLLS, i / POLLS, &seen[i % POLLS][i / POLLS]);
    }
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    printf("%u trends beside %u votes\n", reads, (unsigned)(THREADS * BATCHES * BATCH));
    return 0;
}
