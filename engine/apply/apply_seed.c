/* apply for SEED: votes that are dated back. */
#include "engine/apply/apply_internal.h"

#include "engine/apply/snapshot_capture.h"
#include "engine/log/bounds.h"
#include "engine/state/feed.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

/* Adds those of the last POLL_SECONDS seconds to the votes by second. */
static void seconds_add(struct poll *poll, const struct trend_seed *seed)
{
    uint64_t now = seed->now_ms / 1000;
    uint64_t second = now + 1 > POLL_SECONDS ? now + 1 - POLL_SECONDS : 0;
    uint64_t before = trend_seeded(seed, second * 1000);
    for (; second <= now; second++) {
        unsigned place = (unsigned)(second % POLL_SECONDS);
        uint64_t votes = trend_seeded(seed, (second + 1) * 1000) - before;
        if (votes == 0) {
            continue;
        }
        if (FIELD_OWN(poll->second[place]) != second) {
            FIELD_PUT(poll->second_votes[place], 0);
            FIELD_PUT(poll->second[place], second);
        }
        FIELD_ADD(poll->second_votes[place], votes);
        before += votes;
    }
}

/* Whether the record fits the state: the step was made, and the poll took it. */
static bool seed_fits(const struct option *option, const struct record *record)
{
    uint64_t before = record->num[SEED_BEFORE];
    return bounds_record_error(record) == NULL && option != NULL &&
           FIELD_OWN(option->poll->mode) == POLL_FREE && option_votes_now(option) == before &&
           before + record->num[SEED_N] <= VOTES_MASK;
}

/* From when on the votes are dated: none before the end of the bucket of the last RESET, since it
 * would take those away. */
static uint64_t seed_from(const struct poll *poll, const struct record *record)
{
    uint64_t now_ms = record->time_ms;
    uint64_t over_ms = record->num[SEED_OVER_MS];
    uint64_t from_ms = now_ms > over_ms ? now_ms - over_ms : 0;
    uint64_t reset_ms = FIELD_OWN(poll->reset_until_ms);
    from_ms = from_ms > reset_ms ? from_ms : reset_ms;
    return from_ms < now_ms ? from_ms : now_ms;
}

int apply_seed(struct state *state, const struct record *record, struct apply_result *v)
{
    struct option *option = state_option(state, record->num[SEED_OPTION]);
    if (!seed_fits(option, record)) {
        return TALLY_CORRUPT;
    }
    struct poll *poll = option->poll;
    uint64_t n = record->num[SEED_N];
    uint64_t votes = record->num[SEED_BEFORE] + n;
    const struct trend_seed seed = {n, seed_from(poll, record), record->time_ms};
    snapshot_capture_option(state, option);
    snapshot_capture_poll(state, poll);
    if (apply_touch(state, option, record->time_ms) != 0 ||
        trend_touch_seed(state, option_trend(state, option), votes - n, &seed) != 0 ||
        trend_touch_seed(state, poll_trend(state, poll), FIELD_OWN(poll->total), &seed) != 0) {
        return TALLY_NOMEM;
    }
    option_put_votes(option, votes);
    option->changes++;
    seconds_add(poll, &seed);
    FIELD_ADD(poll->total, n);
    FIELD_ADD(state->votes, n);
    if (poll->feed != NULL) {
        feed_note(poll->feed, option, votes);
    }
    const struct apply_votes told = {.option = option, .after = votes, .n = n};
    apply_event_votes(state, record, RECORD_SEED, &told);
    v->reply.value = votes;
    return apply_key_of_seed(state, record);
}
