/* The functions that the files of apply share. */
#ifndef TALLY_ENGINE_APPLY_APPLY_INTERNAL_H
#define TALLY_ENGINE_APPLY_APPLY_INTERNAL_H

#include "engine/apply/apply.h"
#include "wal/base/check.h"

/* Adds an effect to the result; the caller fills in its entities. */
static inline struct effect *apply_effect_add(struct apply_result *result, enum effect_kind kind)
{
    /* no input leads here: the record's type alone decides how many effects there are */
    CHECK(result->effect_count < EFFECTS_MAX);
    struct effect *effect = &result->effects[result->effect_count++];
    effect->kind = kind;
    return effect;
}

/* Empties a result. The effects are not cleared, since a vote has none. */
static inline void apply_result_clear(struct apply_result *result)
{
    result->err = 0;
    result->effect_count = 0;
    result->reply.value = 0;
    result->reply.nil = false;
    result->reply.dup = false;
    result->reply.value_count = 0;
    result->reply.prev_count = 0;
}

/* Puts a new option at the end of its poll, and into the indexes under its key. REQUIRES: it is in
 * the table under its id. Errors: NOMEM. */
int apply_poll_add_option(struct state *state, struct poll *poll, struct option *option);

/* Updates the counts of a queue when a build goes from one state to another: from BUILD_NONE when
 * it is new, to BUILD_NONE when it is forgotten. Errors: NOMEM, only when it becomes pending. */
int apply_build_count(struct build *build, enum build_state from, enum build_state to);

/* Puts a need set at the end, or in place of one that no unfinished build has. Errors: NOMEM. */
int apply_queue_put_set(struct state *state, struct queue *queue, uint32_t at, struct span tags);

/* Returns how many of a queue's builds are unfinished. */
uint64_t apply_queue_open(const struct queue *queue);

/* Whether one more queue may be made. At the limit it forgets, a slice at a time, the queue whose
 * builds have all been finished for the longest time. */
bool apply_queue_make_room(struct state *state);

/* Puts a finished build at the end of the list of finished builds. */
void apply_build_add_ended(struct state *state, struct build *build);

/* A build ends with this record. */
void apply_build_end(struct state *state, struct build *build, const struct record *record);

/*
 * Decides a record whose request may have a KEY, and remembers its reply; a record whose key is
 * known gets the first reply instead. `decide` is as apply. Every type with a key comes through
 * here.
 */
int apply_keyed(struct state *state, const struct record *record, struct apply_result *v,
                int (*decide)(struct state *, const struct record *, struct apply_result *));

/* Remember the KEY of a step that was applied, if it has one. Errors: CORRUPT, it is known already;
 * NOMEM. */
int apply_key_of_vote(struct state *state, const struct record *vote);
int apply_key_of_seed(struct state *state, const struct record *seed);

/* As apply, for a FORGET. */
int apply_forget(struct state *state, const struct record *record);

/* As apply, for the records of workers. */
int apply_worker(struct state *state, const struct record *record, struct apply_result *v);
int apply_bye(struct state *state, const struct record *record, struct apply_result *v);
int apply_offline(struct state *state, const struct record *record);
int apply_seen(struct state *state, const struct record *record);

/* Drops the keys of records up to this lsn. */
void apply_forget_keys(struct state *state, uint64_t until);

/* Forgets the workers that have left by a record up to this lsn. CORRUPT when one still holds a
 * build. */
int apply_forget_workers(struct state *state, uint64_t until);

/* Replaces a text by a copy of another one. Errors: NOMEM. */
int apply_replace_text(struct state *state, _Atomic(struct blob *) *place, struct span text);

/* Makes the worker able to hold so many builds. Errors: NOMEM. */
int apply_worker_reserve(struct state *state, struct worker *worker, uint32_t slots);

/*
 * To be called before votes of an option change, and with them perhaps the total of its poll: keeps
 * the counts of the bucket before (engine/state/trend.h). Both are captured already. Errors: NOMEM.
 */
int apply_touch_now(struct state *state, struct option *option, uint64_t now_ms);
static inline int apply_touch(struct state *state, struct option *option, uint64_t now_ms)
{
    /* a poll is touched with each of its options, so the option's time says enough */
    return trend_is_due(&option->trend_until_ms, now_ms) ? apply_touch_now(state, option, now_ms)
                                                         : 0;
}

/* As apply_touch, for a change of the total of a poll alone. */
int apply_touch_poll(struct state *state, struct poll *poll, uint64_t now_ms);

/* What an event says of votes for one option. */
struct apply_votes {
    const struct option *option;
    uint64_t after;
    uint64_t n;
    struct span voter; /* empty: none is known */
};

/*
 * Tell that the record was accepted (state.events): of an option's votes, with the type of the
 * event, since one record may give some options votes and take others'; of a poll, with an option
 * that was added to it, or 0, and a value that fits its type; of a build, with the state that it
 * has now; of a worker.
 */
void apply_event_votes(struct state *state, const struct record *record, enum record_type type,
                       const struct apply_votes *votes);
void apply_event_poll(struct state *state, const struct record *record, const struct poll *poll,
                      uint64_t option, uint64_t value);
/* ... that a poll is deleted: with its name, which nobody can look up any more. */
void apply_event_polldel(struct state *state, const struct record *record, const struct poll *poll);
void apply_event_build(struct state *state, const struct record *record, const struct build *build);
void apply_event_worker(struct state *state, const struct record *record,
                        const struct worker *worker, bool again);

/*
 * What a voter has voted for in a poll: the places of 1 to BALLOT_OPTIONS_MAX different options. A
 * capture that needs the voter as it was gets it first. Put replaces what was there. Errors: NOMEM,
 * and then nothing has changed. The votes themselves are the caller's.
 */
int apply_voter_put(struct state *state, struct poll *poll, struct span voter,
                    const uint32_t *places, uint32_t count);

/* Makes room for so many voters at once, for a load. REQUIRES: the poll has no voters yet. Errors:
 * NOMEM. */
int apply_voters_reserve(struct state *state, struct poll *poll, uint64_t count);

/* REQUIRES: the voter has voted. */
void apply_voter_remove(struct state *state, struct poll *poll, struct span voter);

/* Whether a poll takes no new voters. Only what apply has put decides it. */
bool apply_voters_are_full(const struct poll *poll);

/* The poll has no voters any more. apply_free_dropped frees them; here it is done at once when
 * no reader and no client waits. */
void apply_voters_drop(struct state *state, struct poll *poll);

/* As apply, for a VOTE, a BALLOT, an UNVOTE, a SEED. */
int apply_vote(struct state *state, const struct record *record);
int apply_ballot(struct state *state, const struct record *record, struct apply_result *v);
int apply_unvote(struct state *state, const struct record *record, struct apply_result *v);
int apply_seed(struct state *state, const struct record *record, struct apply_result *v);

/* As apply, for a POLLDEL, a PURGE: engine/apply/apply_delete.c. */
int apply_polldel(struct state *state, const struct record *record, struct apply_result *v);
int apply_purge(struct state *state, const struct record *record, struct apply_result *v);

/* Adds votes to the sums of a poll and of the state, and takes others from them. */
void apply_poll_add(struct state *state, struct poll *poll, uint64_t second, uint64_t votes,
                    uint64_t taken);

#endif
