/* A table from dense ids to entities: one writer, many readers, nothing moves. */
#ifndef TALLY_ENGINE_TABLE_H
#define TALLY_ENGINE_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*
 *     root ── chunk[id / 4096] ── slot[id % 4096] ── entity
 *
 * Synchronization: table_put and table_fini by the one writer; table_get by any thread inside a
 * read section. A reader sees an entity whole (T1 pairs with T2). Progress: wait-free. Reclamation:
 * chunks live as long as the table; entities are the owner's.
 */
enum { TABLE_CHUNK = 4096, TABLE_CHUNKS = 1 << 18 };

struct table_chunk {
    _Atomic(void *) slot[TABLE_CHUNK];
};

struct table {
    _Atomic(struct table_chunk *) *chunks;
};

#define TABLE_IDS_MAX ((uint64_t)TABLE_CHUNK * TABLE_CHUNKS)

/* Errors: NOMEM. */
int table_init(struct table *table);
void table_fini(struct table *table);

/* Sets or (with NULL) clears a slot. Errors: NOMEM; FULL when id is beyond TABLE_IDS_MAX. */
int table_put(struct table *table, uint64_t id, void *entity);

/* Asks for the line that table_get will read. The writer alone. */
static inline void table_prefetch(const struct table *table, uint64_t id)
{
    if (id < TABLE_IDS_MAX) {
        /* T3: relaxed: only an address */
        const struct table_chunk *chunk =
            atomic_load_explicit(&table->chunks[id / TABLE_CHUNK], memory_order_relaxed);
        if (chunk != NULL) {
            __builtin_prefetch(&chunk->slot[id % TABLE_CHUNK]);
        }
    }
}

/* The entity, or NULL. Order: acquire. */
static inline void *table_get(const struct table *table, uint64_t id)
{
    if (id >= TABLE_IDS_MAX) {
        return NULL;
    }
    /* T1: acquire; pairs with T2 */
    struct table_chunk *chunk =
        atomic_load_explicit(&table->chunks[id / TABLE_CHUNK], memory_order_acquire);
    if (chunk == NULL) {
        return NULL;
    }
    /* T1: acquire; pairs with T2 */
    return atomic_load_explicit(&chunk->slot[id % TABLE_CHUNK], memory_order_acquire);
}

#endif
