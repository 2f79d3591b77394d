/* A seeded stream of numbers: the same seed makes the same test. */
#ifndef TALLY_TESTS_LIB_SEED_H
#define TALLY_TESTS_LIB_SEED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct seed {
    uint64_t state;
};

/* splitmix64: any start value is as good as any other, so seeds 1, 2, 3 give unrelated streams. */
static inline uint64_t seed_next(struct seed *seed)
{
    uint64_t z = (seed->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Returns a number below `bound`. */
static inline uint64_t seed_below(struct seed *seed, uint64_t bound)
{
    return seed_next(seed) % bound;
}

/* Fills `bytes` with what no compressor can make smaller. */
static inline void seed_fill(uint64_t start, unsigned char *bytes, size_t len_bytes)
{
    struct seed seed = {start};
    for (size_t i = 0; i < len_bytes; i += sizeof(uint64_t)) {
        uint64_t word = seed_next(&seed);
        size_t left = len_bytes - i;
        memcpy(bytes + i, &word, left < sizeof(word) ? left : sizeof(word));
    }
}

#endif
