/* The engine's clock alone: when it believes a wall clock that the test moves by hand. */
#include "engine/base/time.h"

#include <criterion/criterion.h>

#define DAY_MS  ((int64_t)24 * 3600 * 1000)
#define HOUR_MS ((int64_t)3600 * 1000)
#define NOW_MS  ((uint64_t)1800000000000)

struct hands {
    uint64_t wall_ms;
    uint64_t mono_ns;
    uint64_t read_ns; /* how long it takes to read the monotonic clock */
};

static struct hands hands;
static struct engine_time clocks;

static uint64_t wall_ms(void *arg)
{
    return ((struct hands *)arg)->wall_ms;
}

static uint64_t mono_ns(void *arg)
{
    struct hands *h = arg;
    h->mono_ns += h->read_ns;
    return h->mono_ns;
}

static void begin_at(uint64_t wall, uint64_t last_ms)
{
    const struct tally_clock clock = {wall_ms, mono_ns, &hands};
    hands = (struct hands){.wall_ms = wall, .mono_ns = 77000000000};
    time_init(&clocks, &clock);
    time_start(&clocks, last_ms);
}

static void begin(uint64_t last_ms)
{
    begin_at(NOW_MS, last_ms);
}

/* Lets time pass; the engine looks every 100 ms, and its time must never go back. */
static void pass(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 100) {
        uint64_t before_ms = clocks.log_ms;
        hands.wall_ms += 100;
        hands.mono_ns += 100000000;
        (void)time_look(&clocks);
        cr_assert_geq(clocks.log_ms, before_ms, "log time went back");
    }
}

static void jump(int64_t ms)
{
    hands.wall_ms += (uint64_t)ms;
}

Test(time, log_time_is_wall_time_when_nothing_is_wrong)
{
    begin(NOW_MS - 5000);
    cr_assert_eq(clocks.log_ms, NOW_MS);
    pass(60000);
    cr_assert_eq(clocks.log_ms, NOW_MS + 60000);
    cr_assert_eq(time_log_ms(&clocks), NOW_MS + 60000);
}

Test(time, a_clock_that_is_a_day_ahead_for_a_second_is_not_believed)
{
    begin(NOW_MS);
    pass(20000);
    jump(DAY_MS);
    pass(1000);
    cr_assert_eq(clocks.log_ms, NOW_MS + 21000);
    jump(-DAY_MS);
    pass(20000);
    cr_assert_eq(clocks.log_ms, NOW_MS + 41000);
}

Test(time, a_clock_that_jumps_again_and_again_is_not_believed)
{
    begin(NOW_MS);
    for (int i = 0; i < 10; i++) {
        jump(HOUR_MS);
        pass(9000);
    }
    cr_assert_eq(clocks.log_ms, NOW_MS + 90000);
}

Test(time, a_jump_is_believed_once_it_has_stood_for_ten_seconds)
{
    begin(NOW_MS);
    pass(20000);
    jump(HOUR_MS);
    pass(9900);
    cr_assert_eq(clocks.log_ms, NOW_MS + 29900);
    pass(200);
    cr_assert_eq(clocks.log_ms, NOW_MS + 30100 + HOUR_MS);
}

/* The process did not run meanwhile, so a wrong clock has not stood for that time. */
Test(time, a_stopped_process_lets_no_jump_stand)
{
    begin(NOW_MS);
    pass(20000);
    jump(DAY_MS);
    pass(100);
    hands.mono_ns += 300000000000;
    jump(300000);
    pass(100);
    cr_assert_eq(clocks.log_ms, NOW_MS + 320200, "log time goes on with the monotonic clock");
    jump(-DAY_MS);
    pass(20000);
    cr_assert_eq(clocks.log_ms, NOW_MS + 340200);
}

Test(time, a_stopped_process_has_run_for_a_second)
{
    begin(NOW_MS);
    pass(5000);
    uint64_t run_ms = time_run_ms(&clocks);
    hands.mono_ns += 300000000000;
    jump(300000);
    cr_assert_eq(time_look(&clocks), 1000000000);
    cr_assert_eq(time_run_ms(&clocks), run_ms + 1000);
}

Test(time, a_clock_behind_the_log_lets_log_time_go_on)
{
    begin(NOW_MS + (uint64_t)HOUR_MS);
    cr_assert_eq(clocks.log_ms, NOW_MS + HOUR_MS);
    pass(3000);
    cr_assert_eq(clocks.log_ms, NOW_MS + HOUR_MS + 3000, "3 s are 3 s");
    struct time_info info;
    time_info(&clocks, &info);
    cr_assert_eq(info.behind_ms, HOUR_MS);
    cr_assert_eq(info.ahead_ms, 0);
    pass(100000);
    cr_assert_geq(clocks.log_ms, NOW_MS + HOUR_MS + 102000, "then it runs slower by a hundredth");
    cr_assert_lt(clocks.log_ms, NOW_MS + HOUR_MS + 103000);
}

Test(time, log_time_that_is_ahead_meets_the_wall_clock_again)
{
    begin(NOW_MS + 500);
    pass(70000);
    cr_assert_eq(clocks.log_ms, NOW_MS + 70000);
    pass(1000);
    cr_assert_eq(clocks.log_ms, NOW_MS + 71000);
}

Test(time, the_first_clock_that_is_not_behind_the_log_is_believed_at_once)
{
    begin_at(5000, NOW_MS); /* 1970 */
    pass(1000);
    cr_assert_eq(clocks.log_ms, NOW_MS + 1000);
    hands.wall_ms = NOW_MS + (uint64_t)DAY_MS;
    pass(100);
    cr_assert_eq(clocks.log_ms, NOW_MS + DAY_MS + 100);
    jump(DAY_MS);
    pass(1000);
    cr_assert_eq(clocks.log_ms, NOW_MS + DAY_MS + 1100, "the next one is not");
}

Test(time, a_start_says_how_far_the_clock_is_ahead)
{
    struct time_info info;
    begin(NOW_MS - 2 * (uint64_t)HOUR_MS);
    time_info(&clocks, &info);
    cr_assert_eq(info.start_ahead_ms, 2 * HOUR_MS);
    begin(0);
    time_info(&clocks, &info);
    cr_assert_eq(info.start_ahead_ms, 0, "a new log has no last record");
}

Test(time, a_thread_that_is_interrupted_between_the_clocks_believes_nothing)
{
    begin(NOW_MS);
    pass(20000);
    hands.read_ns = 40000000;
    (void)time_look(&clocks);
    hands.read_ns = 0;
    cr_assert_leq(clocks.log_ms, NOW_MS + 20000 + 120);
    jump(120); /* the time that the reads took */
    pass(20000);
    cr_assert_leq(clocks.log_ms, hands.wall_ms);
    cr_assert_geq(clocks.log_ms + 2, hands.wall_ms);
}
