/* The limiter under threads: entries and accounts come and go while votes are taken. */
#include "net/pipeline/rate.h"

#include "tests/lib/expect.h"
#include "tests/lib/seed.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, VOTERS = 500, ADDRESSES = 3, LIMIT = 3, PHASES = 60, ASKS = 8000 };
#define PER_MS ((uint64_t)1000)

static struct ledger ledger;
static struct rate *rate;
static pthread_barrier_t turn;
static _Atomic uint64_t passed[VOTERS]; /* in this phase */

struct limiter_thread {
    uint64_t seed;
    pthread_t thread;
};

/* Votes by a word that nobody has again, in a window that is soon over, from an address that does
 * nothing else: so its account is freed and made again all the time. */
static void ask_once(struct seed *seed, uint64_t now_ms)
{
    char name[32];
    uint64_t retry_ms = 0;
    int len = snprintf(name, sizeof(name), "%lx", (unsigned long)seed_next(seed));
    const struct rate_ask ask = {.poll = 2,
                                 .from = {1, seed_below(seed, ADDRESSES)},
                                 .kind = RATE_BY_WORD,
                                 .name = {name, (size_t)len},
                                 .n = 1,
                                 .per_ms = 1,
                                 .votes = 1,
                                 .now_ms = now_ms};
    EXPECT(rate_take(rate, &ask, &retry_ms) == 0, "a word that nobody has");
}

/* A phase is one window: what was voted in the one before is over. Each voter votes from any of a
 * few addresses. */
static void ask_some(struct seed *seed, uint64_t phase)
{
    for (int i = 0; i < ASKS; i++) {
        char name[16];
        uint64_t retry_ms = 0;
        uint64_t voter = seed_below(seed, VOTERS);
        int len = snprintf(name, sizeof(name), "v%d", (int)voter);
        const struct rate_ask ask = {.poll = 1,
                                     .from = {0, seed_below(seed, ADDRESSES)},
                                     .kind = RATE_BY_VOTER,
                                     .name = {name, (size_t)len},
                                     .n = LIMIT,
                                     .per_ms = PER_MS,
                                     .votes = 1,
                                     .now_ms = (phase + 1) * PER_MS};
        int err = rate_take(rate, &ask, &retry_ms);
        EXPECT(err == 0 || err == TALLY_RATE, "%s", tally_err_name(err));
        bool is_kept = err == 0 && seed_below(seed, 2) == 0;
        struct rate_ask *kept = is_kept ? rate_keep(rate, &ask) : NULL;
        bool is_counted = seed_below(seed, 4) != 0 || (err == 0 && kept == NULL);
        if (err == 0 && is_counted) {
            /* T1: relaxed: a count, read behind the barrier */
            atomic_fetch_add_explicit(&passed[voter], 1, memory_order_relaxed);
        }
        rate_settle(rate, kept, is_counted);
        uint64_t later_ms = ask.now_ms + (uint64_t)i * (PER_MS - 1) / ASKS;
        if (i % 64 == 0) {
            ask_once(seed, later_ms);
        } else if (i % 100 == 0) {
            rate_sweep(rate, later_ms);
        }
    }
}

static void *ask_main(void *arg)
{
    struct limiter_thread *asker = arg;
    struct seed seed = {asker->seed};
    for (uint64_t phase = 0; phase < PHASES || TALLY_MUTANT != MUTANT_NONE; phase++) {
        pthread_barrier_wait(&turn);
        ask_some(&seed, phase);
        if (pthread_barrier_wait(&turn) == PTHREAD_BARRIER_SERIAL_THREAD) {
            uint64_t all = 0;
            for (int i = 0; i < VOTERS; i++) {
                /* T1: relaxed: the barrier orders it */
                uint64_t votes = atomic_exchange_explicit(&passed[i], 0, memory_order_relaxed);
                EXPECT(votes <= LIMIT, "voter %d passed %d times", i, (int)votes);
                all += votes;
            }
            EXPECT(all > VOTERS * LIMIT * 9 / 10, "only %d passed", (int)all);
        }
    }
    return NULL;
}

int main(void)
{
    struct limiter_thread askers[THREADS];
    ledger = (struct ledger){.ceiling = (uint64_t)1 << 30};
    EXPECT(rate_new(&rate, &ledger) == 0, "new");
    pthread_barrier_init(&turn, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        askers[i].seed = (uint64_t)i + 1;
        EXPECT(pthread_create(&askers[i].thread, NULL, ask_main, &askers[i]) == 0, "thread");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(askers[i].thread, NULL);
    }
    int turns = 0;
    while (rate_sweep(rate, (PHASES + 1) * PER_MS)) {
        turns++;
        EXPECT(turns < 1000, "entries are left");
    }
    EXPECT(ledger_sum(&ledger) == 0, "%lu bytes are left", (unsigned long)ledger_sum(&ledger));
    rate_destroy(rate);
    printf("%d phases\n", PHASES);
    return 0;
}
