/* An edge from inside: what the files of this folder share. */
#ifndef TALLY_ENGINE_EDGE_EDGE_INTERNAL_H
#define TALLY_ENGINE_EDGE_EDGE_INTERNAL_H

#include "engine/edge.h"
#include "engine/edge/edges.h"
#include "engine/edge/lane.h"
#include "engine/edge/shared.h"
#include "engine/state/state.h"

struct vote_slot {
    struct option *option;
    uint64_t base; /* votes before this pass's step; a guess until the flush */
    uint32_t n;
};

enum { VOTE_SLOTS = 1 << 14, VOTE_INDEX = 1 << 15 };

/*
 * Synchronization: all of it is the thread's that has taken the edge, but for
 *   in_use, wake, arg   engine/edge/edges.h
 *   reads_open          with the reader: engine/edge/reader.h
 *   lane                with the committer: engine/edge/lane.h
 * Reclamation: engine/edge/edges.h.
 */
struct edge {
    struct state *state;
    struct shared *shared;
    struct lane *lane;
    struct edges *edges;
    void (*wake)(void *arg);
    void *arg;
    bool in_use;
    _Atomic uint32_t reads_open;
    uint64_t now_ms; /* log time, once a pass; never less than before */
    uint64_t run_ms; /* running time */
    /* votes of this pass, by option */
    uint32_t vote_count;
    uint16_t vote_generation;
    uint64_t vote_multiplier; /* odd and random */
    struct vote_slot *votes;
    uint32_t *vote_index; /* generation and slot */
};

/* Slots that may be appended now; those of votes not flushed yet are spoken for. */
static inline uint64_t edge_room(const struct edge *edge)
{
    return lane_room(edge->lane) - edge->vote_count;
}

/* ---- edge.c ---- */

/* An edge that nobody has taken yet. Returns NULL without memory. Ended by edge_free_memory. */
struct edge *edge_make(struct edges *edges);
void edge_free_memory(struct edge *edge);

/* Makes edge_commits() move, so that parked requests are asked again. */
void edge_nudge(struct edge *edge);

/* OK or READONLY: the answer that the end of a claim would get now. */
int edge_mode_completion(const struct edge *edge);

/* ---- edge_ordered.c ---- */

/* Has an offline worker brought back by a record, where there is room for one; else its next sign
 * of life will. */
void edge_worker_back(struct edge *edge, const struct worker *worker);

#endif
