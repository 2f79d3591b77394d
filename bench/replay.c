/* tally-replay: makes a log of votes and measures how fast a start reads it back. */
#include "engine/log/columns.h"
#include "engine/tally.h"
#include "wal/base/number.h"
#include "wal/wal.h"

#include <argp.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

const char *argp_program_version = "tally-replay " TALLY_VERSION;

enum { SETUP_BLOCK = 10000, EXIT_USAGE = 64 };

struct replay_settings {
    uint64_t votes;
    uint64_t options;
    uint64_t block_votes;
    const char *parent;
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "tally-replay: %s: %s\n", what, why);
    exit(1);
}

static void must(int err, const char *what)
{
    if (err != 0) {
        fail(what, tally_err_text(err));
    }
}

/* ---- the log ---- */

struct maker {
    struct wal *wal;
    struct columns columns;
    uint64_t time_ms;
    uint64_t stored_bytes;
};

static void block_begin(struct maker *maker)
{
    columns_begin(&maker->columns, maker->time_ms++);
}

static void block_end(struct maker *maker)
{
    const unsigned char *block;
    size_t len;
    if (maker->columns.count > 0) {
        must(columns_end(&maker->columns, &block, &len), "block");
        must(wal_append(maker->wal, maker->columns.count, block, len), "append");
    }
}

static void make_options(struct maker *maker, uint64_t options)
{
    struct record poll = {.type = RECORD_POLL};
    poll.text[POLL_NAME] = SPAN("bench");
    block_begin(maker);
    must(columns_add(&maker->columns, &poll), "poll");
    for (uint64_t i = 1; i <= options; i++) {
        char label[24];
        int len = snprintf(label, sizeof label, "o%" PRIu64, i);
        struct span text = {label, (size_t)len};
        struct record option = {.type = RECORD_OPTION};
        option.text[OPTION_POLL] = SPAN("bench");
        option.text[OPTION_LABEL] = text;
        option.text[OPTION_FOLD] = text;
        must(columns_add(&maker->columns, &option), "option");
        if (maker->columns.count == SETUP_BLOCK) {
            block_end(maker);
            block_begin(maker);
        }
    }
    block_end(maker);
}

/* One record a vote, so nothing is combined; options are drawn at random. */
static void make_votes(struct maker *maker, const struct replay_settings *settings)
{
    uint64_t *votes = calloc(settings->options + 1, sizeof *votes);
    uint64_t random = 88172645463325252U;
    if (votes == NULL) {
        fail("votes", strerror(ENOMEM));
    }
    for (uint64_t done = 0; done < settings->votes;) {
        block_begin(maker);
        for (uint64_t i = 0; i < settings->block_votes && done < settings->votes; i++, done++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            uint64_t option = random % settings->options + 1;
            must(columns_vote(&maker->columns, option, votes[option]++, 1), "vote");
        }
        block_end(maker);
    }
    free(votes);
}

static uint64_t make_log(const char *dir, const struct replay_settings *settings)
{
    struct wal_io *io;
    struct maker maker = {.time_ms = 1700000000000U};
    struct wal_report report;
    struct wal_stats stats;
    if (wal_file_io_new(&io, dir, 1) != 0) {
        fail(dir, strerror(errno));
    }
    struct wal_options options = {.io = io, .segment_bytes = WAL_SEGMENT_BYTES_DEFAULT};
    must(wal_open(&maker.wal, &options, NULL, NULL, &report), "open");
    make_options(&maker, settings->options);
    make_votes(&maker, settings);
    wal_stats(maker.wal, &stats);
    must(wal_close(maker.wal, true), "close");
    columns_fini(&maker.columns);
    io->ops->destroy(io);
    return stats.stored_bytes;
}

/* ---- the measurement ---- */

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int remove_one(const char *path, const struct stat *what, int flag, struct FTW *walk)
{
    (void)what;
    (void)flag;
    (void)walk;
    return remove(path);
}

struct cost {
    double wall_s;
    double cpu_s;
    uint64_t stored_bytes;
};

/* Measures the cost to open a log of so many votes, made afresh in a directory of its own. */
static struct cost measure(const struct replay_settings *settings)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/tally-replay.XXXXXX", settings->parent);
    if (mkdtemp(dir) == NULL) {
        fail(dir, strerror(errno));
    }
    struct cost cost = {.stored_bytes = make_log(dir, settings)};
    struct tally_options options = {.dir = dir};
    struct tally_report report;
    struct tally *tally = NULL;
    double wall_s = seconds(CLOCK_MONOTONIC);
    double cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID);
    must(tally_open(&tally, &options, &report), report.text);
    cost.wall_s = seconds(CLOCK_MONOTONIC) - wall_s;
    cost.cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
    must(tally_close(tally), "close");
    if (nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0) {
        fail(dir, strerror(errno));
    }
    return cost;
}

/* The cost of the votes is that of the log with them less that of a log with the options alone. */
static void report(const struct replay_settings *settings)
{
    struct replay_settings none = *settings;
    none.votes = 0;
    struct cost without = measure(&none);
    struct cost with = measure(settings);
    double votes = (double)settings->votes;
    double wall_s = with.wall_s - without.wall_s;
    double cpu_s = with.cpu_s - without.cpu_s;
    printf("%" PRIu64 " votes, %" PRIu64 " options, %" PRIu64 " votes a block, %.2f bytes a vote\n",
           settings->votes, settings->options, settings->block_votes,
           (double)(with.stored_bytes - without.stored_bytes) / votes);
    printf("open without votes %.3f s, with votes %.3f s\n", without.wall_s, with.wall_s);
    printf("votes: %.3f s, %.1f M/s; CPU %.3f s, %.1f M/s and core\n", wall_s, votes / wall_s / 1e6,
           cpu_s, votes / cpu_s / 1e6);
}

/* ---- options ---- */

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct replay_settings *settings = state->input;
    uint64_t *to = key == 'v'   ? &settings->votes
                   : key == 'o' ? &settings->options
                   : key == 'b' ? &settings->block_votes
                                : NULL;
    if (key == 'd') {
        settings->parent = arg;
        return 0;
    }
    if (to == NULL) {
        return ARGP_ERR_UNKNOWN;
    }
    if (!number_parse(arg, to) || *to == 0) {
        argp_error(state, "not a number from 1 on: %s", arg);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"votes", 'v', "N", 0, "votes in the log (10000000)", 0},
        {"options", 'o', "N", 0, "options, voted for at random (1000000)", 0},
        {"block", 'b', "N", 0, "votes in a block, that is in a commit (10000)", 0},
        {"dir", 'd', "DIRECTORY", 0, "where to make it (.)", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        parse_option,
        NULL,
        "Makes a log of votes, one record each, and measures how fast a start reads it back.",
        NULL,
        NULL,
        NULL};
    struct replay_settings settings = {10000000, 1000000, 10000, "."};
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &settings);
    report(&settings);
    return 0;
}
