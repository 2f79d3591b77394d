/* apply for ballots: votes that name their voter in a poll where each voter has one, and their
 * taking back. */
#include "engine/apply/apply_internal.h"

#include "engine/apply/snapshot_capture.h"
#include "engine/log/ballot.h"
#include "engine/log/bounds.h"
#include "engine/state/feed.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

/* The options that have a voter's vote, by their places in the poll. */
struct vote {
    uint32_t places[BALLOT_OPTIONS_MAX];
    uint32_t count;
};

/* A ballot's options, all of one poll, each once. */
struct ballot {
    struct poll *poll;
    struct option *options[BALLOT_OPTIONS_MAX];
    unsigned count;
};

/* Finds the options of a ballot. Returns 0 or the refusal. REQUIRES: it is within its bounds. */
static int ballot_read(const struct state *state, const struct record *record,
                       struct ballot *ballot)
{
    uint64_t ids[BALLOT_OPTIONS_MAX];
    ballot->count = ballot_options(record, ids);
    for (unsigned i = 0; i < ballot->count; i++) {
        struct option *option = state_option(state, ids[i]);
        if (option == NULL) {
            return TALLY_NOTFOUND;
        }
        for (unsigned k = 0; k < i; k++) {
            if (ballot->options[k] == option) {
                return TALLY_INVAL;
            }
        }
        ballot->options[i] = option;
        if (option->poll != ballot->options[0]->poll) {
            return TALLY_INVAL;
        }
    }
    ballot->poll = ballot->options[0]->poll;
    return 0;
}

bool apply_poll_takes_votes(const struct poll *poll, uint64_t time_ms)
{
    uint64_t close_ms = FIELD_OWN(poll->close_ms);
    return FIELD_OWN(poll->open) && (close_ms == 0 || time_ms < close_ms);
}

/* Copies a voter's vote, since a change of the set moves it. Returns whether there is one. */
static bool vote_find(const struct poll *poll, struct span voter, struct vote *vote)
{
    struct voters_view view;
    vote->count = 0;
    if (!poll_voter(poll, voter, &view)) {
        return false;
    }
    DCHECK(view.count > 0 && view.count <= BALLOT_OPTIONS_MAX);
    memcpy(vote->places, view.places, view.count * sizeof *view.places);
    vote->count = view.count;
    return true;
}

/* Whether an option is among the places of a voter's vote. */
static bool has_place(const struct vote *vote, uint32_t place)
{
    for (unsigned i = 0; i < vote->count; i++) {
        if (vote->places[i] == place) {
            return true;
        }
    }
    return false;
}

/* Returns 0 when the ballot counts, or the refusal; the voter's vote so far in *old. */
static int ballot_judge(const struct record *record, const struct ballot *ballot, struct vote *old)
{
    const struct poll *poll = ballot->poll;
    struct span voter = record->text[BALLOT_VOTER];
    uint32_t mode = FIELD_OWN(poll->mode);
    if (mode == POLL_FREE || record->num[BALLOT_N] != 1 || voter.len == 0) {
        return TALLY_INVAL;
    }
    if (!apply_poll_takes_votes(poll, record->time_ms)) {
        return TALLY_CLOSED;
    }
    bool is_known = vote_find(poll, voter, old);
    if (is_known && mode == POLL_ONCE) {
        return TALLY_VOTED;
    }
    if (!is_known && apply_voters_are_full(poll)) {
        return TALLY_FULL;
    }
    for (unsigned i = 0; i < ballot->count; i++) {
        if (option_votes_now(ballot->options[i]) >= VOTES_RANGE) {
            return TALLY_RANGE;
        }
    }
    return 0;
}

int apply_ballot_look(const struct state *state, const struct record *record)
{
    struct ballot ballot;
    struct vote old;
    int err = ballot_read(state, record, &ballot);
    return err != 0 ? err : ballot_judge(record, &ballot, &old);
}

/* Adds one vote to an option, or takes one from it, in a poll where no edge steps its word. */
static int option_move(struct state *state, const struct record *record, struct option *option,
                       int by)
{
    bool is_ballot = record->type == RECORD_BALLOT;
    uint64_t votes = option_votes_now(option);
    DCHECK(by > 0 || votes > 0); /* a voter's vote was counted */
    snapshot_capture_option(state, option);
    if (apply_touch(state, option, record->time_ms) != 0) {
        return TALLY_NOMEM;
    }
    votes = by > 0 ? votes + 1 : votes - 1;
    option_put_votes(option, votes);
    option->changes++;
    option_set_word(option);
    if (option->poll->feed != NULL) {
        feed_note(option->poll->feed, option, votes);
    }
    const struct apply_votes told = {
        .option = option,
        .after = votes,
        .n = 1,
        .voter = record->text[is_ballot ? (int)BALLOT_VOTER : (int)UNVOTE_VOTER]};
    apply_event_votes(state, record, by > 0 ? RECORD_VOTE : RECORD_UNVOTE, &told);
    return 0;
}

/* Gives a voter's vote to the options of `new` instead of those of `old`. An option that has it in
 * both is not touched. Errors: NOMEM. */
static int vote_move(struct state *state, const struct record *record, struct poll *poll,
                     const struct vote *old, const struct vote *new)
{
    uint64_t added = 0;
    uint64_t taken = 0;
    int err = 0;
    for (unsigned i = 0; i < old->count && err == 0; i++) {
        if (!has_place(new, old->places[i])) {
            err = option_move(state, record, poll_option(poll, old->places[i]), -1);
            taken++;
        }
    }
    for (unsigned i = 0; i < new->count &&err == 0; i++) {
        if (!has_place(old, new->places[i])) {
            err = option_move(state, record, poll_option(poll, new->places[i]), 1);
            added++;
        }
    }
    if (err == 0 && added + taken > 0) {
        apply_poll_add(state, poll, record->time_ms / 1000, added, taken);
    }
    return err;
}

/* Counts a ballot that was judged good. */
static int ballot_count(struct state *state, const struct record *record,
                        const struct ballot *ballot, const struct vote *old)
{
    struct poll *poll = ballot->poll;
    struct vote new = {.count = ballot->count};
    for (unsigned i = 0; i < ballot->count; i++) {
        new.places[i] = ballot->options[i]->place;
    }
    int err = apply_voter_put(state, poll, record->text[BALLOT_VOTER], new.places, new.count);
    return err != 0 ? err : vote_move(state, record, poll, old, &new);
}

int apply_ballot(struct state *state, const struct record *record, struct apply_result *v)
{
    struct ballot ballot;
    struct vote old;
    if (bounds_record_error(record) != NULL) {
        return TALLY_CORRUPT; /* the edge asks the same before it appends: bounds.h */
    }
    v->err = ballot_read(state, record, &ballot);
    v->err = v->err != 0 ? v->err : ballot_judge(record, &ballot, &old);
    if (v->err != 0) {
        return 0;
    }
    int err = ballot_count(state, record, &ballot, &old);
    uint64_t *values = v->numbers;
    uint64_t *prev = v->numbers + BALLOT_OPTIONS_MAX;
    for (unsigned i = 0; i < ballot.count; i++) {
        values[i] = option_votes_now(ballot.options[i]);
    }
    for (unsigned i = 0; i < old.count; i++) {
        prev[i] = poll_option(ballot.poll, old.places[i])->id;
    }
    v->reply = (struct edge_result){.value = values[0],
                                    .value_count = (uint8_t)ballot.count,
                                    .prev_count = (uint8_t)old.count,
                                    .values = values,
                                    .prev = prev};
    return err;
}

int apply_unvote_look(const struct state *state, const struct record *record)
{
    const struct poll *poll = state_poll(state, record->text[UNVOTE_POLL]);
    if (poll == NULL) {
        return TALLY_NOTFOUND;
    }
    if (FIELD_OWN(poll->mode) == POLL_FREE) {
        return TALLY_INVAL;
    }
    return apply_poll_takes_votes(poll, record->time_ms) ? 0 : TALLY_CLOSED;
}

int apply_unvote(struct state *state, const struct record *record, struct apply_result *v)
{
    static const struct vote none;
    struct vote old;
    struct span voter = record->text[UNVOTE_VOTER];
    if (bounds_record_error(record) != NULL) {
        return TALLY_CORRUPT; /* as apply_ballot */
    }
    v->err = apply_unvote_look(state, record);
    if (v->err != 0) {
        return 0;
    }
    struct poll *poll = state_poll(state, record->text[UNVOTE_POLL]);
    if (!vote_find(poll, voter, &old)) {
        v->reply.nil = true;
        return 0;
    }
    apply_voter_remove(state, poll, voter);
    int err = vote_move(state, record, poll, &old, &none);
    for (unsigned i = 0; i < old.count; i++) {
        v->numbers[i] = option_votes_now(poll_option(poll, old.places[i]));
    }
    v->reply.value = v->numbers[0];
    v->reply.value_count = (uint8_t)old.count;
    v->reply.values = v->numbers;
    return err;
}
