/* Random numbers from the kernel, for what nobody outside may foresee. */
#ifndef TALLY_WAL_BASE_RANDOM_H
#define TALLY_WAL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills len bytes. Threads: any; waits only while the machine has just been booted. */
void random_fill(void *into, size_t len);

/* The seed of one hash table: with it nobody can choose keys that fall together. Nothing that is
 * logged, saved or answered may depend on it. */
static inline uint64_t random_seed(void)
{
    uint64_t seed = 0;
    random_fill(&seed, sizeof seed);
    return seed;
}

#endif
