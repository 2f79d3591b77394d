/* apply: the only code that changes the committed state. */
#ifndef TALLY_ENGINE_APPLY_APPLY_H
#define TALLY_ENGINE_APPLY_APPLY_H

#include "engine/log/record.h"
#include "engine/state/state.h"

/*
 * What a record sets going in a live engine: the committer works its effects off before it applies
 * the next record, in their order (engine/commit/committer.c). A replay lets them lie: what they
 * would have set going is made once, from the whole state (timers_start, gate_start).
 *
 * Memory: the list is part of the result, so apply cannot fail for want of it. No record has more
 * than EFFECTS_MAX effects: a step that ends a claim has LEFT, and OFFERED or DELAYED when the
 * build goes on; every other record has one or none, also a BYE, however many builds its worker
 * holds. A vote has none.
 * Lifetime: the entities are there at least until the committer's next grace period.
 */
enum effect_kind {
    EFFECT_OFFERED, /* the build became pending */
    EFFECT_DELAYED, /* the build became delayed */
    EFFECT_CLAIMED, /* the build became held: its lease begins */
    EFFECT_LEFT,    /* the build has left the worker */
    EFFECT_GONE,    /* the worker said BYE: what it holds goes back */
    EFFECT_ALTERED, /* the poll was made, or its times may be others */
    EFFECT_WINDOWED /* the poll was opened or closed */
};

struct effect {
    enum effect_kind kind; /* says which of the others are set */
    union {
        struct build *build; /* OFFERED, DELAYED, CLAIMED, LEFT */
        struct poll *poll;   /* ALTERED, WINDOWED */
    };
    struct worker *worker; /* LEFT, GONE */
};

enum { EFFECTS_MAX = 2 };

/* What apply decided about an ordered record (an error of the protocol, or a number for the reply),
 * and what any record sets going. */
struct apply_result {
    int err;
    uint32_t effect_count;
    uint64_t value;
    struct effect effects[EFFECTS_MAX]; /* set below effect_count */
};

/*
 * Applies one record. The same in a live engine, in a replay and in tests: no clock (its time is
 * the record's), no randomness, no order of a hash. An ordered record is decided here; its result
 * (a refusal too) is the reply.
 *
 * Records come in the order of their lsns; that none is missing is the log's to say (one of a type
 * that may be skipped is not handed out).
 *
 * Returns 0; CORRUPT when the record contradicts the state (a chain that does not fit, an unknown
 * entity of a step), which means a damaged log in a replay and a bug in a live engine; NOMEM. After
 * an error the state is of no use any more. Threads: the committer, inside seq_write_begin and
 * seq_write_end once readers are there.
 */
int apply(struct state *state, const struct record *record, struct apply_result *result);

/*
 * The parts of apply that a replay may run side by side (engine/README.md, "Replay"). Votes touch
 * options and their polls, records of builds touch queues, builds and workers, so the two do not
 * meet; nor do votes of different options, as long as what they add to their polls is kept apart.
 * lsn and time of the state are the caller's.
 */

/* A plain VOTE record; option 0 and n 0 fit nowhere. */
struct vote_step {
    uint64_t before;
    uint32_t option;
    uint32_t n;
};

/* The step of a record's numbers; numbers that no vote can have give a step that does not apply. */
static inline struct vote_step apply_vote_step_of(uint64_t option, uint64_t before, uint64_t n)
{
    bool is_possible = option <= UINT32_MAX && n <= UINT32_MAX;
    return (struct vote_step){before, is_possible ? (uint32_t)option : 0, (uint32_t)n};
}

/* What votes of one second add to a poll. */
struct vote_sum {
    struct poll *poll;
    uint64_t second;
    uint64_t votes;
};

enum { VOTE_STEPS_MAX = 128 };

/* The steps of one second, and whose of them are meant: options with this remainder. */
struct vote_share {
    uint64_t second;
    uint32_t shares; /* a power of two */
    uint32_t share;
};

/*
 * Applies the steps of a share in their order, but for their polls' sums: those go behind the
 * *sum_count that are there, with room for count more. It asks for the memory of all first, since a
 * replay waits for little else; count is at most VOTE_STEPS_MAX. Returns how many it has looked at;
 * less than count: the next one is CORRUPT. Threads: one for a share; nobody else is there but
 * others like this.
 */
size_t apply_vote_steps(struct state *state, const struct vote_share *share,
                        const struct vote_step *steps, size_t count, struct vote_sum *sums,
                        size_t *sum_count);

/* Adds the sums that apply_vote_steps has left out. REQUIRES: no sum of one call is POLL_SECONDS
 * older than another. Threads: one, alone. */
void apply_vote_sums(struct state *state, const struct vote_sum *sums, size_t count);

/* A record of builds or workers (record_is_of_builds). Errors, result: as apply. Threads: one, with
 * others in apply_vote_steps. */
int apply_of_builds(struct state *state, const struct record *record, struct apply_result *result);

/*
 * Ends a replay: sets each word from what was committed, so that the edges may begin. Builds that
 * are held stay held, unarmed.
 */
void apply_replay_end(struct state *state);

#endif
