/* A timing wheel: timers come up at their tick of 100 ms, and are put in and taken out in O(1). */
#ifndef TALLY_ENGINE_STATE_WHEEL_H
#define TALLY_ENGINE_STATE_WHEEL_H

#include "engine/state/state.h"

/*
 *     bucket[due mod WHEEL_BUCKETS] ── timer ── timer ── ...
 *
 * The engine has three: leases in running time, and delays and windows of polls in log time. A
 * timer may come up before it is due (it was moved, or lies more than a turn ahead): the caller
 * checks, and puts it back. Nothing is allocated. Threads: the committer alone.
 */
enum { WHEEL_BUCKETS = 4096, WHEEL_TICK_MS = 100 };

struct wheel {
    struct timer bucket[WHEEL_BUCKETS]; /* heads of rings */
    struct timer taken;                 /* the timers of the bucket that has come up */
    uint64_t now;
    uint64_t count;
};

/* Returns the first tick by which so many ms have passed. */
static inline uint64_t wheel_tick(uint64_t ms)
{
    return ms / WHEEL_TICK_MS + 1;
}

/* Returns what is left of a lease at a tick, when it expires at tick `due`. Ticks round it up, so
 * the result is cut to the whole lease. */
static inline uint64_t wheel_lease_left_ms(uint32_t due, uint32_t tick, uint64_t lease_ms)
{
    uint64_t left_ms = due > tick ? (uint64_t)(due - tick) * WHEEL_TICK_MS : 0;
    return left_ms < lease_ms ? left_ms : lease_ms;
}

void wheel_init(struct wheel *wheel, uint64_t now);
void wheel_put(struct wheel *wheel, struct timer *timer, uint64_t due);
void wheel_remove(struct wheel *wheel, struct timer *timer);

/*
 * Moves the hand to tick `to` at most, takes the next timer whose bucket has come up out of the
 * wheel, and returns it; NULL when the hand is at `to`. A hand that is far behind makes one turn at
 * most.
 */
struct timer *wheel_next(struct wheel *wheel, uint64_t to);

/* Rings of timers that wait elsewhere than in a wheel. A head is its own neighbour. */
void timer_ring_init(struct timer *head);
void timer_ring_add(struct timer *head, struct timer *timer);
void timer_ring_remove(struct timer *timer);
static inline bool timer_ring_is_empty(const struct timer *head)
{
    return head->next == head;
}

#endif
