/* KEY: the same request sent again, at once or after a crash, is done once and always answered with
 * the first reply. */
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

/* A verb with a KEY. */
struct keyed_verb {
    const char *verb;
    void (*write)(char line[LINE_ROOM], size_t round);
    uint64_t first[ROUNDS]; /* the number of the first reply */
};

static void write_option(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "OPTION lang \"Option %zu\" KEY k-%zu", round, round);
}

static void write_submit(char line[LINE_ROOM], size_t round)
{
    snprintf(line, LINE_ROOM, "SUBMIT line UNIQ u-%zu KEY k-%zu build", round, round);
}

static struct keyed_verb verbs[] = {
    {.verb = "OPTION", .write = write_option},
    {.verb = "SUBMIT", .write = write_submit},
};

/* All clients send the same request before any reply is read: exactly one is no repetition, and all
 * have one number. Returns the number. */
static uint64_t ask_at_once(const struct keyed_verb *keyed, size_t round, size_t originals)
{
    char line[LINE_ROOM];
    uint64_t number = UINT64_MAX;
    size_t firsts = 0;
    keyed->write(line, round);
    for (size_t i = 0; i < CLIENTS; i++)
        EXPECT(client_send(&clients[i], "%s", line), "cut off");
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct reply *reply = client_next(&clients[i]);
        EXPECT(reply_is_ok(reply), "%s: client %zu got '%s'", keyed->verb, i, reply->line);
        uint64_t got = line_number(reply->line, 1);
        bool is_dup = line_field_number(reply->line, "dup") == 1;
        firsts += !is_dup;
        EXPECT(number == UINT64_MAX || got == number, "%s: %" PRIu64 " and %" PRIu64, keyed->verb,
               number, got);
        number = got;
    }
    EXPECT(firsts == originals, "%s: %zu of the replies were no repetition", keyed->verb, firsts);
    return number;
}

static void expect_known(struct client *client, const struct keyed_verb *keyed)
{
    char line[LINE_ROOM];
    char wanted[64];
    for (size_t round = 0; round < ROUNDS; round++) {
        keyed->write(line, round);
        snprintf(wanted, sizeof(wanted), "OK %" PRIu64 " dup=1", keyed->first[round]);
        client_expect(client, wanted, "%s", line);
    }
}

static void expect_counts(struct client *client)
{
    const struct reply *reply = client_get(client, "POLLS");
    EXPECT(reply->row_count == 1 && line_field_number(reply->rows[0], "options") == ROUNDS, "'%s'",
           reply->rows[0]);
    reply = client_get(client, "QUEUES line");
    EXPECT(line_field_number(reply->rows[0], "pending") == ROUNDS, "'%s'", reply->rows[0]);
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
    scene_poll(&clients[0], "lang");
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT_OF(verbs); i++)
            verbs[i].first[round] = ask_at_once(&verbs[i], round, 1);
        if (round % 8 == 7)
            crash();
        for (size_t i = 0; i < COUNT_OF(verbs); i++)
            EXPECT(ask_at_once(&verbs[i], round, 0) == verbs[i].first[round], "%s", verbs[i].verb);
    }
    expect_counts(&clients[0]);
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
    {"a key belongs to one request of one verb; a refused request is tried anew", told_apart},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
