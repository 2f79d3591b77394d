/* Polls that open and close, limits of votes, and the number of tag sets of a queue. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct server server;
static struct client client;

static void begin(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
}

static void crash(void)
{
    client_close(&client);
    server_crash(&server);
    client_open(&client, &server);
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

static void closed_and_not_open_yet(void)
{
    begin();
    client_expect(&client, "OK", "POLL past CLOSE 1");
    client_expect(&client, "OK", "POLL future OPEN 99999999999999");
    uint64_t past = scene_option(&client, "past", "a");
    uint64_t future = scene_option(&client, "future", "a");
    for (int run = 0; run < 2; run++) {
        client_expect_err(&client, "CLOSED", "VOTE %" PRIu64, past);
        client_expect_err(&client, "CLOSED", "VOTE %" PRIu64, future);
        EXPECT(scene_total(&client, "past") == 0, "a closed poll was changed");
        EXPECT(scene_total(&client, "future") == 0, "a poll that is not open was changed");
        crash();
    }
    client_expect(&client, "OK", "POLL past CLOSE 0");
    end();
}

/* Votes until the poll closes: the acknowledged votes are those that are counted, for good. */
static void closes_under_votes(void)
{
    begin();
    client_expect(&client, "OK", "POLL soon");
    uint64_t option = scene_option(&client, "soon", "a");
    uint64_t acknowledged = 0;
    const struct reply *reply = NULL;
    /* on a slow machine the poll may have closed before the first vote: then its end is later */
    for (uint64_t left_ms = 400; acknowledged == 0; left_ms *= 2) {
        uint64_t close_ms = wait_wall_ms() + left_ms;
        client_expect(&client, "OK", "POLL soon CLOSE %" PRIu64, close_ms);
        reply = client_get(&client, "VOTE %" PRIu64, option);
        EXPECT(reply_is_ok(reply) || wait_wall_ms() >= close_ms, "'%s' before the end",
               reply->line);
        for (; reply_is_ok(reply); acknowledged++) {
            reply = client_get(&client, "VOTE %" PRIu64, option);
        }
        EXPECT(reply_is_err(reply, "CLOSED"), "the end was '%s'", reply->line);
    }
    EXPECT(scene_total(&client, "soon") == acknowledged, "the count is not what was acknowledged");
    do { /* until the log itself says that it is closed */
        reply = client_get(&client, "POLLS");
        EXPECT(reply->row_count == 1, "POLLS gave '%s'", reply->line);
    } while (strstr(reply->rows[0], "open=1") != NULL);
    crash();
    client_expect_err(&client, "CLOSED", "VOTE %" PRIu64, option);
    EXPECT(scene_total(&client, "soon") == acknowledged, "the crash changed the count");
    end();
}

/* No request behind the OK sees the old state of the poll, on any connection. */
static void ok_holds(void)
{
    struct client other;
    begin();
    client_open(&other, &server);
    client_expect(&client, "OK", "POLL p");
    uint64_t option = scene_option(&client, "p", "a");
    for (int i = 0; i < 10; i++) {
        client_expect(&client, "OK", "POLL p CLOSE 1");
        const struct reply *reply = client_get(&other, "POLLS");
        EXPECT(reply->row_count == 1 && strstr(reply->rows[0], "open=0") != NULL, "'%s'",
               reply->rows[0]);
        client_expect_err(&other, "CLOSED", "VOTE %" PRIu64, option);
        client_expect(&client, "OK", "POLL p CLOSE 0");
        reply = client_get(&other, "VOTE %" PRIu64, option);
        EXPECT(reply_is_ok(reply), "'%s'", reply->line);
    }
    client_close(&other);
    end();
}

static void rate(void)
{
    begin();
    client_expect(&client, "OK", "POLL few RATE 2/3600000");
    uint64_t option = scene_option(&client, "few", "a");
    client_expect(&client, "OK 1", "VOTE %" PRIu64, option);
    client_expect(&client, "OK 2", "VOTE %" PRIu64, option);
    const struct reply *reply = client_get(&client, "VOTE %" PRIu64, option);
    EXPECT(reply_is_err(reply, "RATE") && strstr(reply->line, "retry_ms=") != NULL, "'%s'",
           reply->line);
    EXPECT(scene_total(&client, "few") == 2, "a vote over the rate was counted");
    client_expect_err(&client, "RANGE", "VOTE %" PRIu64 " N 3", option);
    end();
}

/* Casts a vote; a refused one is repeated after its retry_ms. Returns how often it was refused. */
static uint64_t vote_at_rate(uint64_t option)
{
    const struct reply *reply = client_get(&client, "VOTE %" PRIu64, option);
    bool is_refused = reply_is_err(reply, "RATE");
    if (is_refused) {
        uint64_t wait_ms = line_field_number(reply->line, "retry_ms");
        client_expect(&client, "NIL", "CLAIM w empty WAIT %" PRIu64, wait_ms);
        reply = client_get(&client, "VOTE %" PRIu64, option);
    }
    EXPECT(reply_is_ok(reply), "'%s'", reply->line);
    return is_refused;
}

/* The retry_ms of a refusal is exact: after it the vote passes. A claim that waits is the clock. */
static void retry(void)
{
    begin();
    client_expect(&client, "OK", "POLL slow");
    uint64_t option = scene_option(&client, "slow", "a");
    scene_worker(&client, "w");
    uint64_t refused = 0;
    /* a machine on which votes are so far apart that none is refused gets a lower rate */
    for (unsigned per_ms = 300; refused == 0; per_ms *= 2) {
        client_expect(&client, "OK", "POLL slow RATE 1/%u", per_ms);
        for (int i = 0; i < 8; i++) {
            refused += vote_at_rate(option);
        }
    }
    for (uint64_t bytes = 1; bytes > 0;) { /* and then the server forgets the addresses */
        client_expect(&client, "NIL", "CLAIM w empty WAIT 100");
        const struct reply *reply = client_get(&client, "INFO memory");
        for (size_t i = 0; i < reply->row_count; i++) {
            uint64_t found = line_field_number(reply->rows[i], "rate_bytes");
            bytes = found != UINT64_MAX ? found : bytes;
        }
    }
    end();
}

static void need_sets(void)
{
    enum { SETS = 64 };
    char words[32];
    begin();
    for (int i = 0; i < SETS; i++) {
        snprintf(words, sizeof(words), "NEED tag%d", i);
        scene_submit(&client, "tags", words, "build");
    }
    for (int run = 0; run < 2; run++) {
        client_expect_err(&client, "FULL", "SUBMIT tags NEED another :build");
        client_expect_err(&client, "FULL", "SUBMIT tags :build");
        crash();
    }
    scene_submit(&client, "tags", "NEED tag0", "build");
    end();
}

/* A set whose builds are all finished takes no place, also after a start and from a snapshot. */
static void need_sets_pass(void)
{
    enum { SETS = 64, ROUNDS = 3 };
    char words[32];
    struct claim claim;
    begin();
    for (int i = 0; i < ROUNDS * SETS; i++) {
        snprintf(words, sizeof(words), "NEED tag%d", i);
        scene_submit(&client, "passing", words, "build");
        client_expect(&client, i == 0 ? "OK new" : "OK again", "WORKER w TAGS tag%d", i);
        scene_claim(&claim, &client, "w", "passing");
        client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
        if (i == SETS - 1) {
            EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "no snapshot");
        }
        if (i % SETS == SETS - 1) {
            crash();
        }
    }
    scene_submit(&client, "passing", "", "build");
    scene_claim(&claim, &client, "w", "passing");
    end();
}

static const struct check_test tests[] = {
    {"A poll that is closed, or not open yet, takes no vote", closed_and_not_open_yet},
    {"A poll that closes under votes counts exactly what was acknowledged", closes_under_votes},
    {"What OK has said of a poll's times holds for whoever asks next", ok_holds},
    {"A vote over the rate is refused with the time to wait", rate},
    {"After retry_ms the vote passes", retry},
    {"The 65th set of needed tags of a queue is FULL", need_sets},
    {"Sets of needed tags whose builds are finished make room for others", need_sets_pass},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
