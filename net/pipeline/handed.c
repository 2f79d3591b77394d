/* Builds that were handed out: a list that empties from its front. */
#include "net/pipeline/handed.h"

#include "wal/base/check.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 4 };

void handed_fini(struct handed *handed)
{
    free(handed->at);
    *handed = (struct handed){.at = NULL};
}

bool handed_grow(struct handed *handed)
{
    /* handed_add adds only with a place */
    CHECK(handed->count <= handed->capacity);
    uint32_t capacity = handed->capacity < CAPACITY_MIN ? CAPACITY_MIN : handed->capacity * 2;
    struct handed_claim *at = realloc(handed->at, capacity * sizeof(*at));
    if (at != NULL) {
        handed->at = at;
        handed->capacity = capacity;
    }
    return handed->count < handed->capacity;
}

void handed_add(struct handed *handed, const struct handed_claim *claim)
{
    if (handed->count < handed->capacity || handed_grow(handed)) {
        handed->at[handed->count++] = *claim;
    }
}

void handed_leave(struct handed *handed, uint64_t pos, uint64_t end)
{
    /* handed_arrive takes arrived claims off both counts */
    CHECK(handed->left <= handed->count);
    while (handed->left < handed->count && handed->at[handed->left].pos <= pos) {
        DCHECK(handed->left == 0 || handed->at[handed->left - 1].end <= end);
        handed->at[handed->left++].end = end;
    }
}

void handed_arrive(struct handed *handed, uint64_t bytes)
{
    uint32_t gone = 0;
    while (gone < handed->left && handed->at[gone].end <= bytes) {
        gone++;
    }
    /* the loop ends at the last claim that has left, whatever the kernel says */
    CHECK(gone <= handed->left && handed->left <= handed->count);
    handed->left -= gone;
    handed->count -= gone;
    if (handed->count == 0) {
        handed_fini(handed);
    } else if (gone > 0) {
        memmove(handed->at, handed->at + gone, handed->count * sizeof(handed->at[0]));
    }
}

void handed_move(struct handed *to, struct handed *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        handed_add(to, &from->at[i]);
    }
    handed_fini(from);
}
