/* The pipe of events: one thread puts blocks, another takes them; all of them come whole, in order,
 * and a gap is seen. With MUTANT_EVENT_EARLY a block is published before its bytes are there. */
#include "engine/events/event_pipe.h"
#include "tests/lib/expect.h"
#include "tests/lib/seed.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { BLOCKS = 60000, BYTES_MAX = 400, BIG = 100 * 1024 };

struct flow {
    struct ledger ledger;
    struct event_pipe pipe;
    pthread_barrier_t start;
    uint64_t puts; /* the writer's count of blocks */
};

/* The bytes of a block follow from its lsn. */
static void fill(char *to, size_t len, uint64_t lsn)
{
    for (size_t i = 0; i < len; i++) {
        to[i] = (char)(lsn * 31 + i);
    }
}

static void expect_filled(struct span bytes, uint64_t lsn)
{
    for (size_t i = 0; i < bytes.len; i++) {
        EXPECT(bytes.at[i] == (char)(lsn * 31 + i), "block %lu: byte %zu is another's",
               (unsigned long)lsn, i);
    }
}

static size_t votes_len(uint64_t lsn)
{
    return lsn % 5000 == 0 ? BIG : lsn * 7 % BYTES_MAX;
}

static void *put_main(void *arg)
{
    static char votes[BIG];
    static char events[BYTES_MAX];
    struct flow *flow = arg;
    struct seed seed = {1};
    uint64_t lsn = 1;
    pthread_barrier_wait(&flow->start);
    for (; flow->puts < BLOCKS; flow->puts++) {
        struct event_block block = {.first_lsn = lsn,
                                    .count = 1 + (uint32_t)seed_below(&seed, 3),
                                    .votes = {votes, votes_len(lsn)},
                                    .events = {events, lsn * 3 % BYTES_MAX}};
        fill(votes, block.votes.len, lsn);
        fill(events, block.events.len, lsn);
        (void)event_pipe_put(&flow->pipe, &block);
        lsn += block.count;
        if (seed_below(&seed, 20) == 0) {
            sched_yield();
        }
    }
    event_pipe_lose(&flow->pipe, lsn);
    return NULL;
}

static uint64_t take_all(struct flow *flow)
{
    struct event_block block;
    uint64_t blocks = 0;
    uint64_t next = 1;
    uint64_t missed = 0;
    bool is_over = false;
    while (!is_over) {
        is_over = event_pipe_lost(&flow->pipe) > BLOCKS; /* read first: then nothing comes behind */
        while (event_pipe_take(&flow->pipe, &block)) {
            EXPECT(block.first_lsn >= next && block.count > 0, "lsn %lu behind %lu",
                   (unsigned long)block.first_lsn, (unsigned long)next);
            missed += block.first_lsn - next;
            next = block.first_lsn + block.count;
            EXPECT(block.votes.len == votes_len(block.first_lsn) &&
                       block.events.len == block.first_lsn * 3 % BYTES_MAX,
                   "block %lu has other lengths", (unsigned long)block.first_lsn);
            expect_filled(block.votes, block.first_lsn);
            expect_filled(block.events, block.first_lsn);
            blocks++;
        }
        sched_yield();
    }
    EXPECT(missed == 0 || event_pipe_lost(&flow->pipe) > 0, "a gap that nobody has noted");
    return blocks;
}

int main(void)
{
    static struct flow flow = {.ledger = {.ceiling = UINT64_MAX}};
    pthread_t writer;
    EXPECT(event_pipe_init(&flow.pipe, &flow.ledger) == 0, "out of memory");
    pthread_barrier_init(&flow.start, NULL, 2);
    EXPECT(pthread_create(&writer, NULL, put_main, &flow) == 0, "thread");
    pthread_barrier_wait(&flow.start);
    uint64_t blocks = take_all(&flow);
    pthread_join(writer, NULL);
    event_pipe_fini(&flow.pipe);
    EXPECT(ledger_sum(&flow.ledger) == 0, "%lu bytes are still counted",
           (unsigned long)ledger_sum(&flow.ledger));
    EXPECT(blocks > 0 && blocks <= BLOCKS, "%lu blocks", (unsigned long)blocks);
    printf("%lu blocks went through\n", (unsigned long)blocks);
    return 0;
}
