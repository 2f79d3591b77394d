/* A table whose ids pass: one writer puts and removes, readers get and walk. With
 * TORTURE_FREE_AT_ONCE chunks and roots are freed without a grace period, and a sanitizer must see
 * that. */
#include "tests/engine/handle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { READERS = 3, PASSING = 1000000, LIVING_MAX = 3 * TABLE_CHUNK, STAYS_EVERY = 50000 };

/* An entity is its own id, and is never freed: only the memory of the table is under test. */
static uint64_t ids[PASSING + 1];
static struct table table;
static pthread_barrier_t start;
static _Atomic uint64_t newest; /* put, and not removed before `oldest` has passed it */
static _Atomic uint64_t oldest;
static _Atomic bool ended;

static void expect(const uint64_t *entity, uint64_t id)
{
    EXPECT(*entity == id, "id %lu is the place of %lu", (unsigned long)id, (unsigned long)*entity);
}

/* An entity that was in the table before and after the look must be seen. */
static void look(uint64_t id)
{
    const uint64_t *entity = table_get(&table, id);
    /* T1: acquire; pairs with T2 */
    bool stays = atomic_load_explicit(&oldest, memory_order_acquire) <= id;
    EXPECT(entity != NULL || !stays || id == 0, "id %lu is not there", (unsigned long)id);
    if (entity != NULL) {
        expect(entity, id);
    }
}

static void walk(void)
{
    uint64_t id = 0;
    uint64_t last = 0;
    const uint64_t *entity;
    for (int i = 0; i < 200 && (entity = table_next(&table, &id)) != NULL; i++, id++) {
        expect(entity, id);
        EXPECT(id > last || last == 0, "the walk goes back");
        last = id;
    }
    id = UINT64_MAX;
    for (int i = 0; i < 200 && (entity = table_prev(&table, &id)) != NULL; i++, id--) {
        expect(entity, id);
    }
}

static void *read_main(void *arg)
{
    (void)arg;
    rcu_thread_register();
    pthread_barrier_wait(&start);
    /* T3: relaxed: the end may be seen late */
    while (!atomic_load_explicit(&ended, memory_order_relaxed)) {
        /* T4: acquire; pairs with T5: the put entity is seen */
        look(atomic_load_explicit(&newest, memory_order_acquire));
        walk();
        rcu_quiescent();
    }
    rcu_thread_unregister();
    return NULL;
}

static void write_all(void)
{
    uint64_t gone = 0;
    for (uint64_t id = 1; id <= PASSING; id++) {
        ids[id] = id;
        EXPECT(table_put(&table, id, &ids[id]) == 0, "out of memory");
        /* T5: release; pairs with T4 */
        atomic_store_explicit(&newest, id, memory_order_release);
        if (id - gone < LIVING_MAX) {
            continue;
        }
        gone++;
        /* T2: release; pairs with T1: written before the entity is removed */
        atomic_store_explicit(&oldest, gone + 1, memory_order_release);
        if (gone % STAYS_EVERY != 0) {
            table_remove(&table, gone);
        } else if (gone > STAYS_EVERY) {
            table_remove(&table, gone - STAYS_EVERY);
        }
        rcu_quiescent();
    }
}

int main(void)
{
    pthread_t threads[READERS];
    rcu_thread_register();
#ifndef TORTURE_FREE_AT_ONCE
    table.retirer = rcu_retirer_new();
    EXPECT(table.retirer != NULL, "out of memory");
#endif
    ids[1] = 1;
    pthread_barrier_init(&start, NULL, READERS + 1);
    for (int i = 0; i < READERS; i++) {
        EXPECT(pthread_create(&threads[i], NULL, read_main, NULL) == 0, "thread");
    }
    rcu_offline();
    pthread_barrier_wait(&start);
    rcu_online();
    write_all();
    /* T3: relaxed: the end may be seen late */
    atomic_store_explicit(&ended, true, memory_order_relaxed);
    rcu_offline();
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    rcu_online();
    EXPECT(table.chunks <= LIVING_MAX / TABLE_CHUNK + 3, "%lu chunks", (unsigned long)table.chunks);
    if (table.retirer != NULL) {
        rcu_retirer_destroy(table.retirer);
    }
    rcu_thread_unregister();
    table_fini(&table);
    printf("%d ids have passed\n", PASSING);
    return 0;
}
