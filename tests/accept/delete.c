/* POLLDEL: a poll is gone at once and for good, whoever votes meanwhile, and its name is free. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/dump.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { CLIENTS = 6, BURST = 10, ROUNDS = 20, MANY = 3000 };

static struct server server;
static struct client clients[CLIENTS], owner;

static void set_up(void)
{
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    client_open(&owner, &server);
}

static void end(void)
{
    client_close_all(clients, CLIENTS);
    client_close(&owner);
    dump_verify(&server);
    server_stop(&server);
}

/* Sends all requests, then expects each reply; so each request finds what those before it did. */
static void expect_pairs(const char *const pairs[][2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        EXPECT(client_send(&owner, "%s", pairs[i][0]), "cut off");
    }
    for (size_t i = 0; i < count; i++) {
        const struct reply *reply = client_next(&owner);
        EXPECT(reply_is(reply, pairs[i][1]) || reply_is_err(reply, pairs[i][1]), "%s got '%s'",
               pairs[i][0], reply->line);
    }
}

/* Every verb that names a poll or an option, behind the POLLDEL in one connection. */
static void in_order(void)
{
    static const char *const pairs[][2] = {
        {"POLL p", "OK"},
        {"OPTION p Elixir", "OK 1"},
        {"OPTION p Zig KEY o", "OK 2"},
        {"VOTE 1", "OK 1"},
        {"VOTE p/zig N 4 KEY v", "OK 4"},
        {"SEED 1 2 KEY s", "OK 3"},
        {"POLLDEL p", "OK"},
        {"VOTE 1", "NOTFOUND"},
        {"VOTE 1 VOTER x", "NOTFOUND"},
        {"VOTE 1 2 VOTER x", "NOTFOUND"},
        {"VOTE p/zig", "NOTFOUND"},
        {"VOTE 2 N 4 KEY v", "OK 4 dup=1"},
        {"VOTE 2 N 5 KEY v", "EXISTS"},
        {"VOTE 2 KEY w", "NOTFOUND"},
        {"SEED 1 2 KEY s", "OK 3 dup=1"},
        {"SEED 1 2", "NOTFOUND"},
        {"UNVOTE p VOTER x", "NOTFOUND"},
        {"OPTION p Elixir", "NOTFOUND"},
        {"OPTION p Zig KEY o", "OK 2 dup=1"},
        {"FIND p el", "NOTFOUND"},
        {"TALLY p", "NOTFOUND"},
        {"TREND p 5m", "NOTFOUND"},
        {"RESET p", "NOTFOUND"},
        {"POLLDEL p", "NOTFOUND"},
        {"POLLS", "OK *0"},
        {"EVENTS MATCH poll/p", "OK *0"},
        {"POLL p MODE once", "OK"},
        {"VOTE p/zig VOTER x", "NOTFOUND"},
        {"OPTION p zig", "OK 3"},
        {"VOTE p/zig VOTER x", "OK 1"},
        {"VOTE 2 VOTER x", "NOTFOUND"},
        {"POLLDEL p", "OK"},
        {"POLL p", "OK"},
        {"POLLDEL p", "OK"},
        {"POLLDEL p", "NOTFOUND"},
        {"POLL p MODE change", "OK"},
        {"OPTION p zig", "OK 4"},
        {"VOTE p/zig VOTER x", "OK 1"},
        {"RESET p", "OK 1"},
        {"POLLDEL none", "NOTFOUND"},
        {"POLLDEL", "ARGS"},
        {"POLLDEL p q", "ARGS"},
        {"POLLDEL \"a b\"", "INVAL"},
    };
    set_up();
    expect_pairs(pairs, COUNT_OF(pairs));
    end();
}

/* Makes the poll of a round: its options have other ids each time. */
static uint64_t make(const char *mode)
{
    client_expect(&owner, "OK", "POLL p MODE %s", mode);
    (void)scene_option(&owner, "p", "first");
    return scene_option(&owner, "p", "second");
}

static void race(const char *mode)
{
    struct seed seed = {(uint64_t)mode[1]};
    uint64_t counted = 0;
    set_up();
    for (size_t round = 0; round < ROUNDS; round++) {
        uint64_t last = make(mode);
        for (size_t c = 0; c < CLIENTS; c++) {
            if (c == round % CLIENTS) {
                EXPECT(client_send(&owner, "POLLDEL p"), "cut off");
            }
            for (size_t i = 0; i < BURST; i++) {
                char voter[32] = "";
                if (mode[0] != 'f') {
                    snprintf(voter, sizeof(voter), " VOTER v%" PRIu64, seed_below(&seed, 30));
                }
                EXPECT(client_send(&clients[c], "VOTE %" PRIu64 "%s", last - seed_below(&seed, 2),
                                   voter),
                       "cut off");
            }
            EXPECT(client_send(&clients[c], "TALLY p"), "cut off");
        }
        for (size_t c = 0; c < CLIENTS; c++) {
            bool is_gone = false;
            for (size_t i = 0; i <= BURST; i++) {
                const struct reply *reply = client_next(&clients[c]);
                bool is_notfound = reply_is_err(reply, "NOTFOUND");
                EXPECT(reply_is_ok(reply) || is_notfound || reply_is_err(reply, "VOTED"), "'%s'",
                       reply->line);
                EXPECT(!is_gone || is_notfound, "'%s' behind NOTFOUND", reply->line);
                is_gone = is_gone || is_notfound;
                counted += i < BURST && reply_is_ok(reply);
            }
        }
        EXPECT(reply_is(client_next(&owner), "OK"), "POLLDEL");
        EXPECT(reply_is_err(client_get(&owner, "VOTE %" PRIu64 " VOTER x", last), "NOTFOUND"),
               "a vote behind the OK");
    }
    EXPECT(scene_info(&owner, "votes") == 0 && scene_info(&owner, "options") == 0, "INFO");
    (void)make(mode);
    client_close_all(clients, CLIENTS);
    client_close(&owner);
    server_crash(&server);
    struct fold fold;
    fold_begin(&fold, &server);
    uint64_t logged = 0;
    while (fold_next(&fold)) { /* and no vote stands behind the POLLDEL of its poll */
        logged += fold.record.has_counted && strcmp(fold.record.type, "UNVOTE") != 0;
    }
    fold_fini(&fold);
    EXPECT(logged <= counted && logged > 0, "%" PRIu64 " logged, %" PRIu64 " told", logged,
           counted);
    client_open(&owner, &server);
    EXPECT(scene_total(&owner, "p") == 0, "the last poll has votes");
    client_open_all(clients, CLIENTS, &server);
    end();
}

static void race_free(void)
{
    race("free");
}

static void race_once(void)
{
    race("once");
}

static void race_change(void)
{
    race("change");
}

/* Of POLLDELs that come at once one is done, also when a RESET, a POLL and votes come with them. */
static void many_at_once(void)
{
    set_up();
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t done = 0;
        uint64_t last = make("free");
        for (size_t c = 0; c < CLIENTS; c++) {
            EXPECT(client_send(&clients[c], "VOTE %" PRIu64, last), "cut off");
            EXPECT(c != round % CLIENTS || client_send(&owner, "RESET p"), "cut off");
            EXPECT(client_send(&clients[c], "POLLDEL p"), "cut off");
        }
        for (size_t c = 0; c < CLIENTS; c++) {
            const struct reply *reply = client_next(&clients[c]);
            EXPECT(reply_is_ok(reply) || reply_is_err(reply, "NOTFOUND"), "'%s'", reply->line);
            reply = client_next(&clients[c]);
            EXPECT(reply_is(reply, "OK") || reply_is_err(reply, "NOTFOUND"), "'%s'", reply->line);
            done += reply_is(reply, "OK");
        }
        const struct reply *reply = client_next(&owner);
        EXPECT(reply_is_ok(reply) || reply_is_err(reply, "NOTFOUND"), "'%s'", reply->line);
        EXPECT(done == 1, "%zu POLLDELs were done", done);
    }
    EXPECT(scene_info(&owner, "polls") == 0, "INFO");
    end();
}

static void fill(const char *poll)
{
    for (size_t i = 0; i < MANY; i++) {
        EXPECT(client_send(&owner, "OPTION %s word%zu", poll, i), "cut off");
        if (i % 100 == 99) {
            for (size_t k = 0; k < 100; k++) {
                EXPECT(reply_is_ok(client_next(&owner)), "OPTION");
            }
        }
    }
}

/* Killed while the options go, the server goes on where it was; in the end all memory is back, and
 * a snapshot has nothing of the poll. */
static void killed(void)
{
    set_up();
    client_expect(&owner, "OK", "POLL tick");
    uint64_t empty = scene_info(&owner, "entity_bytes");
    client_expect(&owner, "OK", "POLL p");
    fill("p");
    EXPECT(reply_is_ok(client_get(&owner, "TALLY p TOP 3")), "a rank");
    EXPECT(scene_info(&owner, "entity_bytes") > empty + 100 * MANY, "memory");
    client_expect(&owner, "OK", "POLLDEL p");
    client_close_all(clients, CLIENTS);
    client_close(&owner);
    server_crash(&server);
    client_open(&owner, &server);
    client_open_all(clients, CLIENTS, &server);
    EXPECT(reply_is_err(client_get(&owner, "TALLY p"), "NOTFOUND"), "the poll is back");
    EXPECT(reply_is_err(client_get(&owner, "VOTE 1"), "NOTFOUND"), "the option is back");
    uint64_t bytes;
    do { /* the test's own time limit ends it */
        client_expect(&owner, "OK", "POLL tick");
        bytes = scene_info(&owner, "entity_bytes");
    } while (bytes > empty + 4096);
    const struct reply *reply = client_get(&owner, "SNAPSHOT");
    EXPECT(reply_is_ok(reply) && line_field_number(reply->line, "bytes") < 32 * 1024, "'%s'",
           reply->line);
    client_expect(&owner, "OK", "POLL p");
    EXPECT(scene_option(&owner, "p", "word1") == MANY + 1, "an id was given out again");
    end();
}

/* The server ends in order with POLLDELs and votes under way. */
static void at_the_end(void)
{
    char name[32];
    set_up();
    for (size_t c = 0; c < CLIENTS; c++) {
        snprintf(name, sizeof(name), "p%zu", c);
        client_expect(&owner, "OK", "POLL %s", name);
        (void)scene_option(&owner, name, "yes");
    }
    bool gone[CLIENTS] = {false};
    for (size_t c = 0; c < CLIENTS; c++) {
        EXPECT(client_send(&clients[c], "VOTE p%zu/yes", c), "cut off");
        EXPECT(client_send(&clients[c], "POLLDEL p%zu", c), "cut off");
    }
    EXPECT(reply_is_ok(client_next(&clients[0])), "the server has begun");
    EXPECT(kill(server.pid, SIGTERM) == 0, "SIGTERM");
    for (size_t c = 0; c < CLIENTS; c++) {
        const struct reply *reply;
        for (size_t i = c == 0; (reply = client_read(&clients[c])) != NULL; i++) {
            EXPECT(reply_is_ok(reply) || reply_is_err(reply, "DRAINING"), "'%s'", reply->line);
            gone[c] = i == 1 && reply_is_ok(reply);
        }
    }
    EXPECT(server_await_exit(&server) == 0, "the server did not end well");
    client_close_all(clients, CLIENTS);
    client_close(&owner);
    server_restart(&server);
    client_open(&owner, &server);
    client_open_all(clients, CLIENTS, &server);
    for (size_t c = 0; c < CLIENTS; c++) {
        bool is_there = reply_is_ok(client_get(&owner, "TALLY p%zu", c));
        EXPECT(!gone[c] || !is_there, "poll %zu is back", c);
    }
    end();
}

static const struct check_test tests[] = {
    {"POLLDEL has its place among the requests of a connection", in_order},
    {"POLLDEL races with voting clients: no vote stands behind it", race_free},
    {"So it is with voters who vote once", race_once},
    {"So it is with voters who change their votes", race_change},
    {"Of POLLDELs that come at once one is done", many_at_once},
    {"Killed while a large poll goes, the server goes on, and the memory comes back", killed},
    {"The server ends with POLLDELs under way, and none that was answered is undone", at_the_end},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
