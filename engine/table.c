/* The table's memory: chunks that are made when an id first falls into them. */
#include "engine/table.h"

#include "wal/base/err.h"

#include <stdlib.h>

int table_init(struct table *table)
{
    table->chunks = calloc(TABLE_CHUNKS, sizeof *table->chunks);
    return table->chunks != NULL ? 0 : TALLY_NOMEM;
}

void table_fini(struct table *table)
{
    for (size_t i = 0; table->chunks != NULL && i < TABLE_CHUNKS; i++) {
        /* T3: relaxed: nobody else is there any more */
        free(atomic_load_explicit(&table->chunks[i], memory_order_relaxed));
    }
    free(table->chunks);
    table->chunks = NULL;
}

int table_put(struct table *table, uint64_t id, void *entity)
{
    if (id >= TABLE_IDS_MAX) {
        return TALLY_FULL;
    }
    _Atomic(struct table_chunk *) *place = &table->chunks[id / TABLE_CHUNK];
    /* T4: relaxed: own writes */
    struct table_chunk *chunk = atomic_load_explicit(place, memory_order_relaxed);
    if (chunk == NULL) {
        chunk = calloc(1, sizeof *chunk);
        if (chunk == NULL) {
            return TALLY_NOMEM;
        }
        /* T2: release; pairs with T1 */
        atomic_store_explicit(place, chunk, memory_order_release);
    }
    /* T2: release; pairs with T1 */
    atomic_store_explicit(&chunk->slot[id % TABLE_CHUNK], entity, memory_order_release);
    return 0;
}
