/* The struct behind an edge, and the functions that only the files of this folder call. */
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
 * Synchronization: every field belongs to the thread that has taken the edge, but for
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
    uint32_t requests; /* ordered requests that are not freed yet */
    uint32_t seeds;    /* of them, those of type SEED */
    uint64_t now_ms;   /* log time, once a pass; never less than before */
    uint64_t run_ms;   /* running time */
    /* votes of this pass, by option */
    uint32_t vote_count;
    uint16_t vote_generation;
    uint64_t vote_multiplier; /* odd and random */
    struct vote_slot *votes;
    uint32_t *vote_index; /* generation and slot */
};

/* Slots that may be appended now; slots for votes that are not flushed yet are not counted. */
static inline uint64_t edge_room(const struct edge *edge)
{
    return lane_room(edge->lane) - edge->vote_count;
}

/* ---- edge.c ---- */

/* Makes an edge that no thread has taken yet. Returns NULL without memory. Ended by
 * edge_free_memory. */
struct edge *edge_make(struct edges *edges);
void edge_free_memory(struct edge *edge);

/* Makes edge_commits() move, so that parked requests are asked again. */
void edge_nudge(struct edge *edge);

/* Returns OK or READONLY: the answer that the end of a claim would get now. */
int edge_mode_completion(const struct edge *edge);

/* ---- edge_ordered.c ---- */

/* Frees the ordered requests in the slots from `freed` to pos. */
void edge_free_requests(struct edge *edge, uint64_t pos);

/* Appends a record that brings an offline worker back. Without room in the lane it does nothing:
 * the next sign of life tries again. */
void edge_worker_back(struct edge *edge, const struct worker *worker);

#endif
