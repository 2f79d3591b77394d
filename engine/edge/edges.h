/* The registry of edges: which thread has which edge, and how the committer finds their lanes. */
#ifndef TALLY_ENGINE_EDGE_EDGES_H
#define TALLY_ENGINE_EDGE_EDGES_H

#include "engine/edge.h"
#include "engine/edge/lane.h"
#include "engine/edge/shared.h"

#include <pthread.h>

/*
 *     edge[0] edge[1] ... edge[count - 1]   │ NULL ... NULL
 *     in use, or free for the next thread   │
 *
 * Synchronization table
 *   count            moved under the mutex when edge[i] and lane[i] are written (E2 release), read
 *                    by the committer without it (E1 acquire): entries below the count are whole
 *   edge->in_use     under the mutex
 *   edge->wake, arg  written under the mutex when a thread takes the edge; the committer calls it
 *                    under the mutex, so no wake comes after the edge was given back
 * Reclamation: an edge, once made, and its lane stay until edges_fini; an edge that was given back
 * is taken again, so all lanes below a count stay valid.
 * Progress: the committer waits for the mutex only as long as an edge is made or given back.
 */
enum { EDGES_MAX = 64 };

struct edges {
    struct shared *shared;
    uint32_t max;
    pthread_mutex_t mutex;
    struct edge *edge[EDGES_MAX];
    struct lane *lane[EDGES_MAX]; /* of edge[i] */
    _Atomic uint32_t count;
};

/* Makes a registry for `max` edges, EDGES_MAX at most. */
void edges_init(struct edges *edges, struct shared *shared, uint32_t max);

/* Frees the edges with their lanes. REQUIRES: edges_are_idle(). Threads: the last one. */
void edges_fini(struct edges *edges);

/*
 * Takes an edge for the calling thread: one that was given back, or a new one.
 * Errors: FULL, NOMEM. Owns: the caller, until edge_destroy. Threads: any.
 */
int edges_take(struct edges *edges, struct edge **out, void (*wake)(void *arg), void *arg);

/* Gives an edge back; edge_destroy calls it. */
void edges_give_back(struct edges *edges, struct edge *edge);

/* Whether nobody has an edge. Threads: the last one. */
bool edges_are_idle(const struct edges *edges);

/* Returns the number of lanes. Order: acquire. Threads, of this and the rest: the committer. */
static inline uint32_t edges_count(const struct edges *edges)
{
    /* E1: acquire; pairs with E2 */
    return atomic_load_explicit(&edges->count, memory_order_acquire);
}

/* Returns a lane. REQUIRES: i is below a count that was read before. */
static inline struct lane *edges_lane(const struct edges *edges, uint32_t i)
{
    return edges->lane[i];
}

/* Wakes those owners of the first `count` edges that sleep. */
void edges_wake(struct edges *edges, uint32_t count);

#endif
