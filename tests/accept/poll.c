/* A1 to A5: votes cast at once are all counted, once, also after a crash. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/dump.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 100, VOTERS_MAX = 100, OPTIONS_MAX = 3 };

/* One race, repeated RUNS times on fresh polls. */
struct vote_race {
    size_t voters;
    size_t options;  /* the voters choose them in turn */
    uint64_t before; /* votes each option has when the race starts */
};

static struct server server;
static struct client voters[VOTERS_MAX];
static uint64_t option_ids[RUNS][OPTIONS_MAX];

static void name_poll(char name[32], size_t run)
{
    snprintf(name, 32, "poll-%zu", run);
}

static void set_up_poll(struct client *client, const struct vote_race *race, size_t run)
{
    char poll[32], label[32];
    name_poll(poll, run);
    scene_poll(client, poll);
    for (size_t i = 0; i < race->options; i++) {
        snprintf(label, sizeof(label), "Option-%zu", i);
        option_ids[run][i] = scene_option(client, poll, label);
        scene_vote_times(client, option_ids[run][i], 0, race->before);
    }
}

/* Every voter is connected before the first one votes, and every vote is sent before the first
 * reply is read. */
static void vote_at_once(const struct vote_race *race, size_t run)
{
    bool told[OPTIONS_MAX][VOTERS_MAX] = {{false}};
    for (size_t i = 0; i < race->voters; i++) {
        uint64_t option = option_ids[run][i % race->options];
        EXPECT(client_send(&voters[i], "VOTE %" PRIu64, option), "voter %zu is cut off", i);
    }
    for (size_t i = 0; i < race->voters; i++) {
        const struct reply *reply = client_next(&voters[i]);
        uint64_t nth = line_number(reply->line, 1) - race->before - 1;
        EXPECT(reply_is_ok(reply) && nth < race->voters / race->options,
               "run %zu, voter %zu got '%s'", run, i, reply->line);
        EXPECT(!told[i % race->options][nth], "run %zu: two voters got '%s'", run, reply->line);
        told[i % race->options][nth] = true;
    }
}

static void expect_tally(struct client *client, const struct vote_race *race, size_t run)
{
    char poll[32];
    uint64_t each = race->before + race->voters / race->options;
    name_poll(poll, run);
    uint64_t total = scene_total(client, poll);
    EXPECT(total == each * race->options, "run %zu: total=%" PRIu64, run, total);
    for (size_t i = 0; i < race->options; i++) {
        uint64_t votes = scene_votes(client, poll, option_ids[run][i]);
        EXPECT(votes == each, "run %zu: option %zu has %" PRIu64 " votes", run, i, votes);
    }
}

/* The events of every race so far are exactly 1, 2, 3, … for each option. */
static void expect_events(const struct vote_race *race, size_t runs)
{
    struct dump_votes votes;
    dump_votes_read(&votes, &server);
    for (size_t run = 0; run < runs; run++) {
        for (size_t i = 0; i < race->options; i++) {
            dump_votes_expect(&votes, option_ids[run][i],
                              race->before + race->voters / race->options);
        }
    }
    dump_votes_fini(&votes);
}

static void run_race(const struct vote_race *race)
{
    server_start(&server, NULL);
    client_open_all(voters, race->voters, &server);
    for (size_t run = 0; run < RUNS; run++) {
        set_up_poll(&voters[0], race, run);
        vote_at_once(race, run);
        server_crash(&server);
        client_close_all(voters, race->voters);
        client_open_all(voters, race->voters, &server);
        expect_tally(&voters[0], race, run);
    }
    expect_events(race, RUNS);
    server_crash(&server);
    client_close_all(voters, race->voters);
    client_open(&voters[0], &server);
    for (size_t run = 0; run < RUNS; run++) {
        expect_tally(&voters[0], race, run);
    }
    client_close(&voters[0]);
    expect_events(race, RUNS);
    server_stop(&server);
}

static void a1_hundred_clients(void)
{
    run_race(&(struct vote_race){.voters = 100, .options = 1});
}

static void a2_twenty_events(void)
{
    run_race(&(struct vote_race){.voters = 20, .options = 1});
}

static void a3_three_options(void)
{
    run_race(&(struct vote_race){.voters = 90, .options = 3});
}

static void a4_on_top_of_existing(void)
{
    run_race(&(struct vote_race){.voters = 25, .options = 1, .before = 50});
}

static void expect_bad_votes(struct client *client)
{
    client_expect_err(client, "NOTFOUND", "VOTE 999999");
    client_expect_err(client, "NOTFOUND", "VOTE nowhere/Yes");
    client_expect_err(client, "NOTFOUND", "VOTE a5/No");
    client_expect_err(client, "INVAL", "VOTE abc");
    client_expect_err(client, "INVAL", "VOTE 12abc");
    client_expect(client, "OK PONG", "PING");
}

static void a5_bad_ids(void)
{
    struct client client;
    struct dump_votes votes;
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "a5");
    uint64_t option = scene_option(&client, "a5", "Yes");
    client_expect(&client, "OK 1", "VOTE %" PRIu64, option);

    expect_bad_votes(&client);
    EXPECT(scene_total(&client, "a5") == 1, "a bad vote was counted");
    client_expect(&client, "OK 2", "VOTE a5/yes");

    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
    EXPECT(scene_total(&client, "a5") == 2, "the crash changed the count");
    expect_bad_votes(&client);
    EXPECT(scene_total(&client, "a5") == 2, "a bad vote was counted");
    client_close(&client);
    dump_votes_read(&votes, &server);
    dump_votes_expect(&votes, option, 2);
    dump_votes_fini(&votes);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"A1: 100 clients vote at once and exactly 100 votes are counted", a1_hundred_clients},
    {"A2: the events of 20 concurrent votes are exactly 1 to 20", a2_twenty_events},
    {"A3: 3 options with 30 concurrent votes each have 30 each", a3_three_options},
    {"A4: 25 concurrent votes on top of 50 make 75", a4_on_top_of_existing},
    {"A5: an unknown id, a word and 12abc are an error each and nothing is counted", a5_bad_ids},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
