/* A poll's vote limit is altered while other threads read it: both numbers must come from one POLL.
 */
#include "tests/engine/handle.h"
#include "tests/lib/count.h"
#include "tests/lib/seed.h"

#include <pthread.h>
#include <stdio.h>

enum { READERS = 2, ALTERATIONS = 200000, LOOKS = 1000 };

static pthread_barrier_t start;
static _Atomic bool over;

/* The limits that are set in turn; 0: none. */
static const struct limit {
    uint64_t n;
    uint64_t per_ms;
} limits[] = {{0, 0}, {5, 1000}, {POLL_RATE_N_MAX, POLL_RATE_MS_MAX}, {1, 1}};

enum { LIMITS = COUNT_OF(limits) };

struct rate_reader {
    struct tally *tally;
    uint64_t option;
    uint64_t seen[LIMITS];
    pthread_t thread;
};

static void look(struct rate_reader *reader, struct edge *edge)
{
    struct limit got = {0, 0};
    uint64_t poll = 0;
    bool limited = edge_vote_rate(edge, reader->option, &got.n, &got.per_ms, &poll);
    unsigned i = limited ? 1 : 0;
    while (i < LIMITS && (limits[i].n != got.n || limits[i].per_ms != got.per_ms)) {
        i++;
    }
    EXPECT(i < LIMITS, "a limit of %lu/%lu was never set", (unsigned long)got.n,
           (unsigned long)got.per_ms);
    reader->seen[i]++;
}

static void *read_main(void *arg)
{
    struct rate_reader *reader = arg;
    struct handle handle;
    handle_open(&handle, reader->tally);
    pthread_barrier_wait(&start);
    /* T1: relaxed: the end may be seen late */
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        for (int i = 0; i < LOOKS; i++) {
            look(reader, handle.edge);
        }
        edge_pass_end(handle.edge);
        edge_pass_begin(handle.edge);
    }
    handle_close(&handle);
    return NULL;
}

static void alter(struct handle *handle)
{
    struct seed seed = {1};
    for (int i = 0; i < ALTERATIONS; i++) {
        const struct limit *limit = &limits[seed_below(&seed, LIMITS)];
        const struct edge_poll ask = {
            SPAN("p"), EDGE_KEEP, EDGE_KEEP, (int64_t)limit->n, (int64_t)limit->per_ms, EDGE_KEEP};
        int err;
        HANDLE_ASK(err, handle, edge_poll(handle->edge, &ask));
        EXPECT(err == 0, "poll: %s", tally_err_name(err));
    }
}

int main(void)
{
    char dir[256];
    struct rate_reader readers[READERS];
    struct handle handle;
    files_temp_dir(dir, sizeof(dir));
    struct tally *tally = handle_engine(dir, READERS + 1);
    handle_open(&handle, tally);
    handle_poll(&handle, "p");
    uint64_t option = handle_option(&handle, "p", "yes");
    pthread_barrier_init(&start, NULL, READERS + 1);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct rate_reader){.tally = tally, .option = option};
        EXPECT(pthread_create(&readers[i].thread, NULL, read_main, &readers[i]) == 0, "thread");
    }
    pthread_barrier_wait(&start);
    alter(&handle);
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&over, true, memory_order_relaxed);
    handle_close(&handle);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        printf("looks:");
        for (int k = 0; k < LIMITS; k++) {
            printf(" %lu", (unsigned long)readers[i].seen[k]);
        }
        printf("\n");
    }
    EXPECT(tally_close(tally) == 0, "close");
    files_remove_tree(dir);
    return 0;
}
