/* What clients can make the server hold: counted, with a ceiling, and what finished builds give
 * back. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1024 * 1024, CEILING = 32 * MIB };

static const char *const small[] = {"--memory", "32M", "--threads", "2", NULL};
static const char *const smaller[] = {"--memory", "16M", "--threads", "2", NULL};

static struct server server;
static struct client client;
static char bytes[MIB];

static void start(void)
{
    memset(bytes, 'x', sizeof(bytes));
    server_start(&server, small);
    client_open(&client, &server);
    scene_worker(&client, "w1");
}

static void restart(const char *const *args)
{
    client_close(&client);
    server_kill9(&server);
    server.args = args;
    server_restart(&server);
    client_open(&client, &server);
}

static void stop(void)
{
    client_close(&client);
    server_stop(&server);
}

/* A row of INFO. */
static uint64_t info(const char *key)
{
    const struct reply *reply = client_get(&client, "INFO");
    for (size_t i = 0; i < reply->row_count; i++) {
        uint64_t number = line_field_number(reply->rows[i], key);
        if (number != UINT64_MAX) {
            return number;
        }
    }
    EXPECT(false, "INFO has no %s", key);
    return 0;
}

static const struct reply *submit(size_t len_bytes)
{
    EXPECT(client_send_blob(&client, "SUBMIT ios", bytes, len_bytes), "cut off");
    return client_next(&client);
}

/* Claims the next build and ends it with a result. Returns its id. */
static uint64_t finish(size_t result_bytes)
{
    char prefix[128];
    struct claim claim;
    scene_claim(&claim, &client, "w1", "ios");
    snprintf(prefix, sizeof(prefix), "DONE %" PRIu64 " %" PRIu64 " RESULT", claim.id, claim.token);
    EXPECT(client_send_blob(&client, prefix, bytes, result_bytes), "cut off");
    const struct reply *reply = client_next(&client);
    EXPECT(reply_is(reply, "OK"), "DONE gave '%s'", reply->line);
    return claim.id;
}

/* What finished builds give back is free a moment later: after a commit and a grace period. */
static void await_room(uint64_t room_bytes)
{
    for (int tries = 0; info("memory_bytes") + room_bytes > CEILING; tries++) {
        EXPECT(tries < 200000, "it stays at %" PRIu64, info("memory_bytes"));
    }
}

static void expect_blob(const char *verb, uint64_t id, size_t len_bytes)
{
    const struct reply *reply = client_get(&client, "%s %" PRIu64, verb, id);
    EXPECT(reply_is_ok(reply) && reply->blob_bytes == len_bytes, "%s %" PRIu64 " gave '%s'", verb,
           id, reply->line);
}

/* ---- counted ---- */

static void results_are_counted(void)
{
    enum { RESULTS = 5 };
    start();
    uint64_t before = info("result_bytes");
    uint64_t sum = info("memory_bytes");
    for (int i = 0; i < RESULTS; i++) {
        EXPECT(reply_is_ok(submit(1)), "SUBMIT");
        finish(MIB);
    }
    uint64_t grown = info("result_bytes") - before;
    EXPECT(grown >= RESULTS * (uint64_t)MIB && grown < (RESULTS + 1) * (uint64_t)MIB,
           "%d results of 1 MiB are counted as %" PRIu64, RESULTS, grown);
    EXPECT(info("memory_bytes") >= sum + grown, "the sum does not have them");
    EXPECT(info("memory_bytes_max") == CEILING, "the ceiling is %" PRIu64,
           info("memory_bytes_max"));
    restart(small);
    EXPECT(info("result_bytes") >= RESULTS * (uint64_t)MIB, "behind a start they are not counted");
    stop();
}

static void entities_are_counted(void)
{
    enum { OPTIONS = 2000 };
    char line[64];
    start();
    scene_poll(&client, "lang");
    uint64_t before = info("entity_bytes");
    for (int i = 0; i < OPTIONS; i++) {
        snprintf(line, sizeof(line), "OPTION lang option-%d\n", i);
        EXPECT(client_write(&client, line, strlen(line)), "cut off");
    }
    for (int i = 0; i < OPTIONS; i++) {
        EXPECT(reply_is_ok(client_next(&client)), "OPTION");
    }
    uint64_t each = (info("entity_bytes") - before) / OPTIONS;
    EXPECT(each >= 200 && each <= 600, "an option counts as %" PRIu64, each);
    EXPECT(info("in_flight_bytes") == 0, "something is still in flight");
    stop();
}

/* ---- what finished builds give back ---- */

static void expect_given_back(const uint64_t *ids, size_t count)
{
    await_room(CEILING / 4);
    EXPECT(info("memory_bytes") < CEILING * 3 / 4, "they hold %" PRIu64, info("memory_bytes"));
    for (size_t i = 0; i < 2; i++) {
        client_expect_err(&client, "NOTFOUND", "PAYLOAD %" PRIu64, ids[i]);
        client_expect_err(&client, "NOTFOUND", "RESULT %" PRIu64, ids[i]);
        EXPECT(scene_build_has(&client, ids[i], "state", "completed"), "the build has left, too");
    }
    expect_blob("PAYLOAD", ids[count - 1], MIB);
    expect_blob("RESULT", ids[count - 1], 3);
}

static void finished_builds_give_back(void)
{
    enum { BUILDS = 48 }; /* of 1 MiB each: more than the ceiling */
    uint64_t ids[BUILDS];
    start();
    for (int i = 0; i < BUILDS; i++) {
        const struct reply *reply = submit(MIB);
        EXPECT(reply_is_ok(reply), "build %d gave '%s'", i, reply->line);
        ids[i] = finish(3);
    }
    expect_given_back(ids, BUILDS);
    restart(small); /* from the log */
    expect_given_back(ids, BUILDS);
    EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
    restart(small); /* from the snapshot */
    expect_given_back(ids, BUILDS);
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT behind it");
    stop();
}

/* A machine that has less memory now: the log loads, and what was finished gives back. */
static void less_memory_than_before(void)
{
    start();
    for (int i = 0; i < 12; i++) {
        EXPECT(reply_is_ok(submit(MIB)), "SUBMIT");
        if (i < 6) {
            finish(3);
        }
    }
    for (int i = 0; i < 10; i++) {
        EXPECT(reply_is_ok(submit(MIB)), "SUBMIT");
    }
    restart(smaller);
    client_expect_err(&client, "FULL", "SUBMIT ios :x");
    for (int i = 0; i < 16; i++) {
        finish(0);
    }
    await_room(CEILING - 8 * MIB);
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT, when all are finished");
    stop();
}

/* ---- the ceiling ---- */

/* Builds of 1 MiB until there is no room, then of 1 KiB. Returns how many. */
static size_t fill(void)
{
    size_t count = 0;
    while (reply_is_ok(submit(MIB))) {
        count++;
    }
    while (reply_is_ok(submit(1024))) {
        EXPECT(++count < 4096, "it takes everything");
    }
    EXPECT(reply_is_err(&client.reply, "FULL") && strstr(client.reply.line, "--memory") != NULL,
           "'%s'", client.reply.line);
    return count;
}

static void the_ceiling(void)
{
    char text[128];
    struct claim claim;
    start();
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    size_t count = fill();
    EXPECT(count > 24 && info("memory_bytes") <= CEILING, "%zu builds, %" PRIu64 " bytes", count,
           info("memory_bytes"));

    /* what grows is refused */
    client_expect_err(&client, "FULL", "POLL other");
    client_expect_err(&client, "FULL", "OPTION lang Rust");
    client_expect_err(&client, "FULL", "WORKER w2");
    /* what does not goes on */
    scene_vote_times(&client, option, 0, 100);
    client_expect(&client, "OK", "POLL lang RATE 0");
    client_expect(&client, "OK again", "WORKER w1");
    EXPECT(scene_votes(&client, "lang", option) == 100, "the votes");
    scene_claim(&claim, &client, "w1", "ios");
    client_expect(&client, "OK", "RELEASE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    /* ends of claims have a reserve for what they say */
    scene_claim(&claim, &client, "w1", "ios");
    snprintf(text, sizeof(text), "FAIL %" PRIu64 " %" PRIu64 " DEAD TEXT :why", claim.id,
             claim.token);
    client_expect(&client, "OK failed", "%s", text);
    finish(1024);
    scene_claim(&claim, &client, "w1", "ios");
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);

    restart(small);
    EXPECT(scene_votes(&client, "lang", option) == 100, "the votes");
    for (size_t i = 0; i < 6; i++) { /* the first ones make room already */
        finish(0);
    }
    await_room(CEILING / 8 + 2 * MIB); /* also for the input that holds it */
    scene_poll(&client, "other");
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT, when some are finished");
    for (size_t i = 9; i < count; i++) {
        finish(0);
    }
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT, when all are finished");
    stop();
}

/* Results of builds that are held can use the reserve up; then they are refused, and without one
 * the build still ends. */
static void the_reserve(void)
{
    char prefix[128];
    struct claim claim;
    start();
    for (int i = 0; i < 4; i++) {
        EXPECT(reply_is_ok(submit(1)), "SUBMIT");
    }
    client_expect(&client, "OK again", "WORKER w1 SLOTS 8");
    EXPECT(client_send(&client, "CLAIM w1 ios COUNT 4"), "cut off");
    const struct reply *reply = client_next(&client);
    EXPECT(reply->row_count == 4, "'%s'", reply->line);
    uint64_t ids[4];
    uint64_t tokens[4];
    for (size_t i = 0; i < 4; i++) {
        ids[i] = line_number(reply->rows[i], 0);
        tokens[i] = line_number(reply->rows[i], 1);
    }
    fill();
    bool was_full = false;
    for (size_t i = 0; i < 4; i++) {
        snprintf(prefix, sizeof(prefix), "DONE %" PRIu64 " %" PRIu64 " RESULT", ids[i], tokens[i]);
        EXPECT(client_send_blob(&client, prefix, bytes, MIB), "cut off");
        reply = client_next(&client);
        EXPECT(reply_is(reply, "OK") || reply_is_err(reply, "FULL"), "'%s'", reply->line);
        if (reply_is_err(reply, "FULL")) {
            was_full = true;
            EXPECT(info("memory_bytes") <= CEILING, "%" PRIu64 " bytes", info("memory_bytes"));
            client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, ids[i], tokens[i]);
        } else {
            EXPECT(i < 3, "the reserve has no end");
        }
    }
    EXPECT(was_full, "no result was refused");
    scene_claim(&claim, &client, "w1", "ios");
    stop();
}

static const struct check_test tests[] = {
    {"Results are counted, also behind a start", results_are_counted},
    {"What entities take is counted, and nothing stays in flight", entities_are_counted},
    {"Finished builds give payload and result back, so SUBMIT always goes on; a start and a "
     "snapshot keep it so",
     finished_builds_give_back},
    {"A log that was accepted with more memory loads, and what is finished gives back",
     less_memory_than_before},
    {"At the ceiling what grows is FULL; votes, reads, claims and their ends go on", the_ceiling},
    {"Results pass while the reserve lasts, then FULL; without a result the build ends",
     the_reserve},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, CHECK_COUNT(tests));
}
