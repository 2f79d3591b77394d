/* The gate: it opens and closes polls at their times, changes their modes, resets and deletes them,
 * and waits for votes before it does anything but open one. */
#ifndef TALLY_ENGINE_COMMIT_GATE_H
#define TALLY_ENGINE_COMMIT_GATE_H

#include "engine/commit/grace.h"
#include "engine/commit/own_lane.h"
#include "engine/edge/edges.h"
#include "engine/edge/shared.h"
#include "engine/state/state.h"
#include "engine/state/wheel.h"

/*
 *                              ┌───────────────────────────────────┐
 *     WINDOW_NONE ── look ─────┤ as it shall be     ── WINDOW_TIMED ┘ in the wheel till the next
 *          ▲                   │                                      of its times; or nowhere
 *          │                   ├ only to be opened  ── WINDOW_MOVING ── POLL_WINDOW open=1 ───┐
 *          │                   └ to be closed or    ── WINDOW_WAITING ── gate ── WINDOW_MOVING │
 *          │                     reset, or to get                        RESET ..., POLL_WINDOW│
 *          │                     another mode                                                  │
 *          └──────────── applied, and behind a RESET the words are set ────────────────────────┘
 *
 * A POLL_WINDOW has what the times and the last POLL say when it is appended: a poll that shall be
 * open again by then is opened. A POLL is answered OK when its poll is as it shall be, or a
 * POLL_WINDOW that was appended after the POLL was applied is applied: `altered` counts the POLLs,
 * `decided` is that count when the last POLL_WINDOW was appended, and `settled` is the count that
 * is done, for which the result waits. So the wait ends even if other clients alter the poll.
 *
 * A poll that is deleted is WINDOW_DELETED once the gate has let it go. Nobody finds it any more;
 * the grace period and the lanes have taken care of all steps on its options. What may still have
 * them is the reader, with a rank: it drops that when it finds the feed broken or the poll deleted,
 * and attaches no feed to such a poll. Then PURGE records take its options away, 256 in a commit.
 *
 *     GATE_IDLE ──▶ GATE_GRACE ──▶ GATE_TAILS ──▶ GATE_SAYS ──▶ GATE_IDLE
 *     polls are     each edge      the lanes are  RESETs and
 *     marked        ends its pass  applied up to  POLL_WINDOW
 *                                  these tails    for each
 *
 * The words of the options of polls that were reset are set beside these phases (gate_sweep), so a
 * large poll does not hold up the others.
 *
 * Synchronization table
 *   poll->vote_until,  written by apply and by the gate, both the committer (FIELD_PUT), read by
 *   ballot_until       edges with each vote (FIELD_GET)
 *   poll->settled      written here (FIELD_PUT), read by the edge whose POLL waits (FIELD_GET)
 *   grace              engine/commit/grace.h
 *   lanes              tails and applied positions: engine/edge/lane.h
 *   the rest           the committer alone, also window, altered, decided, gated, holds, swept and
 *                      the waiting RESETs and POLLDELs of a poll
 * Reclamation: a timer is part of its poll, and in no ring when the last PURGE is on its way.
 */
enum gate_phase {
    GATE_IDLE,  /* polls that wait for the gate are marked */
    GATE_GRACE, /* the passes with earlier votes end */
    GATE_TAILS, /* these votes are applied */
    GATE_SAYS,  /* the records of each poll are appended */
};

struct ordered_request;

struct gate {
    /* written once */
    struct state *state;
    struct shared *shared;
    const struct edges *edges;
    struct own_lane *own;
    /* the rest */
    struct wheel windows; /* polls that open or close, in ticks of log time */
    enum gate_phase phase;
    struct timer waiting;  /* polls for the next round of the gate */
    struct timer closing;  /* polls of this round */
    uint32_t count;        /* in `closing` */
    struct timer sweeping; /* polls that were reset: the words of their options are being set */
    struct timer deleted;  /* polls that are deleted, whose memory is to be given back */
    bool has_more;         /* ... and this can go on at once */
    uint64_t purged_at;    /* behind the last PURGE in the own lane */
    struct grace grace;
    uint32_t tail_count;
    uint64_t tails[EDGES_MAX];
    bool has_waits; /* the tails are applied, and these waits of the own lane are to end, too */
    uint64_t waits;
};

/* Starts the gate: after the replay, once log time goes on. The fields written once are set. */
void gate_start(struct gate *gate);

/* Threads, of this and the rest: the committer. */
/* Looks at polls whose times have come. */
void gate_run_windows(struct gate *gate);
/* Closes polls that wait to be closed, changes modes, and resets. */
void gate_run(struct gate *gate);
/* Whether options of polls that were reset still need their words. */
static inline bool gate_is_sweeping(const struct gate *gate)
{
    return !timer_ring_is_empty(&gate->sweeping);
}
/* Sets the words of such options, a slice of them. Returns whether there are more. */
bool gate_sweep(struct gate *gate);
/* Whether a poll is in the gate; whether a poll has a time to come. */
bool gate_is_busy(const struct gate *gate);
bool gate_has_times(const struct gate *gate);

/* Whether there are deleted polls in memory that no PURGE is on its way for. */
static inline bool gate_is_purging(const struct gate *gate)
{
    return !timer_ring_is_empty(&gate->deleted);
}
/* Gives the memory of such polls back, a slice of it. Returns whether there is more to do at
 * once. */
bool gate_purge(struct gate *gate);

/* Takes a RESET or a POLLDEL from the lane of its edge: its record follows behind the gate, in the
 * own lane, and the request is answered when that is applied. Returns false when there is no such
 * poll. */
bool gate_take_act(struct gate *gate, struct ordered_request *request);

/* The effects of records: a POLL was applied; a POLL_WINDOW, a RESET or POLLDEL of the gate, or a
 * PURGE was applied. */
void gate_poll_altered(struct gate *gate, struct poll *poll);
void gate_poll_windowed(struct gate *gate, struct poll *poll);
void gate_poll_acted(struct gate *gate, struct poll *poll);
void gate_poll_purged(struct gate *gate, struct poll *poll);

#endif
