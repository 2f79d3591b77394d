/* The judge: what the merge does with a request before it is logged. */
#ifndef TALLY_ENGINE_COMMIT_JUDGE_H
#define TALLY_ENGINE_COMMIT_JUDGE_H

#include "engine/apply/apply.h"
#include "engine/base/index.h"
#include "engine/commit/gate.h"
#include "engine/commit/own_lane.h"
#include "engine/edge/ordered_request.h"
#include "engine/edge/shared.h"
#include "engine/state/state.h"
#include "engine/tally.h"

/*
 *     request ── judge_request ─┬─ JUDGED_LOG    its record is next, and apply decides it
 *                               ├─ JUDGED_TAKEN  no record of its own: it is answered, or will be
 *                               └─ JUDGED_LATER  it stays in its lane until the next commit
 *
 * All votes that are no plain VOTE come here as ballots.
 *
 * 1. A ballot that the committed state refuses for certain is answered at once, so only races reach
 *    the log as refusals. An earlier record of the same batch may still change the answer: behind
 *    one that might, the ballot is logged, and apply decides.
 * 2. A ballot in a free poll is a step, and the committer makes it: it adds to the option's word
 *    and appends a VOTE with the ballot's texts to its own lane. The ballot is answered when that
 *    is applied. The step's place in the order is that of the committer's lane, as for every step
 *    of the committer; the lane that brought the ballot has no record of it. While a poll is in the
 *    gate (gate.h), ballots that came before are stepped here, and their records stand in the own
 *    lane before the gate's.
 *
 *    A ballot that cannot be stepped now, because the own lane is full or only the log can tell
 *    whether the count keeps its range, leaves its lane all the same, and waits in a list. Behind
 *    it in its lane there may be plain votes whose steps are made already: what it waits for, the
 *    head of the own lane or the count, may be waiting for one of these.
 *
 *    A SEED is made in the same way: its own record is the step. It is longer work for apply than
 *    other records, so a batch has a few of them.
 *
 * 3. A request with a known KEY gets its first reply, without a record. A ballot or a SEED is among
 *    those under way until it is answered: another one with the same KEY waits for its answer, and
 *    is then a repetition. That holds for ballots with a record of their own, too: apply could not
 *    refuse the vote of a step (2) whose key it has met in another poll's ballot meanwhile.
 *
 * 4. Where new work is refused (READONLY, DRAINING, no memory) a repetition still gets its first
 *    reply. The edge does not know the keys; it lets a request with a KEY pass that is to be
 *    refused unless its KEY is known (unless_known).
 *
 * 5. A RESET goes through the gate first, and comes back in the own lane (gate.h).
 *
 * Synchronization: the committer's thread alone. Requests: engine/edge/ordered_request.h.
 */
enum judged { JUDGED_LOG, JUDGED_TAKEN, JUDGED_LATER };

enum { JUDGE_VERBS = 2 }; /* whose requests may be under way with a KEY: under_way_of() */

struct judge {
    /* written once */
    struct state *state;
    struct shared *shared;
    struct own_lane *own;
    struct gate *gate;
    const struct tally_options *options;
    /* of the batch under way */
    uint64_t time_ms;
    uint32_t batch;      /* its number */
    bool has_poll_moved; /* it has a record that opens, closes or changes polls */
    uint32_t seeds;      /* it has so many new SEEDs */
    /* the rest */
    struct index under_way[JUDGE_VERBS]; /* requests, by KEY */
    struct apply_result result;
};

/* Sets it up; the fields written once are set. Errors: NOMEM. */
int judge_init(struct judge *judge);
void judge_fini(struct judge *judge);

/* Begins a batch, whose records have this time. */
void judge_begin(struct judge *judge, uint64_t time_ms);

/* Judges the request at the head of a lane. JUDGED_TAKEN: it was answered, or will be. */
enum judged judge_request(struct judge *judge, struct ordered_request *request);

/* Makes the steps of ballots that wait, as far as they can be made now. Returns how many were
 * refused instead. */
uint32_t judge_go_on(struct judge *judge);

/* Bring near what judge_request will read of a request that comes soon: the nearer of two steps
 * reads what the other one has brought. */
void judge_prefetch(const struct judge *judge, const struct ordered_request *request);
void judge_prefetch_near(const struct judge *judge, const struct ordered_request *request);

/* Answers a request, and those that repeat it. */
void judge_answer(struct judge *judge, struct ordered_request *request, int err,
                  const struct edge_result *reply);

#endif
