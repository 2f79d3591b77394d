/* apply for votes: one record at a time in a live engine, many at a time in a replay. */
#include "engine/apply/apply_internal.h"
#include "engine/state/feed.h"
#include "engine/apply/snapshot_capture.h"
#include "engine/log/bounds.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

/* So many other trends are looked at with a change in a pool that is nearly full. */
enum { SWEPT = 8 };

/* Which ones: a function of the log, and others with each bucket and each entity. */
static uint64_t sweep_from(uint64_t id, uint64_t now_ms)
{
    return (id + now_ms / TREND_BUCKET_MS) * SWEPT;
}

static void sweep_polls(struct state *state, const struct poll *of, uint64_t now_ms)
{
    uint64_t from = sweep_from(of->id, now_ms);
    for (uint64_t i = 0; i < SWEPT; i++) {
        uint64_t id = 1 + (from + i) % FIELD_OWN(state->poll_last);
        struct poll *poll = table_get(&state->poll_ids, id);
        struct trend trend;
        if (poll == NULL) {
            continue; /* it is deleted */
        }
        trend = poll_trend(state, poll);
        if (trend_is_idle(&trend, now_ms)) {
            snapshot_capture_poll(state, poll);
            trend_drop(state, &trend);
        }
    }
}

/* In a replay the thread of the share has all options of the pool. */
static void sweep_options(struct state *state, const struct option *of, uint64_t now_ms)
{
    uint64_t pool = of->id % TREND_OPTION_POOLS;
    uint64_t places = FIELD_OWN(state->option_last) / TREND_OPTION_POOLS + 1;
    uint64_t from = sweep_from(of->id / TREND_OPTION_POOLS, now_ms);
    for (uint64_t i = 0; i < SWEPT; i++) {
        uint64_t id = (from + i) % places * TREND_OPTION_POOLS + pool;
        struct option *option = state_option_any(state, id);
        struct trend trend;
        if (option == NULL) {
            continue;
        }
        trend = option_trend(state, option);
        if (trend_is_idle(&trend, now_ms)) {
            snapshot_capture_option(state, option);
            trend_drop(state, &trend);
        }
    }
}

/* Only a poll that is due is touched, so a replay, which adds sums, sweeps when a live engine does.
 */
int apply_touch_poll(struct state *state, struct poll *poll, uint64_t now_ms)
{
    struct trend trend = poll_trend(state, poll);
    if (!trend_is_due(&poll->trend_until_ms, now_ms)) {
        return 0;
    }
    snapshot_capture_poll(state, poll);
    if (trend_is_low(&trend)) {
        sweep_polls(state, poll, now_ms);
    }
    return trend_touch(state, trend, FIELD_OWN(poll->total), now_ms);
}

/* Touches the trend of an option that was reset since its last change: its votes of then, and 0
 * from the end of the bucket of that RESET on. */
static int touch_reset(struct state *state, const struct option *option, struct trend trend,
                       uint64_t now_ms)
{
    const struct poll *poll = option->poll;
    const struct trend_view resets =
        trend_view(&poll->reset_samples, &poll->reset_until_ms, FIELD_OWN(poll->generation));
    uint64_t reset = trend_first_above(&resets, FIELD_OWN(option->generation));
    uint64_t reset_ms = reset < now_ms / TREND_BUCKET_MS ? reset * TREND_BUCKET_MS : now_ms;
    if (!trend_is_due(trend.until_ms, reset_ms)) {
        return trend_touch(state, trend, 0, now_ms); /* both were in one bucket */
    }
    int err = trend_touch(state, trend, FIELD_OWN(option->votes), reset_ms);
    return err != 0 ? err : trend_touch(state, trend, 0, now_ms);
}

static int touch_option(struct state *state, struct option *option, uint64_t now_ms)
{
    struct trend trend = option_trend(state, option);
    if (trend_is_low(&trend)) {
        sweep_options(state, option, now_ms);
    }
    bool was_reset = FIELD_OWN(option->generation) != FIELD_OWN(option->poll->generation);
    if (was_reset && FIELD_OWN(option->votes) > 0) {
        return touch_reset(state, option, trend, now_ms);
    }
    return trend_touch(state, trend, FIELD_OWN(option->votes), now_ms);
}

int apply_touch_now(struct state *state, struct option *option, uint64_t now_ms)
{
    int err = touch_option(state, option, now_ms);
    return err != 0 ? err : apply_touch_poll(state, option->poll, now_ms);
}

static inline void poll_add(struct state *state, struct poll *poll, uint64_t second, uint64_t votes,
                            uint64_t taken)
{
    unsigned place = (unsigned)(second % POLL_SECONDS);
    DCHECK(FIELD_OWN(poll->second[place]) % POLL_SECONDS == place ||
           FIELD_OWN(poll->second[place]) == 0);
    DCHECK(!trend_is_due(&poll->trend_until_ms, second * 1000));
    snapshot_capture_poll(state, poll);
    if (FIELD_OWN(poll->second[place]) != second) {
        FIELD_PUT(poll->second_votes[place], 0);
        FIELD_PUT(poll->second[place], second);
    }
    FIELD_ADD(poll->second_votes[place], votes);
    DCHECK(FIELD_OWN(poll->total) + votes >= taken); /* they were added before */
    FIELD_PUT(poll->total, FIELD_OWN(poll->total) + votes - taken);
    FIELD_PUT(state->votes, FIELD_OWN(state->votes) + votes - taken);
}

void apply_poll_add(struct state *state, struct poll *poll, uint64_t second, uint64_t votes,
                    uint64_t taken)
{
    poll_add(state, poll, second, votes, taken);
}

static inline bool option_fits(const struct option *option, const struct vote_step *step)
{
    return option != NULL && step->n != 0 && option_votes_now(option) == step->before &&
           step->before + step->n <= VOTES_MASK && !FIELD_OWN(option->poll->is_deleted);
}

/* Applies a step that fits to its option, but not to the sums of its poll and of the state. */
static void option_take(struct option *option, const struct vote_step *step)
{
    option_put_votes(option, step->before + step->n);
    option->changes++;
}

/* What a vote with a voter or a key does beside its votes. Not inlined: other votes pass by. */
__attribute__((noinline)) static int vote_texts(struct state *state, const struct record *record,
                                                const struct option *option)
{
    const struct apply_votes votes = {.option = option,
                                      .after = option_votes_now(option),
                                      .n = record->num[VOTE_N],
                                      .voter = record->text[VOTE_VOTER]};
    apply_event_votes(state, record, RECORD_VOTE, &votes);
    return record->text[VOTE_KEY].len > 0 ? apply_key_of_vote(state, record) : 0;
}

int apply_vote(struct state *state, const struct record *record)
{
    const struct vote_step step =
        apply_vote_step_of(record->num[VOTE_OPTION], record->num[VOTE_BEFORE], record->num[VOTE_N]);
    struct option *option = state_option_any(state, step.option);
    bool has_texts = record->text[VOTE_VOTER].len + record->text[VOTE_KEY].len > 0;
    if (!option_fits(option, &step) || (has_texts && bounds_record_error(record) != NULL)) {
        return TALLY_CORRUPT;
    }
    snapshot_capture_option(state, option);
    if (apply_touch(state, option, record->time_ms) != 0) {
        return TALLY_NOMEM;
    }
    option_take(option, &step);
    poll_add(state, option->poll, record->time_ms / 1000, step.n, 0);
    if (option->poll->feed != NULL) {
        feed_note(option->poll->feed, option, step.before + step.n);
    }
    return has_texts ? vote_texts(state, record, option) : 0;
}

/* Up to this many options stay in the cache. */
enum { CACHED_OPTIONS = 1000 };

/* Picks the indexes of the steps that belong to the share. Returns how many. It has no branch,
 * since the processor could not predict it. */
static size_t pick(const struct vote_share *share, const struct vote_step *steps, size_t count,
                   unsigned char *picks)
{
    size_t picked = 0;
    for (size_t i = 0; i < count; i++) {
        picks[picked] = (unsigned char)i;
        picked += (steps[i].option & (share->shares - 1)) == share->share;
    }
    return picked;
}

/* Finds the options of the steps, and prefetches all of them so that the waits overlap. */
static void options_fetch(const struct state *state, const struct vote_step *steps,
                          const unsigned char *picks, size_t picked, struct option **options)
{
    DCHECK(picked <= VOTE_STEPS_MAX);
    if (FIELD_OWN(state->option_count) > CACHED_OPTIONS) {
        for (size_t i = 0; i < picked; i++) {
            table_prefetch(&state->options, steps[picks[i]].option);
        }
    }
    for (size_t i = 0; i < picked; i++) {
        options[i] = state_option_any(state, steps[picks[i]].option);
        if (options[i] != NULL) {
            __builtin_prefetch(&options[i]->votes, 1);
        }
    }
}

/* Applies a step in a replay; as option_take. Errors: CORRUPT, NOMEM. */
static int take_step(struct state *state, struct option *option, const struct vote_step *step,
                     uint64_t now_ms)
{
    if (!option_fits(option, step)) {
        return TALLY_CORRUPT;
    }
    DCHECK(state->capture == NULL); /* there are no snapshots in a replay */
    if (trend_is_due(&option->trend_until_ms, now_ms) && touch_option(state, option, now_ms) != 0) {
        return TALLY_NOMEM;
    }
    option_take(option, step);
    return 0;
}

size_t apply_vote_steps(struct state *state, struct vote_share *share,
                        const struct vote_step *steps, size_t count, struct vote_sum *sums,
                        size_t *sum_count)
{
    struct option *options[VOTE_STEPS_MAX];
    unsigned char picks[VOTE_STEPS_MAX];
    struct vote_sum sum = {.poll = NULL, .second = share->second};
    const uint64_t now_ms = share->second * 1000;
    size_t used = *sum_count;
    size_t i = 0;
    /* the replay cuts its batch into runs of at most VOTE_STEPS_MAX steps */
    CHECK(count <= VOTE_STEPS_MAX);
    size_t picked = pick(share, steps, count, picks);
    DCHECK(share->share < share->shares && (share->shares & (share->shares - 1)) == 0);
    options_fetch(state, steps, picks, picked, options);
    for (; i < picked; i++) {
        const struct vote_step *step = &steps[picks[i]];
        share->err = take_step(state, options[i], step, now_ms);
        if (share->err != 0) {
            break;
        }
        if (options[i]->poll != sum.poll && sum.poll != NULL) {
            sums[used++] = sum;
            sum.votes = 0;
            sum.steps = 0;
        }
        sum.lsn = sum.votes == 0 ? share->first_lsn + picks[i] : sum.lsn;
        sum.poll = options[i]->poll;
        sum.votes += step->n;
        sum.steps++;
    }
    if (sum.poll != NULL) {
        sums[used++] = sum;
    }
    DCHECK(used <= *sum_count + count); /* the caller has made room for count more */
    *sum_count = used;
    return i == picked ? count : picks[i];
}

int apply_vote_sum(struct state *state, const struct vote_sum *sum)
{
    if (apply_touch_poll(state, sum->poll, sum->second * 1000) != 0) {
        return TALLY_NOMEM;
    }
    poll_add(state, sum->poll, sum->second, sum->votes, 0);
    return 0;
}
