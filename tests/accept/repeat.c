/* KEY: one request sent again and again counts once, and each time gets the first reply. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CLIENTS = 50, RUNS = 12, LINE_BYTES = 128 };

static struct server server;
static struct client clients[CLIENTS];

static void open_all(void)
{
    client_close_all(clients, CLIENTS);
    client_open_all(clients, CLIENTS, &server);
}

static void send_all(const char *request)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        EXPECT(client_send(&clients[i], "%s", request), "client %zu is cut off", i);
    }
}

/* All get the same reply, one of them (or none) without dup=1. An empty `first` is filled in. */
static void hear_all(const char *request, char first[LINE_BYTES], size_t firsts_max)
{
    size_t firsts = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        char line[LINE_BYTES];
        const struct reply *reply = client_next(&clients[i]);
        EXPECT(reply_is_ok(reply), "%s gave '%s'", request, reply->line);
        snprintf(line, sizeof(line), "%s", reply->line);
        char *dup = strstr(line, " dup=1");
        firsts += dup == NULL;
        if (dup != NULL) {
            memmove(dup, dup + 6, strlen(dup + 6) + 1);
        }
        if (first[0] == '\0') {
            memcpy(first, line, LINE_BYTES);
        }
        EXPECT(strcmp(line, first) == 0, "%s gave '%s' and '%s'", request, first, reply->line);
    }
    EXPECT(firsts <= firsts_max, "%zu of the replies to %s are first ones", firsts, request);
}

/* Sent from 50 connections; again after a crash; again when the first 50 are cut off by one. */
static void send_again_and_again(const char *request, bool is_cut_off)
{
    char first[LINE_BYTES] = "";
    send_all(request);
    if (is_cut_off) {
        server_crash(&server);
        open_all();
        send_all(request);
    }
    hear_all(request, first, 1);
    server_crash(&server);
    open_all();
    send_all(request);
    hear_all(request, first, 0);
}

static void expect_votes(const char *poll, uint64_t option, uint64_t votes)
{
    struct fold fold;
    uint64_t has = scene_votes(&clients[0], poll, option);
    EXPECT(has == votes, "%s has %" PRIu64 " votes, not %" PRIu64, poll, has, votes);
    fold_begin(&fold, &server);
    fold_all(&fold);
    fold_expect_votes(&fold, option, votes);
    fold_fini(&fold);
}

/* A run in two is cut off: how far its requests came is up to chance. */
static void repeat_votes(const char *mode, const char *words)
{
    char request[LINE_BYTES], voter[48] = "";
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    client_expect(&clients[0], "OK", "POLL safe MODE %s", mode);
    uint64_t option = scene_option(&clients[0], "safe", "Yes");
    for (size_t run = 0; run < RUNS; run++) {
        if (strcmp(mode, "free") != 0) {
            snprintf(voter, sizeof(voter), " VOTER v%zu", run);
        }
        snprintf(request, sizeof(request), "VOTE %" PRIu64 "%s%s KEY key-%zu", option, words, voter,
                 run);
        send_again_and_again(request, run % 2 == 1);
        expect_votes("safe", option, (run + 1) * (words[0] != '\0' ? 3 : 1));
    }
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

static void repeat_plain(void)
{
    repeat_votes("free", "");
}

static void repeat_many(void)
{
    repeat_votes("free", " N 3");
}

static void repeat_once(void)
{
    repeat_votes("once", "");
}

static void repeat_change(void)
{
    repeat_votes("change", "");
}

static void repeat_unvote(void)
{
    char request[LINE_BYTES];
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    client_expect(&clients[0], "OK", "POLL safe MODE change");
    uint64_t option = scene_option(&clients[0], "safe", "Yes");
    for (size_t run = 0; run < RUNS; run++) {
        client_expect(&clients[0], "OK 1", "VOTE %" PRIu64 " VOTER ada", option);
        snprintf(request, sizeof(request), "UNVOTE safe VOTER ada KEY key-%zu", run);
        send_again_and_again(request, run % 2 == 1);
        expect_votes("safe", option, 0);
    }
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

/* A key is of the words of its request: with other words it is refused, and does nothing. */
static void other_words(void)
{
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    struct client *client = &clients[0];
    scene_poll(client, "free");
    client_expect(client, "OK", "POLL once MODE once");
    uint64_t a = scene_option(client, "free", "A"), b = scene_option(client, "free", "B");
    uint64_t c = scene_option(client, "once", "C");
    client_expect(client, "OK 1", "VOTE %" PRIu64 " KEY k", a);
    client_expect(client, "OK 1", "VOTE %" PRIu64 " VOTER v KEY o", c);
    for (int turn = 0; turn < 2; turn++) {
        client_expect_err(client, "EXISTS", "VOTE %" PRIu64 " KEY k", b);
        client_expect_err(client, "EXISTS", "VOTE %" PRIu64 " N 2 KEY k", a);
        client_expect_err(client, "EXISTS", "VOTE %" PRIu64 " VOTER v KEY k", a);
        client_expect_err(client, "EXISTS", "VOTE %" PRIu64 " VOTER w KEY o", c);
        client_expect(client, "OK 1 dup=1", "VOTE free/a KEY k");
        client_expect(client, "OK 1 dup=1", "VOTE %" PRIu64 " VOTER v KEY o", c);
        EXPECT(turn == 1 || reply_is_ok(client_get(client, "SNAPSHOT")), "no snapshot");
        server_crash(&server);
        open_all();
    }
    expect_votes("free", a, 1);
    expect_votes("free", b, 0);
    expect_votes("once", c, 1);
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

/* Only what was done is kept: a refused request with the key is tried anew. */
static void refusals_are_not_kept(void)
{
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    struct client *client = &clients[0];
    client_expect(client, "OK", "POLL late CLOSE 1");
    uint64_t option = scene_option(client, "late", "A");
    client_expect_err(client, "CLOSED", "VOTE %" PRIu64 " KEY k", option);
    client_expect(client, "OK", "POLL late CLOSE 0");
    client_expect(client, "OK 1", "VOTE %" PRIu64 " KEY k", option);
    client_expect(client, "OK 1 dup=1", "VOTE %" PRIu64 " KEY k", option);
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"A vote with a KEY from 50 connections, and after kill -9, counts once", repeat_plain},
    {"So do 3 votes at once", repeat_many},
    {"So does a voter's vote, of mode once", repeat_once},
    {"So does a voter's vote, of mode change", repeat_change},
    {"So does an UNVOTE", repeat_unvote},
    {"A KEY with other words is EXISTS, over snapshots and crashes", other_words},
    {"A refused request keeps no KEY", refusals_are_not_kept},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
