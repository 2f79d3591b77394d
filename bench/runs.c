/* Reads the JSON lines that this program writes (no others), and computes their medians. */
#include "bench/runs.h"

#include <err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define RUNS_MOST 8192u

static const char *const metric_keys[METRIC_COUNT] = {
    [METRIC_REQUESTS_PER_S] = "\"requests_per_s\":",
    [METRIC_BUILDS_PER_S] = "\"builds_per_s\":",
    [METRIC_P50_US] = "\"p50_us\":",
    [METRIC_P99_US] = "\"p99_us\":",
    [METRIC_P999_US] = "\"p999_us\":",
    [METRIC_MAX_US] = "\"max_us\":",
    [METRIC_SERVER_CPU_US] = "\"server_cpu_us\":",
};

static const char *find(const char *line, const char *key)
{
    const char *at = strstr(line, key);

    if (at == NULL) {
        errx(EX_DATAERR, "no %s in: %s", key, line);
    }
    return at + strlen(key);
}

static void find_string(const char *line, const char *key, char *to, size_t room)
{
    const char *from = find(line, key) + 1;
    size_t len = strcspn(from, "\"");

    if (len >= room) {
        errx(EX_DATAERR, "%s is too long in: %s", key, line);
    }
    memcpy(to, from, len);
    to[len] = '\0';
}

static void run_read(struct run *run, const char *line)
{
    find_string(line, "\"name\":", run->name, sizeof run->name);
    find_string(line, "\"verbs\":", run->verbs, sizeof run->verbs);
    run->depth = (unsigned)strtoul(find(line, "\"depth\":"), NULL, 10);
    run->rate_per_s = strtod(find(line, "\"rate_per_s\":"), NULL);
    for (int m = 0; m < METRIC_COUNT; m++) {
        run->value[m] = strtod(find(line, metric_keys[m]), NULL);
    }
}

void runs_read(struct runs *runs, FILE *from)
{
    char *line = NULL;
    size_t room = 0;

    runs->count = 0;
    runs->at = calloc(RUNS_MOST, sizeof *runs->at);
    if (runs->at == NULL) {
        errx(EX_OSERR, "out of memory");
    }
    while (getline(&line, &room, from) > 0) {
        if (runs->count == RUNS_MOST) {
            errx(EX_DATAERR, "more than %u runs", RUNS_MOST);
        }
        run_read(&runs->at[runs->count++], line);
    }
    free(line);
}

void runs_fini(struct runs *runs)
{
    free(runs->at);
    *runs = (struct runs){0};
}

static bool is_meant(const struct run *run, const struct which *which)
{
    return strcmp(run->name, which->name) == 0 && strcmp(run->verbs, which->verbs) == 0 &&
           run->depth == which->depth && !(run->rate_per_s > which->rate_per_s) &&
           !(run->rate_per_s < which->rate_per_s);
}

static size_t collect(const struct runs *runs, const struct which *which, enum metric metric,
                      double *values)
{
    size_t count = 0;

    for (size_t i = 0; i < runs->count; i++) {
        if (is_meant(&runs->at[i], which)) {
            values[count++] = runs->at[i].value[metric];
        }
    }
    return count;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct spread spread_of(double *values, size_t count)
{
    if (count == 0) {
        return (struct spread){0};
    }
    qsort(values, count, sizeof *values, by_size);
    return (struct spread){.count = count,
                           .median = (values[(count - 1) / 2] + values[count / 2]) / 2,
                           .least = values[0],
                           .most = values[count - 1]};
}

struct spread runs_spread(const struct runs *runs, const struct which *which, enum metric metric)
{
    static double values[RUNS_MOST];

    return spread_of(values, collect(runs, which, metric, values));
}

struct spread runs_ratio(const struct runs *runs, const struct which *ours,
                         const struct which *theirs, enum metric metric)
{
    static double ratio[RUNS_MOST];
    static double under[RUNS_MOST];
    size_t count = collect(runs, ours, metric, ratio);
    size_t pairs = collect(runs, theirs, metric, under);

    if (count < pairs) {
        pairs = count;
    }
    for (size_t i = 0; i < pairs; i++) {
        ratio[i] = under[i] > 0 ? ratio[i] / under[i] : 0;
    }
    return spread_of(ratio, pairs);
}
