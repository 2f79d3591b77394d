/* The registry of edges: threads take edges and give them back, the committer finds the lanes. */
#include "engine/edge/edges.h"

#include "engine/base/rcu.h"
#include "engine/edge/edge_internal.h"
#include "wal/base/check.h"

void edges_init(struct edges *edges, struct shared *shared, uint32_t max)
{
    DCHECK(max <= EDGES_MAX);
    edges->shared = shared;
    edges->max = max;
    pthread_mutex_init(&edges->mutex, NULL);
}

void edges_fini(struct edges *edges)
{
    CHECK(edges_are_idle(edges)); /* tally_close asks first: the caller has ended its threads */
    for (uint32_t i = 0; i < FIELD_OWN(edges->count); i++) {
        edge_free_memory(edges->edge[i]);
    }
    pthread_mutex_destroy(&edges->mutex);
}

bool edges_are_idle(const struct edges *edges)
{
    for (uint32_t i = 0; i < FIELD_OWN(edges->count); i++) {
        if (edges->edge[i]->in_use) {
            return false;
        }
    }
    return true;
}

/* Finds an edge that no thread uses, or makes one. Under the mutex. */
static int edges_find(struct edges *edges, struct edge **out)
{
    uint32_t count = FIELD_OWN(edges->count);
    for (uint32_t i = 0; i < count; i++) {
        struct edge *edge = edges->edge[i];
        if (!edge->in_use) {
            *out = edge;
            return 0;
        }
    }
    if (count == edges->max) {
        return TALLY_FULL;
    }
    struct edge *edge = edge_make(edges);
    if (edge == NULL) {
        return TALLY_NOMEM;
    }
    edges->edge[count] = edge;
    edges->lane[count] = edge->lane;
    /* E2: release; pairs with E1 */
    atomic_store_explicit(&edges->count, count + 1, memory_order_release);
    *out = edge;
    return 0;
}

int edges_take(struct edges *edges, struct edge **out, void (*wake)(void *arg), void *arg)
{
    pthread_mutex_lock(&edges->mutex);
    struct edge *edge = NULL;
    int err = edges_find(edges, &edge);
    if (err == 0) {
        edge->in_use = true;
        edge->wake = wake;
        edge->arg = arg;
        *out = edge;
    }
    pthread_mutex_unlock(&edges->mutex);
    if (err == 0) {
        rcu_thread_register();
    }
    return err;
}

void edges_give_back(struct edges *edges, struct edge *edge)
{
    rcu_thread_unregister();
    /* the committer wakes under this lock: if it saw this edge asleep, it has woken it by now */
    pthread_mutex_lock(&edges->mutex);
    CHECK(edge->in_use); /* edge_new gave it to the caller, who calls edge_destroy once */
    edge->in_use = false;
    pthread_mutex_unlock(&edges->mutex);
}

void edges_wake(struct edges *edges, uint32_t count)
{
    /* an owner that leaves waits for this lock, so no wake comes after it has left */
    pthread_mutex_lock(&edges->mutex);
    for (uint32_t i = 0; i < count; i++) {
        struct edge *edge = edges->edge[i];
        if (wake_signal(&edge->lane->wake)) {
            edge->wake(edge->arg);
        }
    }
    pthread_mutex_unlock(&edges->mutex);
}
