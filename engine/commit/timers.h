/* The timers: leases, delays, silent workers, and the offering of builds. */
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
 *     workers, one after the other ── silent for too long ──▶ OFFLINE
 *
 * All arrows to a record go through the own lane, like any other step: the record is applied later,
 * and what an edge steps first wins.
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
    TIMERS_BUSY_NS = TIMERS_TICK_NS / 10, /* between two rounds of something that goes on */
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
    uint64_t workers_next; /* whom to look at next; 0: all were */
    uint64_t workers_seen_ms;
    bool has_offered; /* or what else claims wait for, since timers_take_offered */
};

/* After the replay: tickets, leases, delays from the state. The fields written once are set.
 * Errors: NOMEM. Threads, of this and the rest: the committer, or before it begins. */
int timers_start(struct timers *timers);

/* Moves the lease clock, and takes back builds whose lease has expired. */
void timers_run_leases(struct timers *timers);
/* Offers builds whose delay is over. */
void timers_run_delays(struct timers *timers);
/* Says of workers that are silent that they are offline. */
void timers_run_silence(struct timers *timers);

/* A worker has other tags: a claim of it that waits may take what it passed over before. */
void timers_retagged(struct timers *timers);

/* Whether claims that wait are to ask again: since this was asked last a build has been offered, or
 * a worker has other tags, or has left. */
bool timers_take_offered(struct timers *timers);

/* How long the committer may sleep for the timers' sake. */
uint64_t timers_idle_ns(const struct timers *timers);

/* The effects of records: a build is offered; waits for its time; is held, and its lease begins;
 * has left the worker. */
void timers_offered(struct timers *timers, struct build *build);
void timers_delayed(struct timers *timers, struct build *build);
void timers_claimed(struct timers *timers, struct build *build);
void timers_left(struct timers *timers, struct build *build, struct worker *worker);

/* Takes back what a worker holds that said BYE. Returns how many builds have gone back; what is on
 * its way to the worker goes back when it is applied. */
uint32_t timers_gone(struct timers *timers, struct worker *worker);

#endif
