/* Trends: how large a count was at the end of each bucket of 5 s in the last 24 hours. */
#ifndef TALLY_ENGINE_STATE_TREND_H
#define TALLY_ENGINE_STATE_TREND_H

#include "engine/base/seq.h"
#include "engine/limits.h"
#include "wal/base/bytes.h"
#include "wal/base/span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *     samples ──▶ [ capacity count exact_from | 100: 7 | 104: 9 | 180: 30 |      |      ]
 *     until 191, and the count itself: 42
 *
 *     at the end of bucket   ... 99   100 ... 103   104 ... 179   180 ... 189   190 ...
 *     the count was              0        7             9             30            42
 *
 * A bucket is 5 s of log time, numbered from 1970. A sample says how large the count was at the end
 * of its bucket, and up to the next sample's. `until` is the end of the bucket of the last change,
 * stored in ms, so that a change costs one comparison. A change at that time or later first appends
 * a sample of the bucket of the last change; nothing happens in buckets without a change.
 *
 * Thinning: a window of the last 24 hours asks for ends of its own buckets alone, the older the
 * longer (trend_windows). So when the array is full, the last sample of each longer bucket stays,
 * and one from before all windows. At most TREND_KEPT_MAX samples stay, and the windows show the
 * same as before.
 *
 * Limit: the capacities beyond the least one are summed up in pools. In a pool that is full an
 * array does not grow any more; samples are dropped whose buckets are short for their age.
 * `exact_from` is the first bucket from which none was. So that polls of the past leave their room
 * to those of today, each change in a pool that is nearly full looks at a few other trends of the
 * pool, and drops the arrays of those that no window shows any more (engine/apply/apply_vote.c).
 *
 * Synchronization table
 *   samples   replaced by apply (FIELD_PUT), the old array is retired; read by any thread
 *   at[i]     written before `count` is above i (FIELD_PUT), and never changed then
 *   count     of an array, grows only
 *   capacity, exact_from    set before the array is published
 *   until     apply; any thread
 * So an array, its count, `until` and the count itself, read in one cut of state.seq, are the
 * trend of that moment, and may be looked through after the cut, up to the end of the pass.
 *
 * A trend is a function of the log, as is all that apply does. So the options whose ids have one
 * remainder share a pool: a replay applies them in one thread, and in log order (replay.h).
 */
enum {
    TREND_OPTION_POOLS = 16,
    TREND_POOL_OF_POLLS = TREND_OPTION_POOLS,
    TREND_POOLS,
    TREND_POOL_MAX = 1 << 18,       /* samples of options beyond the least: 4 MiB a pool */
    TREND_POOL_POLLS_MAX = 1 << 21, /* ... of polls: 32 MiB */
};

/* A window: `lines` buckets of so many short ones, the last one being under way. */
struct trend_window {
    uint64_t unit;
    uint64_t lines;
};
extern const struct trend_window trend_windows[TREND_WINDOWS]; /* 5 min, 1 h, 12 h, 24 h */

struct trend_sample {
    uint64_t bucket;
    uint64_t count;
};

struct trend_samples {
    uint32_t capacity;
    _Atomic uint32_t count;
    uint64_t exact_from;
    struct trend_sample at[];
};

/* Where a trend stands in its entity, and the pool of its capacities. */
struct trend {
    _Atomic(struct trend_samples *) *samples;
    _Atomic uint64_t *until_ms; /* 0: it was never changed */
    uint64_t *pool;
    uint64_t pool_max;
};

struct state;

/* Whether a change at this time needs trend_touch. */
static inline bool trend_is_due(const _Atomic uint64_t *until_ms, uint64_t now_ms)
{
    return now_ms >= FIELD_OWN(*until_ms);
}

/*
 * To be called before the count changes; `before` is the count.
 * Errors: NOMEM; then nothing has changed. Threads: apply, or a replay's one for the pool.
 */
int trend_touch(struct state *state, struct trend trend, uint64_t before, uint64_t now_ms);

/* Whether the pool of a trend is nearly full. */
static inline bool trend_is_low(const struct trend *trend)
{
    return *trend->pool + TREND_SAMPLES_MAX > trend->pool_max;
}

/* Whether a trend has an array, and was not changed for so long that no window shows it; drops such
 * an array. Threads: as trend_touch. */
bool trend_is_idle(const struct trend *trend, uint64_t now_ms);
void trend_drop(struct state *state, const struct trend *trend);

/* n that are added to a count at `now_ms`, but are dated back: spread evenly over the time from
 * from_ms on. */
struct trend_seed {
    uint64_t n;
    uint64_t from_ms;
    uint64_t now_ms;
};

/* Returns how many of them are dated before a time. */
uint64_t trend_seeded(const struct trend_seed *seed, uint64_t at_ms);

/* As trend_touch, before n are added. */
int trend_touch_seed(struct state *state, struct trend trend, uint64_t before,
                     const struct trend_seed *seed);

/* ---- reading ---- */

/* The trend at one moment. */
struct trend_view {
    const struct trend_samples *samples; /* or NULL */
    uint32_t sample_count;
    uint64_t until; /* the bucket behind the one of the last change; 0: it was never changed */
    uint64_t count;
    uint64_t void_from; /* from the end of this bucket on the count is 0; UINT64_MAX: never */
};

/* Copies a trend and its count. Threads: any, in a cut. */
static inline struct trend_view trend_view(const _Atomic(struct trend_samples *) *samples,
                                           const _Atomic uint64_t *until_ms, uint64_t count)
{
    const struct trend_samples *at = FIELD_GET(*samples);
    return (struct trend_view){.samples = at,
                               .sample_count = at != NULL ? FIELD_GET(at->count) : 0,
                               .until = FIELD_GET(*until_ms) / TREND_BUCKET_MS,
                               .count = count,
                               .void_from = UINT64_MAX};
}

/* Returns the first bucket from whose end on the view is not coarser than its window. */
uint64_t trend_exact_from(const struct trend_view *view);

/* A walk over ends of buckets, which must rise; zero is the beginning. */
struct trend_at {
    uint32_t next;
};

/* Returns the count at the end of a bucket. Threads: any, up to the end of the view's pass. */
uint64_t trend_count(const struct trend_view *view, struct trend_at *at, uint64_t bucket);

/* Returns the first bucket at whose end the count was above `least`; UINT64_MAX: never. For counts
 * that never go down. */
uint64_t trend_first_above(const struct trend_view *view, uint64_t least);

/* ---- storing ---- */

/* The most bytes that a text has. */
enum { TREND_TEXT_MAX = (3 + 2 * TREND_SAMPLES_MAX) * VARINT_BYTES_MAX };

/*
 *     text = [ until, exact_from, capacity, ( bucket, less the one before; count )* ]
 *
 * All are varints; of a count that was never changed the text is empty.
 */
struct span trend_text(const struct trend_view *view, unsigned char into[TREND_TEXT_MAX]);

/* Returns the bucket behind the one of the last change that a text has; 0: none. */
uint64_t trend_text_until(struct span text);

/* Loads a text. REQUIRES: bounds.c has checked it. Errors: NOMEM. */
int trend_load(struct state *state, struct trend trend, struct span text);

/* Says that buckets before this one are not known. Errors: NOMEM. */
int trend_begin(struct state *state, struct trend trend, uint64_t exact_from);

/* Returns the bytes of an array; 0 for NULL. Trends count themselves among the entities. */
uint64_t trend_weight(const struct trend_samples *samples);

#endif
