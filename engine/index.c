/* Open addressing with one writer: linear probing, tombs, growth by copy. */
#include "engine/index.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum { INDEX_FIRST = 64 };

/*
 * A slot's hash is written once, before the slot (I2), and read behind it (I1), so it needs no
 * atomics. It spares the look at the keys of others, which lie anywhere in memory.
 */
struct index_array {
    uint64_t mask;
    uint32_t *hash; /* behind the slots, in the same allocation */
    _Atomic(void *) slot[];
};

static char tomb;

static uint32_t hash_of(struct span key)
{
    uint64_t h = 0x9E3779B97F4A7C15U ^ key.len;
    for (size_t i = 0; i < key.len; i++) {
        h = (h ^ (unsigned char)key.at[i]) * 0x100000001B3U;
    }
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93U;
    return (uint32_t)(h ^ h >> 32);
}

static struct index_array *array_new(uint64_t slots)
{
    size_t slot_bytes = sizeof(void *) + sizeof(uint32_t);
    struct index_array *array = calloc(1, sizeof *array + slots * slot_bytes);
    if (array != NULL) {
        array->mask = slots - 1;
        array->hash = (uint32_t *)(void *)&array->slot[slots];
    }
    return array;
}

static void *slot_get(const struct index_array *array, uint64_t i)
{
    /* I1: acquire; pairs with I2 */
    return atomic_load_explicit(&array->slot[i & array->mask], memory_order_acquire);
}

static uint32_t slot_hash(const struct index_array *array, uint64_t i)
{
    return array->hash[i & array->mask];
}

static void slot_put(struct index_array *array, uint64_t i, void *entity)
{
    /* I2: release; pairs with I1 */
    atomic_store_explicit(&array->slot[i & array->mask], entity, memory_order_release);
}

static struct index_array *array_of(const struct index *index)
{
    /* I1: acquire; pairs with I2 */
    return atomic_load_explicit(&index->array, memory_order_acquire);
}

int index_init(struct index *index, struct span (*key_of)(const void *entity))
{
    *index = (struct index){.key_of = key_of};
    struct index_array *array = array_new(INDEX_FIRST);
    atomic_init(&index->array, array);
    return array != NULL ? 0 : TALLY_NOMEM;
}

void index_fini(struct index *index)
{
    free(array_of(index));
    *index = (struct index){.retirer = NULL};
}

/* Puts an entity into the first empty slot of its run. */
static void array_put(struct index_array *array, uint32_t hash, void *entity)
{
    uint64_t i = hash;
    while (slot_get(array, i) != NULL) {
        i++;
    }
    array->hash[i & array->mask] = hash;
    slot_put(array, i, entity);
}

static void drop(const struct index *index, struct index_array *old)
{
    if (index->retirer != NULL) {
        rcu_retire(index->retirer, old, free);
    } else {
        free(old);
    }
}

static int grow(struct index *index)
{
    struct index_array *old = array_of(index);
    uint64_t slots = old->mask + 1;
    struct index_array *array = array_new(index->count * 2 >= slots / 2 ? slots * 2 : slots);
    if (array == NULL) {
        return TALLY_NOMEM;
    }
    for (uint64_t i = 0; i < slots; i++) {
        void *entity = slot_get(old, i);
        if (entity != NULL && entity != &tomb) {
            array_put(array, slot_hash(old, i), entity);
        }
    }
    /* I2: release; pairs with I1 */
    atomic_store_explicit(&index->array, array, memory_order_release);
    index->used = index->count;
    drop(index, old);
    return 0;
}

int index_reserve(struct index *index, uint64_t count)
{
    uint64_t slots = INDEX_FIRST;
    CHECK(index->used == 0); /* for a head, of which a snapshot has one (proof.c) */
    while ((count + 1) * 8 > slots * 5) {
        slots *= 2;
    }
    struct index_array *array = array_new(slots);
    if (array == NULL) {
        return TALLY_NOMEM;
    }
    struct index_array *old = array_of(index);
    /* I2: release; pairs with I1 */
    atomic_store_explicit(&index->array, array, memory_order_release);
    drop(index, old);
    return 0;
}

int index_put(struct index *index, void *entity)
{
    if ((index->used + 1) * 8 > (array_of(index)->mask + 1) * 5) {
        int err = grow(index);
        if (err != 0) {
            return err;
        }
    }
    array_put(array_of(index), hash_of(index->key_of(entity)), entity);
    index->used++;
    index->count++;
    return 0;
}

void index_remove(struct index *index, const void *entity)
{
    struct index_array *array = array_of(index);
    uint64_t i = hash_of(index->key_of(entity));
    for (void *at = slot_get(array, i); at != entity; at = slot_get(array, i)) {
        CHECK(at != NULL); /* it was put, once: who puts looks first, a load as apply (loader.c) */
        i++;
    }
    slot_put(array, i, &tomb);
    index->count--;
}

void *index_get(const struct index *index, struct span key)
{
    const struct index_array *array = array_of(index);
    uint32_t hash = hash_of(key);
    uint64_t i = hash;
    for (void *at = slot_get(array, i); at != NULL; at = slot_get(array, ++i)) {
        if (at != &tomb && slot_hash(array, i) == hash && span_equal(index->key_of(at), key)) {
            return at;
        }
    }
    return NULL;
}

void index_each(const struct index *index, void (*fn)(void *arg, void *entity), void *arg)
{
    const struct index_array *array = array_of(index);
    for (uint64_t i = 0; array != NULL && i <= array->mask; i++) {
        void *entity = slot_get(array, i);
        if (entity != NULL && entity != &tomb) {
            fn(arg, entity);
        }
    }
}
