/* The engine's clock: reads the machine's clocks, and decides when to believe the wall clock. */
#include "engine/base/time.h"

#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    STRIDE_NS_MAX = 1000 * 1000 * 1000, /* of running time, from look to look */
    SAMPLE_NS_MAX = 1000 * 1000,        /* two clocks read further apart are not used together */
    JITTER_MS = 50,                     /* a wall clock that moves less counts as standing */
    SLEW = 100,        /* log time that is ahead runs slower by one part in so many */
    TELL_MS = 1000,    /* a smaller difference is not reported on stderr */
    LOG_MS_MIN = 1000, /* smaller values of vote_until have meanings of their own: VOTES_WAIT */
};

#define STANDS_NS     ((uint64_t)10 * 1000 * 1000 * 1000)
#define AHEAD_TELL_MS ((uint64_t)3600 * 1000)

static uint64_t machine_wall_ms(void *arg)
{
    (void)arg;
    return clock_wall_ms();
}

static uint64_t machine_mono_ns(void *arg)
{
    (void)arg;
    return clock_mono_ns();
}

void time_init(struct engine_time *time, const struct tally_clock *clock)
{
    DCHECK(clock == NULL || (clock->wall_ms != NULL && clock->mono_ns != NULL));
    *time = (struct engine_time){
        .clock =
            clock != NULL ? *clock : (struct tally_clock){machine_wall_ms, machine_mono_ns, NULL}};
}

uint64_t time_mono_ns(const struct engine_time *time)
{
    return time->clock.mono_ns(time->clock.arg);
}

uint64_t time_log_ms(const struct engine_time *time)
{
    return time_log_at(time, time_mono_ns(time));
}

uint64_t time_run_ms(const struct engine_time *time)
{
    return time_run_at(time, time_mono_ns(time));
}

static uint64_t shift_of(const struct engine_time *time)
{
    return atomic_load_explicit(&time->log_shift_ms, memory_order_relaxed); /* H1: relaxed: own */
}

static void put_shift(struct engine_time *time, uint64_t shift_ms)
{
    /* H1: relaxed: a time publishes nothing */
    atomic_store_explicit(&time->log_shift_ms, shift_ms, memory_order_relaxed);
}

/* Shifts wrap, for the wall clock may be less than the monotonic one; their difference does not. */
static int64_t ahead_ms(uint64_t shift_ms, uint64_t of_shift_ms)
{
    return (int64_t)(shift_ms - of_shift_ms);
}

/* Reads both clocks together. False: the thread was interrupted in between. */
static bool sample(const struct engine_time *time, uint64_t now_ns, uint64_t *shift_ms)
{
    uint64_t wall_ms = time->clock.wall_ms(time->clock.arg);
    *shift_ms = wall_ms - now_ns / NS_PER_MS;
    return time_mono_ns(time) - now_ns < SAMPLE_NS_MAX;
}

/* Believes the wall clock from now on, until it moves. */
static void believe(struct engine_time *time, uint64_t shift_ms)
{
    int64_t by_ms = ahead_ms(shift_ms, shift_of(time));
    if (time->is_set && by_ms >= TELL_MS) {
        fprintf(stderr,
                "tally: the wall clock has jumped ahead by %" PRId64 " ms and stayed there:"
                " log time follows\n",
                by_ms);
    }
    time->believed_ms = shift_ms;
    time->is_set = true;
    if (by_ms > 0) {
        put_shift(time, shift_ms);
    }
}

/* Slows log time down while it is ahead of the believed clock; log time never stands still. */
static void slew(struct engine_time *time, uint64_t passed_ns)
{
    int64_t by_ms = ahead_ms(shift_of(time), time->believed_ms);
    if (!time->is_set || by_ms <= 0) {
        time->slew_ns = 0;
        return;
    }
    time->slew_ns += passed_ns / SLEW;
    uint64_t back_ms = time->slew_ns / NS_PER_MS;
    time->slew_ns %= NS_PER_MS;
    DCHECK(time->slew_ns < NS_PER_MS);
    put_shift(time, shift_of(time) - (back_ms < (uint64_t)by_ms ? back_ms : (uint64_t)by_ms));
}

static void look_at_wall(struct engine_time *time, uint64_t now_ns, uint64_t passed_ns)
{
    uint64_t shift_ms = 0;
    if (!sample(time, now_ns, &shift_ms)) {
        return;
    }
    int64_t moved_ms = ahead_ms(shift_ms, time->wall_shift_ms);
    if (moved_ms > JITTER_MS || moved_ms < -JITTER_MS) {
        time->wall_shift_ms = shift_ms;
        time->stood_ns = 0;
    } else {
        time->stood_ns += passed_ns;
    }
    int64_t by_ms = ahead_ms(shift_ms, shift_of(time));
    if (time->stood_ns >= STANDS_NS || (!time->is_set && by_ms >= 0)) {
        believe(time, shift_ms);
    }
    if (by_ms <= -TELL_MS && !time->is_behind) {
        fprintf(stderr,
                "tally: the wall clock is %" PRId64 " ms behind the log: log time goes on"
                " from its last record, and waits for the clock\n",
                -by_ms);
    }
    time->is_behind = by_ms <= -TELL_MS || (time->is_behind && by_ms < 0);
}

uint64_t time_look(struct engine_time *time)
{
    uint64_t now_ns = time_mono_ns(time);
    uint64_t passed_ns = now_ns - time->looked_ns;
    time->looked_ns = now_ns;
    if (passed_ns > STRIDE_NS_MAX) {
        /* H2: relaxed: a time publishes nothing; the committer alone writes it */
        atomic_fetch_add_explicit(&time->lost_ns, passed_ns - STRIDE_NS_MAX, memory_order_relaxed);
        passed_ns = STRIDE_NS_MAX;
    }
    DCHECK(passed_ns <= STRIDE_NS_MAX);
    slew(time, passed_ns);
    look_at_wall(time, now_ns, passed_ns);
    uint64_t log_ms = time_log_at(time, now_ns);
    time->log_ms = log_ms > time->log_ms ? log_ms : time->log_ms;
    DCHECK(time->log_ms >= LOG_MS_MIN); /* log time starts there, and never goes back */
    return passed_ns;
}

void time_start(struct engine_time *time, uint64_t last_ms)
{
    DCHECK(!time->is_set);
    uint64_t now_ns = time_mono_ns(time);
    uint64_t floor_ms = last_ms > LOG_MS_MIN ? last_ms : LOG_MS_MIN;
    time->looked_ns = now_ns;
    put_shift(time, floor_ms - now_ns / NS_PER_MS);
    for (int i = 0; i < 10 && !sample(time, now_ns, &time->wall_shift_ms); i++) {
        now_ns = time_mono_ns(time); /* the last pair is used even if it was interrupted */
    }
    int64_t by_ms = ahead_ms(time->wall_shift_ms, shift_of(time));
    if (last_ms > 0 && by_ms > (int64_t)AHEAD_TELL_MS) {
        fprintf(stderr,
                "tally: the wall clock is %" PRId64 " ms ahead of the last record: nobody"
                " has written for so long, or the clock is wrong\n",
                by_ms);
    }
    if (last_ms > 0 && by_ms > 0) {
        /* H3: relaxed: a number for INFO */
        atomic_store_explicit(&time->start_ahead_ms, (uint64_t)by_ms, memory_order_relaxed);
    }
    (void)time_look(time);
}

void time_info(const struct engine_time *time, struct time_info *info)
{
    uint64_t mono_ns = time_mono_ns(time);
    uint64_t wall_ms = time->clock.wall_ms(time->clock.arg);
    uint64_t log_ms = time_log_at(time, mono_ns);
    *info = (struct time_info){
        .wall_ms = wall_ms,
        .log_ms = log_ms,
        .behind_ms = log_ms > wall_ms ? log_ms - wall_ms : 0,
        .ahead_ms = wall_ms > log_ms ? wall_ms - log_ms : 0,
        /* H3: relaxed: a number for INFO */
        .start_ahead_ms = atomic_load_explicit(&time->start_ahead_ms, memory_order_relaxed)};
}
