/* The engine's one clock: log time, running time, and when the wall clock is believed. */
#ifndef TALLY_ENGINE_BASE_TIME_H
#define TALLY_ENGINE_BASE_TIME_H

#include "engine/tally.h"
#include "wal/base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 *     the machine                    here                              who asks
 *     monotonic clock ──┬── − lost ── running time    leases, silence of workers, "has stood"
 *                       └── + shift ─ log time        records, windows, delays, ages, retention
 *     wall clock ────────── what shift is moved to, once it is believed
 *
 * The rule stands in engine/README.md, "One clock". Nothing else asks the machine for a wall time.
 *
 * Synchronization table
 *   log_shift_ms, lost_ns    written by the committer (time_look), read by any thread. Each time is
 *                            one word beside the monotonic clock, so it is always read as one.
 *   the rest                 the committer's alone
 *
 * A thread that keeps the last log time that it read never sees log time go back (edge_pass_begin);
 * between threads log time may differ by the little by which one look slows it down.
 */
struct engine_time {
    struct tally_clock clock;
    _Alignas(64) _Atomic uint64_t log_shift_ms; /* log time is the monotonic clock plus this */
    _Atomic uint64_t lost_ns;                   /* running time is the monotonic clock less this */
    _Atomic uint64_t start_ahead_ms; /* how far the wall clock was ahead of the log at the start */
    /* the committer alone */
    uint64_t looked_ns;     /* monotonic, at the last look */
    uint64_t wall_shift_ms; /* by how much the wall clock was ahead of the monotonic clock when it
                               last moved */
    uint64_t stood_ns;      /* running time since then */
    uint64_t believed_ms;   /* the shift that is believed */
    uint64_t slew_ns;       /* of log time, still to be taken back; less than 1 ms */
    uint64_t log_ms;        /* log time at the last look: never less than before */
    bool is_set;            /* a wall clock that is not behind the log was seen, or one has stood */
    bool is_behind;         /* stderr was told that the wall clock is behind */
};

/* Makes a clock. clock NULL: the machine's clocks. */
void time_init(struct engine_time *time, const struct tally_clock *clock);

/* Starts log time after the replay: from that of the last record, 0 for a new log. */
void time_start(struct engine_time *time, uint64_t last_ms);

/*
 * Once a round: looks at the machine's clocks. Returns the running time that has passed since the
 * last look, at most 1 s: a longer stop of the process counts as 1 s. Threads: the committer.
 */
uint64_t time_look(struct engine_time *time);

/* Return the monotonic clock, log time, running time. Threads: any. */
uint64_t time_mono_ns(const struct engine_time *time);
uint64_t time_log_ms(const struct engine_time *time);
uint64_t time_run_ms(const struct engine_time *time);

/* The numbers of INFO. Threads: any. */
struct time_info {
    uint64_t wall_ms;
    uint64_t log_ms;
    uint64_t behind_ms; /* the wall clock, of log time */
    uint64_t ahead_ms;
    uint64_t start_ahead_ms;
};
void time_info(const struct engine_time *time, struct time_info *info);

/* Returns the log time of a moment of the monotonic clock. */
static inline uint64_t time_log_at(const struct engine_time *time, uint64_t mono_ns)
{
    /* H1: relaxed: a time publishes nothing */
    return mono_ns / NS_PER_MS + atomic_load_explicit(&time->log_shift_ms, memory_order_relaxed);
}

/* Returns the running time of a moment of the monotonic clock. */
static inline uint64_t time_run_at(const struct engine_time *time, uint64_t mono_ns)
{
    /* H2: relaxed: a time publishes nothing */
    uint64_t lost_ns = atomic_load_explicit(&time->lost_ns, memory_order_relaxed);
    return (mono_ns - lost_ns) / NS_PER_MS;
}

#endif
