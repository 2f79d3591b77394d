/* B7: no claim waits longer than its WAIT, and a wait ends when there is a build. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/wait.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The upper bound of a wait is the deadline of the client and the test's own time limit: a busy
 * machine may be late, but a claim that hangs is found. */
enum { WAIT_MS = 300, WAITERS = 10, RUNS = 100 };

static struct server server;
static struct client clients[WAITERS + 1];

static void start_with_workers(size_t count)
{
    char worker[32];
    server_start(&server, NULL);
    client_open_all(clients, count + 1, &server);
    for (size_t i = 0; i < count; i++) {
        snprintf(worker, sizeof(worker), "w%zu", i);
        scene_worker(&clients[i], worker);
    }
}

static void stop(size_t count)
{
    client_close_all(clients, count + 1);
    server_stop(&server);
}

static void expect_nil_after_wait(const char *queue)
{
    uint64_t start_ms = wait_now_ms();
    client_expect(&clients[0], "NIL", "CLAIM w0 %s WAIT %d", queue, WAIT_MS);
    uint64_t took_ms = wait_now_ms() - start_ms;
    EXPECT(took_ms >= WAIT_MS, "NIL came after %" PRIu64 " ms", took_ms);
}

static void b7_empty_queue(void)
{
    struct claim claim;
    start_with_workers(1);
    expect_nil_after_wait("never-seen");
    scene_submit(&clients[0], "worked-off", "", "build");
    scene_claim(&claim, &clients[0], "w0", "worked-off");
    client_expect(&clients[0], "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    expect_nil_after_wait("worked-off");
    client_expect(&clients[0], "NIL", "CLAIM w0 worked-off");
    client_expect(&clients[0], "NIL", "CLAIM w0 worked-off WAIT 0");
    server_crash(&server);
    client_close_all(clients, 2);
    client_open_all(clients, 2, &server);
    expect_nil_after_wait("worked-off");
    stop(1);
}

static void b7_later_submit(void)
{
    struct claim claim;
    start_with_workers(1);
    for (int run = 0; run < RUNS; run++) {
        /* the claim may arrive before or after the submit: both must end with the build */
        EXPECT(client_send(&clients[0], "CLAIM w0 line WAIT 3600000"), "cut off");
        uint64_t id = scene_submit(&clients[1], "line", "", "late");
        const struct reply *reply = client_next(&clients[0]);
        EXPECT(claim_parse(&claim, reply) && claim.id == id, "run %d: '%s'", run, reply->line);
        EXPECT(strcmp(claim.payload, "late") == 0, "payload '%s'", claim.payload);
        client_expect(&clients[0], "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    }
    stop(1);
}

static void b7_released_build(void)
{
    struct claim claim, again;
    start_with_workers(2);
    for (int run = 0; run < RUNS; run++) {
        scene_submit(&clients[2], "line", "", "build");
        scene_claim(&claim, &clients[0], "w0", "line");
        EXPECT(client_send(&clients[1], "CLAIM w1 line WAIT 3600000"), "cut off");
        client_expect(&clients[0], "OK", "RELEASE %" PRIu64 " %" PRIu64, claim.id, claim.token);
        const struct reply *reply = client_next(&clients[1]);
        EXPECT(claim_parse(&again, reply) && again.id == claim.id, "run %d: '%s'", run,
               reply->line);
        client_expect(&clients[1], "OK", "DONE %" PRIu64 " %" PRIu64, again.id, again.token);
    }
    stop(2);
}

/* Ten claims that wait so long, and one build. Returns how many got it. */
static size_t submit_to_all(uint64_t wait_ms)
{
    size_t won = 0;
    struct claim claim;
    uint64_t start_ms = wait_now_ms();
    for (size_t i = 0; i < WAITERS; i++) {
        EXPECT(client_send(&clients[i], "CLAIM w%zu line-%" PRIu64 " WAIT %" PRIu64, i, wait_ms,
                           wait_ms),
               "cut off");
    }
    char queue[32];
    snprintf(queue, sizeof(queue), "line-%" PRIu64, wait_ms);
    scene_submit(&clients[WAITERS], queue, "", "build");
    bool is_in_time = wait_now_ms() - start_ms < wait_ms; /* the build came before a wait ended */
    for (size_t i = 0; i < WAITERS; i++) {
        const struct reply *reply = client_next(&clients[i]);
        bool got = claim_parse(&claim, reply);
        EXPECT(got || reply_is(reply, "NIL"), "waiter %zu got '%s'", i, reply->line);
        won += got ? 1 : 0;
    }
    EXPECT(won <= 1 && (won == 1 || !is_in_time), "%zu waiters got the one build", won);
    return won;
}

/* Repeats with longer waits if the machine is so slow that all were over before the build came. */
static void b7_one_of_many(void)
{
    start_with_workers(WAITERS);
    for (uint64_t wait_ms = WAIT_MS; submit_to_all(wait_ms) == 0; wait_ms *= 2) {
    }
    stop(WAITERS);
}

/* The worker's tags change, so that it may take a build that was there before. */
static void b7_other_tags(void)
{
    struct claim claim;
    start_with_workers(1);
    for (int run = 0; run < RUNS; run++) {
        client_expect(&clients[1], "OK again", "WORKER w0 TAGS none");
        uint64_t id = scene_submit(&clients[1], "line", "NEED xcode", "build");
        EXPECT(client_send(&clients[0], "CLAIM w0 line WAIT 3600000"), "cut off");
        client_expect(&clients[1], "OK again", "WORKER w0 TAGS xcode");
        const struct reply *reply = client_next(&clients[0]);
        EXPECT(claim_parse(&claim, reply) && claim.id == id, "run %d: '%s'", run, reply->line);
        client_expect(&clients[0], "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    }
    stop(1);
}

static void b7_worker_leaves(void)
{
    start_with_workers(1);
    for (int run = 0; run < RUNS; run++) {
        EXPECT(client_send(&clients[0], "CLAIM w0 line WAIT 3600000"), "cut off");
        client_expect(&clients[1], "OK released=0", "BYE w0");
        const struct reply *reply = client_next(&clients[0]);
        EXPECT(reply_is_err(reply, "NOTFOUND"), "run %d: '%s'", run, reply->line);
        client_expect(&clients[1], "OK new", "WORKER w0");
    }
    stop(1);
}

static void b7_order_of_replies(void)
{
    start_with_workers(1);
    uint64_t start_ms = wait_now_ms();
    EXPECT(client_send(&clients[0], "PING one"), "cut off");
    EXPECT(client_send(&clients[0], "CLAIM w0 line WAIT %d", WAIT_MS), "cut off");
    EXPECT(client_send(&clients[0], "PING two"), "cut off");
    const struct reply *reply = client_next(&clients[0]);
    EXPECT(reply_is(reply, "OK PONG one") || reply_is(reply, "OK PONG"), "first '%s'", reply->line);
    reply = client_next(&clients[0]);
    EXPECT(reply_is(reply, "NIL"), "second '%s'", reply->line);
    EXPECT(wait_now_ms() - start_ms >= WAIT_MS, "the wait was cut short");
    reply = client_next(&clients[0]);
    EXPECT(reply_is_ok(reply), "third '%s'", reply->line);
    stop(1);
}

static const struct check_test tests[] = {
    {"B7: a claim on an empty queue returns NIL when its wait is over, not before", b7_empty_queue},
    {"B7: a waiting claim gets the build another connection submits", b7_later_submit},
    {"B7: a waiting claim gets the build another worker gives back", b7_released_build},
    {"B7: a waiting claim gets the build that its worker's new tags let it take", b7_other_tags},
    {"B7: a waiting claim ends when its worker leaves", b7_worker_leaves},
    {"B7: of ten waiting claims one gets the build and nine end with NIL", b7_one_of_many},
    {"B7: what stands behind a waiting claim is answered after it", b7_order_of_replies},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
