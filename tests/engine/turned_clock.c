/* Clocks that a test can move. */
#include "tests/engine/turned_clock.h"

#include "wal/base/clock.h"

static uint64_t both_ms(struct turned *turned)
{
    return atomic_load_explicit(&turned->both_ms, memory_order_relaxed); /* T3: relaxed: a time */
}

static uint64_t wall_ms(void *arg)
{
    struct turned *turned = arg;
    /* T3: relaxed: a time publishes nothing */
    int64_t by_ms = atomic_load_explicit(&turned->wall_ms, memory_order_relaxed);
    return clock_wall_ms() + both_ms(turned) + (uint64_t)by_ms;
}

static uint64_t mono_ns(void *arg)
{
    return clock_mono_ns() + both_ms(arg) * 1000000;
}

struct tally_clock turned_clock(struct turned *turned)
{
    return (struct tally_clock){wall_ms, mono_ns, turned};
}

void turned_wall(struct turned *turned, int64_t ms)
{
    /* T3: relaxed: a time publishes nothing */
    atomic_store_explicit(&turned->wall_ms, ms, memory_order_relaxed);
}

void turned_skip(struct turned *turned, uint64_t ms)
{
    /* T3: relaxed: a time publishes nothing */
    atomic_fetch_add_explicit(&turned->both_ms, ms, memory_order_relaxed);
}

uint64_t turned_wall_ms(struct turned *turned)
{
    return wall_ms(turned);
}
