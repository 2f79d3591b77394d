/* apply: the only code that changes the committed state. */
#ifndef TALLY_ENGINE_APPLY_APPLY_H
#define TALLY_ENGINE_APPLY_APPLY_H

#include "engine/edge.h"
#include "engine/log/record.h"
#include "engine/state/state.h"

/*
 * The effects of a record in a live engine: the committer works them off in their order before it
 * applies the next record (engine/commit/committer.c). A replay ignores them: leases, offers and
 * windows are made once at its end, from the whole state (timers_start, gate_start).
 *
 * Memory: the list is part of the result, so apply needs no memory for it. No record has more than
 * EFFECTS_MAX effects: a step that ends a claim has LEFT, and OFFERED or DELAYED when the build
 * goes on; every other record has one or none, also a BYE, however many builds its worker holds. A
 * vote has none.
 * Lifetime: the entities live at least until the committer's next grace period.
 */
enum effect_kind {
    EFFECT_OFFERED,  /* the build became pending */
    EFFECT_DELAYED,  /* the build became delayed */
    EFFECT_CLAIMED,  /* the build became held: its lease begins */
    EFFECT_LEFT,     /* the build has left the worker */
    EFFECT_GONE,     /* the worker said BYE: the builds that it holds go back */
    EFFECT_RETAGGED, /* the worker has got other tags */
    EFFECT_ALTERED,  /* the poll was made, or its times or its mode wanted may have changed */
    EFFECT_WINDOWED, /* the poll was opened or closed, or has got its mode */
    EFFECT_PURGED    /* options of a deleted poll are gone, and it has more */
};

struct effect {
    enum effect_kind kind; /* says which of the others are set */
    union {
        struct build *build; /* OFFERED, DELAYED, CLAIMED, LEFT */
        struct poll *poll;   /* ALTERED, WINDOWED */
    };
    struct worker *worker; /* LEFT, GONE, RETAGGED */
};

enum { EFFECTS_MAX = 2 };

/* The decision about an ordered record (an error of the protocol, or the reply), and the effects of
 * any record. The numbers of the reply stand in `numbers`, or in the state. */
struct apply_result {
    int err;
    uint32_t effect_count;
    struct edge_result reply;
    struct effect effects[EFFECTS_MAX]; /* filled in below effect_count */
    uint64_t numbers[2 * BALLOT_OPTIONS_MAX];
};

/*
 * Applies one record. It does the same in a live engine, in a replay and in tests: no clock (the
 * time is the record's), no randomness, no order of a hash. An ordered record is decided here; its
 * result (a refusal too) is the reply.
 *
 * Records come in the order of their lsns. The log checks that none is missing (it does not hand
 * out a record of a type that may be skipped).
 *
 * Returns 0; CORRUPT when the record contradicts the state (a chain that does not fit, an unknown
 * entity of a step), which means a damaged log in a replay and a bug in a live engine; NOMEM. After
 * an error the state may only be freed. Threads: the committer, inside seq_write_begin and
 * seq_write_end once readers are there.
 */
int apply(struct state *state, const struct record *record, struct apply_result *result);

/*
 * Whether the KEY of a record is known at a time. Then the result is in *result: the first reply
 * once more; or EXISTS, the key was another request's, also with reply.dup set. Its numbers live
 * until the next call of apply. Threads: as apply.
 */
bool apply_key_is_known(const struct state *state, const struct record *record, uint64_t time_ms,
                        struct apply_result *result);

/* The same with the fingerprint of the request, for a record that has the KEY alone. */
bool apply_key_is_known_as(const struct state *state, const struct record *record,
                           uint64_t fingerprint, uint64_t time_ms, struct apply_result *result);

/* Frees up to `pieces` pieces (engine/state/voters.h) of the voters that a RESET has dropped.
 * Returns whether there are more. Threads: as apply. */
bool apply_free_dropped(struct state *state, uint64_t pieces);

/*
 * Whether a poll takes votes at a time, as committed; and what apply would answer to a BALLOT or an
 * UNVOTE if it were the next record: 0 or the refusal. The merge answers with it what the committed
 * state refuses for certain (engine/commit/judge.h).
 * REQUIRES: the record is within its bounds. Threads: the committer.
 */
bool apply_poll_takes_votes(const struct poll *poll, uint64_t time_ms);
int apply_ballot_look(const struct state *state, const struct record *record);
int apply_unvote_look(const struct state *state, const struct record *record);

/*
 * The parts of apply that a replay may run side by side (engine/README.md, "Replay"). Votes touch
 * options and their polls, records of builds touch queues, builds and workers, so the two do not
 * meet. Votes of different options do not meet, either, as long as their sums for the polls are
 * kept apart. The caller sets lsn and time of the state.
 */

/* The numbers of a VOTE record without texts; a step with option 0 or n 0 is CORRUPT. */
struct vote_step {
    uint64_t before;
    uint32_t option;
    uint32_t n;
};

/* Makes the step from a record's numbers; numbers out of range give a step that is CORRUPT. */
static inline struct vote_step apply_vote_step_of(uint64_t option, uint64_t before, uint64_t n)
{
    bool is_possible = option <= UINT32_MAX && n <= UINT32_MAX;
    return (struct vote_step){before, is_possible ? (uint32_t)option : 0, (uint32_t)n};
}

/* Votes of one second that are to be added to a poll. */
struct vote_sum {
    struct poll *poll;
    uint64_t second;
    uint64_t lsn; /* of the first of them */
    uint64_t votes;
    uint64_t steps; /* that cast them */
};

enum { VOTE_STEPS_MAX = 128 };

/* The steps of one second that belong to one share: those of options with this remainder. */
struct vote_share {
    uint64_t second;
    uint64_t first_lsn; /* of the steps of a call */
    uint32_t shares;    /* a power of two */
    uint32_t share;
    int err; /* set by apply_vote_steps */
};

/*
 * Applies the steps of a share in their order, but for the sums of their polls: these are appended
 * to the *sum_count sums, and the caller leaves room for count more. The options of all steps are
 * prefetched first, since a replay mostly waits for memory; count is at most VOTE_STEPS_MAX.
 * Returns how many steps it has looked at; less than count: the next one fails with share->err,
 * CORRUPT or NOMEM. Threads: one for a share; no other code uses the state meanwhile.
 */
size_t apply_vote_steps(struct state *state, struct vote_share *share,
                        const struct vote_step *steps, size_t count, struct vote_sum *sums,
                        size_t *sum_count);

/* Adds a sum that apply_vote_steps has left out. REQUIRES: sums come in the order of their lsns,
 * those of all shares together. Errors: NOMEM. Threads: one, alone. */
int apply_vote_sum(struct state *state, const struct vote_sum *sum);

/* Applies a record of builds or workers (record_is_of_builds). Errors, result: as apply. Threads:
 * one; others may be in apply_vote_steps. */
int apply_of_builds(struct state *state, const struct record *record, struct apply_result *result);

/*
 * Ends a replay: sets each word from the committed state, so that the edges may begin. Builds that
 * are held stay held; their leases are not armed yet.
 */
void apply_replay_end(struct state *state);

#endif
