/* A sync that fails is final: exit 74, and no OK to a change that is not in the log. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/dump.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/limits/traced.h"

#include <inttypes.h>
#include <stdio.h>

enum { EXIT_IO = 74, VOTES_MAX = 5000, DEPTH = 16 };

static struct server server;
static struct client client;

static void start_traced(const char *inject)
{
    server_init(&server);
    traced_set(&server, inject);
    server_restart(&server);
    client_open(&client, &server);
}

/* Votes, with DEPTH in flight, until the connection ends. Returns how many were acknowledged. */
static uint64_t vote_until_the_end(uint64_t option)
{
    uint64_t acked = 0, sent = 0;
    while (sent < VOTES_MAX) {
        for (int i = 0; i < DEPTH; i++, sent++) {
            client_send(&client, "VOTE %" PRIu64, option);
        }
        for (int i = 0; i < DEPTH; i++) {
            const struct reply *reply = client_read(&client);
            if (reply == NULL) {
                EXPECT(!client.is_late && !client.is_broken, "neither a reply nor a close");
                return acked;
            }
            EXPECT(line_number(reply->line, 1) == acked + 1, "after %" PRIu64 " votes: '%s'", acked,
                   reply->line);
            acked++;
        }
    }
    EXPECT(false, "%d votes and no sync has failed", VOTES_MAX);
    return acked;
}

static void expect_end_and_restart(void)
{
    int code = server_await_exit(&server);
    EXPECT(code == EXIT_IO, "a failed sync ended it with code %d", code);
    server.wrapper = NULL;
    server_restart(&server);
    client_close(&client);
    client_open(&client, &server);
}

static void failing_from(const char *inject)
{
    start_traced(inject);
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    uint64_t acked = vote_until_the_end(option);
    expect_end_and_restart();

    /* votes in flight when the sync failed may be in the file; acknowledged ones must be */
    uint64_t votes = scene_votes(&client, "lang", option);
    EXPECT(votes >= acked && votes <= acked + DEPTH,
           "%" PRIu64 " acknowledged, %" PRIu64 " counted", acked, votes);
    client_expect(&client, "OK PONG", "PING");
    scene_vote_times(&client, option, votes, 3);
    printf("  %" PRIu64 " votes acknowledged, %" PRIu64 " counted\n", acked, votes);

    struct fold fold;
    fold_begin(&fold, &server);
    fold_all(&fold);
    fold_expect_votes(&fold, option, votes + 3);
    fold_fini(&fold);
    client_close(&client);
    server_stop(&server);
}

static void sync_fails(void)
{
    failing_from("inject=fdatasync:error=EIO:when=20+");
}

static void sync_fails_once(void)
{
    failing_from("inject=fdatasync:error=EIO:when=20");
}

static void write_fails(void)
{
    failing_from("inject=pwrite64,pwritev,pwritev2:error=EIO:when=200+");
}

static void reads_are_true(void)
{
    start_traced("inject=fdatasync:error=EIO:when=20+");
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir"), seen = 0;
    for (uint64_t sent = 1; sent < VOTES_MAX; sent++) {
        /* a read behind a vote is answered after the vote, or not at all */
        client_send(&client, "VOTE %" PRIu64, option);
        client_send(&client, "TALLY lang");
        const struct reply *reply = client_read(&client);
        reply = reply != NULL ? client_read(&client) : NULL;
        if (reply == NULL) {
            break;
        }
        seen = line_field_number(reply->rows[0], "total");
        EXPECT(seen == sent, "total=%" PRIu64 " after %" PRIu64 " votes", seen, sent);
    }
    expect_end_and_restart();
    uint64_t votes = scene_votes(&client, "lang", option);
    EXPECT(votes >= seen, "a read showed %" PRIu64 " votes, there are %" PRIu64, seen, votes);
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"When every sync fails from some moment on it exits 74 without a false OK", sync_fails},
    {"One failed sync is final: it exits 74 and does not try again", sync_fails_once},
    {"When a write fails it exits 74 without a false OK", write_fails},
    {"No read has shown what is gone after a failed sync", reads_are_true},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
