/* What the log is told to forget: bytes of finished builds, the builds, workers that have left. */
#ifndef TALLY_ENGINE_COMMIT_FORGET_H
#define TALLY_ENGINE_COMMIT_FORGET_H

#include "engine/commit/grace.h"
#include "engine/commit/own_lane.h"
#include "engine/state/state.h"

/*
 *     memory of finished builds, state.gone ── look ──▶ FORGET in the own lane ──▶ apply frees
 *
 * A worker that has said BYE and holds nothing is forgotten by a record; nothing may come behind it
 * in the log that needs the worker. What could is a claim, which names it by its id:
 *
 * 1. An edge claims for a worker only if it finds it online, and takes a slot of it (`used`) in the
 *    same pass, before the claim's record. The slot is given back in that pass, if the claim finds
 *    nothing; else by the timers, when the build leaves the worker.
 * 2. An edge that began a pass after the BYE was published does not find it online. A grace period
 *    after that, every edge has ended the pass that it had begun before. So all slots that will
 *    ever be taken are, and the committer sees it (engine/commit/grace.h; relaxed adds before it).
 * 3. So, if `used` is 0 then, no claim for it is in a lane, nor will be: unless it comes back, by a
 *    WORKER record that is applied first. Then it is not in the list any more; and if it leaves
 *    once more, its BYE is newer than what the FORGET says, which passes over it.
 *
 * OFFLINE and SEEN may name it later: apply lets them pass, for ids that were given out.
 *
 * Synchronization table
 *   worker->used   taken by edges (K3), given back by edges and timers, read here (K4)
 *   the rest       the committer alone
 * Reclamation: apply retires what a FORGET names; nothing is freed here.
 */
struct forget {
    /* written once */
    struct state *state;
    struct own_lane *own;
    /* the rest */
    struct grace grace;
    uint64_t passed_lsn; /* a grace period has passed since the BYE of this lsn was published */
    uint64_t asked_lsn;  /* ... is to pass */
    uint64_t said_at;    /* in the own lane: behind the last FORGET; 0: it is applied */
};

/* Looks at both, and appends a FORGET where there is something. Threads: the committer. */
void forget_run(struct forget *forget);

/* Whether there is something to wait for. */
bool forget_is_busy(const struct forget *forget);

#endif
