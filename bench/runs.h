/* The runs of one comparison, read back from JSON lines. */
#ifndef TALLY_BENCH_RUNS_H
#define TALLY_BENCH_RUNS_H

#include <stddef.h>
#include <stdio.h>

enum metric {
    METRIC_REQUESTS_PER_S,
    METRIC_BUILDS_PER_S,
    METRIC_P50_US,
    METRIC_P99_US,
    METRIC_P999_US,
    METRIC_MAX_US,
    METRIC_SERVER_CPU_US,
    METRIC_COUNT
};

struct run {
    char name[32];
    char verbs[32];
    unsigned depth;
    double rate_per_s; /* 0: closed loop */
    double value[METRIC_COUNT];
};

struct runs {
    struct run *at; /* in the order they were made; owned here */
    size_t count;
};

/* Selects runs: one server under one load. */
struct which {
    const char *name;
    const char *verbs;
    unsigned depth;
    double rate_per_s;
};

struct spread {
    size_t count;
    double median;
    double least;
    double most;
};

/* Reads the lines tally-bench prints with --json; ends the program on any other line. */
void runs_read(struct runs *runs, FILE *from);
void runs_fini(struct runs *runs);

/* Returns median, least and most of a metric over the selected runs; count is 0 without runs. */
struct spread runs_spread(const struct runs *runs, const struct which *which, enum metric metric);

/* Returns the same of the ratio ours/theirs, from the k-th run of the one and the k-th run of the
 * other, which were made one after the other. */
struct spread runs_ratio(const struct runs *runs, const struct which *ours,
                         const struct which *theirs, enum metric metric);

#endif
