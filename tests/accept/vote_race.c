/* One race, repeated on fresh polls. */
#include "tests/accept/vote_race.h"

#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct server server;
static struct client voters[VOTE_RACE_VOTERS_MAX];
static uint64_t option_ids[VOTE_RACE_RUNS][VOTE_RACE_OPTIONS_MAX];
static uint64_t told[VOTE_RACE_RUNS][VOTE_RACE_VOTERS_MAX];

static void name_poll(char name[32], size_t run)
{
    snprintf(name, 32, "poll-%zu", run);
}

static bool send_vote(const struct vote_race *race, struct client *client, uint64_t option,
                      const char *name)
{
    char words[160] = "";
    if (race->has_voter) {
        snprintf(words, sizeof(words), " VOTER %s", name);
    }
    if (race->has_key) {
        size_t len = strlen(words);
        snprintf(words + len, sizeof(words) - len, " KEY %s", name);
    }
    return client_send(client, "VOTE %" PRIu64 "%s", option, words);
}

static void vote_before(const struct vote_race *race, struct client *client, size_t run, size_t i)
{
    char name[64];
    for (uint64_t v = 1; v <= race->before; v++) {
        snprintf(name, sizeof(name), "before-%zu-%zu-%" PRIu64, run, i, v);
        EXPECT(send_vote(race, client, option_ids[run][i], name), "cut off");
    }
    for (uint64_t v = 1; v <= race->before; v++) {
        const struct reply *reply = client_next(client);
        EXPECT(line_number(reply->line, 1) == v, "vote %" PRIu64 " gave '%s'", v, reply->line);
    }
}

static void set_up_poll(struct client *client, const struct vote_race *race, size_t run)
{
    char poll[32], label[32];
    name_poll(poll, run);
    client_expect(client, "OK", "POLL %s%s%s", poll, race->mode != NULL ? " MODE " : "",
                  race->mode != NULL ? race->mode : "");
    for (size_t i = 0; i < race->options; i++) {
        snprintf(label, sizeof(label), "Option-%zu", i);
        option_ids[run][i] = scene_option(client, poll, label);
        vote_before(race, client, run, i);
    }
}

static void name_voter(char name[64], size_t run, size_t i)
{
    snprintf(name, 64, "v-%zu-%zu", run, i);
}

static void send_all(const struct vote_race *race, size_t run)
{
    char name[64];
    for (size_t i = 0; i < race->voters; i++) {
        name_voter(name, run, i);
        bool is_sent = send_vote(race, &voters[i], option_ids[run][i % race->options], name);
        EXPECT(is_sent, "voter %zu is cut off", i);
    }
}

/* Every voter is connected before the first one votes, and every vote is sent before the first
 * reply is read. */
static void vote_at_once(const struct vote_race *race, size_t run)
{
    bool was_told[VOTE_RACE_OPTIONS_MAX][VOTE_RACE_VOTERS_MAX] = {{false}};
    send_all(race, run);
    for (size_t i = 0; i < race->voters; i++) {
        const struct reply *reply = client_next(&voters[i]);
        told[run][i] = line_number(reply->line, 1);
        uint64_t nth = told[run][i] - race->before - 1;
        EXPECT(reply_is_ok(reply) && nth < race->voters / race->options,
               "run %zu, voter %zu got '%s'", run, i, reply->line);
        EXPECT(!was_told[i % race->options][nth], "run %zu: two voters got '%s'", run, reply->line);
        was_told[i % race->options][nth] = true;
    }
}

/* The same requests again: none counts. */
static void vote_again(const struct vote_race *race, size_t run)
{
    char first[64];
    if (!race->has_voter && !race->has_key) {
        return;
    }
    send_all(race, run);
    for (size_t i = 0; i < race->voters; i++) {
        const struct reply *reply = client_next(&voters[i]);
        snprintf(first, sizeof(first), "OK %" PRIu64 " dup=1", told[run][i]);
        EXPECT(race->has_key ? reply_is(reply, first) : reply_is_err(reply, "VOTED"),
               "run %zu, voter %zu was told %" PRIu64 ", and then '%s'", run, i, told[run][i],
               reply->line);
    }
}

/* What is heard of the poll: each option's votes are told as 1, 2, 3, ... and a voter's with the
 * count that the voter was told (A6). */
static void expect_heard(struct client *client, const struct vote_race *race, size_t run)
{
    uint64_t heard[VOTE_RACE_OPTIONS_MAX] = {0};
    char voter[64], name[64];
    const struct reply *reply =
        client_get(client, "EVENTS COUNT 1000 MATCH poll/poll-%zu EACH", run);
    for (size_t r = 0; r < reply->row_count; r++) {
        const char *row = reply->rows[r];
        uint64_t option = line_field_number(row, "option") - option_ids[run][0];
        uint64_t votes = line_field_number(row, "votes");
        if (votes == UINT64_MAX) {
            continue;
        }
        EXPECT(option < race->options && votes == ++heard[option], "run %zu heard '%s'", run, row);
        for (size_t i = 0; line_field(row, "voter", voter, sizeof(voter)) && i < race->voters;
             i++) {
            name_voter(name, run, i);
            EXPECT(strcmp(voter, name) != 0 || votes == told[run][i],
                   "voter %zu was told %" PRIu64 ", heard is '%s'", i, told[run][i], row);
        }
    }
    for (size_t i = 0; i < race->options; i++) {
        EXPECT(heard[i] == race->before + race->voters / race->options,
               "run %zu: %" PRIu64 " votes of option %zu are heard", run, heard[i], i);
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

/* The log has, of each voter or key, what the client was told. */
static void expect_told(const struct fold_record *record, bool has_voter)
{
    size_t run, i;
    const char *name = has_voter ? record->voter : record->key;
    if (!record->has_counted || sscanf(name, "v-%zu-%zu", &run, &i) != 2) {
        return;
    }
    EXPECT(run < VOTE_RACE_RUNS && i < VOTE_RACE_VOTERS_MAX && record->votes[0] == told[run][i],
           "the log has %" PRIu64 " votes behind the one of %s, who was told %" PRIu64,
           record->votes[0], name, told[run][i]);
}

/* The events of every race so far are exactly 1, 2, 3, … for each option. */
static void expect_events(const struct vote_race *race)
{
    struct fold fold;
    fold_begin(&fold, &server);
    while (fold_next(&fold)) {
        expect_told(&fold.record, race->has_voter);
    }
    for (size_t run = 0; run < race->runs; run++) {
        for (size_t i = 0; i < race->options; i++) {
            fold_expect_votes(&fold, option_ids[run][i],
                              race->before + race->voters / race->options);
        }
    }
    fold_fini(&fold);
}

void vote_race_run(const struct vote_race *race)
{
    server_start(&server, NULL);
    client_open_all(voters, race->voters, &server);
    for (size_t run = 0; run < race->runs; run++) {
        set_up_poll(&voters[0], race, run);
        vote_at_once(race, run);
        expect_heard(&voters[0], race, run);
        server_crash(&server);
        client_close_all(voters, race->voters);
        client_open_all(voters, race->voters, &server);
        vote_again(race, run);
        expect_heard(&voters[0], race, run);
        expect_tally(&voters[0], race, run);
    }
    expect_events(race);
    server_crash(&server);
    client_close_all(voters, race->voters);
    client_open(&voters[0], &server);
    for (size_t run = 0; run < race->runs; run++) {
        expect_tally(&voters[0], race, run);
    }
    client_close(&voters[0]);
    expect_events(race);
    server_stop(&server);
}

static void expect_bad_votes(struct client *client, const char *words)
{
    client_expect_err(client, "NOTFOUND", "VOTE 999999%s", words);
    client_expect_err(client, "NOTFOUND", "VOTE nowhere/Yes%s", words);
    client_expect_err(client, "NOTFOUND", "VOTE a5/No%s", words);
    client_expect_err(client, "INVAL", "VOTE abc%s", words);
    client_expect_err(client, "INVAL", "VOTE 12abc%s", words);
    client_expect(client, "OK PONG", "PING");
}

void vote_race_bad_ids(const char *mode, const char *words)
{
    struct client client;
    struct fold fold;
    server_start(&server, NULL);
    client_open(&client, &server);
    client_expect(&client, "OK", "POLL a5 MODE %s", mode);
    uint64_t option = scene_option(&client, "a5", "Yes");
    client_expect(&client, "OK 1", "VOTE %" PRIu64 "%s1", option, words);

    expect_bad_votes(&client, words);
    EXPECT(scene_total(&client, "a5") == 1, "a bad vote was counted");
    client_expect(&client, "OK 2", "VOTE a5/yes%s2", words);

    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
    EXPECT(scene_total(&client, "a5") == 2, "the crash changed the count");
    expect_bad_votes(&client, words);
    EXPECT(scene_total(&client, "a5") == 2, "a bad vote was counted");
    client_close(&client);
    fold_begin(&fold, &server);
    fold_all(&fold);
    fold_expect_votes(&fold, option, 2);
    fold_fini(&fold);
    server_stop(&server);
}
