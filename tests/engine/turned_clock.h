/* Clocks for tests: those of the machine, plus a time that the test adds. */
#ifndef TALLY_TESTS_ENGINE_TURNED_CLOCK_H
#define TALLY_TESTS_ENGINE_TURNED_CLOCK_H

#include "engine/tally.h"

#include <stdatomic.h>

/* The time that is added to the machine's clocks. Threads: any. */
struct turned {
    _Atomic int64_t wall_ms;  /* added to the wall clock alone */
    _Atomic uint64_t both_ms; /* added to both: time that passed while the process was stopped */
};

/* Makes a clock for tally_options. Owns: `turned` lives until the engine is closed. */
struct tally_clock turned_clock(struct turned *turned);

void turned_wall(struct turned *turned, int64_t ms);
void turned_skip(struct turned *turned, uint64_t ms);
uint64_t turned_wall_ms(struct turned *turned);

#endif
