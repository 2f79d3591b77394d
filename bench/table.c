/* The tables of bench/compare, in Markdown: ratios with their targets, speed, CPU, latency. */
#include "bench/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/runs.h"

struct table_server {
    const char *name;
    const char *title;
};

static const struct table_server vote_servers[] = {
    {"tally", "**tally**, on disk before every reply"},
    {"redis-always", "Redis `appendfsync always`, on disk before every reply"},
    {"redis-no", "Redis `appendfsync no`, not durable"},
    {"nothing", "a server that does nothing"},
    {0},
};

static const struct table_server build_servers[] = {
    {"tally", "**tally**, on disk before every reply"},
    {"beanstalkd-fsync", "beanstalkd `-b -f 0`, fsync at every write"},
    {"beanstalkd-nolog", "beanstalkd without a log, not durable"},
    {"redis-always", "Redis streams, `appendfsync always`"},
    {0},
};

static const struct table_server ballot_servers[] = {
    {"tally", "**tally**, on disk before every reply"},
    {"redis-always", "Redis `appendfsync always`, `SADD` + `INCR`"},
    {"nothing", "a server that does nothing"},
    {0},
};

static const struct table_server tally_servers[] = {{"tally", "**tally**"}, {0}};

static const unsigned vote_depths[] = {1, 16, 64, 256, 0};
static const unsigned ballot_depths[] = {1, 16, 64, 0};
static const unsigned build_depths[] = {1, 16, 0};
static const unsigned tally_depths[] = {1, 16, 0};

/* A target of tally: a least ratio to a peer or, without a peer, an upper limit. */
struct target {
    const char *title;
    const char *verbs;
    const char *peer;
    unsigned depth;
    enum metric metric;
    double first; /* of version 1 */
    double aim;
};

static const struct target targets[] = {
    {"votes vs Redis `always`", "vote", "redis-always", 1, METRIC_REQUESTS_PER_S, 1.3, 2},
    {"votes vs Redis `always`", "vote", "redis-always", 16, METRIC_REQUESTS_PER_S, 2, 3},
    {"votes vs Redis `always`", "vote", "redis-always", 64, METRIC_REQUESTS_PER_S, 3.5, 5},
    {"votes vs Redis `always`", "vote", "redis-always", 256, METRIC_REQUESTS_PER_S, 5, 8},
    {"votes vs Redis *not durable*", "vote", "redis-no", 16, METRIC_REQUESTS_PER_S, 1.2, 2},
    {"votes vs Redis *not durable*", "vote", "redis-no", 64, METRIC_REQUESTS_PER_S, 2.5, 4},
    {"votes vs Redis *not durable*", "vote", "redis-no", 256, METRIC_REQUESTS_PER_S, 4, 7},
    {"votes vs the do-nothing server", "vote", "nothing", 64, METRIC_REQUESTS_PER_S, 0.5, 0.75},
    {"votes vs the do-nothing server", "vote", "nothing", 256, METRIC_REQUESTS_PER_S, 0.6, 0.9},
    {"server CPU per vote, µs", "vote", NULL, 64, METRIC_SERVER_CPU_US, 0.3, 0.15},
    {"votes with `VOTER` vs Redis `always`", "ballot", "redis-always", 16, METRIC_REQUESTS_PER_S, 1,
     2},
    {"votes with `VOTER` vs Redis `always`", "ballot", "redis-always", 64, METRIC_REQUESTS_PER_S,
     1.5, 3},
    {"builds vs beanstalkd fsync per write", "build", "beanstalkd-fsync", 1, METRIC_BUILDS_PER_S, 8,
     15},
    {"builds vs beanstalkd fsync per write", "build", "beanstalkd-fsync", 16, METRIC_BUILDS_PER_S,
     40, 100},
    {"builds vs beanstalkd *without a log*", "build", "beanstalkd-nolog", 16, METRIC_BUILDS_PER_S,
     1.5, 3},
    {"builds vs Redis streams `always`", "build", "redis-always", 1, METRIC_BUILDS_PER_S, 1.5, 3},
    {"builds vs Redis streams `always`", "build", "redis-always", 16, METRIC_BUILDS_PER_S, 3, 6},
};

/* ---- cells ---- */

/* Three digits, with k or M: 746 k, 1.85 M. */
static void print_amount(double amount)
{
    const char *unit = "";

    if (amount >= 999500) {
        amount /= 1e6;
        unit = " M";
    } else if (amount >= 999.5) {
        amount /= 1e3;
        unit = " k";
    }
    printf("%.*f%s", amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0, amount, unit);
}

static void print_speed(const struct runs *runs, const struct which *which)
{
    enum metric metric =
        strcmp(which->verbs, "build") == 0 ? METRIC_BUILDS_PER_S : METRIC_REQUESTS_PER_S;
    struct spread s = runs_spread(runs, which, metric);

    print_amount(s.median);
    printf(" (");
    print_amount(s.least);
    printf("–");
    print_amount(s.most);
    printf(")");
}

static void print_cpu(const struct runs *runs, const struct which *which)
{
    printf("%.2f", runs_spread(runs, which, METRIC_SERVER_CPU_US).median);
}

static void print_latency(const struct runs *runs, const struct which *which)
{
    printf("%.2f / %.2f / %.2f", runs_spread(runs, which, METRIC_P50_US).median / 1e3,
           runs_spread(runs, which, METRIC_P99_US).median / 1e3,
           runs_spread(runs, which, METRIC_P999_US).median / 1e3);
}

/* ---- tables ---- */

struct block {
    const char *title;
    const char *verbs;
    const struct table_server *servers;
    const unsigned *depths;
    void (*print_cell)(const struct runs *runs, const struct which *which);
};

static const struct block blocks[] = {
    {"votes/s, median (least–most)", "vote", vote_servers, vote_depths, print_speed},
    {"server CPU µs per vote", "vote", vote_servers, vote_depths, print_cpu},
    {"votes: p50 / p99 / p99.9 ms, closed loop", "vote", vote_servers, vote_depths, print_latency},
    {"votes with `VOTER`/s, median (least–most)", "ballot", ballot_servers, ballot_depths,
     print_speed},
    {"server CPU µs per vote with `VOTER`", "ballot", ballot_servers, ballot_depths, print_cpu},
    {"votes with `VOTER`: p50 / p99 / p99.9 ms", "ballot", ballot_servers, ballot_depths,
     print_latency},
    {"`TALLY` of 20 options/s, median (least–most)", "tally", tally_servers, tally_depths,
     print_speed},
    {"builds/s, median (least–most)", "build", build_servers, build_depths, print_speed},
    {"server CPU µs per request of a build", "build", build_servers, build_depths, print_cpu},
    {"builds: p50 / p99 / p99.9 ms a request", "build", build_servers, build_depths, print_latency},
};

static bool has_runs(const struct runs *runs, const struct which *which)
{
    return runs_spread(runs, which, METRIC_REQUESTS_PER_S).count > 0;
}

static bool is_measured(const struct runs *runs, const struct block *block,
                        const struct table_server *server)
{
    for (const unsigned *depth = block->depths; *depth > 0; depth++) {
        struct which which = {server->name, block->verbs, *depth, 0};
        if (has_runs(runs, &which)) {
            return true;
        }
    }
    return false;
}

static void print_row(const struct runs *runs, const struct block *block,
                      const struct table_server *server)
{
    printf("| %s |", server->title);
    for (const unsigned *depth = block->depths; *depth > 0; depth++) {
        struct which which = {server->name, block->verbs, *depth, 0};

        printf(" ");
        if (has_runs(runs, &which)) {
            block->print_cell(runs, &which);
        } else {
            printf("–");
        }
        printf(" |");
    }
    printf("\n");
}

static void print_head(const struct block *block)
{
    printf("| %s |", block->title);
    for (const unsigned *depth = block->depths; *depth > 0; depth++) {
        printf(" P%u |", *depth);
    }
    printf("\n|---|");
    for (const unsigned *depth = block->depths; *depth > 0; depth++) {
        printf("---:|");
    }
    printf("\n");
}

static void print_block(const struct runs *runs, const struct block *block)
{
    bool begun = false;

    for (const struct table_server *server = block->servers; server->name != NULL; server++) {
        if (!is_measured(runs, block, server)) {
            continue;
        }
        if (!begun) {
            print_head(block);
            begun = true;
        }
        print_row(runs, block, server);
    }
    if (begun) {
        printf("\n");
    }
}

static void print_target(const struct runs *runs, const struct target *t)
{
    struct which ours = {"tally", t->verbs, t->depth, 0};
    struct which theirs = {t->peer, t->verbs, t->depth, 0};
    struct spread s = t->peer != NULL ? runs_ratio(runs, &ours, &theirs, t->metric)
                                      : runs_spread(runs, &ours, t->metric);
    bool met = t->peer != NULL ? s.median >= t->first : s.median <= t->first;

    if (s.count == 0) {
        return;
    }
    printf("| %s | P%u | **%.2f** (%.2f–%.2f) | %s%g | %s%g | %s |\n", t->title, t->depth, s.median,
           s.least, s.most, t->peer != NULL ? "" : "≤ ", t->first, t->peer != NULL ? "" : "≤ ",
           t->aim, met ? "met" : "**not met**");
}

static void print_targets(const struct runs *runs)
{
    printf("| tally, per round: median (least–most) | | measured | v1 target | aim | v1 |\n"
           "|---|---|---:|---:|---:|---|\n");
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        print_target(runs, &targets[i]);
    }
    printf("\n");
}

static void print_open_loop(const struct runs *runs)
{
    bool begun = false;

    for (size_t i = 0; i < runs->count; i++) {
        const struct run *run = &runs->at[i];
        struct which closed = {run->name, run->verbs, run->depth, 0};

        if (run->rate_per_s <= 0) {
            continue;
        }
        if (!begun) {
            printf("| open loop, %s in windows of %u: ms from the due time | offered | of its "
                   "median | p50 | p99 | p99.9 | max |\n|---|---:|---:|---:|---:|---:|---:|\n",
                   run->verbs, run->depth);
            begun = true;
        }
        printf("| %s | ", run->name);
        print_amount(run->rate_per_s);
        printf("/s | %.0f %% | %.2f | %.2f | %.2f | %.2f |\n",
               100 * run->rate_per_s / runs_spread(runs, &closed, METRIC_REQUESTS_PER_S).median,
               run->value[METRIC_P50_US] / 1e3, run->value[METRIC_P99_US] / 1e3,
               run->value[METRIC_P999_US] / 1e3, run->value[METRIC_MAX_US] / 1e3);
    }
    if (begun) {
        printf("\n");
    }
}

int table_print(void)
{
    struct runs runs;

    runs_read(&runs, stdin);
    print_targets(&runs);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        print_block(&runs, &blocks[i]);
    }
    print_open_loop(&runs);
    runs_fini(&runs);
    return EXIT_SUCCESS;
}
