/* Limits of votes: by VOTER, BY word or client address, exact, and in memory that no client can use
 * up. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/count.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct server server;
static struct client client;
static uint64_t option;

/* Starts a server with a poll that has this limit. */
static void begin(const char *const *args, const char *rate)
{
    server_start(&server, args);
    client_open(&client, &server);
    client_expect(&client, "OK", "POLL p RATE %s", rate);
    option = scene_option(&client, "p", "a");
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

static void open_from(struct client *other, uint32_t host)
{
    EXPECT(client_try_open_from(other, server.port, host), "no connection from 127.0.0.%u", host);
}

/* ---- whose votes are counted together ---- */

static void an_office(void)
{
    enum { DESKS = 20 };
    struct client home;
    uint64_t votes = 0;
    begin(NULL, "2/3600000");
    open_from(&home, 2);
    for (int round = 0; round < 2; round++) {
        for (int desk = 0; desk < DESKS; desk++) {
            char reply[32];
            snprintf(reply, sizeof(reply), "OK %" PRIu64, ++votes);
            client_expect(&client, reply, "VOTE %" PRIu64 " BY desk-%d", option, desk);
        }
    }
    for (int desk = 0; desk < DESKS; desk++) {
        client_expect_err(&client, "RATE", "VOTE p/a BY desk-%d", desk);
        client_expect_err(&home, "RATE", "VOTE p/a BY desk-%d", desk);
    }
    EXPECT(scene_total(&client, "p") == votes, "a vote over the rate was counted");
    client_close(&home);
    end();
}

/* A vote without a BY word is its address's, whatever BY words came from there or are called. */
static void mixed_kinds(void)
{
    struct client other;
    begin(NULL, "1/3600000");
    open_from(&other, 2);
    client_expect(&client, "OK 1", "VOTE %" PRIu64 " BY 127.0.0.1", option);
    client_expect(&client, "OK 2", "VOTE %" PRIu64 " BY 127.0.0.2", option);
    client_expect(&client, "OK 3", "VOTE %" PRIu64, option);
    client_expect_err(&client, "RATE", "VOTE %" PRIu64, option);
    client_expect_err(&client, "RATE", "VOTE %" PRIu64 " BY 127.0.0.1", option);
    client_expect(&other, "OK 4", "VOTE %" PRIu64, option);
    client_expect_err(&other, "RATE", "VOTE %" PRIu64, option);
    client_expect(&other, "OK 5", "VOTE %" PRIu64 " BY desk", option);
    client_expect_err(&client, "RATE", "VOTE %" PRIu64 " BY desk", option);
    client_expect(&client, "OK 6", "VOTE %" PRIu64 " BY Desk", option);
    client_close(&other);
    end();
}

static void bounds_of_by(void)
{
    char word[66];
    memset(word, 'x', sizeof(word));
    word[65] = '\0';
    begin(NULL, "3/3600000");
    client_expect_err(&client, "INVAL", "VOTE %" PRIu64 " BY \"\"", option);
    client_expect_err(&client, "INVAL", "VOTE %" PRIu64 " BY %s", option, word);
    client_expect_err(&client, "ARGS", "VOTE %" PRIu64 " BY", option);
    client_expect_err(&client, "ARGS", "VOTE %" PRIu64 " BY a BY b", option);
    word[64] = '\0';
    client_expect(&client, "OK 1", "VOTE %" PRIu64 " BY %s", option, word);
    word[63] = '\0';
    client_expect(&client, "OK 3", "VOTE %" PRIu64 " N 2 BY %s", option, word);
    client_expect_err(&client, "RATE", "VOTE %" PRIu64 " BY %s N 2", option, word);
    client_expect_err(&client, "RANGE", "VOTE %" PRIu64 " BY %s N 4", option, word);
    client_expect(&client, "OK 4", "vote p/A by %s", word);
    client_expect(&client, "OK 5", "VOTE p/a BY \"\\x00 \\xFF\"");
    client_expect(&client, "OK", "POLL open");
    uint64_t free_option = scene_option(&client, "open", "a");
    for (int i = 1; i <= 10; i++) {
        char reply[32];
        snprintf(reply, sizeof(reply), "OK %d", i);
        client_expect(&client, reply, "VOTE %" PRIu64 " BY desk", free_option);
    }
    end();
}

/* ---- voters ---- */

static void expect_dup(const char *request, const char *first)
{
    char reply[64];
    snprintf(reply, sizeof(reply), "%s dup=1", first);
    client_expect(&client, reply, "%s", request);
}

/* Whatever else the vote has, and from whatever address: a VOTER counts by itself. */
static void voters(void)
{
    struct client other;
    begin(NULL, "2/3600000");
    open_from(&other, 2);
    client_expect(&client, "OK 1", "VOTE p/a VOTER anna BY desk");
    client_expect(&client, "OK 2", "VOTE p/a BY desk VOTER anna KEY k1");
    client_expect_err(&client, "RATE", "VOTE p/a VOTER anna");
    client_expect_err(&client, "RATE", "VOTE p/a VOTER anna BY another");
    client_expect_err(&other, "RATE", "VOTE p/a VOTER anna KEY k2");
    client_expect(&client, "OK 3", "VOTE p/a BY anna");
    client_expect(&client, "OK 4", "VOTE p/a BY desk");
    client_expect(&client, "OK 6", "VOTE p/a N 2 VOTER bert");
    client_expect_err(&client, "RANGE", "VOTE p/a N 3 VOTER carl");
    client_expect_err(&client, "RATE", "VOTE p/a N 2 VOTER bert");
    client_expect(&client, "OK 7", "VOTE p/a KEY k3"); /* by address */
    client_expect(&client, "OK 8", "VOTE p/a");
    client_expect_err(&client, "RATE", "VOTE p/a KEY k4");
    client_expect(&other, "OK 9", "VOTE p/a KEY k5");
    EXPECT(scene_total(&client, "p") == 9, "a vote over the rate was counted");
    client_close(&other);
    end();
}

static void each_vote_of_change(void)
{
    begin(NULL, "2/3600000");
    scene_option(&client, "p", "b");
    scene_option(&client, "p", "c");
    client_expect(&client, "OK", "POLL p MODE change");
    client_expect(&client, "OK 1 1", "VOTE 1 2 VOTER anna"); /* one vote, of several options */
    EXPECT(reply_is_ok(client_get(&client, "VOTE 3 VOTER anna")), "the second vote");
    const struct reply *reply = client_get(&client, "VOTE 1 VOTER anna");
    EXPECT(reply_is_err(reply, "RATE") && line_field_number(reply->line, "retry_ms") > 0, "%s",
           reply->line);
    EXPECT(scene_votes(&client, "p", 3) == 1, "the refused vote has changed something");
    end();
}

/* What the engine refuses, and what it knows already, is no vote. */
static void refused_votes_are_given_back(void)
{
    enum { TRIES = 20 };
    begin(NULL, "1/3600000");
    client_expect(&client, "OK", "POLL p CLOSE 1");
    for (int i = 0; i < TRIES; i++) {
        client_expect_err(&client, "CLOSED", "VOTE p/a VOTER anna");
        client_expect_err(&client, "CLOSED", "VOTE p/a VOTER anna KEY k%d", i);
        client_expect_err(&client, "NOTFOUND", "VOTE 77 VOTER anna");
    }
    client_expect(&client, "OK", "POLL p CLOSE 0 MODE once");
    for (int i = 0; i < TRIES; i++) {
        client_expect_err(&client, "INVAL", "VOTE p/a N 1 BY anna");
    }
    client_expect(&client, "OK 1", "VOTE p/a VOTER anna");
    client_expect(&client, "OK", "POLL p RATE 2/3600000");
    for (int i = 0; i < TRIES; i++) { /* there is room for one more */
        client_expect_err(&client, "VOTED", "VOTE p/a VOTER anna");
        client_expect_err(&client, "VOTED", "VOTE p/a VOTER anna KEY k%d", i);
    }
    client_expect(&client, "OK", "POLL p RATE 1/3600000");
    client_expect_err(&client, "RATE", "VOTE p/a VOTER anna");
    end();
}

/* Who votes in a closed poll hears of that, not of a limit. */
static void closed_comes_first(void)
{
    begin(NULL, "1/3600000");
    client_expect(&client, "OK 1", "VOTE p/a");
    client_expect(&client, "OK 2", "VOTE p/a BY desk");
    client_expect(&client, "OK 3", "VOTE p/a VOTER anna KEY k");
    for (int round = 0; round < 2; round++) {
        const char *code = round == 0 ? "RATE" : "CLOSED";
        client_expect_err(&client, code, "VOTE p/a");
        client_expect_err(&client, code, "VOTE p/a BY desk");
        client_expect_err(&client, code, "VOTE p/a VOTER anna");
        client_expect_err(&client, code, "VOTE p/a VOTER anna KEY another");
        client_expect(&client, "OK 3 dup=1", "VOTE p/a VOTER anna KEY k");
        client_expect(&client, "OK", "POLL p CLOSE 1");
    }
    client_expect(&client, "OK", "POLL p CLOSE 0 MODE once");
    client_expect_err(&client, "INVAL", "VOTE p/a");
    client_expect_err(&client, "RATE", "VOTE p/a VOTER anna");
    client_expect(&client, "OK 4", "VOTE p/a VOTER bert");
    end();
}

/* A lost reply is asked for by the same KEY; the limit does not hide it. */
static void repetitions(void)
{
    static const char first[] = "VOTE p/a VOTER anna KEY k";
    begin(NULL, "1/3600000");
    client_expect(&client, "OK 1", "%s", first);
    for (int i = 0; i < 5; i++) {
        expect_dup(first, "OK 1");
    }
    client_expect_err(&client, "RATE", "VOTE p/a VOTER anna KEY other");
    client_expect_err(&client, "RATE", "VOTE p/a VOTER anna");
    client_expect_err(&client, "EXISTS", "VOTE p/a N 1 VOTER bert KEY k");
    client_close(&client);
    server_crash(&server);
    client_open(&client, &server);
    expect_dup(first, "OK 1"); /* after a start the counts are empty; it is no vote all the same */
    client_expect(&client, "OK 2", "VOTE p/a VOTER anna KEY next");
    expect_dup(first, "OK 1");
    client_expect_err(&client, "RATE", "VOTE p/a VOTER anna KEY over");
    end();
}

/* From many connections at once: one is counted, and all are told its number. */
static void repetitions_at_once(void)
{
    enum { CLIENTS = 50, ROUNDS = 5 };
    static struct client clients[CLIENTS];
    begin(NULL, "1/3600000");
    client_open_all(clients, CLIENTS, &server);
    for (int round = 1; round <= ROUNDS; round++) {
        char reply[32];
        size_t dups = 0;
        for (int i = 0; i < CLIENTS; i++) {
            client_send(&clients[i], "VOTE p/a VOTER v%d KEY k%d", round, round);
        }
        snprintf(reply, sizeof(reply), "OK %d", round);
        for (int i = 0; i < CLIENTS; i++) {
            const char *line = client_next(&clients[i])->line;
            EXPECT(strncmp(line, reply, strlen(reply)) == 0, "%s", line);
            dups += strstr(line, "dup=1") != NULL;
        }
        EXPECT(dups == CLIENTS - 1, "%zu of them were told that they repeat", dups);
    }
    client_close_all(clients, CLIENTS);
    end();
}

/* ---- the window slides exactly ---- */

enum { SLIDES = 60, SLIDE_N = 3, DESKS = 4 };

/* The votes of one BY word or VOTER that were counted: the server's time lies between these two. */
struct slide_desk {
    uint64_t sent_ms[SLIDES];
    uint64_t came_ms[SLIDES];
    size_t count;
    size_t refused;
};

/* Votes once. What the server says must be right for every time at which it may have looked. */
static void slide_vote(struct slide_desk *desk, int number, uint64_t per_ms)
{
    uint64_t sent_ms = wait_now_ms();
    const char *kind = number % 2 == 0 ? "BY" : "VOTER";
    const struct reply *reply = client_get(&client, "VOTE p/a %s desk-%d", kind, number / 2);
    uint64_t came_ms = wait_now_ms();
    size_t count = desk->count;
    if (reply_is_err(reply, "RATE")) {
        uint64_t retry_ms = line_field_number(reply->line, "retry_ms");
        EXPECT(count >= SLIDE_N, "refused after %zu votes", count);
        uint64_t over_ms = desk->came_ms[count - SLIDE_N] + per_ms;
        EXPECT(sent_ms < over_ms, "refused %lu ms after the window",
               (unsigned long)(sent_ms - over_ms));
        EXPECT(retry_ms > 0 && sent_ms + retry_ms <= over_ms, "%s", reply->line);
        desk->refused++;
        return;
    }
    EXPECT(reply_is_ok(reply), "%s", reply->line);
    if (count >= SLIDE_N) {
        uint64_t apart_ms = came_ms - desk->sent_ms[count - SLIDE_N];
        EXPECT(apart_ms >= per_ms, "%d votes within %lu ms", SLIDE_N + 1, (unsigned long)apart_ms);
    }
    desk->sent_ms[count] = sent_ms;
    desk->came_ms[count] = came_ms;
    desk->count++;
}

/* A machine on which votes are so far apart that none is refused gets a longer window. */
static void exact_sliding(void)
{
    size_t refused = 0;
    begin(NULL, "1/1");
    for (uint64_t per_ms = 100; refused < DESKS; per_ms *= 4) {
        static struct slide_desk desks[DESKS];
        memset(desks, 0, sizeof(desks));
        refused = 0;
        client_expect(&client, "OK", "POLL p RATE 0");
        client_expect(&client, "OK", "POLL p RATE %d/%" PRIu64, SLIDE_N, per_ms);
        wait_ms(per_ms); /* what was counted in the last round is over */
        for (uint64_t until_ms = wait_now_ms() + 5 * per_ms; wait_now_ms() < until_ms;) {
            for (int i = 0; i < DESKS && desks[i].count < SLIDES; i++) {
                slide_vote(&desks[i], i, per_ms);
            }
        }
        for (int i = 0; i < DESKS; i++) {
            refused += desks[i].refused > 0;
        }
    }
    end();
}

/* ---- memory ---- */

/* Casts votes with a BY word or VOTER that nobody else has, until some are BUSY. Returns how many
 * passed. */
static uint64_t flood(void)
{
    enum { BATCH = 500, MOST = 100000 };
    uint64_t invented = 0;
    for (uint64_t busy = 0; busy == 0;) {
        EXPECT(invented < MOST, "so many BY words have room");
        for (uint64_t i = 0; i < BATCH; i++) {
            client_send(&client, "VOTE p/a %s invented-%" PRIu64, i % 2 == 0 ? "BY" : "VOTER",
                        invented + i);
        }
        uint64_t passed = 0;
        for (uint64_t i = 0; i < BATCH; i++) {
            const struct reply *reply = client_next(&client);
            bool is_busy = reply_is_err(reply, "BUSY") && strstr(reply->line, "retry_ms=") != NULL;
            EXPECT(is_busy || reply_is_ok(reply), "%s", reply->line);
            busy += is_busy;
            passed += !is_busy;
        }
        invented += passed;
    }
    return invented;
}

static void invented_words(void)
{
    static const char *const args[] = {"--memory", "32M", "--threads", "2", NULL};
    struct client other;
    begin(args, "1/3600000");
    client_expect(&client, "OK 1", "VOTE %" PRIu64 " BY anna", option);
    uint64_t invented = flood();
    EXPECT(invented > 1000, "room for %" PRIu64 " only", invented);
    EXPECT(scene_info(&client, "rate_bytes") <= 32 * 1024 * 1024 / 16 / 6 + 1024, "beyond a sixth");
    client_expect_err(&client, "RATE", "VOTE %" PRIu64 " BY anna", option);
    for (uint32_t host = 2; host < 100; host++) { /* others have room, by word and by address */
        open_from(&other, host);
        const struct reply *reply = client_get(&other, "VOTE %" PRIu64, option);
        EXPECT(reply_is_ok(reply), "%u: %s", host, reply->line);
        reply = client_get(&other, "VOTE %" PRIu64 " BY real-%u", option, host);
        EXPECT(reply_is_ok(reply), "%u: %s", host, reply->line);
        client_expect_err(&other, "RATE", "VOTE %" PRIu64 " BY real-%u", option, host);
        reply = client_get(&other, "VOTE p/a VOTER real-%u", host);
        EXPECT(reply_is_ok(reply), "%u: %s", host, reply->line);
        client_expect_err(&other, "RATE", "VOTE %" PRIu64, option);
        client_close(&other);
    }
    EXPECT(scene_total(&client, "p") == 1 + invented + 3 * 98, "the count is not what was told");
    client_expect_err(&client, "BUSY", "VOTE p/a VOTER another KEY k");
    client_expect(&client, "OK", "POLL open"); /* a poll without a limit needs no memory */
    uint64_t free_option = scene_option(&client, "open", "a");
    client_expect(&client, "OK 1", "VOTE %" PRIu64 " BY another", free_option);
    end();
}

static const struct check_test tests[] = {
    {"Each BY word of an office has votes of its own, from whatever address", an_office},
    {"A BY word and an address never meet", mixed_kinds},
    {"BY is 1 to 64 bytes, and counts nothing in a poll without a limit", bounds_of_by},
    {"Each VOTER has votes of its own, whatever else the vote has", voters},
    {"In mode change each vote of a VOTER counts as one", each_vote_of_change},
    {"Votes that are refused do not count", refused_votes_are_given_back},
    {"A closed poll tells that it is closed, whatever the limit says", closed_comes_first},
    {"A repetition by KEY gets its first reply, and is no vote", repetitions},
    {"So do repetitions that are sent at once", repetitions_at_once},
    {"The window of each VOTER and BY word slides exactly", exact_sliding},
    {"A flood of invented VOTERs and BY words leaves room for others", invented_words},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
