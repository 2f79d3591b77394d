/* The timers: they expire leases, end delays, find silent workers and offer builds. */
#ifndef TALLY_ENGINE_COMMIT_TIMERS_H
#define TALLY_ENGINE_COMMIT_TIMERS_H

#include "engine/commit/own_lane.h"
#include "engine/edge/shared.h"
#include "engine/state/state.h"
#include "engine/state/wheel.h"

/*
 *     applied: OFFERED ──▶ a ticket in its list             ──▶ edges claim
 *              DELAYED ──▶ wheel of delays, log time        ── due ──▶ DUE
 *              CLAIMED ──▶ wheel of leases, running time    ── the lease expires ──▶ EXPIRE
 *              LEFT    ──▶ out of the wheel of leases; the worker's slot is free
 *              GONE    ──▶ UNHOLD for all that the worker holds
 *              OFFERED, GONE, RETAGGED ──▶ waiting claims ask again
 *     workers, one after the other ── silent for too long ──▶ OFFLINE
 *
 * All arrows to a record go through the own lane, like any other step: the record is applied later,
 * and if an edge steps the word first, the edge wins.
 *
 * Synchronization table
 *   build->word            stepped here like at any edge (engine/state/word.h); the deadline is set
 *                          here by a CAS when the lease begins, moved by heartbeats
 *   worker->used           K1: a slot that is given back publishes nothing
 *   worker->seen_ms        K2: a time publishes nothing
 *   tickets                engine/state/ticket.h
 *   shared: tick           written here, read by edges
 *   all fields below       the committer alone
 * Reclamation: a timer is part of its build, which cannot be freed while it is in a wheel: only
 * builds that are held or delayed are there, and only finished ones are freed.
 */
enum {
    TIMERS_TICK_NS = WHEEL_TICK_MS * 1000 * 1000,
    TIMERS_BUSY_NS = TIMERS_TICK_NS / 10, /* between two rounds of a task that takes several */
    TIMERS_IDLE_NS_MAX = 1000 * 1000 * 1000,
};

struct timers {
    /* written once */
    struct state *state;
    struct shared *shared;
    struct own_lane *own;
    const struct tally_options *options;
    /* the rest */
    struct wheel leases;   /* builds that are held, in ticks of the lease clock */
    struct wheel delays;   /* builds that are delayed, in ticks of log time */
    uint64_t tick_rest_ns; /* of the lease clock, less than a tick */
    uint64_t workers_next; /* id of the worker to look at next; 0: the round has ended */
    uint64_t workers_seen_ms;
    bool has_offered; /* waiting claims must ask again: for timers_take_offered */
};

/* Makes tickets, leases and delays from the state, after the replay. The fields written once are
 * set. Errors: NOMEM. Threads, of this and the rest: the committer, or before it begins. */
int timers_start(struct timers *timers);

/* Moves the lease clock, and takes back builds whose lease has expired. */
void timers_run_leases(struct timers *timers);
/* Offers builds whose delay is over. */
void timers_run_delays(struct timers *timers);
/* Marks silent workers as offline. */
void timers_run_silence(struct timers *timers);

/* Called when a worker has other tags: its waiting claims may take builds that did not fit before.
 */
void timers_retagged(struct timers *timers);

/* Whether waiting claims must ask again: since the last call a build was offered, or a worker has
 * got other tags or left. */
bool timers_take_offered(struct timers *timers);

/* How long the committer may sleep before a timer is due. */
uint64_t timers_idle_ns(const struct timers *timers);

/* The effects of records: a build is offered; is delayed; is held, and its lease begins; has left
 * the worker. */
void timers_offered(struct timers *timers, struct build *build);
void timers_delayed(struct timers *timers, struct build *build);
void timers_claimed(struct timers *timers, struct build *build);
void timers_left(struct timers *timers, struct build *build, struct worker *worker);

/* Takes back the builds of a worker that said BYE. Returns how many went back; a build whose CLAIM
 * is still in a lane goes back when that is applied. */
uint32_t timers_gone(struct timers *timers, struct worker *worker);

#endif
