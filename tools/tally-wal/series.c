/* A series: amounts over a time span whose end is not known, in a fixed number of bins. */
#include "tools/tally-wal/series.h"

#include <string.h>

static void halve(struct series *series)
{
    for (size_t i = 0; i < SERIES_BINS / 2; i++) {
        series->bins[i] = series->bins[2 * i] + series->bins[2 * i + 1];
    }
    memset(series->bins + SERIES_BINS / 2, 0, sizeof series->bins / 2);
    series->bin_ms *= 2;
}

void series_add(struct series *series, uint64_t time_ms, uint64_t amount)
{
    if (series->bin_ms == 0) {
        series->bin_ms = 1;
        series->first_ms = time_ms;
    }
    while ((time_ms - series->first_ms) / series->bin_ms >= SERIES_BINS) {
        halve(series);
    }
    series->bins[(time_ms - series->first_ms) / series->bin_ms] += amount;
    series->last_ms = time_ms;
}

size_t series_columns(const struct series *series, uint64_t *columns, size_t count)
{
    if (series->bin_ms == 0 || count == 0) {
        return 0;
    }
    size_t used = (size_t)((series->last_ms - series->first_ms) / series->bin_ms) + 1;
    if (count > used) {
        count = used;
    }
    memset(columns, 0, count * sizeof *columns);
    for (size_t i = 0; i < used; i++) {
        columns[i * count / used] += series->bins[i];
    }
    return count;
}
