/* Several options in one vote: all or none, wherever the log is cut. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/fold.h"
#include "tests/lib/proc.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Every vote is for all options of one group, so the options of a group always have the same. Some
 * votes of mode change move from group to group, or are taken back.
 */
enum { CLIENTS = 6, VOTES = 20, GROUPS = 2, GROUP_OPTIONS = 3, NAMES = 15, CUTS = 10 };

static struct server server, cut;
static struct client clients[CLIENTS];
static uint64_t ids[GROUPS][GROUP_OPTIONS];

static void set_up(const char *mode)
{
    char label[32];
    server_start(&server, NULL);
    client_open_all(clients, CLIENTS, &server);
    client_expect(&clients[0], "OK", "POLL many MODE %s", mode);
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < GROUP_OPTIONS; i++) {
            snprintf(label, sizeof(label), "Option-%zu-%zu", g, i);
            ids[g][i] = scene_option(&clients[0], "many", label);
        }
    }
}

static void vote_all(struct seed *seed, bool is_change)
{
    for (size_t i = 0; i < CLIENTS * VOTES; i++) {
        struct client *client = &clients[i % CLIENTS];
        int voter = (int)seed_below(seed, NAMES);
        const uint64_t *group = ids[seed_below(seed, GROUPS)];
        bool is_sent =
            is_change && seed_below(seed, 6) == 0
                ? client_send(client, "UNVOTE many VOTER v%d", voter)
                : client_send(client, "VOTE %" PRIu64 " %" PRIu64 " %" PRIu64 " VOTER v%d",
                              group[0], group[1], group[2], voter);
        EXPECT(is_sent, "cut off");
    }
    for (size_t i = 0; i < CLIENTS * VOTES; i++) {
        const struct reply *reply = client_next(&clients[i % CLIENTS]);
        EXPECT(reply_is_ok(reply) || reply_is(reply, "NIL") ||
                   (!is_change && reply_is_err(reply, "VOTED")),
               "a vote gave '%s'", reply->line);
    }
}

/* Behind every record the options of a group have the same. Returns the last lsn. */
static uint64_t expect_log(void)
{
    struct fold fold;
    fold_begin(&fold, &server);
    while (fold_next(&fold)) {
        for (size_t g = 0; g < GROUPS; g++) {
            for (size_t i = 1; i < GROUP_OPTIONS; i++) {
                fold_expect_votes(&fold, ids[g][i], fold_votes(&fold, ids[g][0]));
            }
        }
        EXPECT(fold.poll_count == 0 || fold_poll(&fold, "many")->total ==
                                           GROUP_OPTIONS * fold_poll(&fold, "many")->voters,
               "not %d votes a voter at %" PRIu64, GROUP_OPTIONS, fold.record.lsn);
    }
    uint64_t last = fold.record.lsn;
    fold_fini(&fold);
    return last;
}

/* A server on a log that ends at this record has what the fold has there. */
static void expect_cut(uint64_t lsn)
{
    static char into[SERVER_PATH_MAX + 128], until[64];
    const char *argv[] = {getenv("TALLY_WAL"), "replay", into, until, server.data, NULL};
    char *output = NULL;
    struct client client;
    struct fold fold;
    server_init(&cut);
    snprintf(into, sizeof(into), "--into=%s", cut.data);
    snprintf(until, sizeof(until), "--until=%" PRIu64, lsn);
    int code = proc_run(argv, &output);
    EXPECT(code == 0, "replay to %" PRIu64 " ended with %d: %s", lsn, code, output);
    free(output);
    server_restart(&cut);
    client_open(&client, &cut);
    fold_begin(&fold, &server);
    fold_to(&fold, lsn);
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < GROUP_OPTIONS; i++) {
            uint64_t votes = scene_votes(&client, "many", ids[g][i]);
            fold_expect_votes(&fold, ids[g][i], votes);
            EXPECT(votes == fold_votes(&fold, ids[g][0]), "half a vote at %" PRIu64, lsn);
        }
    }
    fold_fini(&fold);
    client_close(&client);
    server_stop(&cut);
}

static void cut_everywhere(const char *mode)
{
    struct seed seed = {mode[0] == 'o' ? 1 : 2};
    set_up(mode);
    vote_all(&seed, strcmp(mode, "change") == 0);
    server_crash(&server);
    client_close_all(clients, CLIENTS);
    uint64_t last = expect_log(), first = 1 + GROUPS * GROUP_OPTIONS;
    EXPECT(last > first, "the log has no vote");
    for (uint64_t i = 0; i <= CUTS; i++) {
        expect_cut(first + (last - first) * i / CUTS);
    }
    server_stop(&server);
}

static void cut_once(void)
{
    cut_everywhere("once");
}

static void cut_change(void)
{
    cut_everywhere("change");
}

static const struct check_test tests[] = {
    {"A vote for three options counts for all or none in every prefix of the log", cut_once},
    {"So does one that changes, or is taken back", cut_change},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
