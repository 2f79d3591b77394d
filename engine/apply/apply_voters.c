/* apply for the voters of a poll: what each has voted for, and sets that are dropped. */
#include "engine/apply/apply_internal.h"
#include "engine/apply/snapshot_capture.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

/* An arena has room for twice as much, so what lies between the entries does not matter. */
#define VOTERS_UNITS_MAX ((uint64_t)1 << 31)

static struct voter_set *voter_set_new(struct state *state, uint64_t poll_id)
{
    struct voter_set *set = calloc(1, sizeof *set);
    if (set != NULL) {
        set->poll_id = poll_id;
        set->walked = state->captures;
        voters_init(&set->voters, state->voters_seed);
        ledger_add(&state->ledger, LEDGER_ENTITIES, poll_voters_weight(set));
    }
    return set;
}

/* A put takes memory, and may free some; so may a removal. */
static void weigh(struct state *state, uint64_t before, uint64_t after)
{
    if (after > before) {
        ledger_add(&state->ledger, LEDGER_ENTITIES, after - before);
    } else if (after < before) {
        ledger_sub(&state->ledger, LEDGER_ENTITIES, before - after);
    }
}

int apply_voters_reserve(struct state *state, struct poll *poll, uint64_t count)
{
    DCHECK(poll->voter_set == NULL);
    poll->voter_set = voter_set_new(state, poll->id);
    if (poll->voter_set == NULL) {
        return TALLY_NOMEM;
    }
    struct voters *voters = &poll->voter_set->voters;
    voters_reserve(voters, count);
    weigh(state, 0, voters_bytes(voters));
    return 0;
}

int apply_voter_put(struct state *state, struct poll *poll, struct span voter,
                    const uint32_t *places, uint32_t count)
{
    struct voters_view view;
    snapshot_capture_poll(state, poll); /* it has the number of its voters */
    if (poll->voter_set == NULL) {
        poll->voter_set = voter_set_new(state, poll->id);
        if (poll->voter_set == NULL) {
            return TALLY_NOMEM;
        }
    } else if (state->capture != NULL && poll_voter(poll, voter, &view)) {
        snapshot_capture_voter(state, poll->voter_set, &view);
    }
    struct voters *voters = &poll->voter_set->voters;
    const struct voters_entry entry = {voter, places, count, state->captures};
    uint64_t before = voters_bytes(voters);
    int err = voters_put(voters, &entry);
    weigh(state, before, voters_bytes(voters));
    return err;
}

void apply_voter_remove(struct state *state, struct poll *poll, struct span voter)
{
    struct voters_view view;
    struct voters *voters = &poll->voter_set->voters;
    uint64_t before = voters_bytes(voters);
    snapshot_capture_poll(state, poll); /* as above */
    if (state->capture != NULL && poll_voter(poll, voter, &view)) {
        snapshot_capture_voter(state, poll->voter_set, &view);
    }
    bool was_there = voters_remove(voters, voter);
    CHECK(was_there); /* the caller has looked for it */
    weigh(state, before, voters_bytes(voters));
}

bool apply_voters_are_full(const struct poll *poll)
{
    return poll->voter_set != NULL && poll->voter_set->voters.arena.live > VOTERS_UNITS_MAX;
}

void apply_voters_drop(struct state *state, struct poll *poll)
{
    struct voter_set *set = poll->voter_set;
    snapshot_capture_poll(state, poll);
    if (set != NULL) {
        poll->voter_set = NULL;
        bool is_early = snapshot_capture_needs(state, set);
        TAILQ_INSERT_TAIL(is_early ? &state->dropped_early : &state->dropped, set, dropped);
    }
    while (state->retirer == NULL && apply_free_dropped(state, UINT64_MAX)) {
    }
}

bool apply_free_dropped(struct state *state, uint64_t pieces)
{
    struct voter_set *set = TAILQ_FIRST(&state->dropped);
    if (set != NULL) {
        TAILQ_REMOVE(&state->dropped, set, dropped);
        if (!poll_voters_free_some(state, set, pieces)) {
            TAILQ_INSERT_HEAD(&state->dropped, set, dropped);
        }
    }
    return TAILQ_FIRST(&state->dropped) != NULL;
}
