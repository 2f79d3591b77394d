/* The voters of a poll, and for which of its options each has voted: an exact set. */
#ifndef TALLY_ENGINE_STATE_VOTERS_H
#define TALLY_ENGINE_STATE_VOTERS_H

#include "engine/state/voters_arena.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stdint.h>

/*
 *     buckets  [ 0 | 1 | 2 | ... | count - 1 ]      the first entry of each, in pages of 16,384
 *                    └▶ entry ─▶ entry
 *     entry    { head | next entry | options' places ... | the voter's bytes }   (voters_arena.h)
 *
 * Linear hashing: with each voter that is added two buckets are added at the end, and each takes
 * its entries from the one bucket that they shared. So the set never makes a larger table beside
 * the one it has, and no put is slow; buckets are taken away in the same manner. A voter of 36
 * bytes with one option takes 48 bytes in its entry and 8 to 9 in buckets, at every moment of
 * growth (tests/engine/voters_many.c).
 *
 * The hash is keyed, so nobody can choose voters that collide. Nothing that is seen from outside
 * depends on it: a walk goes by the places of the entries, which follow from the calls alone.
 *
 * Threads: the committer, or the only one: nobody reads a set while it is changed.
 */
enum { VOTERS_OPTIONS_MAX = 60, VOTERS_LEN_MAX = 64 };

struct voters {
    uint64_t seed;
    uint64_t count;
    uint32_t **pages; /* of buckets */
    uint32_t page_count;
    uint32_t page_room;
    uint32_t first_room; /* buckets that the first page has room for */
    uint64_t buckets;
    uint64_t bytes; /* of the pages */
    struct voters_arena arena;
    struct voters_cursor walk;
};

/* One voter. The pointers hold until the next call that changes the set. */
struct voters_view {
    struct span voter;
    const uint32_t *places; /* of the options in the poll, in the order of the put */
    uint32_t count;
    uint32_t mark;
    uint32_t offset;
};

/* Makes an empty set, which has no memory. The seed is random_seed() of the process. */
void voters_init(struct voters *voters, uint64_t seed);
void voters_fini(struct voters *voters);

/* Frees up to `pieces` pieces of at most 64 KiB, each of which takes 10 to 20 us. Returns whether
 * all is freed; then the set is empty and may be used again. Until then nothing else may be done
 * with it. */
bool voters_free_some(struct voters *voters, uint64_t pieces);

/* Makes buckets for `count` voters at once, for a load. REQUIRES: the set is empty. Without memory
 * it does less. */
void voters_reserve(struct voters *voters, uint64_t count);

/* Bring a voter's bucket near, before a find or put that follows soon; and, when the bucket is
 * near, its first entry. */
void voters_prefetch(const struct voters *voters, struct span voter);
void voters_prefetch_entry(const struct voters *voters, struct span voter);

/* Returns whether the voter is in the set, and then its entry in *view. */
bool voters_find(const struct voters *voters, struct span voter, struct voters_view *view);

/* One entry to put: the voter has 1 to VOTERS_LEN_MAX bytes, outside of the set's own memory, and 1
 * to VOTERS_OPTIONS_MAX places. Of the mark the low VOTERS_MARK_BITS bits are kept. */
struct voters_entry {
    struct span voter;
    const uint32_t *places;
    uint32_t count;
    uint32_t mark;
};

/* Adds a voter, or replaces what is kept of it. Errors: NOMEM, nothing has changed then. */
int voters_put(struct voters *voters, const struct voters_entry *entry);

/* Removes a voter. Returns whether it was there. */
bool voters_remove(struct voters *voters, struct span voter);

/* Sets the mark of an entry that a find or a walk has just returned. */
void voters_mark(struct voters *voters, const struct voters_view *view, uint32_t mark);

/* Returns the bytes that the set has allocated. */
uint64_t voters_bytes(const struct voters *voters);

/* Begins a walk over all voters; one at a time. Voters that are added meanwhile may be met or not,
 * the others are met once, unless they are removed before their turn. A voter that is replaced may
 * be met a second time, or not at all: who needs it as it was looks before. Until the end of the
 * walk no entry is moved. */
void voters_walk(struct voters *voters);

/* Goes on, over at most *blocks blocks of memory, which it counts down. Returns false when there is
 * no voter more, or *blocks is 0: voters_is_walked says which. */
bool voters_next(struct voters *voters, uint64_t *blocks, struct voters_view *view);
bool voters_is_walked(const struct voters *voters);

/* Returns the next voter behind the cursor, or false at the end. REQUIRES: the set is not changed
 * between the first call and the last one. */
bool voters_each(const struct voters *voters, struct voters_cursor *cursor,
                 struct voters_view *view);

#endif
