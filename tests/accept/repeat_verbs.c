/* KEY on each verb that has it: the same request sent again, at once or after a crash, is done once
 * and always answered with the first reply. For votes beside their log: repeat.c. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/count.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 50, ROUNDS = 20, LINE_ROOM = 256 };

static struct server server;
static struct client clients[CLIENTS];

/* A request with a KEY, another one in each round. */
struct keyed_verb {
    const char *what;
    void (*write)(char line[LINE_ROOM], size_t round);
    char first[ROUNDS][LINE_ROOM]; /* the first reply */
};

static void write_option(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "OPTION lang \"Option %zu\" KEY k-%zu", round, round);
}

static void write_submit(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "SUBMIT line UNIQ u-%zu KEY k-%zu build", round, round);
}

static void write_vote(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "VOTE free/A N 3 KEY k-%zu", round);
}

static void write_vote_once(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "VOTE once/A VOTER v-%zu KEY once-%zu", round, round);
}

/* The voters of two rounds are the same: the second ballot moves the first one. */
static void write_vote_change(char line[LINE_ROOM], size_t round)
{
    static const uint64_t two[] = {4, 5};
    snprintf(line, LINE_ROOM, "VOTE %" PRIu64 " 6 VOTER v-%zu KEY change-%zu", two[round % 2],
             round / 2, round);
}

/* Takes back what write_vote_once has voted; in every third round there is nothing to take back. */
static void write_unvote(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "UNVOTE once VOTER %c-%zu KEY k-%zu", round % 3 == 0 ? 'n' : 'v',
             round, round);
}

static void write_seed(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "SEED free/A 100 OVER 60000 KEY k-%zu", round);
}

/* A poll that gets one vote before each; the first reply says how many votes it took away. */
static void write_reset(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "RESET fresh KEY k-%zu", round);
}

static struct keyed_verb verbs[] = {
    {.what = "OPTION", .write = write_option},
    {.what = "SUBMIT", .write = write_submit},
    {.what = "VOTE, free", .write = write_vote},
    {.what = "VOTE, once", .write = write_vote_once},
    {.what = "VOTE, change", .write = write_vote_change},
    {.what = "UNVOTE", .write = write_unvote},
    {.what = "SEED", .write = write_seed},
    {.what = "RESET", .write = write_reset},
};

static void set_up(struct client *client)
{
    scene_poll(client, "lang");
    scene_poll(client, "free");
    client_expect(client, "OK", "POLL once MODE once");
    client_expect(client, "OK", "POLL change MODE change");
    EXPECT(scene_option(client, "free", "A") == 1 && scene_option(client, "once", "A") == 2 &&
               scene_option(client, "once", "B") == 3 && scene_option(client, "change", "A") == 4 &&
               scene_option(client, "change", "B") == 5 && scene_option(client, "change", "C") == 6,
           "other ids");
    scene_poll(client, "fresh");
    EXPECT(scene_option(client, "fresh", "A") == 7, "another id");
    client_expect(client, "OK 1", "VOTE 7");
}

/* Whether a reply is a repetition; takes the words off that say so. NIL never says so. */
static bool take_dup(char *line)
{
    size_t len = strlen(line);
    bool is_dup = len > 6 && strcmp(line + len - 6, " dup=1") == 0;
    if (is_dup)
        line[len - 6] = '\0';
    return is_dup;
}

/* All clients send the same request before any reply is read: so many are no repetition, and all
 * have one reply, which is left in the verb. */
static void ask_at_once(struct keyed_verb *keyed, size_t round, size_t originals)
{
    char line[LINE_ROOM];
    char *first = keyed->first[round];
    size_t firsts = 0;
    keyed->write(line, round);
    for (size_t i = 0; i < CLIENTS; i++)
        EXPECT(client_send(&clients[i], "%s", line), "cut off");
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct reply *reply = client_next(&clients[i]);
        bool is_nil = reply_is(reply, "NIL");
        EXPECT(reply_is_ok(reply) || is_nil, "'%s': '%s'", line, reply->line);
        firsts += !take_dup(reply->line);
        if (first[0] == '\0')
            snprintf(first, LINE_ROOM, "%s", reply->line);
        EXPECT(strcmp(first, reply->line) == 0, "'%s': '%s' and '%s'", line, first, reply->line);
        EXPECT(!is_nil || firsts == i + 1, "'%s'", reply->line);
    }
    EXPECT(firsts == originals || strcmp(first, "NIL") == 0, "'%s': %zu were no repetition", line,
           firsts);
}

static void expect_known(struct client *client, const struct keyed_verb *keyed)
{
    char line[LINE_ROOM];
    for (size_t round = 0; round < ROUNDS; round++) {
        keyed->write(line, round);
        const struct reply *reply = client_get(client, "%s", line);
        bool is_dup = take_dup(reply->line);
        EXPECT(is_dup || reply_is(reply, "NIL"), "'%s' is no repetition", line);
        EXPECT(strcmp(reply->line, keyed->first[round]) == 0, "'%s': '%s'", line, reply->line);
    }
}

static void expect_counts(struct client *client)
{
    const struct reply *reply = client_get(client, "POLLS AFTER fresh");
    EXPECT(line_field_number(reply->rows[0], "options") == ROUNDS, "'%s'", reply->rows[0]);
    reply = client_get(client, "QUEUES line");
    EXPECT(line_field_number(reply->rows[0], "pending") == ROUNDS, "'%s'", reply->rows[0]);
    EXPECT(scene_votes(client, "free", 1) == 103 * ROUNDS, "free");
    EXPECT(scene_votes(client, "once", 2) == (ROUNDS + 2) / 3, "once");
    EXPECT(scene_votes(client, "change", 4) == 0, "change, moved away");
    EXPECT(scene_votes(client, "change", 5) == ROUNDS / 2, "change, moved to");
    EXPECT(scene_votes(client, "change", 6) == ROUNDS / 2, "change, kept");
}

/* A repetition is no event, though one that came at once with the first has a record. */
static void expect_events(struct client *client)
{
    const struct reply *reply =
        client_get(client, "EVENTS FROM 1 COUNT 1000 MATCH poll/lang queue/line");
    EXPECT(reply->row_count == 1 + 2 * ROUNDS, "%zu events", reply->row_count);
}

static void crash(void)
{
    server_crash(&server);
    client_close_all(clients, CLIENTS);
    client_open_all(clients, CLIENTS, &server);
}

static void counted_once(void)
{
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    set_up(&clients[0]);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT_OF(verbs); i++)
            ask_at_once(&verbs[i], round, 1);
        /* it counts from 0 each time: the reset of this round took one vote away, once */
        EXPECT(strcmp(verbs[COUNT_OF(verbs) - 1].first[round], "OK 1") == 0, "RESET");
        client_expect(&clients[0], "OK 1", "VOTE fresh/A");
        if (round % 8 == 7)
            crash();
        for (size_t i = 0; i < COUNT_OF(verbs); i++)
            ask_at_once(&verbs[i], round, 0);
    }
    expect_counts(&clients[0]);
    expect_events(&clients[0]);
    /* from the log, and from a snapshot and the log behind it */
    EXPECT(reply_is_ok(client_get(&clients[0], "SNAPSHOT")), "no snapshot");
    crash();
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        expect_known(&clients[1], &verbs[i]);
    expect_counts(&clients[0]);
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

/* Requests are sent, and the server is killed before a reply is read. Whoever then sends them again
 * gets a number for each, every time the same, and each is done once. */
static void repeated_after_a_crash(void)
{
    enum { MANY = 200 };
    static uint64_t ids[MANY];
    struct client client;
    server_start(&server, NULL);
    for (size_t crashes = 0; crashes < 5; crashes++) {
        client_open(&client, &server);
        for (size_t i = 0; i < MANY; i++)
            EXPECT(client_send(&client, "SUBMIT line KEY job-%zu build", i), "cut off");
        for (size_t i = 0; i < crashes * MANY / 5; i++)
            (void)client_next(&client);
        server_kill9(&server);
        client_close(&client);
        server_restart(&server);
    }
    client_open(&client, &server);
    for (size_t i = 0; i < MANY; i++)
        ids[i] = line_number(client_get(&client, "SUBMIT line KEY job-%zu build", i)->line, 1);
    for (size_t i = 0; i < MANY; i++) {
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "OK %" PRIu64 " dup=1", ids[i]);
        client_expect(&client, wanted, "SUBMIT line KEY job-%zu build", i);
        EXPECT(i == 0 || ids[i] > ids[i - 1], "two jobs have one id");
    }
    const struct reply *reply = client_get(&client, "QUEUES line");
    EXPECT(line_field_number(reply->rows[0], "pending") == MANY, "'%s'", reply->rows[0]);
    client_close(&client);
    server_stop(&server);
}

/* A ballot of a poll of MODE once has a record, that of a free poll is a step of the committer:
 * with one key, sent at once, one of them is done. */
static void two_polls_with_one_key(void)
{
    enum { TIMES = 500 };
    struct client both[2];
    uint64_t done = 0;
    server_start(&server, NULL);
    client_open_all(both, 2, &server);
    set_up(&both[0]);
    for (size_t i = 0; i < TIMES; i++) {
        for (size_t k = 0; k < 2; k++) {
            bool is_free = (i + k) % 2 == 0;
            EXPECT(is_free ? client_send(&both[k], "VOTE 1 KEY k-%zu", i)
                           : client_send(&both[k], "VOTE 2 VOTER v-%zu KEY k-%zu", i, i),
                   "cut off");
        }
    }
    for (size_t i = 0; i < 2 * TIMES; i++) {
        const struct reply *reply = client_next(&both[i / TIMES]);
        EXPECT(reply_is_ok(reply) || reply_is_err(reply, "EXISTS"), "'%s'", reply->line);
        done += reply_is_ok(reply);
    }
    EXPECT(done == TIMES, "%" PRIu64 " of %d keys were used", done, TIMES);
    EXPECT(scene_total(&both[0], "free") + scene_total(&both[0], "once") == TIMES, "votes");
    server_crash(&server);
    client_close_all(both, 2);
    client_open(&both[0], &server);
    EXPECT(scene_total(&both[0], "free") + scene_total(&both[0], "once") == TIMES, "after a crash");
    client_close(&both[0]);
    server_stop(&server);
}

/* What a key is, and what it is not. */
static void told_apart(void)
{
    struct client client;
    char name[80] = "";
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    client_expect(&client, "OK 1", "OPTION lang Rust KEY k");
    client_expect_err(&client, "EXISTS", "OPTION lang C KEY k");
    const struct reply *reply = client_get(&client, "OPTION lang C KEY k");
    EXPECT(strstr(reply->line, "KEY") != NULL, "it does not say why: '%s'", reply->line);
    client_expect(&client, "OK 1 dup=1", "OPTION lang Rust KEY k");
    client_expect_err(&client, "EXISTS", "OPTION lang Rust KEY other");
    client_expect_err(&client, "EXISTS", "OPTION lang Rust");
    /* keys of different verbs do not meet */
    client_expect(&client, "OK 1", "SUBMIT line KEY k build");
    client_expect(&client, "OK 1 dup=1", "SUBMIT line KEY k build");
    client_expect(&client, "OK 1 dup=1", "submit line pri 5 key k $5\nbuild");
    client_expect_err(&client, "EXISTS", "SUBMIT line KEY k other");
    client_expect_err(&client, "EXISTS", "SUBMIT line PRI 1 KEY k build");
    /* what was counted is told also when it would not be counted now */
    client_expect(&client, "OK 1", "VOTE 1 KEY v");
    client_expect(&client, "OK 1 dup=1", "VOTE lang/RUST KEY v");
    client_expect(&client, "OK", "POLL lang MODE once");
    client_expect(&client, "OK 1 dup=1", "VOTE 1 KEY v");
    client_expect_err(&client, "INVAL", "VOTE 1 KEY v2");
    client_expect(&client, "OK", "POLL lang CLOSE 1");
    client_expect(&client, "OK 1 dup=1", "VOTE 1 KEY v");
    client_expect_err(&client, "EXISTS", "VOTE 1 N 2 KEY v");
    client_expect_err(&client, "CLOSED", "VOTE 1 VOTER me KEY v2");
    /* what was refused is tried anew */
    client_expect_err(&client, "NOTFOUND", "OPTION later Rust KEY n");
    scene_poll(&client, "later");
    client_expect(&client, "OK 2", "OPTION later Rust KEY n");
    /* bounds */
    memset(name, 'k', 64);
    client_expect(&client, "OK 3", "OPTION lang Zig KEY %s", name);
    client_expect(&client, "OK 3 dup=1", "OPTION lang Zig KEY %s", name);
    client_expect(&client, "OK 4", "OPTION lang Ada KEY \"\\x00\\n \"");
    client_expect(&client, "OK 4 dup=1", "OPTION lang Ada KEY \"\\x00\\n\\x20\"");
    name[64] = 'k';
    client_expect_err(&client, "INVAL", "OPTION lang Go KEY %s", name);
    client_expect_err(&client, "INVAL", "SUBMIT line KEY %s build", name);
    client_expect_err(&client, "INVAL", "OPTION lang Go KEY \"\"");
    client_expect_err(&client, "INVAL", "SUBMIT line KEY \"\" build");
    client_expect_err(&client, "ARGS", "OPTION lang Go KEY");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"a key sent from 50 connections at once, and again after kill -9, counts once", counted_once},
    {"requests whose replies were lost are sent again, and each is done once",
     repeated_after_a_crash},
    {"of two ballots with one key one is done, whatever the modes of their polls are",
     two_polls_with_one_key},
    {"a key belongs to one request of one verb; a refused request is tried anew", told_apart},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
