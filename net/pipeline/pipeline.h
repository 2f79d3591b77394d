/* The pipeline: one I/O thread's way into the engine and back, with its edge and its clock. */
#ifndef TALLY_NET_PIPELINE_PIPELINE_H
#define TALLY_NET_PIPELINE_PIPELINE_H

#include "engine/base/ledger.h"
#include "engine/edge.h"
#include "net/pipeline/conn.h"
#include "net/pipeline/counter.h"
#include "net/pipeline/handed.h"
#include "net/pipeline/pending.h"
#include "net/pipeline/service.h"
#include "net/pipeline/votes.h"
#include "net/protocol/buf.h"
#include "wal/base/check.h"

#include <stdbool.h>
#include <stdint.h>

/*
 *     requests ─┬─ votes ── votes_flush ──┐
 *               └─ commands ──────────────┴──▶ edge ──▶ lane ──▶ committer
 *                      │ a place each                               │ applied so far
 *                      ▼                                            ▼
 *                   pending ─── answered in order, up to there ──▶ conn->out
 *
 * All fields belong to one thread; other threads read only `counters`.
 */
struct pipeline {
    struct service *service;
    struct edge *edge; /* owned by the thread, which makes and uses it */
    struct pending pending;
    struct buf reply; /* of the request under way: net/io/run.c; empty between two */

    /* Sampled before any request is run, so that every later change is noticed. */
    uint64_t now_ns;
    uint64_t commits;
    uint64_t freed;
    uint64_t looks; /* at the replies in flight */
    uint64_t offers;
    uint64_t turns; /* number of turns begun: see net/io/loop.h */

    struct conn_list stopped; /* connections that wait: conn->stop says for what */
    struct conn_list touched; /* connections to be finished in this pass */
    struct handed returns;    /* builds to give back: their replies did not arrive */

    uint64_t next_ns;        /* the next pass begins no later */
    uint64_t sweep_at_ns;    /* when the table of rates is swept; 0: it is empty */
    uint64_t drain_until_ns; /* it drains until then at most; 0: it does not drain */
    bool again;              /* the next pass begins at once */

    struct votes votes;
    _Alignas(64) struct counters counters;
};

/* Errors: NOMEM. The edge is the caller's to open. */
int pipeline_init(struct pipeline *pipeline, struct service *service);
void pipeline_fini(struct pipeline *pipeline);

/* Whether one more reply has a place among those in flight, beside those of the votes that are not
 * flushed. Checked before each request, for any request may need a reply. */
static inline bool pipeline_has_place(const struct pipeline *pipeline)
{
    return pending_room(&pipeline->pending) > pipeline->votes.run_count + 1;
}

/* Whether the buffers of all connections have used up their share of the memory. */
static inline bool pipeline_is_tight(const struct pipeline *pipeline)
{
    return !ledger_has_buffers(edge_ledger(pipeline->edge), LEDGER_CONNECTIONS_SHARE);
}

/* Samples the clock and the engine's counts, before requests are run. */
static inline void pipeline_sample(struct pipeline *pipeline)
{
    DCHECK(edge_commits(pipeline->edge) >= pipeline->commits);
    pipeline->commits = edge_commits(pipeline->edge);
    pipeline->offers = edge_offers(pipeline->edge);
}

/* Sweeps the table of rates, when it is time. */
void pipeline_sweep(struct pipeline *pipeline);

/* Answers the requests that are applied, and gives their lane slots back. */
void pipeline_release(struct pipeline *pipeline);

/* Gives back builds whose replies did not arrive; those that the engine cannot take yet are tried
 * again. */
void pipeline_give_returns(struct pipeline *pipeline);

/* Sets a deadline: the next pass begins no later. */
static inline void pipeline_due(struct pipeline *pipeline, uint64_t at_ns)
{
    pipeline->next_ns = at_ns < pipeline->next_ns ? at_ns : pipeline->next_ns;
}

#endif
