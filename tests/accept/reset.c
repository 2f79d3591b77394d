/* RESET: one act that a vote is before or behind, whoever votes meanwhile, and however often it is
 * sent. */
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

enum { CLIENTS = 8, BURST = 12, RESETS = 25, OPTIONS = 3, NAMES = 60, SENDERS = 20 };

static struct server server;
static struct client clients[CLIENTS], resetter;
static uint64_t ids[OPTIONS];

static void set_up(const char *mode)
{
    char label[32];
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    client_open(&resetter, &server);
    client_expect(&resetter, "OK", "POLL p MODE %s", mode);
    for (size_t i = 0; i < OPTIONS; i++) {
        snprintf(label, sizeof(label), "Option-%zu", i);
        ids[i] = scene_option(&resetter, "p", label);
    }
}

static void send_votes(struct client *client, struct seed *seed, bool has_voters)
{
    for (size_t i = 0; i < BURST; i++) {
        uint64_t option = ids[seed_below(seed, OPTIONS)];
        char voter[32] = "";
        if (has_voters) {
            snprintf(voter, sizeof(voter), " VOTER v%" PRIu64, seed_below(seed, NAMES));
        }
        EXPECT(client_send(client, "VOTE %" PRIu64 "%s", option, voter), "cut off");
    }
}

/* Reads the replies to a burst. Returns how many votes were added to the poll's total. */
static uint64_t read_votes(struct client *client)
{
    uint64_t counted = 0;
    for (size_t i = 0; i < BURST; i++) {
        const struct reply *reply = client_next(client);
        EXPECT(reply_is_ok(reply) || reply_is_err(reply, "VOTED"), "a vote got '%s'", reply->line);
        counted += reply_is_ok(reply) && strstr(reply->line, "prev=") == NULL;
    }
    return counted;
}

/* The i-th RESET of the log has told the votes that the log has had by then; in between each option
 * counts from 1, which the fold looks after. */
static void expect_log(const uint64_t told[RESETS], uint64_t left)
{
    struct fold fold;
    uint64_t total = 0;
    size_t resets = 0;
    fold_begin(&fold, &server);
    while (fold_next(&fold)) {
        if (strcmp(fold.record.type, "RESET") == 0) {
            EXPECT(resets < RESETS && told[resets] == total,
                   "RESET %zu told %" PRIu64 " votes, the log has %" PRIu64, resets, told[resets],
                   total);
            resets++;
        }
        total = fold.poll_count > 0 ? fold_poll(&fold, "p")->total : 0;
    }
    fold_fini(&fold);
    EXPECT(resets == RESETS && total == left, "%zu resets, %" PRIu64 " votes", resets, total);
    dump_verify(&server);
}

static void race(const char *mode)
{
    struct seed seed = {(uint64_t)mode[0]};
    uint64_t told[RESETS], counted = 0, before = 0;
    set_up(mode);
    for (size_t round = 0; round < RESETS; round++) {
        for (size_t c = 0; c < CLIENTS; c++) {
            if (c == round % CLIENTS) {
                EXPECT(client_send(&resetter, "RESET p"), "cut off");
            }
            send_votes(&clients[c], &seed, mode[0] != 'f');
        }
        for (size_t c = 0; c < CLIENTS; c++) {
            counted += read_votes(&clients[c]);
        }
        const struct reply *reply = client_next(&resetter);
        EXPECT(reply_is_ok(reply), "RESET got '%s'", reply->line);
        told[round] = line_number(reply->line, 1);
        before += told[round];
    }
    uint64_t left = scene_total(&resetter, "p");
    EXPECT(counted == before + left,
           "%" PRIu64 " votes were counted; %" PRIu64 " before, %" PRIu64 " behind RESETs", counted,
           before, left);
    client_close_all(clients, CLIENTS);
    client_close(&resetter);
    server_crash(&server);
    client_open(&resetter, &server);
    uint64_t again = scene_total(&resetter, "p");
    EXPECT(again == left, "%" PRIu64 " votes after the crash, %" PRIu64 " before", again, left);
    client_close(&resetter);
    expect_log(told, left);
    server_stop(&server);
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

/* ---- sent more than once ---- */

static void repeated(void)
{
    struct client senders[SENDERS];
    size_t firsts = 0;
    set_up("free");
    scene_vote_times(&clients[0], ids[0], 0, 5);
    client_open_all(senders, SENDERS, &server);
    for (size_t i = 0; i < SENDERS; i++) {
        EXPECT(client_send(&senders[i], "RESET p KEY k"), "cut off");
    }
    for (size_t i = 0; i < SENDERS; i++) {
        const struct reply *reply = client_next(&senders[i]);
        EXPECT(reply_is(reply, "OK 5") || reply_is(reply, "OK 5 dup=1"), "'%s'", reply->line);
        firsts += reply_is(reply, "OK 5");
    }
    EXPECT(firsts == 1, "%zu RESETs were the first", firsts);
    scene_vote_times(&clients[0], ids[0], 0, 3);
    client_close_all(senders, SENDERS);
    client_close_all(clients, CLIENTS);
    client_close(&resetter);
    server_crash(&server);
    client_open(&resetter, &server);
    client_expect(&resetter, "OK 5 dup=1", "RESET p KEY k");
    client_expect(&resetter, "OK", "POLL q");
    EXPECT(reply_is_err(client_get(&resetter, "RESET q KEY k"), "EXISTS"), "another poll");
    EXPECT(scene_total(&resetter, "p") == 3, "a repetition has reset the poll");
    client_expect(&resetter, "OK 3", "RESET p");
    client_close(&resetter);
    server_stop(&server);
}

/* ---- in its place in a connection, and at the end of the server ---- */

/* Requests of one connection are done in their order: so is a RESET among votes, a CLOSE and
 * another mode. */
static void in_order(void)
{
    static const char *const pairs[][2] = {
        {"VOTE 1", "OK 1"},
        {"VOTE 1", "OK 2"},
        {"RESET p", "OK 2"},
        {"VOTE 1", "OK 1"},
        {"RESET p", "OK 1"},
        {"RESET p", "OK 0"},
        {"POLL p CLOSE 1", "OK"},
        {"RESET p", "OK 0"},
        {"POLL p CLOSE 0 MODE change", "OK"},
        {"VOTE 2 VOTER v", "OK 1"},
        {"RESET p", "OK 1"},
        {"UNVOTE p VOTER v", "NIL"},
        {"POLL p MODE free", "OK"},
        {"VOTE 2", "OK 1"},
        {"RESET none", "ERR NOTFOUND no such poll"},
        {"VOTE 2 VOTER w", "OK 2"},
        {"RESET p", "OK 2"},
        {"VOTE 2 N 3", "OK 3"},
    };
    set_up("free");
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        EXPECT(client_send(&resetter, "%s", pairs[i][0]), "cut off");
    }
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        const struct reply *reply = client_next(&resetter);
        EXPECT(reply_is(reply, pairs[i][1]), "%s got '%s'", pairs[i][0], reply->line);
    }
    client_close_all(clients, CLIENTS);
    client_close(&resetter);
    server_stop(&server);
}

/* The server ends in order with RESETs and votes under way; what was answered is in the log. */
static void at_the_end(void)
{
    struct seed seed = {5};
    uint64_t counted = 0, told = 0;
    set_up("free");
    for (size_t c = 0; c < CLIENTS; c++) {
        send_votes(&clients[c], &seed, false);
        EXPECT(client_send(&clients[c], "RESET p"), "cut off");
        EXPECT(client_send(&resetter, "RESET p"), "cut off");
    }
    for (size_t i = 0; i < BURST; i++) { /* the server has begun */
        counted += reply_is_ok(client_next(&clients[0]));
    }
    EXPECT(kill(server.pid, SIGTERM) == 0, "SIGTERM");
    for (size_t c = 0; c <= CLIENTS; c++) {
        const struct reply *reply;
        struct client *client = c < CLIENTS ? &clients[c] : &resetter;
        size_t i = c == 0 ? BURST : 0;
        for (; (reply = client_read(client)) != NULL; i++) {
            bool is_reset = client == &resetter || i == BURST;
            EXPECT(reply_is_ok(reply) || reply_is_err(reply, "DRAINING"), "'%s'", reply->line);
            counted += reply_is_ok(reply) && !is_reset;
            told += reply_is_ok(reply) && is_reset ? line_number(reply->line, 1) : 0;
        }
    }
    EXPECT(server_await_exit(&server) == 0, "the server did not end well");
    client_close_all(clients, CLIENTS);
    client_close(&resetter);
    server_restart(&server);
    client_open(&resetter, &server);
    uint64_t left = scene_total(&resetter, "p");
    EXPECT(counted == told + left,
           "%" PRIu64 " votes; %" PRIu64 " told by RESETs, %" PRIu64 " left", counted, told, left);
    client_close(&resetter);
    dump_verify(&server);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"RESET races with 8 voting clients: each vote is before it or behind", race_free},
    {"So it is with voters who vote once", race_once},
    {"So it is with voters who change their votes", race_change},
    {"RESET with a KEY is done once, also through kill -9", repeated},
    {"RESET has its place among the requests of a connection", in_order},
    {"The server ends with RESETs under way, and nothing answered is lost", at_the_end},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
