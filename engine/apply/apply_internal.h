/* What the two halves of apply share. */
#ifndef TALLY_ENGINE_APPLY_APPLY_INTERNAL_H
#define TALLY_ENGINE_APPLY_APPLY_INTERNAL_H

#include "engine/apply/apply.h"
#include "wal/base/check.h"

/* Adds one to what the record sets going: whom it concerns is the caller's to fill in. */
static inline struct effect *apply_effect_add(struct apply_result *result, enum effect_kind kind)
{
    /* no bytes lead here: how many there are is a matter of the record's type */
    CHECK(result->effect_count < EFFECTS_MAX);
    struct effect *effect = &result->effects[result->effect_count++];
    effect->kind = kind;
    return effect;
}

/* A result that says nothing yet. The effects are left as they are: a vote pays for none. */
static inline void apply_result_clear(struct apply_result *result)
{
    result->err = 0;
    result->effect_count = 0;
    result->value = 0;
}

/* Sets the poll's vote_until: until when votes are taken, as committed. */
void apply_poll_set_window(struct poll *poll, bool open);

/* Puts a new option at the end of its poll, and under its key. REQUIRES: it is under its id.
 * Errors: NOMEM. */
int apply_poll_add_option(struct state *state, struct poll *poll, struct option *option);

/* What a queue keeps of its builds' states, when one goes from one to another: from BUILD_NONE when
 * it is new, to BUILD_NONE when it is forgotten. Errors: NOMEM, of what becomes pending. */
int apply_build_count(struct build *build, enum build_state from, enum build_state to);

/* Puts a need set at the end, or where no unfinished build has the one that is there.
 * Errors: NOMEM. */
int apply_queue_put_set(struct state *state, struct queue *queue, uint32_t at, struct span tags);

/* How many of a queue's builds are unfinished. */
uint64_t apply_queue_open(const struct queue *queue);

/* Whether there is room for one more queue; makes it, a slice at a time, at the cost of the one
 * whose builds have all been finished for longest. */
bool apply_queue_make_room(struct state *state);

/* Puts a finished build at the end of the list of finished builds. */
void apply_build_add_ended(struct state *state, struct build *build);

/* A build ends with this record. */
void apply_build_end(struct state *state, struct build *build, const struct record *record);

/* As apply, for a FORGET. */
int apply_forget(struct state *state, const struct record *record);

/* As apply, for the records of workers. */
int apply_worker(struct state *state, const struct record *record, struct apply_result *v);
int apply_bye(struct state *state, const struct record *record, struct apply_result *v);
int apply_offline(struct state *state, const struct record *record);
int apply_seen(struct state *state, const struct record *record);

/* Forgets the workers that have left with a record up to this one. CORRUPT when one still holds
 * something. */
int apply_forget_workers(struct state *state, uint64_t until);

/* Puts a copy of a text in the place of another. Errors: NOMEM. */
int apply_replace_text(struct state *state, _Atomic(struct blob *) *place, struct span text);

/* Room for so many held builds. Errors: NOMEM. */
int apply_worker_reserve(struct state *state, struct worker *worker, uint32_t slots);

/* As apply, for a VOTE. */
int apply_vote(struct state *state, const struct record *record);

#endif
