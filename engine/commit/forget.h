/* FORGET records: they free bytes of finished builds, the builds, workers that have left, and keys.
 */
#ifndef TALLY_ENGINE_COMMIT_FORGET_H
#define TALLY_ENGINE_COMMIT_FORGET_H

#include "engine/commit/grace.h"
#include "engine/commit/own_lane.h"
#include "engine/state/state.h"

/*
 *     bytes of finished builds and of keys, state.gone ── look ──▶ FORGET in the own lane
 *                                                                     └──▶ apply frees
 *
 * A FORGET removes a worker that has said BYE and holds nothing; no record behind the FORGET in the
 * log may need the worker. Only a claim could, which names the worker by its id:
 *
 * 1. An edge claims for a worker only if it finds the worker online, and takes a slot of it
 *    (`used`) in the same pass, before the claim's record. If the claim finds no build, the edge
 *    gives the slot back in that pass; else the timers do when the build leaves the worker.
 * 2. An edge that began a pass after the BYE was published does not find the worker online. A grace
 *    period after that, every edge has ended the pass that it had begun before. So every slot that
 *    will ever be taken is taken, and the committer sees it (engine/commit/grace.h; relaxed adds
 *    before it).
 * 3. So, if `used` is 0 then, no claim for the worker is in a lane, nor will be: unless the worker
 *    comes back, by a WORKER record that is applied first. Then it is not in state.gone any more;
 *    and if it leaves once more, its BYE is newer than the lsn of the FORGET, which skips it.
 *
 * OFFLINE and SEEN may name the worker later: apply skips them when the id was once given out.
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
    uint64_t asked_lsn;  /* the same for the grace period that is under way */
    uint64_t said_at;    /* position in the own lane behind the last FORGET; 0: it is applied */
};

/* Appends a FORGET if builds or workers can be forgotten. Threads: the committer. */
void forget_run(struct forget *forget);

/* Whether a worker that has left waits to be forgotten. */
bool forget_is_busy(const struct forget *forget);

#endif
