/* One I/O thread's way into the engine and back: its edge, what is in flight, its clock. */
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
 * All of it belongs to one thread; others read `counters` and what `service` says.
 */
struct pipeline {
    struct service *service;
    struct edge *edge; /* owned by the thread, which makes and uses it */
    struct pending pending;
    struct buf reply; /* of the request under way: net/io/run.c; empty between two */

    /* Sampled before anything is asked, so that what moves meanwhile is seen to have moved. */
    uint64_t now_ns;
    uint64_t commits;
    uint64_t freed;
    uint64_t offers;
    uint64_t turns; /* begun: requests run between two publications, net/io/loop.h */

    struct conn_list stopped; /* which wait for what is named in conn->stop */
    struct conn_list touched; /* to be finished in this pass */
    struct handed returns;    /* builds whose replies did not arrive: they go back */

    uint64_t next_ns;        /* the next pass begins no later */
    uint64_t sweep_at_ns;    /* the table of rates is looked through; 0: nothing is to go */
    uint64_t drain_until_ns; /* 0, or it drains, at most until then */
    bool again;              /* the next pass begins at once */

    struct votes votes;
    _Alignas(64) struct counters counters;
};

/* Errors: NOMEM. The edge is the caller's to open. */
int pipeline_init(struct pipeline *pipeline, struct service *service);
void pipeline_fini(struct pipeline *pipeline);

/* Whether one more reply has a place among those in flight, beside those of the votes that are not
 * flushed. Made sure of before each request: whatever it is, it may be answered. */
static inline bool pipeline_has_place(const struct pipeline *pipeline)
{
    return pending_room(&pipeline->pending) > pipeline->votes.run_count + 1;
}

/* The buffers of all connections have used up their share of the memory. */
static inline bool pipeline_is_tight(const struct pipeline *pipeline)
{
    return !ledger_has_buffers(edge_ledger(pipeline->edge), LEDGER_CONNECTIONS_SHARE);
}

/* Looks what has moved in the engine; before requests are asked. */
static inline void pipeline_sample(struct pipeline *pipeline)
{
    DCHECK(edge_commits(pipeline->edge) >= pipeline->commits);
    pipeline->commits = edge_commits(pipeline->edge);
    pipeline->offers = edge_offers(pipeline->edge);
}

/* Looks through the table of rates, when it is time. */
void pipeline_sweep(struct pipeline *pipeline);

/* Answers what the lane has applied, gives its slots back. */
void pipeline_release(struct pipeline *pipeline);

/* Builds whose replies did not arrive go back; what cannot be known yet is asked again. */
void pipeline_give_returns(struct pipeline *pipeline);

/* A deadline was set: the next pass begins no later. */
static inline void pipeline_due(struct pipeline *pipeline, uint64_t at_ns)
{
    pipeline->next_ns = at_ns < pipeline->next_ns ? at_ns : pipeline->next_ns;
}

#endif
