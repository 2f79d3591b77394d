/* TREND and SEED over TCP: the lines of all windows are what the log says, across restarts and
 * snapshots; faketime lets a day pass between restarts. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/dump.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS = 6, STEPS = 40, RECORDS_MAX = 4096, LARGE = 600, SLICE = 512 };

/* As in tests/limits/clock.c; the monotonic clock is right, so time jumps with each start. */
static char faketime_word[64];
static const char *const faketime[] = {"env", "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1",
                                       "FAKETIME_DONT_FAKE_MONOTONIC=1", faketime_word, NULL};

static struct server server;
static struct client client;
static uint64_t ahead_s;

static void go_on(bool is_crash, uint64_t seconds)
{
    client_close(&client);
    if (is_crash) {
        server_kill9(&server);
    } else {
        EXPECT(server_term(&server) == 0, "the server did not end well");
    }
    ahead_s += seconds;
    snprintf(faketime_word, sizeof faketime_word, "FAKETIME=+%" PRIu64 "s", ahead_s);
    server.wrapper = faketime;
    server_restart(&server);
    client_open(&client, &server);
}

static void begin(void)
{
    static const char *const args[] = {"--threads", "1", NULL};
    ahead_s = 0;
    server = (struct server){.pid = 0};
    server_start(&server, args);
    client_open(&client, &server);
}

static void end(void)
{
    client_close(&client);
    dump_verify(&server);
    server_stop(&server);
}

/* ---- what the log says ---- */

struct logged {
    enum { LOGGED_VOTE, LOGGED_SEED, LOGGED_RESET } what;
    uint64_t ms, option, n, over_ms;
};

static struct logged records[RECORDS_MAX];
static size_t record_count;

/* The number behind `"key":` in a line; 0 without it. */
static uint64_t json_number(const char *line, const char *key)
{
    char word[32];
    snprintf(word, sizeof word, "\"%s\":", key);
    const char *at = strstr(line, word);
    return at != NULL ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static void read_log(void)
{
    char *rest = NULL;
    char *text = dump_json(&server);
    record_count = 0;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        bool is_vote = strstr(line, "\"type\":\"VOTE\"") != NULL;
        bool is_seed = strstr(line, "\"type\":\"SEED\"") != NULL;
        bool is_reset = strstr(line, "\"type\":\"RESET\"") != NULL;
        if (is_vote || is_seed || is_reset) {
            EXPECT(record_count < RECORDS_MAX, "too many records");
            records[record_count++] = (struct logged){.what = is_vote   ? LOGGED_VOTE
                                                              : is_seed ? LOGGED_SEED
                                                                        : LOGGED_RESET,
                                                      .ms = json_number(line, "time_ms"),
                                                      .option = json_number(line, "option"),
                                                      .n = json_number(line, "n"),
                                                      .over_ms = json_number(line, "over_ms")};
        }
    }
    free(text);
}

/* How many of the votes of a SEED are dated before a time; none is dated before the end of the
 * 5 s in which the poll was last reset. */
static uint64_t seeded(const struct logged *seed, uint64_t end_ms, uint64_t reset_ms)
{
    uint64_t from_ms = seed->ms - seed->over_ms;
    from_ms = from_ms < reset_ms ? reset_ms : from_ms;
    from_ms = from_ms < seed->ms ? from_ms : seed->ms;
    if (end_ms >= seed->ms) {
        return seed->n;
    }
    return end_ms <= from_ms ? 0 : seed->n * (end_ms - from_ms) / (seed->ms - from_ms);
}

/* Returns the votes of an option before a time, by the log. */
static uint64_t votes_before(uint64_t option, uint64_t end_ms)
{
    uint64_t votes = 0;
    uint64_t reset_ms = 0;
    for (size_t i = 0; i < record_count; i++) {
        const struct logged *record = &records[i];
        if (record->what == LOGGED_RESET) {
            votes = record->ms < end_ms ? 0 : votes;
            reset_ms = record->ms / 5000 * 5000 + 5000;
        } else if (record->option == option && record->what == LOGGED_SEED) {
            votes += seeded(record, end_ms, reset_ms);
        } else if (record->option == option && record->ms < end_ms) {
            votes += record->n;
        }
    }
    return votes;
}

/* ---- what TREND says ---- */

static void expect_line(const char *line, uint64_t end_ms, bool is_last)
{
    char word[64];
    uint64_t total = 0;
    unsigned options = 0;
    for (size_t w = 2; line_word(line, w, word, sizeof word); w++) {
        char *equals = NULL;
        uint64_t option = strtoull(word, &equals, 10);
        EXPECT(*equals == '=', "'%s'", line);
        uint64_t votes = votes_before(option, is_last ? UINT64_MAX : end_ms);
        uint64_t is = strtoull(equals + 1, NULL, 10);
        EXPECT(is == votes,
               "option %" PRIu64 " before %" PRIu64 ": %" PRIu64 ", by the log %" PRIu64, option,
               end_ms, is, votes);
        total += votes;
        options++;
    }
    EXPECT(options == OPTIONS, "%u options in '%s'", options, line);
    EXPECT(line_number(line, 1) == total, "total in '%s', not %" PRIu64, line, total);
}

static void expect_window(const char *window, size_t lines, uint64_t every_ms)
{
    const struct reply *reply = client_get(&client, "TREND lang %s TOP 100", window);
    EXPECT(reply_is_ok(reply) && reply->row_count == lines + 1, "'%s'", reply->line);
    uint64_t first_ms = line_number(reply->rows[1], 0);
    EXPECT(line_field_number(reply->rows[0], "every_ms") == every_ms, "'%s'", reply->rows[0]);
    EXPECT(line_field_number(reply->rows[0], "from_ms") == first_ms, "'%s'", reply->rows[0]);
    for (size_t i = 0; i < lines; i++) {
        uint64_t ms = first_ms + i * every_ms;
        EXPECT(line_number(reply->rows[i + 1], 0) == ms && ms % every_ms == 0, "'%s'",
               reply->rows[i + 1]);
        expect_line(reply->rows[i + 1], ms + every_ms, i + 1 == lines);
    }
    uint64_t end_ms = first_ms + lines * every_ms;
    uint64_t last_ms = record_count > 0 ? records[record_count - 1].ms : 0;
    EXPECT(last_ms < end_ms, "the last vote is behind the window");
}

static void expect_windows(void)
{
    read_log();
    expect_window("5m", 60, 5000);
    expect_window("1H", 120, 30000);
    expect_window("12h", 144, 300000);
    expect_window("24h", 144, 600000);
}

/* ---- the tests ---- */

/* Mostly some seconds or minutes, now and then hours. */
static uint64_t some_time(struct seed *seed)
{
    switch (seed_below(seed, 5)) {
    case 0:
        return 2 * 3600 + seed_below(seed, 7 * 3600);
    case 1:
        return 60 + seed_below(seed, 1200);
    case 2:
        return 20 + seed_below(seed, 60);
    default:
        return 1 + seed_below(seed, 20);
    }
}

static void change_something(struct seed *seed, unsigned step)
{
    for (unsigned i = 0; i < 4; i++) {
        const struct reply *reply =
            client_get(&client, "VOTE %u N %u", 1 + (unsigned)seed_below(seed, OPTIONS),
                       1 + (unsigned)seed_below(seed, 1000));
        EXPECT(reply_is_ok(reply), "'%s'", reply->line);
    }
    if (step % 3 == 0) {
        const struct reply *reply =
            client_get(&client, "SEED %u %u OVER %u", 1 + (unsigned)seed_below(seed, OPTIONS),
                       1 + (unsigned)seed_below(seed, 10000),
                       (unsigned)seed_below(seed, step % 2 == 0 ? 86400001 : 100000));
        EXPECT(reply_is_ok(reply), "'%s'", reply->line);
    }
    if (step % 7 == 3) {
        EXPECT(reply_is_ok(client_get(&client, "RESET lang")), "RESET");
    }
    if (step % 5 == 4) {
        EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
    }
}

static void all_windows_are_what_the_log_says(void)
{
    struct seed seed = {4711};
    begin();
    scene_poll(&client, "lang");
    for (unsigned i = 0; i < OPTIONS; i++) {
        char label[16];
        snprintf(label, sizeof label, "o%u", i);
        scene_option(&client, "lang", label);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        change_something(&seed, step);
        if (step % 4 == 0) {
            expect_windows();
        }
        go_on(step % 2 == 0, some_time(&seed));
        if (step % 4 == 2) {
            expect_windows();
        }
    }
    EXPECT(ahead_s > 86400, "less than a day has passed");
    expect_windows();
    end();
}

static void the_words_of_trend(void)
{
    begin();
    scene_poll(&client, "lang");
    scene_option(&client, "lang", "A");
    client_expect(&client, "OK *61", "TREND lang 5m");
    client_expect(&client, "OK *121", "trend lang 1h top 1");
    client_expect(&client, "OK *145", "TREND lang 12h TOP 100");
    client_expect(&client, "OK *145", "TREND lang 24h");
    client_expect_err(&client, "INVAL", "TREND lang 5");
    client_expect_err(&client, "INVAL", "TREND lang 6m");
    client_expect_err(&client, "INVAL", "TREND lang 5mm");
    client_expect_err(&client, "RANGE", "TREND lang 5m TOP 0");
    client_expect_err(&client, "RANGE", "TREND lang 5m TOP 101");
    client_expect_err(&client, "NOTFOUND", "TREND no 5m");
    client_expect_err(&client, "ARGS", "TREND lang");
    end();
}

/* Reads a TREND of a poll; returns its last line. */
static const char *last_line(const char *words)
{
    const struct reply *reply = client_get(&client, "TREND %s", words);
    EXPECT(reply_is_ok(reply) && reply->row_count > 1, "'%s'", reply->line);
    return reply->rows[reply->row_count - 1];
}

static void add_options(unsigned from, unsigned until)
{
    for (unsigned i = from; i < until; i++) {
        EXPECT(client_send(&client, "OPTION big o%u", i), "OPTION");
    }
    for (unsigned i = from; i < until; i++) {
        EXPECT(reply_is_ok(client_next(&client)), "OPTION");
    }
}

/* A poll of more options than a slice has a rank. */
static void the_leading_options_of_a_large_poll(void)
{
    begin();
    scene_poll(&client, "big");
    add_options(0, SLICE);
    client_expect(&client, "OK 2", "VOTE big/o511 N 2");
    EXPECT(strstr(last_line("big 5m TOP 1"), " 2 512=2") != NULL, "the last of a slice");
    add_options(SLICE, SLICE + 1);
    client_expect(&client, "OK 3", "VOTE big/o512 N 3");
    EXPECT(strstr(last_line("big 5m TOP 2"), " 5 513=3 512=2") != NULL, "the first of a rank");
    add_options(SLICE + 1, LARGE);
    client_expect(&client, "OK 7", "VOTE big/o599 N 7");
    client_expect(&client, "OK 9", "VOTE big/o20 N 9");
    client_expect(&client, "OK 1", "VOTE big/o30");
    const char *line = last_line("big 24h TOP 3");
    EXPECT(strstr(line, " 22 21=9 600=7 513=3") != NULL, "'%s'", line);
    client_expect(&client, "OK 10", "SEED big/o599 3");
    line = last_line("big 5m TOP 2");
    EXPECT(strstr(line, " 25 600=10 21=9") != NULL, "'%s'", line);
    end();
}

static void seeds_are_votes_that_are_dated_back(void)
{
    begin();
    scene_poll(&client, "lang");
    scene_option(&client, "lang", "A");
    client_expect(&client, "OK 10", "SEED 1 10 OVER 0");
    client_expect(&client, "OK 1048586", "SEED lang/a 1048576 KEY k");
    client_expect(&client, "OK 1048586 dup=1", "SEED lang/a 1048576 KEY k");
    client_expect(&client, "OK 1048587", "SEED 1 1 OVER 86400000");
    client_expect_err(&client, "EXISTS", "SEED 1 1 KEY k");
    client_expect_err(&client, "RANGE", "SEED 1 0");
    client_expect_err(&client, "RANGE", "SEED 1 1048577");
    client_expect_err(&client, "RANGE", "SEED 1 1 OVER 86400001");
    client_expect_err(&client, "NOTFOUND", "SEED 2 1");
    client_expect_err(&client, "INVAL", "SEED 1x 1");
    client_expect_err(&client, "INVAL", "SEED 1 1x");
    client_expect_err(&client, "ARGS", "SEED 1");
    go_on(true, 1);
    client_expect(&client, "OK 1048586 dup=1", "SEED lang/a 1048576 KEY k");
    EXPECT(scene_total(&client, "lang") == 1048587, "another total");
    client_expect(&client, "OK", "POLL lang CLOSE 1");
    client_expect_err(&client, "CLOSED", "SEED 1 1");
    client_expect(&client, "OK", "POLL once MODE once");
    scene_option(&client, "once", "A");
    client_expect_err(&client, "DENIED", "SEED once/A 1");
    client_expect(&client, "OK", "POLL change MODE change");
    scene_option(&client, "change", "A");
    client_expect_err(&client, "DENIED", "SEED change/A 1");
    end();
}

/* Seeds and plain votes of two connections step one word: each count comes once. */
static void seeds_race_with_votes(void)
{
    enum { ROUNDS = 200 };
    static bool seen[2 * ROUNDS + 1];
    struct client other;
    begin();
    scene_poll(&client, "lang");
    scene_option(&client, "lang", "A");
    client_open(&other, &server);
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < ROUNDS; i++) {
        EXPECT(client_send(&client, "VOTE 1"), "VOTE");
        EXPECT(client_send(&other, "SEED 1 1"), "SEED");
    }
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        const struct reply *reply = client_next(i < ROUNDS ? &client : &other);
        uint64_t after = line_number(reply->line, 1);
        EXPECT(reply_is_ok(reply) && after <= 2 * ROUNDS && !seen[after], "'%s'", reply->line);
        seen[after] = true;
    }
    client_close(&other);
    EXPECT(scene_total(&client, "lang") == 2 * ROUNDS, "another total");
    end();
}

static const struct check_test tests[] = {
    {"All windows are what the log says, over a day of restarts",
     all_windows_are_what_the_log_says},
    {"The words of TREND, and their bounds", the_words_of_trend},
    {"A large poll shows its leading options", the_leading_options_of_a_large_poll},
    {"Seeds are votes that are dated back, with all their bounds",
     seeds_are_votes_that_are_dated_back},
    {"Seeds race with votes, and each count comes once", seeds_race_with_votes},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
