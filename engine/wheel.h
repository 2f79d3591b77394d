/* A timing wheel for the leases and delays of builds, in ticks of 100 ms. */
#ifndef TALLY_ENGINE_WHEEL_H
#define TALLY_ENGINE_WHEEL_H

#include "engine/state.h"

/*
 *     bucket[due mod WHEEL_BUCKETS] ── build ── build ── ...
 *
 * A build is due at the deadline in its word; a later one (a heartbeat moved it, or it lies more
 * than a turn ahead) is put back when its bucket comes up. Threads: the committer alone. Insert and
 * remove are O(1) and allocate nothing.
 */
enum { WHEEL_BUCKETS = 4096, WHEEL_TICK_MS = 100 };

struct wheel {
    struct timer bucket[WHEEL_BUCKETS]; /* heads of rings */
    struct timer taken;                 /* the ring of a bucket that is being gone through */
    uint32_t now;
    uint64_t count;
};

void wheel_init(struct wheel *wheel);
void wheel_put(struct wheel *wheel, struct build *build, uint32_t due);
void wheel_remove(struct wheel *wheel, struct build *build);

/*
 * Moves the hand to tick `to` at most, and returns the next build whose bucket has come up, taken
 * out of the wheel; NULL when the hand is there. The caller looks at the deadline and puts back
 * what is not due.
 */
struct build *wheel_next(struct wheel *wheel, uint32_t to);

#endif
