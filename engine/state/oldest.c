/* The heap of a queue's pending builds. */
#include "engine/state/oldest.h"

#include "engine/state/state.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

void oldest_fini(struct oldest *oldest)
{
    free(oldest->at);
    *oldest = (struct oldest){NULL, 0, 0};
}

static void put_at(struct oldest *oldest, size_t at, struct build *build)
{
    DCHECK(at < oldest->count);
    oldest->at[at] = build;
    build->oldest_at = (uint32_t)at;
}

/* Moves a build up from a place until no younger build is above it. */
static void sift_up(struct oldest *oldest, size_t at, struct build *build)
{
    while (at > 0 && oldest->at[(at - 1) / 2]->id > build->id) {
        put_at(oldest, at, oldest->at[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put_at(oldest, at, build);
}

static void sift_down(struct oldest *oldest, size_t at, struct build *build)
{
    for (;;) {
        size_t next = 2 * at + 1;
        if (next + 1 < oldest->count && oldest->at[next + 1]->id < oldest->at[next]->id) {
            next++;
        }
        if (next >= oldest->count || oldest->at[next]->id > build->id) {
            break;
        }
        put_at(oldest, at, oldest->at[next]);
        at = next;
    }
    put_at(oldest, at, build);
}

int oldest_put(struct oldest *oldest, struct build *build)
{
    if (oldest->count == oldest->capacity) {
        size_t capacity = oldest->capacity * 2 + 16;
        struct build **grown = realloc(oldest->at, capacity * sizeof(struct build *));
        if (grown == NULL) {
            return TALLY_NOMEM;
        }
        oldest->at = grown;
        oldest->capacity = capacity;
    }
    DCHECK(oldest->count < oldest->capacity);
    sift_up(oldest, oldest->count++, build);
    return 0;
}

void oldest_remove(struct oldest *oldest, struct build *build)
{
    size_t at = build->oldest_at;
    DCHECK(at < oldest->count && oldest->at[at] == build); /* a build knows its place */
    struct build *last = oldest->at[--oldest->count];
    if (last == build) {
        return;
    }
    if (at > 0 && oldest->at[(at - 1) / 2]->id > last->id) {
        sift_up(oldest, at, last);
    } else {
        sift_down(oldest, at, last);
    }
}
