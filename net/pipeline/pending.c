/* Replies in flight: a ring of fixed size. */
#include "net/pipeline/pending.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

int pending_init(struct pending *pending)
{
    *pending = (struct pending){.entries = malloc(PENDING_MAX * sizeof(struct pending_entry))};
    return pending->entries == NULL ? TALLY_NOMEM : 0;
}

void pending_fini(struct pending *pending)
{
    free(pending->entries);
}

bool pending_push(struct pending *pending, const struct pending_entry *entry)
{
    if (pending->head != pending->tail) {
        struct pending_entry *last = &pending->entries[(pending->tail - 1) % PENDING_MAX];
        DCHECK(last->pos <= entry->pos);
        if (last->conn == entry->conn && last->pos == entry->pos && last->kind == PENDING_HELD &&
            entry->kind == PENDING_HELD && last->flags == entry->flags) {
            last->held_bytes += entry->held_bytes;
            return false;
        }
    }
    /* may_run in net/io/run.c asks for a place before each request, votes_cast before each vote */
    CHECK(pending_room(pending) > 0);
    pending->entries[pending->tail++ % PENDING_MAX] = *entry;
    return true;
}
