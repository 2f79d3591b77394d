/* The load itself: many connections, each with a window of requests in flight, from one thread. */
#ifndef TALLY_BENCH_LOAD_H
#define TALLY_BENCH_LOAD_H

#include <stdint.h>

#include "bench/histogram.h"
#include "bench/proto.h"

struct result {
    uint64_t requests; /* answered while it counted, errors and NIL included */
    uint64_t finished; /* build cycles whose last request was answered OK */
    uint64_t nils;
    uint64_t errors; /* of the whole run, warm-up included */
    char first_error[160];
    double elapsed_s;
    double server_cpu_us; /* 0 when no process was named */
    double client_cpu_us;
    struct histogram latency_ns;
};

/* Prepares the server at host:port as the stage asks, drives it, and fills `result`. Ends the
 * program when the server closes a connection, breaks the dialect or is silent for 10 s. */
void load_run(struct stage *stage, struct result *result);

#endif
