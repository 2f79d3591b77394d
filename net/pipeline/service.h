/* The service: the state that the I/O threads of one server share. */
#ifndef TALLY_NET_PIPELINE_SERVICE_H
#define TALLY_NET_PIPELINE_SERVICE_H

#include "net/pipeline/auth.h"
#include "net/pipeline/options.h"
#include "wal/base/check.h"

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
struct service {
    struct tally *tally; /* borrowed */
    struct server_options options;
    struct auth auth;
    struct rate *rate;                /* owned by the server */
    const struct counters **counters; /* owned by the server; one for each thread */
    uint64_t started_ns;

    _Alignas(64) _Atomic uint32_t connections;
    _Alignas(64) _Atomic bool stopping;
};

/* Counts one more connection. Returns false at the limit. */
static inline bool service_enter(struct service *service)
{
    /* C4: relaxed: a count publishes nothing; the sum is exact in any order of the threads */
    uint32_t before = atomic_fetch_add_explicit(&service->connections, 1, memory_order_relaxed);
    if (before < service->options.connections_max) {
        return true;
    }
    /* C5: relaxed: as C4 */
    atomic_fetch_sub_explicit(&service->connections, 1, memory_order_relaxed);
    return false;
}

/* Counts one connection less. */
static inline void service_leave(struct service *service)
{
    /* C6: relaxed: as C4 */
    uint32_t before = atomic_fetch_sub_explicit(&service->connections, 1, memory_order_relaxed);
    /* a connection that leaves has entered, and leaves once: conn_io_open and conn_io_close */
    CHECK(before > 0);
}

static inline uint32_t service_connections(const struct service *service)
{
    /* C7: relaxed: as C4; a reader may be a moment behind */
    return atomic_load_explicit(&service->connections, memory_order_relaxed);
}

/* Asks all threads to drain. They see it in their next pass: wake them. */
static inline void service_stop(struct service *service)
{
    /* S2: release: pairs with S1 */
    atomic_store_explicit(&service->stopping, true, memory_order_release);
}

static inline bool service_is_stopping(const struct service *service)
{
    /* S1: acquire: pairs with S2; what the stopping thread wrote before is visible */
    return atomic_load_explicit(&service->stopping, memory_order_acquire);
}

#endif
