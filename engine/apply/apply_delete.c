/* apply for what is deleted: a poll goes at once for everybody, and its memory piece by piece. */
#include "engine/apply/apply_internal.h"

#include "engine/apply/snapshot_capture.h"
#include "engine/log/bounds.h"
#include "engine/state/feed.h"
#include "engine/state/label_index.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

/*
 * No option is touched, however many there are: state_option finds none of a deleted poll. In a
 * live engine the gate has waited for the steps on them.
 */
int apply_polldel(struct state *state, const struct record *record, struct apply_result *v)
{
    uint64_t id = record->num[POLLDEL_POLL];
    struct poll *poll = table_get(&state->poll_ids, id);
    if (id == 0 || id > FIELD_OWN(state->poll_last) || bounds_record_error(record) != NULL) {
        return TALLY_CORRUPT;
    }
    if (poll == NULL || FIELD_OWN(poll->is_deleted)) {
        v->err = TALLY_NOTFOUND;
        return 0;
    }
    uint64_t options = FIELD_OWN(poll->option_count);
    struct trend total = poll_trend(state, poll);
    struct trend resets = poll_reset_trend(state, poll);
    snapshot_capture_poll(state, poll);
    apply_event_polldel(state, record, poll);
    apply_voters_drop(state, poll);
    trend_drop(state, &total);
    trend_drop(state, &resets);
    index_remove(&state->polls, poll);
    DCHECK(FIELD_OWN(state->votes) >= FIELD_OWN(poll->total)); /* the sum over all polls */
    FIELD_PUT(state->votes, FIELD_OWN(state->votes) - FIELD_OWN(poll->total));
    FIELD_PUT(state->poll_count, FIELD_OWN(state->poll_count) - 1);
    FIELD_PUT(state->option_count, FIELD_OWN(state->option_count) - options);
    state->deleted_polls++;
    state->deleted_options += options;
    FIELD_PUT(poll->total, 0);
    FIELD_PUT(poll->rate, 0);
    FIELD_PUT(poll->open, false);
    FIELD_PUT(poll->is_deleted, true);
    poll_set_until(poll);
    if (state->retirer == NULL) { /* in a live engine the gate does it, in slices */
        (void)label_index_drop(state, poll, UINT64_MAX);
    }
    if (poll->feed != NULL) {
        FIELD_PUT(poll->feed->broken, true); /* the reader drops the rank */
    }
    return 0;
}

/* Takes the last option of a deleted poll out of all but the lists of words, and retires it. */
static void option_remove(struct state *state, const struct poll *poll)
{
    struct option *option = poll_option(poll, FIELD_OWN(poll->option_count) - 1);
    struct trend trend = option_trend(state, option);
    snapshot_capture_option(state, option);
    trend_drop(state, &trend);
    index_remove(&state->labels, option);
    table_remove(&state->options, option->id);
    ledger_sub(&state->ledger, LEDGER_ENTITIES, option_weight(option));
    state_retire(state, option, option_free);
}

int apply_purge(struct state *state, const struct record *record, struct apply_result *v)
{
    struct poll *poll = table_get(&state->poll_ids, record->num[PURGE_POLL]);
    uint64_t count = record->num[PURGE_OPTIONS];
    if (poll == NULL || !FIELD_OWN(poll->is_deleted) || bounds_record_error(record) != NULL ||
        count > FIELD_OWN(poll->option_count)) {
        return TALLY_CORRUPT;
    }
    /* a live engine's gate has waited for the reader, and has dropped the words */
    CHECK(poll->feed == NULL && poll->beginnings == NULL);
    snapshot_capture_poll(state, poll);
    for (uint64_t i = 0; i < count; i++) {
        option_remove(state, poll);
        FIELD_PUT(poll->option_count, FIELD_OWN(poll->option_count) - 1);
    }
    state->deleted_options -= count;
    if (FIELD_OWN(poll->option_count) > 0) {
        apply_effect_add(v, EFFECT_PURGED)->poll = poll;
        return 0;
    }
    state->deleted_polls--;
    table_remove(&state->poll_ids, poll->id);
    ledger_sub(&state->ledger, LEDGER_ENTITIES, poll_weight(poll));
    state_retire(state, poll, poll_free);
    return 0;
}
