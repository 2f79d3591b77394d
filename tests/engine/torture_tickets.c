/* One ticket list, many claimers, and one committer that appends, trims and frees. With
 * TORTURE_FREE_AT_ONCE it does not wait for a grace period, and a sanitizer must see that. */
#include "tests/engine/handle.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUILDS = 40000, CLAIMERS = 3, OPEN_MAX = 500 };

struct claim_arena {
    struct state state;
    struct ticket_list list;
    pthread_barrier_t start;
    _Atomic bool closed; /* nothing more will be appended */
    _Atomic uint32_t claims[BUILDS + 1];
    _Atomic uint32_t total;
    _Atomic uint64_t swept; /* builds up to this id are retired */
};

static struct claim_arena arena;

static void claimed(uint64_t id, uint64_t *last)
{
    /* T1: relaxed: a count publishes nothing */
    uint32_t before = atomic_fetch_add_explicit(&arena.claims[id], 1, memory_order_relaxed);
    EXPECT(before == 0, "build %lu was claimed twice", (unsigned long)id);
    EXPECT(id > *last, "build %lu was claimed after build %lu", (unsigned long)id,
           (unsigned long)*last);
    *last = id;
    /* T1: relaxed: a count publishes nothing */
    atomic_fetch_add_explicit(&arena.total, 1, memory_order_relaxed);
}

/* Stays in its read section until the committer has retired the build, and looks at it again: the
 * build must not be freed yet. */
static void linger(const struct build *build, uint64_t id)
{
    /* T4: acquire; pairs with T5 */
    while (atomic_load_explicit(&arena.swept, memory_order_acquire) < id) {
        sched_yield();
    }
    EXPECT(build->id == id, "build %lu has become build %lu", (unsigned long)id,
           (unsigned long)build->id);
}

/* Claims the living tickets. Returns false when none is left and none will come. */
static bool claim_some(uint64_t *last)
{
    /* T2: acquire; pairs with T3: all appended tickets are seen by the walk below */
    bool closed = atomic_load_explicit(&arena.closed, memory_order_acquire);
    struct ticket *ticket = ticket_first(&arena.list);
    if (ticket == NULL) {
        rcu_quiescent();
        sched_yield();
        return !closed;
    }
    uint64_t seen = build_word(ticket->status, 0);
    uint32_t after = status_next(ticket->status, BUILD_ASSIGNED);
    if (word_step(&ticket->build->word, &seen, build_word(after, 0))) {
        claimed(ticket->build->id, last);
        if (*last % 64 == 0) {
            linger(ticket->build, *last);
        }
    }
    return true;
}

static void *claim_main(void *arg)
{
    uint64_t last = 0;
    (void)arg;
    rcu_thread_register();
    pthread_barrier_wait(&arena.start);
    for (unsigned i = 0; claim_some(&last); i++) {
        if (i % 16 == 0) {
            rcu_quiescent();
        }
    }
    rcu_thread_unregister();
    return NULL;
}

static struct build *offer(uint64_t id)
{
    struct build *build = aligned_alloc(64, sizeof(struct build));
    EXPECT(build != NULL, "out of memory");
    *build = (struct build){.id = id};
    uint32_t status = status_make(BUILD_PENDING, 1);
    word_set(&build->word, build_word(status, 0));
    EXPECT(ticket_append(&arena.list, build, status, id) == 0, "out of memory");
    return build;
}

/* Retires claimed tickets and builds, in order: first the tickets, then their builds. */
static uint64_t sweep(struct build **builds, uint64_t from, uint64_t to)
{
    uint64_t end = from;
    while (end < to && status_state(word_status(word_get(&builds[end]->word))) != BUILD_PENDING) {
        end++;
    }
    (void)ticket_first(&arena.list);
    ticket_trim(&arena.list, &arena.state);
    for (uint64_t i = from; i < end; i++) {
        state_retire(&arena.state, builds[i], build_free);
        builds[i] = NULL;
    }
    /* T5: release; pairs with T4 */
    atomic_store_explicit(&arena.swept, end, memory_order_release);
    return end;
}

static void commit_all(void)
{
    static struct build *builds[BUILDS];
    uint64_t swept = 0;
    for (uint64_t next = 0; swept < BUILDS;) {
        if (next < BUILDS && next - swept < OPEN_MAX) {
            builds[next] = offer(next + 1);
            next++;
        }
        if (next % 16 == 0 || next - swept == OPEN_MAX) {
            swept = sweep(builds, swept, next);
            rcu_quiescent();
            sched_yield();
        }
    }
    /* T3: release; pairs with T2 */
    atomic_store_explicit(&arena.closed, true, memory_order_release);
}

int main(void)
{
    pthread_t threads[CLAIMERS];
    EXPECT(state_init(&arena.state) == 0 && ticket_list_init(&arena.list) == 0, "out of memory");
    rcu_thread_register();
#ifndef TORTURE_FREE_AT_ONCE
    arena.state.retirer = rcu_retirer_new();
    EXPECT(arena.state.retirer != NULL, "out of memory");
#endif
    pthread_barrier_init(&arena.start, NULL, CLAIMERS + 1);
    for (int i = 0; i < CLAIMERS; i++) {
        EXPECT(pthread_create(&threads[i], NULL, claim_main, NULL) == 0, "thread");
    }
    rcu_offline();
    pthread_barrier_wait(&arena.start);
    rcu_online();
    commit_all();
    rcu_offline();
    for (int i = 0; i < CLAIMERS; i++) {
        pthread_join(threads[i], NULL);
    }
    rcu_online();
    /* T1: relaxed: the threads have been joined */
    uint32_t total = atomic_load_explicit(&arena.total, memory_order_relaxed);
    EXPECT(total == BUILDS, "%u of %d builds were claimed", total, BUILDS);
    if (arena.state.retirer != NULL) {
        rcu_retirer_destroy(arena.state.retirer);
    }
    rcu_thread_unregister();
    ticket_list_fini(&arena.list);
    state_fini(&arena.state);
    printf("%u builds, each claimed once\n", total);
    return 0;
}
