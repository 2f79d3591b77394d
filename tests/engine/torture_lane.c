/* One lane, its edge and its committer: all records arrive, and their results come back. With
 * TORTURE_RELAXED_PUBLISH the edge publishes without order, and a sanitizer must see that. */
#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <sched.h>
#include <stdio.h>

enum { SLOTS = 1000000 };

static pthread_barrier_t start;

static void publish(struct lane *lane)
{
#ifdef TORTURE_RELAXED_PUBLISH
    /* T1: relaxed: this is the mistake */
    atomic_store_explicit(&lane->tail, lane->next, memory_order_relaxed);
#else
    (void)lane_publish(lane);
#endif
}

static uint64_t word_of(uint64_t position)
{
    return position * 0x9e3779b97f4a7c15U ^ position >> 7;
}

/* Reads the results that have come, and frees their slots. */
static void take_verdicts(struct lane *lane)
{
    uint64_t applied = lane_applied(lane);
    for (; lane->freed < applied; lane->freed++) {
        const struct lane_slot *slot = lane_at(lane, lane->freed);
        EXPECT((uintptr_t)slot->result.request == (uintptr_t)~word_of(lane->freed),
               "slot %lu: another's result", (unsigned long)lane->freed);
    }
}

static void *edge_main(void *arg)
{
    struct lane *lane = arg;
    struct seed seed = {1};
    pthread_barrier_wait(&start);
    while (lane->freed < SLOTS) {
        uint64_t some = seed_below(&seed, 200);
        while (some-- > 0 && lane_room(lane) > 0 && lane->next < SLOTS) {
            uint64_t position = lane->next;
            lane_append(lane)->vote =
                (struct lane_vote){.n = (uint32_t)position, .before = word_of(position)};
        }
        publish(lane);
        take_verdicts(lane);
        sched_yield(); /* a spin would overwrite the sanitizer's history of this thread */
    }
    return NULL;
}

static void commit_all(struct lane *lane)
{
    while (lane->taken < SLOTS) {
        uint64_t tail = lane_tail(lane);
        for (; lane->taken < tail; lane->taken++) {
            struct lane_slot *slot = lane_at(lane, lane->taken);
            uint64_t word = slot->vote.before;
            EXPECT(slot->vote.n == (uint32_t)lane->taken && word == word_of(lane->taken),
                   "slot %lu is not what was appended", (unsigned long)lane->taken);
            slot->result =
                (struct lane_result){.request = (struct ordered_request *)(uintptr_t)~word};
        }
        lane_apply(lane, lane->taken);
        sched_yield();
    }
}

int main(void)
{
    pthread_t edge;
    struct lane *lane = lane_new();
    EXPECT(lane != NULL, "out of memory");
    pthread_barrier_init(&start, NULL, 2);
    EXPECT(pthread_create(&edge, NULL, edge_main, lane) == 0, "thread");
    pthread_barrier_wait(&start);
    commit_all(lane);
    pthread_join(edge, NULL);
    lane_destroy(lane);
    printf("%d slots went through and came back\n", SLOTS);
    return 0;
}
