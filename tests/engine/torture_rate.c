/* A poll's limit is altered while others ask for it: what they get is always of one POLL. */
#include "tests/engine/door.h"
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
} limits[] = {{0, 0}, {5, 1000}, {EDGE_RATE_N_MAX, EDGE_RATE_MS_MAX}, {1, 1}};

enum { LIMITS = sizeof(limits) / sizeof(limits[0]) };

struct reader {
    struct tally *tally;
    uint64_t option;
    uint64_t seen[LIMITS];
    pthread_t thread;
};

static void look(struct reader *reader, struct edge *edge)
{
    struct limit got = {0, 0};
    uint64_t poll = 0;
    bool limited = edge_vote_rate(edge, reader->option, &got.n, &got.per_ms, &poll);
    unsigned i = limited ? 1 : 0;
    while (i < LIMITS && (limits[i].n != got.n || limits[i].per_ms != got.per_ms)) {
        i++;
    }
    MUST(i < LIMITS, "a limit of %lu/%lu was never set", (unsigned long)got.n,
         (unsigned long)got.per_ms);
    reader->seen[i]++;
}

static void *read_main(void *arg)
{
    struct reader *reader = arg;
    struct door door;
    door_open(&door, reader->tally);
    pthread_barrier_wait(&start);
    /* T1: relaxed: the end may be seen late */
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        for (int i = 0; i < LOOKS; i++) {
            look(reader, door.edge);
        }
        edge_pass_end(door.edge);
        edge_pass_begin(door.edge);
    }
    door_close(&door);
    return NULL;
}

static void alter(struct door *door)
{
    struct seed seed = {1};
    for (int i = 0; i < ALTERATIONS; i++) {
        const struct limit *limit = &limits[seed_below(&seed, LIMITS)];
        const struct edge_poll ask = {SPAN("p"), EDGE_KEEP, EDGE_KEEP, (int64_t)limit->n,
                                      (int64_t)limit->per_ms};
        int err = edge_poll(door->edge, &ask);
        while (door_again(door, err)) {
            err = edge_poll(door->edge, &ask);
        }
        MUST(err == 0, "poll: %s", tally_err_name(err));
    }
}

int main(void)
{
    char dir[256];
    struct reader readers[READERS];
    struct door door;
    torture_dir(dir, sizeof(dir));
    struct tally *tally = door_engine(dir, READERS + 1);
    door_open(&door, tally);
    door_poll(&door, "p");
    uint64_t option = door_option(&door, "p", "yes");
    pthread_barrier_init(&start, NULL, READERS + 1);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.tally = tally, .option = option};
        MUST(pthread_create(&readers[i].thread, NULL, read_main, &readers[i]) == 0, "thread");
    }
    pthread_barrier_wait(&start);
    alter(&door);
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&over, true, memory_order_relaxed);
    door_close(&door);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        printf("looks:");
        for (int k = 0; k < LIMITS; k++) {
            printf(" %lu", (unsigned long)readers[i].seen[k]);
        }
        printf("\n");
    }
    MUST(tally_close(tally) == 0, "close");
    torture_dir_remove(dir);
    return 0;
}
