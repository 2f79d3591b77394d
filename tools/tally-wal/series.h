/* A series: amounts over a time span whose end is not known, in a fixed number of bins. */
#ifndef TALLY_TOOLS_TALLY_WAL_SERIES_H
#define TALLY_TOOLS_TALLY_WAL_SERIES_H

#include <stddef.h>
#include <stdint.h>

enum { SERIES_BINS = 1024 };

/* Bin i is the sum for [first_ms + i * bin_ms, first_ms + (i + 1) * bin_ms). When there are too few
 * bins, each two become one. All zero is an empty series. */
struct series {
    uint64_t first_ms;
    uint64_t last_ms;
    uint64_t bin_ms; /* a power of two; 0: the series is empty */
    uint64_t bins[SERIES_BINS];
};

/* REQUIRES: time_ms is never lower than at an earlier call. */
void series_add(struct series *series, uint64_t time_ms, uint64_t amount);

/* Spreads the time from first_ms to last_ms over `count` columns, at most SERIES_BINS. Returns the
 * number of columns, which is lower when there are fewer bins. */
size_t series_columns(const struct series *series, uint64_t *columns, size_t count);

#endif
