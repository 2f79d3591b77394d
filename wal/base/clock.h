/* The two clocks: wall time for people and records, monotonic time for waiting. */
#ifndef TALLY_WAL_BASE_CLOCK_H
#define TALLY_WAL_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_MS ((uint64_t)1000000)
#define NS_PER_S  ((uint64_t)1000000000)

/* Milliseconds since 1970 UTC. May jump. Any thread. */
uint64_t clock_wall_ms(void);

/* Nanoseconds since an arbitrary start; never goes back. Any thread. */
uint64_t clock_mono_ns(void);

#endif
