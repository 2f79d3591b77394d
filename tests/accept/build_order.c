/* B3 to B5: refusals keep the queue's order, stale tokens change nothing, order is kept. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RUNS = 100, LINE_BUILDS = 12 };

static struct server server;
static struct client client;

static void crash_and_reconnect(void)
{
    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
}

/* Claims the next build and expects this payload and attempt, finishes it. */
static void work_next(const char *worker, const char *queue, const char *payload, uint64_t attempt)
{
    struct claim claim;
    scene_claim(&claim, &client, worker, queue);
    EXPECT(strcmp(claim.payload, payload) == 0, "%s offers '%s' before '%s'", queue, claim.payload,
           payload);
    EXPECT(claim.attempt == attempt, "attempt %" PRIu64 " of '%s'", claim.attempt, payload);
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
}

static void b3_refused_claim(void)
{
    char queue[32];
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_worker(&client, "good");
    for (size_t run = 0; run < RUNS; run++) {
        snprintf(queue, sizeof(queue), "queue-%zu", run);
        scene_submit(&client, queue, "", "first");
        scene_submit(&client, queue, "", "second");
        client_expect_err(&client, "NOTFOUND", "CLAIM ghost %s", queue);
        scene_worker(&client, "gone");
        client_expect(&client, "OK released=0", "BYE gone");
        client_expect_err(&client, "NOTFOUND", "CLAIM gone %s", queue);
        crash_and_reconnect();
        client_expect_err(&client, "NOTFOUND", "CLAIM ghost %s", queue);
        client_expect_err(&client, "NOTFOUND", "CLAIM gone %s", queue);
        work_next("good", queue, "first", 1);
        work_next("good", queue, "second", 1);
    }
    client_close(&client);
    server_stop(&server);
}

static void expect_stale(uint64_t id, uint64_t token)
{
    client_expect_err(&client, "STALE", "BEAT %" PRIu64 " %" PRIu64, id, token);
    client_expect_err(&client, "STALE", "DONE %" PRIu64 " %" PRIu64 " RESULT late", id, token);
    client_expect_err(&client, "STALE", "FAIL %" PRIu64 " %" PRIu64 " DEAD", id, token);
    client_expect_err(&client, "STALE", "RELEASE %" PRIu64 " %" PRIu64 " DELAY 1", id, token);
}

static void b4_stale_token(void)
{
    struct claim old, new;
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_worker(&client, "w1");
    scene_worker(&client, "w2");
    for (size_t run = 0; run < RUNS; run++) {
        scene_submit(&client, "line", "", "build");
        scene_claim(&old, &client, "w1", "line");
        client_expect(&client, "OK", "RELEASE %" PRIu64 " %" PRIu64, old.id, old.token);
        expect_stale(old.id, old.token);
        EXPECT(scene_build_has(&client, old.id, "state", "pending"), "a stale token took it");
        scene_claim(&new, &client, "w2", "line");
        EXPECT(new.id == old.id &&new.token > old.token, "token %" PRIu64 " after %" PRIu64,
               new.token, old.token);
        expect_stale(old.id, old.token);
        crash_and_reconnect();
        expect_stale(old.id, old.token);
        EXPECT(scene_build_has(&client, old.id, "worker", "w2"),
               "a stale token changed the holder");
        EXPECT(scene_build_has(&client, old.id, "state", "assigned"), "a stale token moved it");
        client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64 " RESULT right", new.id,
                      new.token);
        client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64 " RESULT right", new.id,
                      new.token);
        expect_stale(old.id, old.token);
        const struct reply *reply = client_get(&client, "RESULT %" PRIu64, new.id);
        EXPECT(reply->blob != NULL && strcmp(reply->blob, "right") == 0, "RESULT gave '%s'",
               reply->line);
    }
    client_close(&client);
    server_stop(&server);
}

static void b4_expired_lease(void)
{
    struct claim old, new;
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_worker(&client, "w1");
    scene_worker(&client, "w2");
    for (int run = 0; run < 3; run++) {
        scene_submit(&client, "line", "LEASE 100", "build");
        scene_claim(&old, &client, "w1", "line");
        if (run == 1) {
            crash_and_reconnect();
        }
        const struct reply *reply = client_get(&client, "CLAIM w2 line WAIT 60000");
        EXPECT(claim_parse(&new, reply), "the expired build is not offered: '%s'", reply->line);
        EXPECT(new.id == old.id &&new.token > old.token &&new.attempt == 2,
               "after token %" PRIu64 " came '%s'", old.token, reply->line);
        expect_stale(old.id, old.token);
        /* this lease may expire at any moment, too: the build ends here in either case */
        reply = client_get(&client, "DONE %" PRIu64 " %" PRIu64, new.id, new.token);
        EXPECT(reply_is(reply, "OK") || reply_is_err(reply, "STALE"), "DONE gave '%s'",
               reply->line);
        if (!reply_is(reply, "OK")) {
            scene_claim(&new, &client, "w2", "line");
        }
    }
    client_close(&client);
    server_stop(&server);
}

/* Submits builds of mixed priorities, and moves a few of them by release and failure. */
static void set_up_line(const char *queue)
{
    static const char *const words[] = {"", "PRI 9", "PRI 0", "PRI 5", "PRI 0", "", "PRI 1"};
    char payload[32];
    struct claim claim;
    for (size_t i = 0; i < LINE_BUILDS; i++) {
        snprintf(payload, sizeof(payload), "build-%zu", i);
        scene_submit(&client, queue, words[i % COUNT_OF(words)], payload);
    }
    scene_claim(&claim, &client, "mover", queue);
    client_expect(&client, "OK", "RELEASE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    scene_claim(&claim, &client, "mover", queue);
    client_expect(&client, "OK pending attempts_left=2", "FAIL %" PRIu64 " %" PRIu64, claim.id,
                  claim.token);
}

/* Claims and ends all builds, and notes the payloads in the order in which they were offered. */
static void drain_line(const char *queue, char *order, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < LINE_BUILDS; i++) {
        struct claim claim;
        scene_claim(&claim, &client, "w1", queue);
        used += (size_t)snprintf(order + used, room - used, "%s ", claim.payload);
        client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    }
    scene_claim_nil(&client, "w1", queue);
}

static void b5_order_after_restart(void)
{
    char before[1024], after[1024], queue[32];
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_worker(&client, "w1");
    scene_worker(&client, "mover");
    set_up_line("calm");
    drain_line("calm", before, sizeof(before));
    for (int run = 0; run < 10; run++) {
        snprintf(queue, sizeof(queue), "crashed-%d", run);
        set_up_line(queue);
        crash_and_reconnect();
        drain_line(queue, after, sizeof(after));
        EXPECT(strcmp(before, after) == 0, "before: %s\n  after: %s", before, after);
    }
    client_close(&client);
    server_stop(&server);
}

static void b5_priority_then_submission(void)
{
    char queue[32];
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_worker(&client, "w1");
    for (size_t run = 0; run < RUNS; run++) {
        snprintf(queue, sizeof(queue), "queue-%zu", run);
        scene_submit(&client, queue, "PRI 9", "9a");
        scene_submit(&client, queue, "", "5a");
        scene_submit(&client, queue, "PRI 0", "0a");
        scene_submit(&client, queue, "PRI 5", "5b");
        scene_submit(&client, queue, "PRI 0", "0b");
        work_next("w1", queue, "0a", 1);
        crash_and_reconnect();
        work_next("w1", queue, "0b", 1);
        work_next("w1", queue, "5a", 1);
        work_next("w1", queue, "5b", 1);
        work_next("w1", queue, "9a", 1);
    }
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"B3: a refused claim leaves the build first in line", b3_refused_claim},
    {"B4: a stale token changes nothing", b4_stale_token},
    {"B4: the token of an expired lease is stale", b4_expired_lease},
    {"B5: order after a restart is the order before", b5_order_after_restart},
    {"B5: priority 0 comes first, then the order of offering", b5_priority_then_submission},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
