/* Waiting until something holds, with a deadline. */
#ifndef TALLY_TESTS_LIB_WAIT_H
#define TALLY_TESTS_LIB_WAIT_H

#include "tests/lib/expect.h"

#include <sched.h>
#include <stdint.h>

/* Asks again and again until `cond` holds; fails with the reason when it does not within_ms. */
#define AWAIT(within_ms, cond, ...)                                                                \
    do {                                                                                           \
        uint64_t deadline_ms_ = wait_now_ms() + (within_ms);                                       \
        while (!(cond)) {                                                                          \
            EXPECT(wait_left_ms(deadline_ms_) > 0, __VA_ARGS__);                                   \
            sched_yield();                                                                         \
        }                                                                                          \
    } while (0)

/* The monotonic clock, and the wall clock. */
uint64_t wait_now_ms(void);
uint64_t wait_wall_ms(void);

/* Returns what is left until `deadline_ms`, 0 when it has passed: an argument for poll(). */
int wait_left_ms(uint64_t deadline_ms);

/* Lets so much time pass: only where the time itself is what is tested. */
void wait_ms(uint64_t ms);

#endif
