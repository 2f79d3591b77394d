/* The runs of one comparison, as read back from JSON lines. */
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

/* Which runs are meant: one server under one load. */
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

/* Returns median, least and most of a metric over the runs meant; count is 0 if there are none. */
struct spread runs_spread(const struct runs *runs, const struct which *which, enum metric metric);

/* Returns the same of the ratio ours/theirs, the k-th run of one against the k-th of the other:
 * they stood next to each other in time. */
struct spread runs_ratio(const struct runs *runs, const struct which *ours,
                         const struct which *theirs, enum metric metric);

#endif
