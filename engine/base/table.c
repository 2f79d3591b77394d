/* The table: chunks that are made for their first id and freed after their last entity. */
#include "engine/base/table.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 16 };

static struct table_root *root_of(const struct table *table)
{
    /* T4: relaxed: own writes */
    return atomic_load_explicit(&table->root, memory_order_relaxed);
}

static struct table_chunk *chunk_at(const struct table_root *root, uint64_t at)
{
    DCHECK(at < root->capacity);
    /* T4: relaxed: own writes */
    return atomic_load_explicit(&root->chunk[at], memory_order_relaxed);
}

static void chunk_put(struct table_root *root, uint64_t at, struct table_chunk *chunk)
{
    DCHECK(at < root->capacity);
    /* T2: release; pairs with T1 */
    atomic_store_explicit(&root->chunk[at], chunk, memory_order_release);
}

/* Returns the chunk of a number, or NULL. */
static struct table_chunk *chunk_of(const struct table *table, uint64_t number)
{
    const struct table_root *root = root_of(table);
    return root != NULL && number - root->base < root->capacity
               ? chunk_at(root, number - root->base)
               : NULL;
}

static void retire(const struct table *table, void *old)
{
    if (old != NULL && table->retirer != NULL) {
        rcu_retire(table->retirer, old, free);
    } else {
        free(old);
    }
}

void table_fini(struct table *table)
{
    struct table_root *root = root_of(table);
    for (uint64_t at = 0; root != NULL && at < root->capacity; at++) {
        free(chunk_at(root, at));
    }
    free(root);
    *table = (struct table){.chunks = 0};
}

/* Returns the number of the oldest chunk with an entity; `otherwise` when there is none. */
static uint64_t oldest(const struct table *table, uint64_t otherwise)
{
    const struct table_root *root = root_of(table);
    for (uint64_t at = 0; root != NULL && at < root->capacity; at++) {
        const struct table_chunk *chunk = chunk_at(root, at);
        if (chunk != NULL && chunk->living > 0) {
            return root->base + at;
        }
    }
    return otherwise;
}

bool table_takes(const struct table *table, uint64_t id)
{
    const struct table_root *root = root_of(table);
    uint64_t number = id / TABLE_CHUNK;
    uint64_t span_max = TABLE_SPAN_MAX / TABLE_CHUNK;
    return root == NULL || number - root->base < span_max ||
           number - oldest(table, number) < span_max;
}

/* Replaces the root by one that covers `number` and all chunks, and is twice as large as needed on
 * the side to which it grows. */
static int root_renew(struct table *table, uint64_t number)
{
    struct table_root *old = root_of(table);
    uint64_t first = oldest(table, number);
    uint64_t last = first;
    if (first != number || chunk_of(table, number) != NULL) {
        last = table->newest;
    }
    bool is_below = number < first;
    first = is_below ? number : first;
    last = last > number ? last : number;
    uint64_t span = last - first + 1;
    uint64_t capacity = CAPACITY_FIRST;
    if (span > TABLE_SPAN_MAX / TABLE_CHUNK) {
        return TALLY_FULL;
    }
    while (capacity < 2 * span) {
        capacity *= 2;
    }
    struct table_root *root = calloc(1, sizeof *root + capacity * sizeof root->chunk[0]);
    if (root == NULL) {
        return TALLY_NOMEM;
    }
    root->capacity = capacity;
    root->base = is_below ? first - (first < capacity - span ? first : capacity - span) : first;
    DCHECK(root->base <= first && last - root->base < capacity); /* it covers all chunks */
    struct table_chunk *empty = NULL;                            /* the newest chunk may be empty */
    for (uint64_t at = 0; old != NULL && at < old->capacity; at++) {
        struct table_chunk *chunk = chunk_at(old, at);
        if (chunk != NULL && chunk->living > 0) {
            chunk_put(root, old->base + at - root->base, chunk);
        } else if (chunk != NULL) {
            empty = chunk;
        }
    }
    /* T2: release; pairs with T1 */
    atomic_store_explicit(&table->root, root, memory_order_release);
    table->chunks -= empty != NULL;
    retire(table, empty);
    retire(table, old);
    return 0;
}

/* Takes a chunk without entities out of the root and retires it. */
static void chunk_drop(struct table *table, uint64_t number)
{
    struct table_root *root = root_of(table);
    struct table_chunk *chunk = chunk_of(table, number);
    if (chunk != NULL && chunk->living == 0) {
        chunk_put(root, number - root->base, NULL);
        DCHECK(table->chunks > 0);
        table->chunks--;
        retire(table, chunk);
    }
}

static int chunk_new(struct table *table, uint64_t number)
{
    DCHECK(chunk_of(table, number) == NULL);
    const struct table_root *root = root_of(table);
    if (root == NULL || number - root->base >= root->capacity) {
        int err = root_renew(table, number);
        if (err != 0) {
            return err;
        }
    }
    struct table_chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL) {
        return TALLY_NOMEM;
    }
    chunk_put(root_of(table), number - root_of(table)->base, chunk);
    if (table->chunks == 0) {
        table->newest = number;
    } else if (number > table->newest) {
        chunk_drop(table, table->newest);
        table->newest = number;
    }
    table->chunks++;
    return 0;
}

int table_put(struct table *table, uint64_t id, void *entity)
{
    DCHECK(entity != NULL && table_get(table, id) == NULL); /* an id is given out once */
    uint64_t number = id / TABLE_CHUNK;
    struct table_chunk *chunk = chunk_of(table, number);
    if (chunk == NULL) {
        int err = chunk_new(table, number);
        if (err != 0) {
            return err;
        }
        chunk = chunk_of(table, number);
    }
    DCHECK(chunk->living < TABLE_CHUNK);
    chunk->living++;
    /* T2: release; pairs with T1 */
    atomic_store_explicit(&chunk->slot[id % TABLE_CHUNK], entity, memory_order_release);
    return 0;
}

void table_remove(struct table *table, uint64_t id)
{
    uint64_t number = id / TABLE_CHUNK;
    struct table_chunk *chunk = chunk_of(table, number);
    /* apply removes what it has just found by this id */
    CHECK(chunk != NULL && chunk->living > 0);
    DCHECK(table_get(table, id) != NULL);
    /* T2: release; pairs with T1 */
    atomic_store_explicit(&chunk->slot[id % TABLE_CHUNK], NULL, memory_order_release);
    chunk->living--;
    if (number != table->newest) {
        chunk_drop(table, number);
    }
}

/* ---- walking ---- */

static const struct table_root *root_read(const struct table *table)
{
    /* T1: acquire; pairs with T2 */
    return atomic_load_explicit(&table->root, memory_order_acquire);
}

static const struct table_chunk *chunk_read(const struct table_root *root, uint64_t at)
{
    /* T1: acquire; pairs with T2 */
    return atomic_load_explicit(&root->chunk[at], memory_order_acquire);
}

static void *slot_read(const struct table_chunk *chunk, uint64_t i)
{
    /* T1: acquire; pairs with T2 */
    return atomic_load_explicit(&chunk->slot[i], memory_order_acquire);
}

void *table_next(const struct table *table, uint64_t *id)
{
    const struct table_root *root = root_read(table);
    uint64_t first =
        root == NULL || *id / TABLE_CHUNK < root->base ? 0 : *id / TABLE_CHUNK - root->base;
    for (uint64_t at = first; root != NULL && at < root->capacity; at++) {
        const struct table_chunk *chunk = chunk_read(root, at);
        uint64_t begin = (root->base + at) * TABLE_CHUNK;
        for (uint64_t i = *id > begin ? *id - begin : 0; chunk != NULL && i < TABLE_CHUNK; i++) {
            void *entity = slot_read(chunk, i);
            if (entity != NULL) {
                *id = begin + i;
                return entity;
            }
        }
    }
    return NULL;
}

void *table_prev(const struct table *table, uint64_t *id)
{
    const struct table_root *root = root_read(table);
    uint64_t number = *id / TABLE_CHUNK;
    if (root == NULL || number < root->base) {
        return NULL;
    }
    uint64_t above =
        number - root->base < root->capacity ? number - root->base + 1 : root->capacity;
    for (uint64_t at = above; at > 0; at--) {
        const struct table_chunk *chunk = chunk_read(root, at - 1);
        uint64_t begin = (root->base + at - 1) * TABLE_CHUNK;
        uint64_t count = *id - begin < TABLE_CHUNK ? *id - begin + 1 : TABLE_CHUNK;
        for (uint64_t i = count; chunk != NULL && i > 0; i--) {
            void *entity = slot_read(chunk, i - 1);
            if (entity != NULL) {
                *id = begin + i - 1;
                return entity;
            }
        }
    }
    return NULL;
}
