/* Clients that vanish without a close keep no connection, no place in a queue, and no build. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FOUND_MS = 40000, LEASE_MS = 86400000 };

static struct server server;
static struct client client; /* the client that stays */

/* With 0 seconds only a reset shows that a client is gone, no probe. */
static void start_with(unsigned peer_s)
{
    static char seconds[16];
    /* one I/O thread: requests are read in the order in which they were sent */
    static const char *const args[] = {"--threads", "1", "--peer-seconds", seconds, NULL};
    snprintf(seconds, sizeof(seconds), "%u", peer_s);
    server_start(&server, args);
    client_open(&client, &server);
}

static void start(void)
{
    start_with(2);
}

static void stop(void)
{
    client_close(&client);
    server_stop(&server);
}

/* From now on no byte and no probe reaches this client, and it acknowledges nothing. */
static void vanish(const struct client *gone)
{
    struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog filter = {.len = 1, .filter = &nothing};
    EXPECT(setsockopt(gone->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0,
           "SO_ATTACH_FILTER: %s", strerror(errno));
}

/* Ends the connection by a reset. */
static void reset(struct client *gone)
{
    const struct linger at_once = {.l_onoff = 1};
    setsockopt(gone->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    client_close(gone);
}

static void await_info(const char *key, uint64_t value)
{
    AWAIT(FOUND_MS, scene_info(&client, key) == value, "%s is not %" PRIu64, key, value);
}

static bool is_state(uint64_t build, const char *state)
{
    char word[32];
    const struct reply *reply = client_get(&client, "BUILD %" PRIu64, build);
    return line_field(reply->line, "state", word, sizeof(word)) && strcmp(word, state) == 0;
}

static void await_state(uint64_t build, const char *state)
{
    AWAIT(FOUND_MS, is_state(build, state), "build %" PRIu64 " is not %s", build, state);
}

static uint64_t submit_once(const char *queue)
{
    char words[64];
    snprintf(words, sizeof(words), "TRIES 1 LEASE %d", LEASE_MS);
    return scene_submit(&client, queue, words, "work");
}

/* Expects the only build as if it had never been claimed: its next attempt is the first. */
static void expect_untouched(uint64_t build, const char *queue)
{
    struct claim claim;
    await_state(build, "pending");
    scene_worker(&client, "heir");
    scene_claim(&claim, &client, "heir", queue);
    EXPECT(claim.id == build && claim.attempt == 1, "build %" PRIu64 ", attempt %" PRIu64, claim.id,
           claim.attempt);
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
}

/* ---- builds that go back ---- */

static void waiter_is_found(void)
{
    struct client found;
    start();
    client_open(&found, &server);
    scene_worker(&found, "w1");
    client_send(&found, "CLAIM w1 q WAIT 3600000");
    vanish(&found);
    await_info("connections", 1); /* only probes can find it */
    uint64_t build = submit_once("q");
    EXPECT(is_state(build, "pending"), "it went to nobody");
    expect_untouched(build, "q");
    client_close(&found);
    stop();
}

/* Returns whether the build was handed out to the vanished client, which the server had not found
 * yet; the build is pending again in any case. The time begins with the client's last byte; its
 * last answer to a probe is at most half as old. */
static bool waiter_is_not_found(unsigned peer_s)
{
    struct client late;
    start_with(peer_s);
    client_open(&late, &server);
    scene_worker(&late, "w1");
    client_send(&late, "CLAIM w1 q WAIT 3600000");
    uint64_t began_ms = wait_now_ms();
    vanish(&late);
    uint64_t build = submit_once("q");
    bool is_unknown = wait_now_ms() - began_ms < (uint64_t)peer_s * 1000 / 4;
    await_info("connections", 1);
    expect_untouched(build, "q");
    bool is_handed = scene_info(&client, "undelivered") == 1;
    EXPECT(is_handed || !is_unknown, "it was not handed out, or is not counted");
    client_close(&late);
    stop();
    return is_handed;
}

static void waiters(void)
{
    waiter_is_found();
    /* on a slow machine the client may be found before the build is there: then it has more time */
    for (unsigned peer_s = 2; !waiter_is_not_found(peer_s); peer_s *= 2) {
    }
}

/* The reply is in the kernel, in the output, or not made yet: a reset takes all of them. */
static void resets(void)
{
    static char blob[900 * 1024];
    struct client gone;
    uint64_t builds[4];
    start_with(0);
    memset(blob, 'x', sizeof(blob));
    for (size_t i = 0; i < COUNT_OF(builds); i++) {
        client_send_blob(&client, "SUBMIT big TRIES 1 LEASE 86400000", blob, sizeof(blob));
        builds[i] = line_number(client_next(&client)->line, 1);
    }
    client_open(&gone, &server);
    client_expect(&gone, "OK new", "WORKER w1 SLOTS 4");
    vanish(&gone);
    client_send(&gone, "CLAIM w1 big COUNT 2");
    client_send(&gone, "CLAIM w1 big");
    client_send(&gone, "CLAIM w1 big");
    for (size_t i = 0; i < COUNT_OF(builds); i++) {
        await_state(builds[i], "assigned");
    }
    reset(&gone);
    for (size_t i = 0; i < COUNT_OF(builds); i++) {
        await_state(builds[i], "pending");
    }
    for (size_t i = 0; i < COUNT_OF(builds); i++) {
        expect_untouched(builds[i], "big");
    }
    client_expect(&client, "OK released=0", "BYE w1");
    stop();
}

/* ---- builds that stay ---- */

static void expect_held(uint64_t build, uint64_t token, const char *state)
{
    EXPECT(is_state(build, state), "build %" PRIu64 " is not %s", build, state);
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, build, token);
}

/* A build whose reply has arrived is the client's, however its connection ends. */
static void arrived(void)
{
    enum { ROUNDS = 100 };
    start();
    scene_worker(&client, "w1");
    for (int i = 0; i < ROUNDS; i++) {
        struct client other;
        struct claim claim;
        submit_once("q");
        client_open(&other, &server);
        client_send(&other, i % 3 == 0 ? "CLAIM w1 q\nQUIT" : "CLAIM w1 q");
        if (i % 2 == 0) {
            shutdown(other.fd, SHUT_WR);
        }
        EXPECT(claim_parse(&claim, client_next(&other)), "'%s'", other.reply.line);
        uint64_t left = i % 4 == 1 ? 1 : 2;
        if (left == 1) {
            reset(&other);
        } else {
            client_close(&other);
        }
        await_info("connections", 1);
        expect_held(claim.id, claim.token, "assigned");
    }
    EXPECT(scene_info(&client, "undelivered") == 0, "something went back");
    stop();
}

/* A worker that lost a reply keeps the build if it asks again or sends a BEAT. */
static void known_otherwise(void)
{
    struct client gone[2];
    struct claim claim, again;
    uint64_t builds[2] = {0, 0};
    start_with(0);
    for (int i = 0; i < 2; i++) {
        client_open(&gone[i], &server);
        scene_worker(&gone[i], i == 0 ? "w0" : "w1");
        builds[i] = submit_once(i == 0 ? "q0" : "q1");
        vanish(&gone[i]);
        client_send(&gone[i], i == 0 ? "CLAIM w0 q0" : "CLAIM w1 q1");
        await_state(builds[i], "assigned");
    }
    scene_claim(&again, &client, "w0", "q0");
    EXPECT(again.again && again.id == builds[0], "it is not told again");
    /* the token of the first claim of a build is what CLAIM again says; here one BEATs with it */
    scene_claim(&claim, &client, "w1", "q1");
    EXPECT(claim.again && claim.id == builds[1], "it is not told again");
    client_get(&client, "BEAT %" PRIu64 " %" PRIu64, claim.id, claim.token);
    reset(&gone[0]);
    reset(&gone[1]);
    await_info("connections", 1);
    expect_held(again.id, again.token, "assigned");
    expect_held(claim.id, claim.token, "building");
    EXPECT(scene_info(&client, "undelivered") == 0, "something went back");
    stop();
}

/* A server that drains waits for the builds that it has handed out, too. */
static void drained(void)
{
    struct client other;
    struct claim claim;
    start();
    scene_worker(&client, "w1");
    submit_once("q");
    client_open(&other, &server);
    client_send(&other, "CLAIM w1 q");
    EXPECT(claim_parse(&claim, client_next(&other)), "CLAIM");
    client_close(&client);
    EXPECT(server_term(&server) == 0, "SIGTERM");
    client_close(&other);
    server_restart(&server);
    client_open(&client, &server);
    expect_held(claim.id, claim.token, "assigned");
    stop();
}

static const struct check_test tests[] = {
    {"A client that vanished while its CLAIM waits takes no build, or the build goes back",
     waiters},
    {"A claim's reply that a reset takes away gives the build back, the attempt not counted",
     resets},
    {"A claim's reply that has arrived stays claimed, however the connection ends", arrived},
    {"A claim that its worker knows of by another connection is not given back", known_otherwise},
    {"A claim told before the drain is held after the restart", drained},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
