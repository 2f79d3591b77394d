/* The machine's clocks as a test turns them. */
#ifndef TALLY_TESTS_ENGINE_TURNED_CLOCK_H
#define TALLY_TESTS_ENGINE_TURNED_CLOCK_H

#include "engine/tally.h"

#include <stdatomic.h>

/* Both clocks run as the machine's do, but for what was added. Threads: any. */
struct turned {
    _Atomic int64_t wall_ms;  /* added to the wall clock alone */
    _Atomic uint64_t both_ms; /* added to both: time that passed while the process was stopped */
};

/* Owns: it lives as long as the engine that is opened with it. */
struct tally_clock turned_clock(struct turned *turned);

void turned_wall(struct turned *turned, int64_t ms);
void turned_skip(struct turned *turned, uint64_t ms);
uint64_t turned_wall_ms(struct turned *turned);

#endif
