/* All that changes a poll, at once: votes of each kind, SEED, RESET, other modes, closing. The
 * state is what the log says by the rules of fold.h, at any TALLY, after a crash and from a
 * snapshot. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CLIENTS = 8,
    ROUNDS = 6,
    REQUESTS = 40, /* of a client in a round */
    POLLS = 2,
    OPTIONS = 4,
    NAMES = 12,
    KEYS = 400,
    LINE_BYTES = 128,
    SEEN_MAX = CLIENTS * REQUESTS * ROUNDS
};

/* What one TALLY has shown. */
struct mixed_seen {
    uint64_t lsn, votes[OPTIONS];
    size_t poll;
};

static struct server server;
static struct client clients[CLIENTS];
static uint64_t ids[POLLS][OPTIONS];
static struct mixed_seen seen[SEEN_MAX];
static size_t seen_count;
static uint64_t first_seed;

static void plan_vote(struct seed *seed, size_t poll, char line[LINE_BYTES])
{
    char words[64] = "";
    uint64_t a = ids[poll][seed_below(seed, OPTIONS)], b = ids[poll][seed_below(seed, OPTIONS)];
    uint64_t kind = seed_below(seed, 6);
    if (seed_below(seed, 3) == 0) {
        snprintf(words, sizeof(words), " KEY k%" PRIu64, seed_below(seed, KEYS));
    }
    if (kind < 2) {
        snprintf(line, LINE_BYTES, "VOTE %" PRIu64 "%s", a, words);
    } else if (kind < 4) {
        snprintf(line, LINE_BYTES, "VOTE %" PRIu64 " VOTER v%" PRIu64 "%s", a,
                 seed_below(seed, NAMES), words);
    } else if (kind == 4) {
        snprintf(line, LINE_BYTES, "VOTE %" PRIu64 " %" PRIu64 " VOTER v%" PRIu64 "%s", a, b,
                 seed_below(seed, NAMES), words);
    } else {
        snprintf(line, LINE_BYTES, "UNVOTE p%zu VOTER v%" PRIu64 "%s", poll,
                 seed_below(seed, NAMES), words);
    }
}

static void plan(struct seed *seed, char line[LINE_BYTES])
{
    static const char *const modes[] = {"free", "once", "change"};
    size_t poll = seed_below(seed, POLLS);
    uint64_t dice = seed_below(seed, 100);
    if (dice < 78) {
        plan_vote(seed, poll, line);
    } else if (dice < 90) {
        snprintf(line, LINE_BYTES, "TALLY p%zu", poll);
    } else if (dice < 92) {
        snprintf(line, LINE_BYTES, "RESET p%zu", poll);
    } else if (dice < 94) {
        snprintf(line, LINE_BYTES, "SEED %" PRIu64 " 7 OVER 60000 KEY s%" PRIu64,
                 ids[poll][seed_below(seed, OPTIONS)], seed_below(seed, KEYS));
    } else if (dice < 98) {
        snprintf(line, LINE_BYTES, "POLL p%zu MODE %s CLOSE 0", poll, modes[seed_below(seed, 3)]);
    } else {
        snprintf(line, LINE_BYTES, "POLL p%zu CLOSE 1", poll);
    }
}

static void take_tally(const struct reply *reply)
{
    EXPECT(seen_count < SEEN_MAX && reply->row_count == OPTIONS + 1, "TALLY: '%s'", reply->line);
    struct mixed_seen *tally = &seen[seen_count++];
    tally->lsn = line_field_number(reply->rows[0], "lsn");
    for (size_t i = 0; i < OPTIONS; i++) {
        uint64_t id = line_number(reply->rows[i + 1], 0);
        tally->poll = id >= ids[1][0];
        tally->votes[id - ids[tally->poll][0]] = line_number(reply->rows[i + 1], 1);
    }
}

static void hear(struct client *client)
{
    static const char *const codes[] = {"VOTED", "CLOSED", "INVAL", "EXISTS", "DENIED"};
    const struct reply *reply = client_next(client);
    bool is_good = reply_is_ok(reply) || reply_is(reply, "NIL");
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        is_good = is_good || reply_is_err(reply, codes[i]);
    }
    EXPECT(is_good, "a request gave '%s'", reply->line);
    if (reply->row_count > 0) {
        take_tally(reply);
    }
}

static void ask_at_once(struct seed *seed)
{
    char line[LINE_BYTES];
    for (size_t i = 0; i < REQUESTS; i++) {
        for (size_t c = 0; c < CLIENTS; c++) {
            plan(seed, line);
            EXPECT(client_send(&clients[c], "%s", line), "client %zu is cut off", c);
        }
    }
    for (size_t c = 0; c < CLIENTS; c++) {
        for (size_t i = 0; i < REQUESTS; i++) {
            hear(&clients[c]);
        }
    }
}

static int compare_lsn(const void *left, const void *right)
{
    const struct mixed_seen *a = left, *b = right;
    return a->lsn < b->lsn ? -1 : a->lsn > b->lsn;
}

static void expect_log(void)
{
    struct fold fold;
    size_t at = 0;
    qsort(seen, seen_count, sizeof(*seen), compare_lsn);
    fold_begin(&fold, &server);
    while (fold_next(&fold)) {
        for (; at < seen_count && seen[at].lsn == fold.record.lsn; at++) {
            for (size_t i = 0; i < OPTIONS; i++) {
                fold_expect_votes(&fold, ids[seen[at].poll][i], seen[at].votes[i]);
            }
        }
    }
    EXPECT(at == seen_count, "a TALLY is of no record");
    fold_fini(&fold);
}

static void crash(void)
{
    server_crash(&server);
    client_close_all(clients, CLIENTS);
    client_open_all(clients, CLIENTS, &server);
}

static void look(void)
{
    for (size_t poll = 0; poll < POLLS; poll++) {
        EXPECT(client_send(&clients[0], "TALLY p%zu", poll), "cut off");
        hear(&clients[0]);
    }
}

static void all_at_once(void)
{
    char poll[8], label[16];
    struct seed seed = {first_seed};
    printf("  --seed %" PRIu64 "\n", first_seed);
    seen_count = 0;
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    for (size_t p = 0; p < POLLS; p++) {
        snprintf(poll, sizeof(poll), "p%zu", p);
        scene_poll(&clients[0], poll);
        for (size_t i = 0; i < OPTIONS; i++) {
            snprintf(label, sizeof(label), "Option-%zu", i);
            ids[p][i] = scene_option(&clients[0], poll, label);
        }
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        ask_at_once(&seed);
        look();
        if (round % 2 == 1) {
            EXPECT(reply_is_ok(client_get(&clients[0], "SNAPSHOT")), "no snapshot");
        }
        crash();
        look();
        expect_log();
    }
    printf("  %zu tallies\n", seen_count);
    client_close_all(clients, CLIENTS);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"Votes of all kinds, SEED, RESET and POLL at once: the polls are what their log says",
     all_at_once},
};

int main(int argc, char **argv)
{
    first_seed = check_option(argc, argv, "--seed", (uint64_t)time(NULL));
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
