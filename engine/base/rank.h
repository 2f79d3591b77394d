/* A rank: the options of one poll in the order of their votes. */
#ifndef TALLY_ENGINE_BASE_RANK_H
#define TALLY_ENGINE_BASE_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *     first[]   [ k0 | k4 | k8 ]           a key: { most votes first : 40 | place : 24 }
 *     chunk[]     │    │    └─ [k8 k9]
 *                 │    └────── [k4 ... k7]     keys rise through all chunks
 *                 └─────────── [k0 ... k3]
 *     votes[]   by place
 *
 * An option is named by its place in its poll, where the older ones come first. A change costs two
 * binary searches and two moves of at most 4 KiB, however many options there are.
 *
 * All zero is an empty one. Threads: one.
 */
enum { RANK_CHUNK = 512, RANK_PLACE_BITS = 24, RANK_VOTES_BITS = 40 };

struct rank_chunk;

struct rank {
    struct rank_chunk **chunks;
    uint64_t *first; /* the least key of each chunk */
    size_t chunk_count, chunk_capacity;
    uint64_t *votes;
    uint32_t count, capacity; /* options */
    uint64_t total;           /* votes of all options */
};

/* The position of a walk; zero is the beginning. */
struct rank_at {
    size_t chunk;
    uint32_t i;
};

/* Makes the rank of `count` options from their votes, an array that it takes over (by free()).
 * REQUIRES: the rank is empty; votes < 2^40, count <= 2^24. Errors: NOMEM, and the rank may only be
 * ended. */
int rank_build(struct rank *rank, uint64_t *votes, uint32_t count);
void rank_fini(struct rank *rank);

/* Returns the bytes that the rank takes. */
size_t rank_bytes(const struct rank *rank);

/* Sets the votes of an option; the next free place adds a new option. Errors: NOMEM, and the rank
 * may only be ended; CORRUPT: the place is beyond the next one. */
int rank_set(struct rank *rank, uint32_t place, uint64_t votes);

/* Returns the next option by votes, of equal ones the older first. False at the end. */
bool rank_next(const struct rank *rank, struct rank_at *at, uint32_t *place, uint64_t *votes);

#endif
