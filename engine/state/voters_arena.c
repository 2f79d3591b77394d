/* The arena: lists of free blocks by size, and chunks that are emptied and freed. */
#include "engine/state/voters_arena.h"

#include "wal/base/check.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_UNITS_FIRST = 64,
    CHUNK_BLOCKS = 8,  /* a new chunk has room for so many of the block that is wanted */
    CHUNK_SHARE = 16,  /* a new chunk is at most so large a part of what lives */
    LOOSE_SHARE = 8,   /* units are moved together when more than 1/8 of those that live is free */
    LOOSE_UNITS = 128, /* ... and more than this */
    LOOKS = 16,        /* chunks that a step looks at for the next victim */
    ALLOCATION = 16,   /* bytes that the allocator takes itself */
    LINK_NEXT = 1,     /* the units of a free block behind its head */
    LINK_PREV = 2,
    UNITS_MASK = (1 << 26) - 1,
};

static uint32_t block_units(uint32_t head)
{
    return voters_head_kind(head) >= VOTERS_DEAD
               ? head & UNITS_MASK
               : voters_entry_units(voters_head_count(head), voters_head_len(head));
}

static uint32_t head_without_entry(enum voters_kind kind, uint32_t units)
{
    return (uint32_t)kind << 26 | units;
}

static uint32_t chunk_of(uint32_t offset)
{
    return offset >> VOTERS_CHUNK_BITS;
}

/* ---- lists of free blocks ---- */

static void list_push(struct voters_arena *arena, uint32_t offset, uint32_t units)
{
    uint32_t *block = voters_arena_at(arena, offset);
    uint32_t next = arena->free[units];
    DCHECK(units >= VOTERS_BLOCK_UNITS_MIN && units <= VOTERS_BLOCK_UNITS_MAX);
    block[0] = head_without_entry(VOTERS_FREE, units);
    block[LINK_NEXT] = next;
    block[LINK_PREV] = 0;
    if (next != 0) {
        voters_arena_at(arena, next)[LINK_PREV] = offset;
    }
    arena->free[units] = offset;
}

static void list_remove(struct voters_arena *arena, uint32_t offset)
{
    const uint32_t *block = voters_arena_at(arena, offset);
    uint32_t next = block[LINK_NEXT];
    uint32_t prev = block[LINK_PREV];
    DCHECK(voters_head_kind(block[0]) == VOTERS_FREE);
    if (next != 0) {
        voters_arena_at(arena, next)[LINK_PREV] = prev;
    }
    if (prev != 0) {
        voters_arena_at(arena, prev)[LINK_NEXT] = next;
    } else {
        DCHECK(arena->free[block_units(block[0])] == offset);
        arena->free[block_units(block[0])] = next;
    }
}

/* ---- chunks ---- */

/* Returns a number for a new chunk, or VOTERS_CHUNKS_MAX when there is none. */
static uint32_t chunk_number(struct voters_arena *arena)
{
    if (arena->unused != 0) {
        uint32_t number = arena->unused - 1;
        arena->unused = arena->chunks[number].units;
        return number;
    }
    if (arena->chunk_count == arena->chunk_room) {
        uint32_t room = arena->chunk_room * 2 + 4;
        struct voters_chunk *grown = realloc(arena->chunks, room * sizeof *grown);
        if (grown == NULL) {
            return VOTERS_CHUNKS_MAX;
        }
        arena->bytes += (room - arena->chunk_room) * sizeof *grown;
        arena->chunks = grown;
        arena->chunk_room = room;
    }
    return arena->chunk_count < VOTERS_CHUNKS_MAX ? arena->chunk_count++ : VOTERS_CHUNKS_MAX;
}

static void chunk_number_back(struct voters_arena *arena, uint32_t number)
{
    arena->chunks[number] = (struct voters_chunk){.units = arena->unused};
    arena->unused = number + 1;
}

/* The rest of the current chunk, too small for a block that is wanted, is never used. */
static void close_current(struct voters_arena *arena)
{
    if (arena->current != 0) {
        const struct voters_chunk *chunk = &arena->chunks[arena->current - 1];
        arena->used += chunk->units - chunk->used;
        arena->current = 0;
    }
}

/* Small sets have small chunks. */
static uint32_t new_chunk_units(const struct voters_arena *arena, uint32_t block)
{
    uint32_t units = CHUNK_UNITS_FIRST;
    while (units < VOTERS_CHUNK_UNITS &&
           (units < block * CHUNK_BLOCKS || units < arena->live / CHUNK_SHARE)) {
        units *= 2;
    }
    return units;
}

static bool chunk_new(struct voters_arena *arena, uint32_t block)
{
    uint32_t units = new_chunk_units(arena, block);
    uint32_t number = chunk_number(arena);
    if (number == VOTERS_CHUNKS_MAX) {
        return false;
    }
    uint32_t *at = malloc(units * sizeof *at);
    if (at == NULL) {
        chunk_number_back(arena, number);
        return false;
    }
    close_current(arena);
    arena->chunks[number] = (struct voters_chunk){.at = at, .units = units, .used = 1};
    arena->bytes += units * sizeof *at + ALLOCATION;
    arena->used++;
    arena->current = number + 1;
    return true;
}

static void chunk_free(struct voters_arena *arena, uint32_t number)
{
    struct voters_chunk *chunk = &arena->chunks[number];
    CHECK(chunk->live == 0 && arena->current != number + 1); /* voters_arena_step has emptied it */
    arena->used -= chunk->units;
    arena->bytes -= chunk->units * sizeof(uint32_t) + ALLOCATION;
    free(chunk->at);
    chunk_number_back(arena, number);
}

/* ---- blocks ---- */

/* Returns a block at the end of the current chunk, or of a new one; or 0. */
static uint32_t take_at_end(struct voters_arena *arena, uint32_t units)
{
    if (arena->current == 0 ||
        arena->chunks[arena->current - 1].units - arena->chunks[arena->current - 1].used < units) {
        if (!chunk_new(arena, units)) {
            return 0;
        }
    }
    struct voters_chunk *chunk = &arena->chunks[arena->current - 1];
    uint32_t offset = (arena->current - 1) << VOTERS_CHUNK_BITS | chunk->used;
    chunk->used += units;
    chunk->live += units;
    arena->used += units;
    arena->live += units;
    DCHECK(chunk->used <= chunk->units);
    return offset;
}

uint32_t voters_arena_take(struct voters_arena *arena, uint32_t units)
{
    uint32_t offset = arena->free[units];
    DCHECK(units >= VOTERS_BLOCK_UNITS_MIN && units <= VOTERS_BLOCK_UNITS_MAX);
    if (offset == 0) {
        return take_at_end(arena, units);
    }
    list_remove(arena, offset);
    arena->chunks[chunk_of(offset)].live += units;
    arena->live += units;
    return offset;
}

void voters_arena_give(struct voters_arena *arena, uint32_t offset)
{
    uint32_t *block = voters_arena_at(arena, offset);
    uint32_t units = block_units(block[0]);
    DCHECK(voters_head_kind(block[0]) < VOTERS_DEAD);
    arena->chunks[chunk_of(offset)].live -= units;
    arena->live -= units;
    if (arena->victim == chunk_of(offset) + 1) {
        block[0] = head_without_entry(VOTERS_DEAD, units); /* its chunk will be freed */
    } else {
        list_push(arena, offset, units);
    }
}

/* ---- emptying chunks ---- */

bool voters_arena_is_loose(const struct voters_arena *arena)
{
    return !arena->walking && arena->used - arena->live > arena->live / LOOSE_SHARE + LOOSE_UNITS;
}

/* Whether at least a ninth of a chunk is free. While the arena is loose that holds for all chunks
 * together, so it holds for one of them. */
static bool is_victim(const struct voters_arena *arena, uint32_t number)
{
    const struct voters_chunk *chunk = &arena->chunks[number];
    uint64_t used = arena->current == number + 1 ? chunk->used : chunk->units;
    return chunk->at != NULL && (used - chunk->live) * (LOOSE_SHARE + 1) >= used;
}

/* Looks on for a chunk to empty. */
static void find_victim(struct voters_arena *arena)
{
    for (unsigned i = 0; i < LOOKS && arena->victim == 0; i++) {
        arena->hand = arena->hand + 1 < arena->chunk_count ? arena->hand + 1 : 0;
        if (is_victim(arena, arena->hand)) {
            arena->victim = arena->hand + 1;
            arena->victim_at = 1;
            if (arena->current == arena->victim) {
                close_current(arena);
            }
        }
    }
}

uint32_t voters_arena_step(struct voters_arena *arena)
{
    if (arena->victim == 0) {
        find_victim(arena);
        return 0;
    }
    const struct voters_chunk *chunk = &arena->chunks[arena->victim - 1];
    if (arena->victim_at == chunk->used) {
        chunk_free(arena, arena->victim - 1);
        arena->victim = 0;
        return 0;
    }
    uint32_t offset = (arena->victim - 1) << VOTERS_CHUNK_BITS | arena->victim_at;
    uint32_t *block = voters_arena_at(arena, offset);
    if (voters_head_kind(block[0]) < VOTERS_DEAD) {
        return offset;
    }
    uint32_t units = block_units(block[0]);
    if (voters_head_kind(block[0]) == VOTERS_FREE) {
        list_remove(arena, offset);
        block[0] = head_without_entry(VOTERS_DEAD, units);
    }
    arena->victim_at += units;
    return 0;
}

uint32_t voters_arena_move(struct voters_arena *arena, uint32_t offset)
{
    uint32_t units = block_units(*voters_arena_at(arena, offset));
    uint32_t to = take_at_end(arena, units);
    DCHECK(chunk_of(offset) == arena->victim - 1);
    if (to != 0) {
        memcpy(voters_arena_at(arena, to), voters_arena_at(arena, offset), units * 4);
        voters_arena_give(arena, offset);
        arena->victim_at += units;
    }
    return to;
}

/* ---- walk and end ---- */

uint32_t voters_arena_next(const struct voters_arena *arena, struct voters_cursor *cursor,
                           uint64_t *blocks)
{
    for (; cursor->chunk<arena->chunk_count && * blocks> 0; --*blocks) {
        const struct voters_chunk *chunk = &arena->chunks[cursor->chunk];
        cursor->at += cursor->at == 0 ? 1 : 0;
        if (chunk->at == NULL || cursor->at == chunk->used) {
            *cursor = (struct voters_cursor){.chunk = cursor->chunk + 1};
            continue;
        }
        uint32_t offset = cursor->chunk << VOTERS_CHUNK_BITS | cursor->at;
        uint32_t head = *voters_arena_at(arena, offset);
        cursor->at += block_units(head);
        if (voters_head_kind(head) < VOTERS_DEAD) {
            --*blocks;
            return offset;
        }
    }
    return 0;
}

bool voters_arena_free_some(struct voters_arena *arena, uint64_t *chunks)
{
    while (arena->chunk_count > 0 && *chunks > 0) {
        const struct voters_chunk *chunk = &arena->chunks[--arena->chunk_count];
        if (chunk->at != NULL) {
            arena->bytes -= chunk->units * sizeof(uint32_t) + ALLOCATION;
            free(chunk->at);
            --*chunks;
        }
    }
    if (arena->chunk_count > 0) {
        return false;
    }
    free(arena->chunks);
    *arena = (struct voters_arena){.chunks = NULL};
    return true;
}
