/* A poll that closes by its time: what is sent after it is CLOSED, for everybody, for good. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    RUNS = 5,
    CLIENTS = 8,
    BURST = 8,
    UNTIL_CLOSE_MS = 150,
    KINDS = 2 /* votes of plain clients, and of voters */
};

static struct server server;
static struct client clients[CLIENTS];
static uint64_t ids[KINDS];
static uint64_t votes_made; /* each has a voter of its own */

/* What a burst of votes for one option was told. */
struct burst_told {
    uint64_t counted, closed;
};

static void send_vote(struct client *client, size_t kind)
{
    char words[64] = "";
    votes_made++;
    if (kind == 1) {
        snprintf(words, sizeof(words), " VOTER v%" PRIu64, votes_made);
    }
    EXPECT(client_send(client, "VOTE %" PRIu64 "%s", ids[kind], words), "cut off");
}

/* All clients at once; a client that was told CLOSED is told nothing else from then on. */
static struct burst_told vote_at_once(size_t kind)
{
    struct burst_told told = {0, 0};
    for (size_t i = 0; i < BURST; i++) {
        for (size_t c = 0; c < CLIENTS; c++) {
            send_vote(&clients[c], kind);
        }
    }
    for (size_t c = 0; c < CLIENTS; c++) {
        bool is_closed = false;
        for (size_t i = 0; i < BURST; i++) {
            const struct reply *reply = client_next(&clients[c]);
            EXPECT(reply_is_err(reply, "CLOSED") || (reply_is_ok(reply) && !is_closed),
                   "client %zu got '%s' %s", c, reply->line, is_closed ? "after CLOSED" : "");
            is_closed = !reply_is_ok(reply);
            told.counted += reply_is_ok(reply);
            told.closed += is_closed;
        }
    }
    return told;
}

static void open_polls(size_t run, uint64_t close_ms)
{
    static const char *const modes[KINDS] = {"free", "once"};
    char poll[32];
    for (size_t kind = 0; kind < KINDS; kind++) {
        snprintf(poll, sizeof(poll), "%s-%zu", modes[kind], run);
        client_expect(&clients[0], "OK", "POLL %s MODE %s CLOSE %" PRIu64, poll, modes[kind],
                      close_ms);
        ids[kind] = scene_option(&clients[0], poll, "Yes");
    }
}

/* By the clock of this machine: counted when sent before the close, CLOSED when heard after it. The
 * server's time is whole milliseconds that may begin a part of one earlier or later. */
static void race_to_the_close(uint64_t close_ms, uint64_t counted[KINDS])
{
    bool is_over[KINDS] = {false};
    while (!is_over[0] || !is_over[1]) {
        for (size_t kind = 0; kind < KINDS; kind++) {
            uint64_t sent_ms = wait_wall_ms();
            struct burst_told told = vote_at_once(kind);
            uint64_t heard_ms = wait_wall_ms();
            EXPECT(told.counted == 0 || (sent_ms <= close_ms && !is_over[kind]),
                   "%" PRIu64 " votes count that were sent %" PRIu64 " ms after the close",
                   told.counted, sent_ms - close_ms);
            EXPECT(told.closed == 0 || heard_ms + 1 >= close_ms, "CLOSED %" PRIu64 " ms too early",
                   close_ms - heard_ms);
            counted[kind] += told.counted;
            is_over[kind] = told.closed > 0;
        }
    }
}

static void expect_closed(const uint64_t counted[KINDS])
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct burst_told told = vote_at_once(kind);
        EXPECT(told.counted == 0, "%" PRIu64 " votes count after the close", told.counted);
    }
    /* the fold finds each vote in a closed poll */
    struct fold fold;
    fold_begin(&fold, &server);
    fold_all(&fold);
    for (size_t kind = 0; kind < KINDS; kind++) {
        fold_expect_votes(&fold, ids[kind], counted[kind]);
    }
    fold_fini(&fold);
}

static void start_again(void)
{
    client_close_all(clients, CLIENTS);
    client_open_all(clients, CLIENTS, &server);
}

static void closes_in_a_race(void)
{
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    for (size_t run = 0; run < RUNS; run++) {
        uint64_t counted[KINDS] = {0};
        uint64_t close_ms = wait_wall_ms() + UNTIL_CLOSE_MS;
        open_polls(run, close_ms);
        race_to_the_close(close_ms, counted);
        expect_closed(counted);
        server_crash(&server);
        start_again();
        expect_closed(counted);
    }
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

/* The time passes while no server runs. */
static void closes_while_down(void)
{
    uint64_t counted[KINDS] = {0};
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    uint64_t close_ms = wait_wall_ms() + 2000;
    open_polls(0, close_ms);
    for (size_t kind = 0; kind < KINDS; kind++) {
        counted[kind] = vote_at_once(kind).counted;
    }
    server_kill9(&server);
    wait_ms((uint64_t)wait_left_ms(wait_now_ms() + 2100));
    server_restart(&server);
    start_again();
    EXPECT(wait_wall_ms() >= close_ms, "the clock goes back");
    expect_closed(counted);
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

/* Behind the OK to a POLL that closes it, no vote on any connection counts. */
static void closes_by_request(void)
{
    uint64_t counted[KINDS] = {0};
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    open_polls(0, 0);
    for (size_t kind = 0; kind < KINDS; kind++) {
        counted[kind] = vote_at_once(kind).counted;
        EXPECT(counted[kind] == CLIENTS * BURST, "%" PRIu64 " votes counted", counted[kind]);
    }
    client_expect(&clients[0], "OK", "POLL free-0 CLOSE 1");
    client_expect(&clients[0], "OK", "POLL once-0 CLOSE 1");
    expect_closed(counted);
    server_crash(&server);
    start_again();
    expect_closed(counted);
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"A poll closes at its time, in a race with 8 clients, and stays closed over a crash",
     closes_in_a_race},
    {"A poll whose time came while no server ran is closed at its start", closes_while_down},
    {"A poll that a request closes is closed for everybody behind the OK", closes_by_request},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
