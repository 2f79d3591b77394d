/* Trends: samples appended, thinned, dropped at the limit, and dated back. */
#include "engine/state/trend.h"

#include "engine/state/state.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"

#include <stdlib.h>

const struct trend_window trend_windows[TREND_WINDOWS] = {
    {1, 60},
    {6, 120},
    {60, 144},
    {120, 144},
};

enum {
    /* thinning leaves at most so many: of each window those buckets that lie before the shorter
     * window, one at each border, and one from before all */
    TREND_KEPT_MAX = 60 + 111 + 134 + 74 + 1,
};
_Static_assert(TREND_KEPT_MAX < TREND_SAMPLES_MAX / 4 * 3, "a thinned array has room");

/* Returns how many samples an array of a capacity holds after it was made anew, so that it is not
 * made anew too soon. */
static uint32_t room_of(uint32_t capacity)
{
    return capacity / 4 * 3;
}

uint64_t trend_weight(const struct trend_samples *samples)
{
    return samples != NULL
               ? sizeof *samples + samples->capacity * sizeof samples->at[0] + WEIGHT_ALLOCATION
               : 0;
}

/* ---- which samples stay ---- */

/* Whether two neighbours are in one bucket of the shortest window that has the older one, and of
 * the same window: then only the newer one shows. */
static bool is_one_bucket(uint64_t older, uint64_t newer, uint64_t now)
{
    for (unsigned i = 0; i < TREND_WINDOWS; i++) {
        const struct trend_window *window = &trend_windows[i];
        uint64_t last = now / window->unit;
        bool has_newer = newer / window->unit + window->lines > last;
        if (older / window->unit + window->lines > last) {
            return older / window->unit == newer / window->unit;
        }
        if (has_newer) {
            return false;
        }
    }
    return true; /* both are before all windows */
}

/* Keeps the samples that a window may show at `now` or later. Returns how many. */
static uint32_t thin(struct trend_sample *at, uint32_t count, uint64_t now)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 == count || !is_one_bucket(at[i].bucket, at[i + 1].bucket, now)) {
            at[kept++] = at[i];
        }
    }
    DCHECK(kept <= TREND_KEPT_MAX);
    return kept;
}

/* Finds the sample that is missed least: the one whose time is shortest for its age. The first one
 * and the last one are never it. */
static uint32_t least_of(const struct trend_sample *at, uint32_t count, uint64_t now)
{
    uint32_t least = 1;
    uint64_t least_share = UINT64_MAX;
    for (uint32_t i = 1; i + 1 < count; i++) {
        uint64_t age = now - at[i].bucket + 1;
        uint64_t share = ((at[i + 1].bucket - at[i].bucket) << 16) / age;
        if (share < least_share) {
            least = i;
            least_share = share;
        }
    }
    return least;
}

/* Drops samples until no more than `most` are left, but two. */
static uint32_t drop(struct trend_sample *at, uint32_t count, uint32_t most, uint64_t now,
                     uint64_t *exact_from)
{
    while (count > most && count > 2) {
        uint32_t least = least_of(at, count, now);
        uint64_t next = at[least + 1].bucket;
        *exact_from = next > *exact_from ? next : *exact_from;
        count--;
        memmove(at + least, at + least + 1, (count - least) * sizeof *at);
    }
    return count;
}

/* ---- arrays ---- */

static int samples_new(uint32_t capacity, uint64_t exact_from, struct trend_samples **out)
{
    struct trend_samples *samples = malloc(sizeof *samples + capacity * sizeof samples->at[0]);
    if (samples == NULL) {
        return TALLY_NOMEM;
    }
    samples->capacity = capacity;
    atomic_init(&samples->count, 0);
    samples->exact_from = exact_from;
    *out = samples;
    return 0;
}

/* Returns what an array has of its pool. */
static uint64_t pool_share(const struct trend_samples *samples)
{
    return samples != NULL ? samples->capacity - TREND_SAMPLES_MIN : 0;
}

/* Publishes an array, or none, in place of the one before, and counts both. */
static void samples_publish(struct state *state, const struct trend *trend,
                            struct trend_samples *samples)
{
    struct trend_samples *before = FIELD_OWN(*trend->samples);
    DCHECK(*trend->pool >= pool_share(before)); /* each capacity was added */
    *trend->pool += pool_share(samples) - pool_share(before);
    ledger_add(&state->ledger, LEDGER_ENTITIES, trend_weight(samples));
    ledger_sub(&state->ledger, LEDGER_ENTITIES, trend_weight(before));
    FIELD_PUT(*trend->samples, samples);
    if (MUTANT(MUTANT_TREND_FREE_AT_ONCE)) {
        free(before);
        return;
    }
    state_retire(state, before, free);
}

/* Makes the array anew from samples, which it may drop some of, with room for more. */
static int samples_renew(struct state *state, const struct trend *trend, struct trend_sample *at,
                         uint32_t count, uint64_t now)
{
    const struct trend_samples *before = FIELD_OWN(*trend->samples);
    uint32_t had = before != NULL ? before->capacity : TREND_SAMPLES_MIN;
    uint64_t exact_from = before != NULL ? before->exact_from : 0;
    uint32_t capacity = TREND_SAMPLES_MIN;
    struct trend_samples *samples = NULL;
    DCHECK(count <= TREND_KEPT_MAX);
    while (room_of(capacity) < count + 1) {
        capacity *= 2;
    }
    DCHECK(capacity <= TREND_SAMPLES_MAX); /* a thinned array has room */
    if (capacity > had && *trend->pool + (capacity - had) > trend->pool_max) {
        capacity = had;
        count = drop(at, count, room_of(capacity) - 1, now, &exact_from);
    }
    if (samples_new(capacity, exact_from, &samples) != 0) {
        return TALLY_NOMEM;
    }
    memcpy(samples->at, at, count * sizeof *at);
    atomic_init(&samples->count, count);
    samples_publish(state, trend, samples);
    return 0;
}

static int append(struct state *state, const struct trend *trend, struct trend_sample sample,
                  uint64_t now)
{
    struct trend_samples *samples = FIELD_OWN(*trend->samples);
    uint32_t count = samples != NULL ? FIELD_OWN(samples->count) : 0;
    if (samples == NULL || count == samples->capacity) {
        struct trend_sample at[TREND_SAMPLES_MAX];
        if (count > 0) {
            memcpy(at, samples->at, count * sizeof *at);
        }
        if (samples_renew(state, trend, at, thin(at, count, now), now) != 0) {
            return TALLY_NOMEM;
        }
        samples = FIELD_OWN(*trend->samples);
        count = FIELD_OWN(samples->count);
    }
    DCHECK(count < samples->capacity);
    DCHECK(count == 0 || samples->at[count - 1].bucket < sample.bucket);
    samples->at[count] = sample;
    FIELD_PUT(samples->count, count + 1);
    return 0;
}

bool trend_is_idle(const struct trend *trend, uint64_t now_ms)
{
    const struct trend_window *longest = &trend_windows[TREND_WINDOWS - 1];
    const uint64_t window_ms = (longest->lines + 1) * longest->unit * TREND_BUCKET_MS;
    return FIELD_OWN(*trend->samples) != NULL && FIELD_OWN(*trend->until_ms) + window_ms < now_ms;
}

void trend_drop(struct state *state, const struct trend *trend)
{
    samples_publish(state, trend, NULL);
}

/* ---- changes ---- */

int trend_touch(struct state *state, struct trend trend, uint64_t before, uint64_t now_ms)
{
    const uint64_t now = now_ms / TREND_BUCKET_MS;
    uint64_t until = FIELD_OWN(*trend.until_ms) / TREND_BUCKET_MS;
    if (until > now) {
        return 0;
    }
    if (until != 0 || before != 0) {
        const struct trend_sample sample = {until != 0 ? until - 1 : 0, before};
        int err = append(state, &trend, sample, now);
        if (err != 0) {
            return err;
        }
    }
    FIELD_PUT(*trend.until_ms, (now + 1) * TREND_BUCKET_MS);
    return 0;
}

uint64_t trend_seeded(const struct trend_seed *seed, uint64_t at_ms)
{
    if (at_ms >= seed->now_ms) {
        return seed->n;
    }
    if (at_ms <= seed->from_ms) {
        return 0;
    }
    /* n is at most 2^20 (bounds.c), and no time is beyond 2^53: the product has 128 bits */
    return (uint64_t)((__uint128_t)seed->n * (at_ms - seed->from_ms) /
                      (seed->now_ms - seed->from_ms));
}

/* Returns the first short bucket of a window. */
static uint64_t first_of(const struct trend_window *window, uint64_t now)
{
    uint64_t last = now / window->unit;
    return last + 1 > window->lines ? (last + 1 - window->lines) * window->unit : 0;
}

/* Returns the first end of a bucket, from `bucket` on, that a window shows at `now` or may show
 * later. Each bucket is one of the shortest window that has it; a walk begins with the longest. */
static uint64_t next_end(uint64_t bucket, uint64_t now, unsigned *window)
{
    for (;;) {
        uint64_t unit = trend_windows[*window].unit;
        uint64_t end = bucket / unit * unit + unit - 1;
        if (*window == 0 || end < first_of(&trend_windows[*window - 1], now)) {
            return end;
        }
        --*window;
        bucket = first_of(&trend_windows[*window], now);
    }
}

int trend_touch_seed(struct state *state, struct trend trend, uint64_t before,
                     const struct trend_seed *seed)
{
    const struct trend_view view = trend_view(trend.samples, trend.until_ms, before);
    const uint64_t now = seed->now_ms / TREND_BUCKET_MS;
    struct trend_sample at[TREND_KEPT_MAX];
    struct trend_at walk = {0};
    unsigned window = TREND_WINDOWS - 1;
    uint32_t used = 0;
    uint64_t bucket = first_of(&trend_windows[window], now);
    if (seed->from_ms / TREND_BUCKET_MS == now) {
        return trend_touch(state, trend, before, seed->now_ms); /* none is dated before */
    }
    while ((bucket = next_end(bucket, now, &window)) < now) {
        uint64_t seeded = trend_seeded(seed, (bucket + 1) * TREND_BUCKET_MS);
        uint64_t count = trend_count(&view, &walk, bucket) + seeded;
        if (count != (used > 0 ? at[used - 1].count : 0)) {
            at[used++] = (struct trend_sample){bucket, count};
        }
        bucket++;
    }
    int err = samples_renew(state, &trend, at, used, now);
    if (err == 0 && view.until <= now) {
        FIELD_PUT(*trend.until_ms, (now + 1) * TREND_BUCKET_MS);
    }
    return err;
}

/* ---- reading ---- */

uint64_t trend_exact_from(const struct trend_view *view)
{
    return view->samples != NULL ? view->samples->exact_from : 0;
}

uint64_t trend_count(const struct trend_view *view, struct trend_at *at, uint64_t bucket)
{
    if (bucket >= view->void_from) {
        return 0;
    }
    if (bucket + 1 >= view->until) {
        return view->count;
    }
    while (at->next < view->sample_count && view->samples->at[at->next].bucket <= bucket) {
        at->next++;
    }
    return at->next > 0 ? view->samples->at[at->next - 1].count : 0;
}

uint64_t trend_first_above(const struct trend_view *view, uint64_t least)
{
    for (uint32_t i = 0; i < view->sample_count; i++) {
        if (view->samples->at[i].count > least) {
            return view->samples->at[i].bucket;
        }
    }
    return view->count > least && view->until != 0 ? view->until - 1 : UINT64_MAX;
}

/* ---- storing ---- */

struct span trend_text(const struct trend_view *view, unsigned char into[TREND_TEXT_MAX])
{
    uint64_t last = 0;
    size_t len = 0;
    if (view->samples == NULL && view->until == 0) {
        return (struct span){(const char *)into, 0};
    }
    len += put_varint(into + len, view->until);
    len += put_varint(into + len, trend_exact_from(view));
    len += put_varint(into + len, view->samples != NULL ? view->samples->capacity : 0);
    for (uint32_t i = 0; i < view->sample_count; i++) {
        const struct trend_sample *sample = &view->samples->at[i];
        len += put_varint(into + len, sample->bucket - last);
        len += put_varint(into + len, sample->count);
        last = sample->bucket;
    }
    DCHECK(len <= TREND_TEXT_MAX);
    return (struct span){(const char *)into, len};
}

struct trend_head {
    uint64_t until;
    uint64_t exact_from;
    uint64_t capacity;
};

static int get_head(const unsigned char **at, const unsigned char *end, struct trend_head *head)
{
    return get_varint(at, end, &head->until) != 0 || get_varint(at, end, &head->exact_from) != 0
               ? TALLY_CORRUPT
               : get_varint(at, end, &head->capacity);
}

uint64_t trend_text_until(struct span text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    uint64_t until = 0;
    return text.len > 0 && get_varint(&at, at + text.len, &until) == 0 ? until : 0;
}

int trend_load(struct state *state, struct trend trend, struct span text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    const unsigned char *end = at + text.len;
    struct trend_samples *samples = NULL;
    struct trend_head head;
    struct trend_sample sample = {0};
    uint64_t more = 0;
    if (text.len == 0 || get_head(&at, end, &head) != 0) {
        return 0;
    }
    FIELD_PUT(*trend.until_ms, head.until * TREND_BUCKET_MS);
    if (head.capacity == 0) {
        return 0;
    }
    if (samples_new((uint32_t)head.capacity, head.exact_from, &samples) != 0) {
        return TALLY_NOMEM;
    }
    uint32_t count = 0;
    while (at != end && get_varint(&at, end, &more) == 0 &&
           get_varint(&at, end, &sample.count) == 0) {
        sample.bucket += more;
        DCHECK(count < samples->capacity); /* bounds.c */
        samples->at[count++] = sample;
    }
    atomic_init(&samples->count, count);
    samples_publish(state, &trend, samples);
    return 0;
}

int trend_begin(struct state *state, struct trend trend, uint64_t exact_from)
{
    struct trend_samples *samples = NULL;
    DCHECK(FIELD_OWN(*trend.samples) == NULL);
    int err = samples_new(TREND_SAMPLES_MIN, exact_from, &samples);
    if (err == 0) {
        samples_publish(state, &trend, samples);
    }
    return err;
}
