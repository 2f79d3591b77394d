/* Amounts over time, of a time span that is only known at the end, in a fixed number of bins. */
#ifndef TALLY_TOOLS_TALLY_WAL_SERIES_H
#define TALLY_TOOLS_TALLY_WAL_SERIES_H

#include <stddef.h>
#include <stdint.h>

enum { SERIES_BINS = 1024 };

/* Bin i holds what came in [first_ms + i * bin_ms, first_ms + (i + 1) * bin_ms). When the bins do
 * not reach, each two become one. Zeroed: nothing has come. */
struct series {
    uint64_t first_ms;
    uint64_t last_ms;
    uint64_t bin_ms; /* a power of two; 0: nothing has come */
    uint64_t bins[SERIES_BINS];
};

/* REQUIRES: time_ms is not before that of any call before. */
void series_add(struct series *series, uint64_t time_ms, uint64_t amount);

/* Spreads the time from first_ms to last_ms over `count` columns, at most SERIES_BINS. Returns how
 * many there are: fewer when the time is shorter than a bin for each. */
size_t series_columns(const struct series *series, uint64_t *columns, size_t count);

#endif
