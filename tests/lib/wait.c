/* Time, as tests wait for it. */
#include "tests/lib/wait.h"

#include <limits.h>
#include <poll.h>
#include <time.h>

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t wait_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t wait_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int wait_left_ms(uint64_t deadline_ms)
{
    uint64_t now_ms = wait_now_ms();
    if (now_ms >= deadline_ms) {
        return 0;
    }
    uint64_t left_ms = deadline_ms - now_ms;
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

void wait_ms(uint64_t ms)
{
    uint64_t until_ms = wait_now_ms() + ms;
    while (wait_left_ms(until_ms) > 0) {
        poll(NULL, 0, wait_left_ms(until_ms));
    }
}
