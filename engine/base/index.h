/* An index from names to entities: one writer, many readers, open addressing. */
#ifndef TALLY_ENGINE_BASE_INDEX_H
#define TALLY_ENGINE_BASE_INDEX_H

#include "engine/base/rcu.h"
#include "wal/base/span.h"

#include <stdatomic.h>
#include <stdint.h>

/*
 *     index ── array { mask, slot[0] ... slot[mask], their hashes } ── entity       removed: TOMB
 *                 └ older: the array before, while it is being moved, a few slots with each put
 *
 * Synchronization: put, remove, each, fini by the one writer; get by any thread inside a read
 * section. The writer fills a slot with one release store (I2). It grows by publishing a new, empty
 * array (I2) that points to the older one. A moved entity stays in the older array, too, until all
 * are moved and the new array drops its pointer (I4). A reader loads the pointer to the older array
 * first (I3) and searches that array last: if there is none any more, every entity is in the new
 * array; if there is, an entity that is not in the new array is in the older one. A reader that
 * still has only the old array sees the entities of the moment when it began. Linearization: the
 * load of the slot (I1). Progress: wait-free, and no put takes long; the array is at most 5/8 full.
 * Reclamation: an old array is retired (engine/base/rcu.h).
 */
struct index_array;

struct index {
    _Atomic(struct index_array *) array;
    struct span (*key_of)(const void *entity);
    uint64_t seed;               /* of its hashes; no record and no reply depends on it */
    struct rcu_retirer *retirer; /* borrowed; NULL: free at once (no readers yet) */
    uint64_t used;               /* slots that are not empty, tombs included */
    uint64_t moved;              /* slots of the older array, while there is one */
    uint64_t count;
};

/* Returns the hash of a key. The seed, from random_seed, keeps clients from choosing keys that
 * collide. */
uint64_t index_hash(struct span key, uint64_t seed);

/* Makes an empty index. Errors: NOMEM. */
int index_init(struct index *index, struct span (*key_of)(const void *entity));
void index_fini(struct index *index);

/* Makes room for `count` entities, so that no put copies an array. REQUIRES: the index is empty.
 * Errors: NOMEM. */
int index_reserve(struct index *index, uint64_t count);

/* Adds an entity. REQUIRES: its key is not there, or only that of an entity that is removed next.
 * Errors: NOMEM. */
int index_put(struct index *index, void *entity);
void index_remove(struct index *index, const void *entity);

/* Returns the entity of a key, or NULL. */
void *index_get(const struct index *index, struct span key);

/* Calls fn for each entity, in no order. */
void index_each(const struct index *index, void (*fn)(void *arg, void *entity), void *arg);

#endif
