/* The memory of a set of voters: blocks of any size in chunks, compacted a little at a time. */
#ifndef TALLY_ENGINE_STATE_VOTERS_ARENA_H
#define TALLY_ENGINE_STATE_VOTERS_ARENA_H

#include <stdbool.h>
#include <stdint.h>

/*
 *     chunks ── { at, units, used, live } ── | - | block | block | FREE | block |   not used yet |
 *                                                  ^ offset = chunk << 14 | unit
 *     free[size] ── FREE ⇄ FREE ⇄ FREE            free blocks of one size, anywhere
 *
 * Memory is counted in units of 4 bytes. A block begins with its head, which tells what it is and
 * how long. A block that is given back goes to the list of its size and is the first to be used
 * again; so voters that come and go take no more memory than there were at one time.
 *
 * When a tenth of all units is free, because sizes have changed or voters have left, chunks
 * are emptied one by one: the owner moves each block that lives to the end of the arena
 * (voters_arena_step), and the chunk is freed. While a walk goes on, nothing is moved.
 *
 * Threads: the committer, or the only one.
 */
enum {
    VOTERS_CHUNK_BITS = 14,
    VOTERS_CHUNK_UNITS = 1 << VOTERS_CHUNK_BITS, /* of the largest chunks */
    VOTERS_CHUNKS_MAX = 1 << (32 - VOTERS_CHUNK_BITS),
    VOTERS_BLOCK_UNITS_MIN = 4,  /* a free block has a head and two links */
    VOTERS_BLOCK_UNITS_MAX = 78, /* head, link, 60 options, 64 bytes */
};

/*
 * The first unit of a block:
 *     { options - 1 : 6 | bytes - 1 : 6 | mark : 20 }     an entry
 *     { kind : 6        | units : 26 }                    a block without one
 */
enum voters_kind { VOTERS_DEAD = 62, VOTERS_FREE = 63 }; /* DEAD: not in a list */
enum { VOTERS_MARK_BITS = 20 };
#define VOTERS_MARK_MASK (((uint32_t)1 << VOTERS_MARK_BITS) - 1)

static inline uint32_t voters_head_kind(uint32_t head)
{
    return head >> 26;
}
static inline uint32_t voters_head_count(uint32_t head)
{
    return (head >> 26) + 1;
}
static inline uint32_t voters_head_len(uint32_t head)
{
    return (head >> VOTERS_MARK_BITS & 63) + 1;
}
static inline uint32_t voters_entry_units(uint32_t count, uint32_t len)
{
    return 2 + count + (len + 3) / 4;
}

/* A place of a walk; all zero is its beginning. */
struct voters_cursor {
    uint32_t chunk;
    uint32_t at;
};

struct voters_chunk {
    uint32_t *at;   /* owned; NULL: the number is not in use */
    uint32_t units; /* its size; of a number not in use: the next such number + 1 */
    uint32_t used;  /* blocks begin below; unit 0 is not used, so no offset is 0 */
    uint32_t live;  /* units of entries */
};

/* All zero is an empty arena. */
struct voters_arena {
    struct voters_chunk *chunks;
    uint32_t chunk_count;
    uint32_t chunk_room;
    uint32_t unused;  /* the first number not in use + 1; 0: none */
    uint32_t current; /* the chunk with room at its end + 1; 0: none */
    uint32_t victim;  /* the chunk that is being emptied + 1; 0: none */
    uint32_t victim_at;
    uint32_t hand; /* the next victim is looked for from here on */
    uint64_t live; /* units of entries */
    uint64_t used; /* units that new blocks cannot have at the end of a chunk */
    uint64_t bytes;
    bool walking;                              /* the owner: then no entry is moved */
    uint32_t free[VOTERS_BLOCK_UNITS_MAX + 1]; /* by size: the first free block, or 0 */
};

static inline uint32_t *voters_arena_at(const struct voters_arena *arena, uint32_t offset)
{
    return arena->chunks[offset >> VOTERS_CHUNK_BITS].at + (offset & (VOTERS_CHUNK_UNITS - 1));
}

/* Returns the offset of a block, or 0 when there is no memory. The owner writes its head at once.
 */
uint32_t voters_arena_take(struct voters_arena *arena, uint32_t units);

/* Gives back the block of an entry. */
void voters_arena_give(struct voters_arena *arena, uint32_t offset);

/* Whether blocks should be moved together. */
bool voters_arena_is_loose(const struct voters_arena *arena);

/* Goes on over one block of the chunk that is being emptied. Returns the offset of an entry that
 * the owner moves (voters_arena_move), or 0. */
uint32_t voters_arena_step(struct voters_arena *arena);

/* Copies the entry of the last step to another place. Returns its offset there, or 0 when there is
 * no memory; then the step is made again another time. */
uint32_t voters_arena_move(struct voters_arena *arena, uint32_t offset);

/* Goes on over at most *blocks blocks, which it counts down, in the order of their places. Returns
 * the next entry; 0 at the end of all chunks, or when *blocks is 0. */
uint32_t voters_arena_next(const struct voters_arena *arena, struct voters_cursor *cursor,
                           uint64_t *blocks);

/* Frees up to *chunks chunks, and subtracts them. Returns whether all are freed; the arena is all
 * zero then. Until then nothing else may be done with it. */
bool voters_arena_free_some(struct voters_arena *arena, uint64_t *chunks);

#endif
