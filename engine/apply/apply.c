/* apply for polls and votes, and the switch over all record types. */
#include "engine/apply/apply.h"

#include "engine/state/label_index.h"
#include "engine/apply/apply_internal.h"
#include "engine/state/feed.h"
#include "engine/base/label.h"
#include "engine/apply/snapshot_capture.h"
#include "engine/log/bounds.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

static int poll_new(struct state *state, const struct record *record, struct poll **out)
{
    struct poll *poll = calloc(1, sizeof *poll);
    if (poll == NULL) {
        return TALLY_NOMEM;
    }
    poll->id = FIELD_OWN(state->poll_last) + 1;
    poll->captured = state->captures;
    STAILQ_INIT(&poll->acts);
    poll->name = blob_new(record->text[POLL_NAME]);
    if (poll->name == NULL || table_put(&state->poll_ids, poll->id, poll) != 0 ||
        index_put(&state->polls, poll) != 0) {
        return TALLY_NOMEM;
    }
    DCHECK(table_get(&state->poll_ids, poll->id) == poll);
    FIELD_PUT(state->poll_last, poll->id);
    FIELD_ADD(state->poll_count, 1);
    ledger_add(&state->ledger, LEDGER_ENTITIES, poll_weight(poll));
    *out = poll;
    return 0;
}

static bool keeps(const struct record *record, unsigned field)
{
    return (record->num[POLL_KEEP_MASK] >> field & 1) != 0;
}

static int apply_poll(struct state *state, const struct record *record, struct apply_result *v)
{
    if (bounds_record_error(record) != NULL ||
        keeps(record, POLL_RATE_N) != keeps(record, POLL_RATE_MS)) {
        return TALLY_CORRUPT; /* the edge asks the same before it appends: bounds.h */
    }
    struct poll *poll = state_poll(state, record->text[POLL_NAME]);
    bool is_new = poll == NULL;
    if (is_new) {
        if (FIELD_OWN(state->poll_count) >= POLLS_MAX ||
            FIELD_OWN(state->poll_last) >= POLL_ID_MAX ||
            !table_takes(&state->poll_ids, FIELD_OWN(state->poll_last) + 1)) {
            v->err = TALLY_FULL;
            return 0;
        }
        int err = poll_new(state, record, &poll);
        if (err != 0) {
            return err;
        }
    }
    snapshot_capture_poll(state, poll);
    if (!keeps(record, POLL_OPEN_MS)) {
        FIELD_PUT(poll->open_ms, record->num[POLL_OPEN_MS]);
    }
    if (!keeps(record, POLL_CLOSE_MS)) {
        FIELD_PUT(poll->close_ms, record->num[POLL_CLOSE_MS]);
    }
    if (!keeps(record, POLL_RATE_N)) {
        FIELD_PUT(poll->rate, rate_word(record->num[POLL_RATE_N], record->num[POLL_RATE_MS]));
    }
    if (!keeps(record, POLL_MODE)) {
        poll->mode_wanted = (uint32_t)record->num[POLL_MODE];
    }
    if (is_new) {
        FIELD_PUT(poll->mode, poll->mode_wanted);
    }
    /* an existing poll is opened and closed, and changes its mode, only by POLL_WINDOW, which comes
     * after the gate; a new poll has no votes to wait for */
    bool open = is_new ? window_is_open(FIELD_OWN(poll->open_ms), FIELD_OWN(poll->close_ms),
                                        record->time_ms)
                       : FIELD_OWN(poll->open);
    FIELD_PUT(poll->open, open);
    poll_set_until(poll);
    apply_effect_add(v, EFFECT_ALTERED)->poll = poll;
    apply_event_poll(state, record, poll, 0, 0);
    return 0;
}

static int apply_poll_window(struct state *state, const struct record *record,
                             struct apply_result *v)
{
    struct poll *poll = table_get(&state->poll_ids, record->num[POLL_WINDOW_POLL]);
    if (poll == NULL || bounds_record_error(record) != NULL) {
        return TALLY_CORRUPT;
    }
    apply_effect_add(v, EFFECT_WINDOWED)->poll = poll;
    if (FIELD_OWN(poll->is_deleted)) {
        return 0; /* by a record of the same round of the gate */
    }
    snapshot_capture_poll(state, poll);
    FIELD_PUT(poll->mode, (uint32_t)record->num[POLL_WINDOW_MODE]);
    FIELD_PUT(poll->open, record->num[POLL_WINDOW_OPEN] != 0);
    poll_set_until(poll);
    apply_event_poll(state, record, poll, 0, record->num[POLL_WINDOW_OPEN] != 0);
    return 0;
}

/*
 * The options are not touched, however many there are: their votes are of an older generation from
 * now on, and count no more (option_votes_now); nor is each voter. In a live engine the gate sets
 * the words of the options afterwards, and votes wait until that is done.
 */
static int apply_reset(struct state *state, const struct record *record, struct apply_result *v)
{
    struct poll *poll = table_get(&state->poll_ids, record->num[RESET_POLL]);
    if (poll == NULL || bounds_record_error(record) != NULL) {
        return TALLY_CORRUPT;
    }
    if (FIELD_OWN(poll->is_deleted)) {
        v->err = TALLY_NOTFOUND;
        return 0;
    }
    uint32_t generation = FIELD_OWN(poll->generation);
    if (generation == UINT32_MAX) {
        v->err = TALLY_FULL;
        return 0;
    }
    snapshot_capture_poll(state, poll);
    if (apply_touch_poll(state, poll, record->time_ms) != 0 ||
        trend_touch(state, poll_reset_trend(state, poll), generation, record->time_ms) != 0) {
        return TALLY_NOMEM;
    }
    apply_voters_drop(state, poll);
    v->reply.value = FIELD_OWN(poll->total);
    DCHECK(FIELD_OWN(state->votes) >= v->reply.value); /* the sum over all polls */
    FIELD_PUT(state->votes, FIELD_OWN(state->votes) - v->reply.value);
    FIELD_PUT(poll->total, 0);
    FIELD_PUT(poll->generation, generation + 1);
    if (poll->feed != NULL) {
        FIELD_PUT(poll->feed->broken, true); /* the reader makes the rank anew */
    }
    apply_event_poll(state, record, poll, 0, v->reply.value);
    return 0;
}

/* Puts an option at its place; the first option of a part allocates the part. */
static int poll_place(struct poll *poll, uint64_t place, struct option *option)
{
    DCHECK(place < POLL_OPTIONS_MAX);
    uint64_t at = 0;
    unsigned part = poll_part(place, &at);
    if (at == 0 && FIELD_OWN(poll->options[part]) == NULL) {
        struct option *_Atomic *options = calloc((size_t)POLL_FIRST << part, sizeof *options);
        if (options == NULL) {
            return TALLY_NOMEM;
        }
        FIELD_PUT(poll->options[part], options);
    }
    FIELD_PUT(FIELD_OWN(poll->options[part])[at], option);
    return 0;
}

int apply_poll_add_option(struct state *state, struct poll *poll, struct option *option)
{
    DCHECK(option->poll == poll);
    uint64_t count = FIELD_OWN(poll->option_count);
    if (poll_place(poll, count, option) != 0 || index_put(&state->labels, option) != 0) {
        return TALLY_NOMEM;
    }
    /* a load brings options of deleted polls, too, which nobody looks for */
    if (!FIELD_OWN(poll->is_deleted) && label_index_add(state, option) != 0) {
        return TALLY_NOMEM;
    }
    ledger_add(&state->ledger, LEDGER_ENTITIES, option_weight(option));
    option->place = (uint32_t)count;
    FIELD_PUT(poll->option_count, count + 1);
    if (poll->feed != NULL) {
        feed_note(poll->feed, option, option_votes_now(option));
    }
    return 0;
}

static int option_new(struct state *state, struct poll *poll, const struct record *record)
{
    struct option *option = aligned_alloc(64, sizeof *option);
    if (option == NULL) {
        return TALLY_NOMEM;
    }
    *option = (struct option){
        .id = (uint32_t)FIELD_OWN(state->option_last) + 1,
        .captured = state->captures,
        .poll = poll,
        .generation = FIELD_OWN(poll->generation),
        .label = blob_new(record->text[OPTION_LABEL]),
        .key = option_key_new(poll, record->text[OPTION_FOLD]),
    };
    if (option->label == NULL || option->key == NULL ||
        table_put(&state->options, option->id, option) != 0 ||
        apply_poll_add_option(state, poll, option) != 0) {
        return TALLY_NOMEM;
    }
    DCHECK(poll_option(poll, option->place) == option); /* a place is of one option */
    FIELD_PUT(state->option_last, option->id);
    FIELD_ADD(state->option_count, 1);
    return 0;
}

static int apply_option(struct state *state, const struct record *record, struct apply_result *v)
{
    if (bounds_record_error(record) != NULL) {
        return TALLY_CORRUPT;
    }
    struct poll *poll = state_poll(state, record->text[OPTION_POLL]);
    if (poll == NULL) {
        v->err = TALLY_NOTFOUND;
        return 0;
    }
    struct blob *key = option_key_new(poll, record->text[OPTION_FOLD]);
    if (key == NULL) {
        return TALLY_NOMEM;
    }
    const struct option *same = index_get(&state->labels, blob_span(key));
    free(key);
    if (same != NULL) {
        v->err = TALLY_EXISTS;
        v->reply.value = same->id;
        return 0;
    }
    if (FIELD_OWN(poll->option_count) >= POLL_OPTIONS_MAX ||
        FIELD_OWN(state->option_count) >= OPTIONS_MAX ||
        FIELD_OWN(state->option_last) >= OPTION_ID_MAX ||
        !table_takes(&state->options, FIELD_OWN(state->option_last) + 1)) {
        v->err = TALLY_FULL;
        return 0;
    }
    int err = option_new(state, poll, record);
    v->reply.value = FIELD_OWN(state->option_last);
    if (err == 0) {
        apply_event_poll(state, record, poll, v->reply.value, 0);
    }
    return err;
}

static int apply_by_type(struct state *state, const struct record *record, struct apply_result *v)
{
    switch (record->type) {
    case RECORD_VOTE:
        return apply_vote(state, record);
    case RECORD_BALLOT:
        return apply_keyed(state, record, v, apply_ballot);
    case RECORD_SEED:
        return apply_seed(state, record, v);
    case RECORD_UNVOTE:
        return apply_keyed(state, record, v, apply_unvote);
    case RECORD_POLL:
        return apply_poll(state, record, v);
    case RECORD_OPTION:
        return apply_keyed(state, record, v, apply_option);
    case RECORD_POLL_WINDOW:
        return apply_poll_window(state, record, v);
    case RECORD_RESET:
        return apply_keyed(state, record, v, apply_reset);
    case RECORD_POLLDEL:
        return apply_polldel(state, record, v);
    case RECORD_PURGE:
        return apply_purge(state, record, v);
    case RECORD_SUBMIT:
    case RECORD_WORKER:
    case RECORD_BYE:
    case RECORD_OFFLINE:
    case RECORD_SEEN:
    case RECORD_FORGET:
        RECORD_BUILD_STEPS(RECORD_CASE)
        return apply_of_builds(state, record, v);
    case RECORD_NONE:
        break;
    }
    return TALLY_CORRUPT;
}

int apply(struct state *state, const struct record *record, struct apply_result *result)
{
    apply_result_clear(result);
    if (record->lsn <= FIELD_OWN(state->lsn) || record->time_ms < state->time_ms ||
        record->time_ms > TIME_MS_MAX) {
        return TALLY_CORRUPT;
    }
    int err = apply_by_type(state, record, result);
    DCHECK(result->err <= 0);
    state->time_ms = record->time_ms;
    FIELD_PUT(state->lsn, record->lsn);
    return err;
}

void apply_replay_end(struct state *state)
{
    struct option *option;
    for (uint64_t id = 1; (option = table_next(&state->options, &id)) != NULL; id++) {
        option_set_word(option);
    }
    struct build *build;
    for (uint64_t id = 1; (build = table_next(&state->builds, &id)) != NULL; id++) {
        DCHECK(status_is_held(FIELD_OWN(build->applied)) == (FIELD_OWN(build->worker) != NULL));
        build->accepted = FIELD_OWN(build->applied);
        word_set(&build->word, build_word(build->accepted, 0));
    }
}
