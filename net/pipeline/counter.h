/* Counters of one I/O thread, which any thread may read. */
#ifndef TALLY_NET_PIPELINE_COUNTER_H
#define TALLY_NET_PIPELINE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

/* Written by one thread alone, read by the thread that answers INFO. */
struct counters {
    _Atomic uint64_t accepted;
    _Atomic uint64_t refused;     /* connections over the limit */
    _Atomic uint64_t undelivered; /* builds whose reply did not arrive, given back */
    _Atomic uint64_t requests;
    _Atomic uint64_t votes;
    _Atomic uint64_t errors;
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t bytes_out;
    _Atomic uint64_t passes;
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    /* C1: relaxed: a count publishes nothing, and its thread alone writes it */
    uint64_t sum = atomic_load_explicit(counter, memory_order_relaxed) + n;
    /* C2: relaxed: as C1 */
    atomic_store_explicit(counter, sum, memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic uint64_t *counter)
{
    /* C3: relaxed: as C1; a reader may be a moment behind */
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
