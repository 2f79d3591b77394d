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
    uint64_t total;           /* votes of all */
};

/* Where a walk is; zero for the beginning. */
struct rank_at {
    size_t chunk;
    uint32_t i;
};

/* Makes the order of so many options of the votes given, which it takes over (by free()).
 * REQUIRES: it is empty; votes < 2^40, count <= 2^24. Errors: NOMEM, and it is to be ended. */
int rank_build(struct rank *rank, uint64_t *votes, uint32_t count);
void rank_fini(struct rank *rank);

/* What it takes in memory. */
size_t rank_bytes(const struct rank *rank);

/* Gives an option its votes; a place that is the next one is a new option. Errors: NOMEM, and the
 * rank is of no use any more; CORRUPT: the place is beyond. */
int rank_set(struct rank *rank, uint32_t place, uint64_t votes);

/* The next option by votes, among equals the older one. False at the end. */
bool rank_next(const struct rank *rank, struct rank_at *at, uint32_t *place, uint64_t *votes);

#endif
