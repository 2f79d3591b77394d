/* A table from ids to entities: one writer, many readers; its memory follows its entities. */
#ifndef TALLY_ENGINE_BASE_TABLE_H
#define TALLY_ENGINE_BASE_TABLE_H

#include "engine/base/rcu.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *     root { base, capacity, chunk[...] } ── chunk[id / 256 - base] ── slot[id % 256] ── entity
 *
 * Ids are given out in rising order and never again; entities are removed in any order. A chunk is
 * freed with its last entity, unless it is the newest. The root covers the oldest chunk to the
 * newest: when ids outgrow it, a new root begins at the oldest chunk that is left. So the memory is
 * that of the chunks with entities, and 8 bytes for each 256 ids between the oldest and the newest.
 *
 * Synchronization table
 *   root    published whole by the writer (T2), read by any thread (T1)
 *   chunk   set and cleared in the newest root alone (T2), read by any thread (T1). A reader with
 *           an older root sees the chunks of the moment when that was replaced, or fewer
 *   slot    the writer's (T2), read by any thread (T1): it sees an entity whole
 *   living  the writer alone
 * Threads: put, remove, takes, fini by the one writer; get, next, prev by any thread, in a read
 * section. Linearization: the load of the slot. Progress: wait-free. Reclamation: a root that was
 * replaced, and a chunk behind its last entity, are taken out of reach, then retired
 * (engine/base/rcu.h); entities are the owner's.
 */
enum { TABLE_CHUNK = 256 };

/* Ids from the oldest entity to the newest. */
#define TABLE_SPAN_MAX ((uint64_t)1 << 32)

struct table_chunk {
    uint32_t living;
    _Atomic(void *) slot[TABLE_CHUNK];
};

struct table_root {
    uint64_t base; /* chunk[0] is that of the ids from base * TABLE_CHUNK on */
    uint64_t capacity;
    _Atomic(struct table_chunk *) chunk[];
};

/* All zero is an empty table. */
struct table {
    _Atomic(struct table_root *) root;
    struct rcu_retirer *retirer; /* borrowed; NULL: free at once (no readers yet) */
    uint64_t newest;             /* the writer alone: number of the newest chunk */
    uint64_t chunks;             /* the writer alone */
};

void table_fini(struct table *table);

/* Whether an id above all others is within TABLE_SPAN_MAX of the oldest entity. The answer depends
 * only on the ids in the table. */
bool table_takes(const struct table *table, uint64_t id);

/* Adds an entity under a free id. Errors: NOMEM; FULL, far beyond what table_takes allows. */
int table_put(struct table *table, uint64_t id, void *entity);

/* Removes an entity. REQUIRES: it is there. */
void table_remove(struct table *table, uint64_t id);

/* Return the first entity at *id or above, the last one at *id or below; *id becomes its id. NULL
 * when there is none. */
void *table_next(const struct table *table, uint64_t *id);
void *table_prev(const struct table *table, uint64_t *id);

/* Returns the place of an id's chunk in the root, or NULL when the root does not cover it. */
static inline const _Atomic(struct table_chunk *) *table_place(const struct table *table,
                                                               uint64_t id)
{
    /* T1: acquire; pairs with T2 */
    const struct table_root *root = atomic_load_explicit(&table->root, memory_order_acquire);
    uint64_t at = root != NULL ? id / TABLE_CHUNK - root->base : 0;
    return root != NULL && at < root->capacity ? &root->chunk[at] : NULL;
}

/* Returns the entity of an id, or NULL. Order: acquire. */
static inline void *table_get(const struct table *table, uint64_t id)
{
    const _Atomic(struct table_chunk *) *place = table_place(table, id);
    if (place == NULL) {
        return NULL;
    }
    /* T1: acquire; pairs with T2 */
    const struct table_chunk *chunk = atomic_load_explicit(place, memory_order_acquire);
    if (chunk == NULL) {
        return NULL;
    }
    /* T1: acquire; pairs with T2 */
    return atomic_load_explicit(&chunk->slot[id % TABLE_CHUNK], memory_order_acquire);
}

/* Prefetches the cache line that table_get will read. Threads: the writer. */
static inline void table_prefetch(const struct table *table, uint64_t id)
{
    const _Atomic(struct table_chunk *) *place = table_place(table, id);
    if (place != NULL) {
        /* T3: relaxed: only an address to prefetch */
        const struct table_chunk *chunk = atomic_load_explicit(place, memory_order_relaxed);
        if (chunk != NULL) {
            __builtin_prefetch(&chunk->slot[id % TABLE_CHUNK]);
        }
    }
}

#endif
