/* Mutants, served: a start refuses them, or the server serves every request, makes a snapshot that
 * counts, ends cleanly, and starts again. A synced record is never refused later. */
#include "tests/engine/handle.h"
#include "tests/hostile/mutate.h"
#include "tests/lib/check.h"

#include <stdio.h>
#include <stdlib.h>

enum { SECONDS = 30, PEAK_MIB = 600 };

struct totals {
    uint64_t opened;
    uint64_t refused;
};

static char dir[128];
static struct tally *tally;
static struct handle handle;

static void on_fatal(void *arg, int code, const char *why)
{
    (void)arg;
    EXPECT(false, "the server ended itself with %d: %s", code, why);
}

static int open_engine(struct tally_report *report)
{
    struct tally_options options = {
        .dir = dir, .create = true, .edges = 4, .segment_bytes = 1 << 16, .fatal = on_fatal};
    return tally_open(&tally, &options, report);
}

static void vote_all(void)
{
    for (uint64_t id = 1; id <= 3; id++) {
        struct edge_vote vote;
        int err;
        do {
            err = edge_vote(handle.edge, id, 1, &vote);
            edge_flush(handle.edge);
        } while (handle_again(&handle, err));
        EXPECT(err == 0 || err == TALLY_NOTFOUND || err == TALLY_CLOSED || err == TALLY_RANGE ||
                   err == TALLY_INVAL,
               "a vote for %llu: %s", (unsigned long long)id, tally_err_name(err));
    }
    handle_settle(&handle);
}

/* Dates votes back, and reads all trends. */
static void see_trends(void)
{
    static struct read_trend trend;
    for (uint64_t id = 1; id <= 3; id++) {
        const struct edge_seed seed = {.option = id, .n = 100, .over_ms = SEED_OVER_MS_MAX};
        int err;
        HANDLE_ASK(err, &handle, edge_seed(handle.edge, &seed));
        err = err == 0 ? handle_result(&handle, err, NULL) : err;
        EXPECT(err == 0 || err == TALLY_NOTFOUND || err == TALLY_CLOSED || err == TALLY_RANGE ||
                   err == TALLY_DENIED,
               "a seed of %llu: %s", (unsigned long long)id, tally_err_name(err));
    }
    for (unsigned window = 0; window < TREND_WINDOWS; window++) {
        read_trend_init(&trend, SPAN("p"), window, TREND_TOP_MAX);
        int err = handle_read(&handle, &trend.top.read);
        EXPECT(err == 0 || err == TALLY_NOTFOUND, "a trend: %s", tally_err_name(err));
        read_trend_fini(&trend);
    }
}

static int claim(const char *worker, struct edge_claimed *got)
{
    const struct edge_claim ask = {
        .worker = span_of(worker), .queues = {{"q", 1}}, .queue_count = 1, .lease_ms = 1000};
    int err;
    HANDLE_ASK(err, &handle, edge_claim(handle.edge, &ask, got));
    handle_settle(&handle);
    return err;
}

/* Claims builds for a worker, and ends each claim in another way. */
static void work(const char *worker)
{
    for (unsigned i = 0; i < 8; i++) {
        struct edge_claimed got;
        struct edge_failed how;
        int err = claim(worker, &got);
        if (err != 0) {
            EXPECT(err == EDGE_NIL || err == TALLY_OFFLINE, "a claim: %s", tally_err_name(err));
            return;
        }
        const struct edge_fail fail = {.id = got.id, .token = got.token, .text = {"no", 2}};
        HANDLE_ASK(err, &handle,
                   i % 3 == 0 ? edge_fail(handle.edge, &fail, &how)
                   : i % 3 == 1
                       ? edge_release(handle.edge, got.id, got.token, 0)
                       : edge_done(handle.edge, got.id, got.token, (struct span){"ok", 2}));
        handle_settle(&handle);
        EXPECT(err == 0 || err == TALLY_STALE, "the end of a claim: %s", tally_err_name(err));
    }
}

/* Votes and takes votes back for voters of the snapshot and for another one. */
static void vote_by_name(void)
{
    static const char *const voters[] = {"v", "another", "new"};
    for (unsigned i = 0; i < 6; i++) {
        struct span voter = span_of(voters[i % 3]);
        const struct edge_ballot ballot = {
            .options = {1 + i % 2, 2 - i % 2}, .option_count = 1 + i / 3, .n = 1, .voter = voter};
        int err;
        HANDLE_ASK(err, &handle, edge_ballot(handle.edge, &ballot));
        err = handle_result(&handle, err, NULL);
        EXPECT(err == 0 || err == TALLY_VOTED || err == TALLY_INVAL || err == TALLY_NOTFOUND ||
                   err == TALLY_CLOSED || err == TALLY_RANGE,
               "a ballot: %s", tally_err_name(err));
        if (i % 2 == 0) {
            continue;
        }
        HANDLE_ASK(err, &handle, edge_unvote(handle.edge, SPAN("p"), voter, SPAN("")));
        err = handle_result(&handle, err, NULL);
        EXPECT(err == 0 || err == EDGE_NIL || err == TALLY_INVAL || err == TALLY_NOTFOUND ||
                   err == TALLY_CLOSED,
               "a vote that is taken back: %s", tally_err_name(err));
    }
}

static void change_all(void)
{
    const struct edge_poll poll = {
        .name = {"p", 1}, .mode = POLL_CHANGE, .rate_n = 5, .rate_ms = 1000};
    const struct edge_worker worker = {.id = {"w", 1}, .slots = 2};
    const struct edge_submit submit = {
        .queue = {"q", 1}, .payload = {"make", 4}, .lease_ms = 1000, .tries = 3};
    int err = handle_result(&handle, edge_poll(handle.edge, &poll), NULL);
    EXPECT(err == 0, "a poll: %s", tally_err_name(err));
    err = handle_result(&handle, edge_option(handle.edge, SPAN("p"), SPAN("New"), SPAN("")), NULL);
    EXPECT(err == 0 || err == TALLY_EXISTS, "an option: %s", tally_err_name(err));
    err = handle_result(&handle, edge_worker(handle.edge, &worker), NULL);
    EXPECT(err == 0, "a worker: %s", tally_err_name(err));
    err = handle_result(&handle, edge_submit(handle.edge, &submit), NULL);
    EXPECT(err == 0 || err == TALLY_FULL, "a build: %s", tally_err_name(err));
}

static void snapshot(void)
{
    struct edge_snapshot done;
    uint64_t ticket = 0;
    int err;
    HANDLE_ASK(err, &handle, edge_snapshot(handle.edge, &ticket, &done));
    EXPECT(err == 0, "a snapshot: %s", tally_err_name(err));
}

static void serve(void)
{
    handle_open(&handle, tally);
    vote_all();
    see_trends();
    vote_by_name();
    change_all();
    vote_by_name();
    work("w");
    vote_all();
    snapshot();
    handle_close(&handle);
    EXPECT(tally_close(tally) == 0, "the end");
}

static void run(uint64_t seed_start, struct totals *totals)
{
    struct seed seed = {seed_start};
    struct tally_report report;
    mutant_begin(seed_start, "hostile_mutants_served", SECONDS);
    mutate(&seed, dir);
    int err = open_engine(&report);
    EXPECT(err == 0 || err == TALLY_DAMAGE || err == TALLY_NEWER, "the start: %s, %s",
           tally_err_name(err), report.text);
    if (err == 0) {
        totals->opened++;
        serve();
        err = open_engine(&report);
        EXPECT(err == 0, "the second start: %s, %s", tally_err_name(err), report.text);
        EXPECT(tally_close(tally) == 0, "the second end");
    } else {
        totals->refused++;
        EXPECT(report.text[0] != '\0', "it is refused without a word");
    }
    files_clear(dir);
}

int main(int argc, char **argv)
{
    uint64_t start = check_option(argc, argv, "--seed", 1);
    uint64_t count = check_option(argc, argv, "--count", 100);
    struct totals totals = {0};
    mutant_dir(dir, sizeof(dir));
    for (uint64_t i = 0; i < count; i++) {
        run(start + i, &totals);
    }
    files_remove_tree(dir);
    uint64_t peak = mutant_peak_mib();
    printf("%llu mutants: %llu refused, %llu served and started again; at most %llu MiB\n",
           (unsigned long long)count, (unsigned long long)totals.refused,
           (unsigned long long)totals.opened, (unsigned long long)peak);
    EXPECT(peak < PEAK_MIB, "%llu MiB", (unsigned long long)peak);
    mutant_over();
    return 0;
}
