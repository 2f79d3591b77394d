/* The log's threads as fibers of one thread, so that a seed repeats a run to the last call. */
#ifndef TALLY_TESTS_CRASH_FIBER_H
#define TALLY_TESTS_CRASH_FIBER_H

#include <stdint.h>

/*
 * The programs of this folder are linked with --wrap for the calls with which the log starts
 * threads, waits, locks, posts and reads the clock: a thread becomes a fiber with a stack of its
 * own. A fiber runs only when the running one waits, joins, settles, or comes to fiber_point. Time
 * stands still except in fiber_tick and while all fibers wait.
 */

enum fiber_order {
    FIBER_WRITER_FIRST, /* the helper runs only while the writer waits */
    FIBER_HELPER_FIRST, /* the helper runs at the writer's next file call, until it waits */
    FIBER_MIXED,        /* at each file call the seed decides who goes on */
};

/* Begins a run. REQUIRES: no fiber is left of the one before. */
void fiber_begin(enum fiber_order order, uint64_t seed);

/* A place where another fiber may go on: each file call. */
void fiber_point(void);

/* Runs the others until all of them wait. */
void fiber_settle(void);

/* Ends every wait with a time limit. Then as fiber_settle. */
void fiber_tick(void);

#endif
