/* Random numbers from the kernel, which nobody can foresee. */
#ifndef TALLY_WAL_BASE_RANDOM_H
#define TALLY_WAL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills len bytes. Threads: any; waits only while the machine has just been booted. */
void random_fill(void *into, size_t len);

/* Returns a seed for a hash table, so that nobody can choose keys that collide. No record, snapshot
 * or reply may depend on it. */
static inline uint64_t random_seed(void)
{
    uint64_t seed = 0;
    random_fill(&seed, sizeof seed);
    return seed;
}

#endif
