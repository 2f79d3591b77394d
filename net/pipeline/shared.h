/* What the I/O threads of one server share. */
#ifndef TALLY_NET_PIPELINE_SHARED_H
#define TALLY_NET_PIPELINE_SHARED_H

#include "net/pipeline/auth.h"
#include "net/pipeline/options.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct counters;
struct rate;
struct tally;

/*
 * Who writes what:
 *     before the threads start, once        all of the first group
 *     any thread, relaxed                   connections
 *     the stopping thread                   stopping, once; the loops read it every pass
 */
struct shared {
    struct tally *tally; /* borrowed */
    struct server_options options;
    struct auth auth;
    struct rate *rate;                /* owned by the server */
    const struct counters **counters; /* owned by the server; one for each thread */
    uint64_t started_ns;

    _Alignas(64) _Atomic uint32_t connections;
    _Alignas(64) _Atomic bool stopping;
};

/* Takes the place of one more connection; false: there are as many as may be. */
static inline bool shared_enter(struct shared *shared)
{
    /* C4: relaxed: a count publishes nothing; the sum of all threads is exact, whoever is first */
    uint32_t before = atomic_fetch_add_explicit(&shared->connections, 1, memory_order_relaxed);
    if (before < shared->options.connections_max) {
        return true;
    }
    /* C5: relaxed: as C4 */
    atomic_fetch_sub_explicit(&shared->connections, 1, memory_order_relaxed);
    return false;
}

/* Gives the place of a connection back. */
static inline void shared_leave(struct shared *shared)
{
    /* C6: relaxed: as C4 */
    atomic_fetch_sub_explicit(&shared->connections, 1, memory_order_relaxed);
}

static inline uint32_t shared_connections(const struct shared *shared)
{
    /* C7: relaxed: as C4; a reader may be a moment behind */
    return atomic_load_explicit(&shared->connections, memory_order_relaxed);
}

/* Asks all threads to drain. They see it in their next pass: wake them. */
static inline void shared_stop(struct shared *shared)
{
    /* S2: release: pairs with S1 */
    atomic_store_explicit(&shared->stopping, true, memory_order_release);
}

static inline bool shared_is_stopping(const struct shared *shared)
{
    /* S1: acquire: pairs with S2; what the stopping thread did before is done */
    return atomic_load_explicit(&shared->stopping, memory_order_acquire);
}

#endif
