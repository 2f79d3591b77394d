/* The index: open addressing with linear probing and tombs, and growth a few slots at a time. */
#include "engine/base/index.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/random.h"
#include "wal/format/codec.h"

#include <stdlib.h>

/* A new array has room for so many puts that the old one is moved long before it is full. */
enum { INDEX_FIRST = 64, MOVE_SLOTS = 16 };

/*
 * A slot's hash is written once, before the slot (I2), and read after it (I1), so it needs no
 * atomics. Comparing hashes first saves reading the keys of other entities, which lie anywhere in
 * memory.
 */
struct index_array {
    /* the array from which entities are moved; NULL: all are in this array */
    _Atomic(struct index_array *) older;
    uint64_t mask;
    uint32_t *hash; /* behind the slots, in the same allocation */
    _Atomic(void *) slot[];
};

static char tomb;

uint64_t index_hash(struct span key, uint64_t seed)
{
    return wal_codec_checksum(key.at, key.len, seed);
}

static uint32_t hash_of(const struct index *index, struct span key)
{
    return (uint32_t)index_hash(key, index->seed);
}

static struct index_array *array_new(uint64_t slots)
{
    DCHECK(slots > 0 && (slots & (slots - 1)) == 0); /* the mask needs a power of two */
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

static struct index_array *older_of(const struct index_array *array)
{
    /* I3: acquire; pairs with I4: entities moved by then are in this array */
    return atomic_load_explicit(&array->older, memory_order_acquire);
}

static void older_put(struct index_array *array, struct index_array *older)
{
    /* I4: release; pairs with I3 */
    atomic_store_explicit(&array->older, older, memory_order_release);
}

int index_init(struct index *index, struct span (*key_of)(const void *entity))
{
    DCHECK(key_of != NULL);
    *index = (struct index){.key_of = key_of, .seed = random_seed()};
    struct index_array *array = array_new(INDEX_FIRST);
    atomic_init(&index->array, array);
    return array != NULL ? 0 : TALLY_NOMEM;
}

void index_fini(struct index *index)
{
    if (array_of(index) != NULL) {
        free(older_of(array_of(index)));
    }
    free(array_of(index));
    *index = (struct index){.retirer = NULL};
}

/* Puts an entity into the first empty slot of its run. */
static void array_put(struct index_array *array, uint32_t hash, void *entity)
{
    DCHECK(entity != NULL && entity != &tomb);
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

/* Moves the entities of the next slots of the older array. */
static void move_some(struct index *index)
{
    struct index_array *array = array_of(index);
    struct index_array *older = older_of(array);
    if (older == NULL) {
        return;
    }
    DCHECK(older != array && older_of(older) == NULL);
    for (int n = 0; n < MOVE_SLOTS && index->moved <= older->mask; n++, index->moved++) {
        void *entity = slot_get(older, index->moved);
        if (entity != NULL && entity != &tomb) {
            array_put(array, slot_hash(older, index->moved), entity);
            index->used++;
        }
    }
    if (index->moved > older->mask) {
        older_put(array, NULL);
        drop(index, older);
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
    DCHECK(array->mask >= old->mask);
    /* each put since the last growth has moved MOVE_SLOTS slots, so all are moved by now */
    CHECK(older_of(old) == NULL);
    older_put(array, old);
    /* I2: release; pairs with I1 */
    atomic_store_explicit(&index->array, array, memory_order_release);
    index->used = 0;
    index->moved = 0;
    return 0;
}

int index_reserve(struct index *index, uint64_t count)
{
    uint64_t slots = INDEX_FIRST;
    CHECK(index->used == 0); /* a load reserves once, at the head (snapshot_proof.c) */
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
    array_put(array_of(index), hash_of(index, index->key_of(entity)), entity);
    DCHECK(index->used < array_of(index)->mask); /* a run ends at an empty slot */
    index->used++;
    index->count++;
    move_some(index);
    return 0;
}

/* Puts a tomb in place of an entity. Returns whether it was there. */
static bool take_out(struct index_array *array, uint32_t hash, const void *entity)
{
    uint64_t i = hash;
    void *at = slot_get(array, i);
    while (at != NULL && at != entity) {
        at = slot_get(array, ++i);
    }
    if (at != NULL) {
        slot_put(array, i, &tomb);
    }
    return at != NULL;
}

void index_remove(struct index *index, const void *entity)
{
    struct index_array *array = array_of(index);
    struct index_array *older = older_of(array);
    uint32_t hash = hash_of(index, index->key_of(entity));
    bool is_old = older != NULL && take_out(older, hash, entity);
    bool is_new = take_out(array, hash, entity);
    /* it was put once: apply and a load look for the key before they put (snapshot_load.c) */
    CHECK(is_new || is_old);
    DCHECK(index->count > 0);
    index->count--;
}

static void *find(const struct index *index, const struct index_array *array, uint32_t hash,
                  struct span key)
{
    uint64_t i = hash;
    for (void *at = slot_get(array, i); at != NULL; at = slot_get(array, ++i)) {
        if (at != &tomb && slot_hash(array, i) == hash && span_equal(index->key_of(at), key)) {
            return at;
        }
    }
    return NULL;
}

void *index_get(const struct index *index, struct span key)
{
    const struct index_array *array = array_of(index);
    const struct index_array *older = older_of(array); /* before the search in the new array */
    uint32_t hash = hash_of(index, key);
    void *entity = find(index, array, hash, key);
    return entity == NULL && older != NULL ? find(index, older, hash, key) : entity;
}

static void each(const struct index_array *array, uint64_t from,
                 void (*fn)(void *arg, void *entity), void *arg)
{
    for (uint64_t i = from; array != NULL && i <= array->mask; i++) {
        void *entity = slot_get(array, i);
        if (entity != NULL && entity != &tomb) {
            fn(arg, entity);
        }
    }
}

void index_each(const struct index *index, void (*fn)(void *arg, void *entity), void *arg)
{
    const struct index_array *array = array_of(index);
    if (array != NULL) {
        each(older_of(array), index->moved, fn, arg);
        each(array, 0, fn, arg);
    }
}
