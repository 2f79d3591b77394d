/* Voters of one connection each, asked in one go: every reply follows from the requests before. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * Many requests of a connection are in one batch of the server, which answers some of them without
 * a record. A model of a few lines says what each must be told.
 */
enum { CLIENTS = 12, VOTERS = 3, REQUESTS = 90, ROUNDS = 4, OPTIONS = 3, LINE_BYTES = 128 };

enum own_mode { OWN_ONCE, OWN_CHANGE, OWN_MODES };

/* The votes of one voter in the two polls. */
struct own_voter {
    uint64_t option[OWN_MODES]; /* 0: none */
};

static const char *const polls[OWN_MODES] = {"once", "change"};

static struct server server;
static struct client clients[CLIENTS];
static struct own_voter voters[CLIENTS][VOTERS];
static uint64_t ids[OWN_MODES][OPTIONS];
static char expected[CLIENTS][REQUESTS][LINE_BYTES]; /* the reply, its counts aside */

static void set_up(void)
{
    char label[32];
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    for (int mode = 0; mode < OWN_MODES; mode++) {
        client_expect(&clients[0], "OK", "POLL %s MODE %s", polls[mode], polls[mode]);
        for (size_t i = 0; i < OPTIONS; i++) {
            snprintf(label, sizeof(label), "Option-%zu", i);
            ids[mode][i] = scene_option(&clients[0], polls[mode], label);
        }
    }
    memset(voters, 0, sizeof(voters));
}

/* Writes the request, and the reply that it must get. */
static void plan(struct seed *seed, struct own_voter *voter, const char *name,
                 char request[LINE_BYTES], char reply[LINE_BYTES])
{
    size_t mode = seed_below(seed, OWN_MODES);
    uint64_t *has = &voter->option[mode];
    if (seed_below(seed, 3) == 0) {
        snprintf(request, LINE_BYTES, "UNVOTE %s VOTER %s", polls[mode], name);
        snprintf(reply, LINE_BYTES, "%s", *has != 0 ? "OK" : "NIL");
        *has = 0;
        return;
    }
    uint64_t option = ids[mode][seed_below(seed, OPTIONS)];
    snprintf(request, LINE_BYTES, "VOTE %" PRIu64 " VOTER %s", option, name);
    if (*has != 0 && mode == OWN_ONCE) {
        snprintf(reply, LINE_BYTES, "ERR VOTED");
        return;
    }
    if (*has != 0) {
        snprintf(reply, LINE_BYTES, "OK prev=%" PRIu64, *has);
    } else {
        snprintf(reply, LINE_BYTES, "OK");
    }
    *has = option;
}

static void ask_all(struct seed *seed)
{
    char request[LINE_BYTES], name[32];
    for (size_t i = 0; i < REQUESTS; i++) {
        for (size_t c = 0; c < CLIENTS; c++) {
            size_t v = seed_below(seed, VOTERS);
            snprintf(name, sizeof(name), "v-%zu-%zu", c, v);
            plan(seed, &voters[c][v], name, request, expected[c][i]);
            EXPECT(client_send(&clients[c], "%s", request), "client %zu is cut off", c);
        }
    }
}

static void hear_all(void)
{
    for (size_t c = 0; c < CLIENTS; c++) {
        for (size_t i = 0; i < REQUESTS; i++) {
            char first[32], second[64], prev[64], told[LINE_BYTES];
            const struct reply *reply = client_next(&clients[c]);
            (void)line_word(reply->line, 0, first, sizeof(first));
            if (strcmp(first, "ERR") == 0) {
                (void)line_word(reply->line, 1, second, sizeof(second));
                snprintf(told, sizeof(told), "ERR %s", second);
            } else if (line_field(reply->line, "prev", prev, sizeof(prev))) {
                snprintf(told, sizeof(told), "%s prev=%s", first, prev);
            } else {
                snprintf(told, sizeof(told), "%s", first);
            }
            EXPECT(strcmp(told, expected[c][i]) == 0, "client %zu, request %zu: '%s', not '%s'", c,
                   i, reply->line, expected[c][i]);
        }
    }
}

/* The server, and its log, have the votes of the model. */
static void expect_model(void)
{
    struct fold fold;
    fold_begin(&fold, &server);
    fold_all(&fold);
    for (int mode = 0; mode < OWN_MODES; mode++) {
        for (size_t i = 0; i < OPTIONS; i++) {
            uint64_t votes = 0;
            for (size_t v = 0; v < (size_t)CLIENTS * VOTERS; v++) {
                votes += voters[v / VOTERS][v % VOTERS].option[mode] == ids[mode][i];
            }
            uint64_t has = scene_votes(&clients[0], polls[mode], ids[mode][i]);
            EXPECT(has == votes, "%s: option %zu has %" PRIu64 " votes, not %" PRIu64, polls[mode],
                   i, has, votes);
            fold_expect_votes(&fold, ids[mode][i], votes);
        }
    }
    fold_fini(&fold);
}

static void own_voters(void)
{
    struct seed seed = {11};
    set_up();
    for (int round = 0; round < ROUNDS; round++) {
        ask_all(&seed);
        hear_all();
        expect_model();
        if (round == 1) {
            EXPECT(reply_is_ok(client_get(&clients[0], "SNAPSHOT")), "no snapshot");
        }
        server_crash(&server);
        client_close_all(clients, CLIENTS);
        client_open_all(clients, CLIENTS, &server);
        expect_model();
    }
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"Votes and their taking back in one go get the replies of single ones", own_voters},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
