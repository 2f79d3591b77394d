/* A log-linear histogram of times: 128 steps per power of two, no value is off by over 0.8 %. */
#ifndef TALLY_BENCH_HISTOGRAM_H
#define TALLY_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 7
#define HISTOGRAM_STEPS     (1u << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_BUCKETS   ((64u - HISTOGRAM_STEP_BITS + 1u) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Empties it. */
void histogram_clear(struct histogram *h);

/* Counts `times` values of `value`. */
void histogram_add(struct histogram *h, uint64_t value, uint64_t times);

/* Returns the smallest value that `share` (0 to 1) of all values do not exceed, rounded up to the
 * end of its bucket but never beyond the largest value seen; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, double share);

#endif
