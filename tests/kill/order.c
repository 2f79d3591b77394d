/* The order of submission is the order of offering, through kills at any moment. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUILDS = 400, BURST_MAX = 16, KILL_ONE_IN = 5, WORK_KILL_ONE_IN = 25 };

static struct server server;
static struct client client;
static uint64_t first_seed;
static uint64_t ids[BUILDS]; /* by number; 0: not acknowledged */

static void crash_and_reconnect(void)
{
    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
}

/* Sends builds number `from` up to `to` in one go and reads `wanted` of the replies. */
static void submit_burst(size_t from, size_t to, size_t wanted)
{
    for (size_t i = from; i < to; i++) {
        EXPECT(client_send(&client, "SUBMIT line LEASE 3600000 %zu", i), "cut off at %zu", i);
    }
    for (size_t i = from; i < from + wanted; i++) {
        const struct reply *reply = client_next(&client);
        ids[i] = line_number(reply->line, 1);
        EXPECT(reply_is_ok(reply) && ids[i] != UINT64_MAX, "SUBMIT %zu gave '%s'", i, reply->line);
    }
}

static size_t submit_all(struct seed *seed)
{
    size_t crashes = 0;
    for (size_t from = 0; from < BUILDS;) {
        size_t to = from + 1 + (size_t)seed_below(seed, BURST_MAX);
        to = to > BUILDS ? BUILDS : to;
        if (seed_below(seed, KILL_ONE_IN) == 0) {
            submit_burst(from, to, (size_t)seed_below(seed, to - from + 1));
            crash_and_reconnect();
            crashes++;
        } else {
            submit_burst(from, to, to - from);
        }
        from = to;
    }
    return crashes;
}

/* What a crash undid of a claim is offered again before what comes after it; what it did not undo
 * is held. */
static size_t work_all(struct seed *seed)
{
    size_t crashes = 0, offered = 0, worked = 0;
    struct claim claim;
    for (;;) {
        const struct reply *reply = client_get(&client, "CLAIM w line");
        if (reply_is(reply, "NIL")) {
            break;
        }
        EXPECT(claim_parse(&claim, reply), "CLAIM gave '%s'", reply->line);
        size_t number = strtoul(claim.payload, NULL, 10);
        EXPECT(number < BUILDS && (ids[number] == 0 || ids[number] == claim.id), "'%s' with '%s'",
               reply->line, claim.payload);
        for (; offered < number; offered++) {
            EXPECT(ids[offered] == 0, "build number %zu is offered before number %zu", number,
                   offered);
        }
        EXPECT(number == offered, "build number %zu is offered after number %zu", number, offered);
        offered = number + 1;
        worked++;
        if (seed_below(seed, WORK_KILL_ONE_IN) == 0) {
            struct claim again;
            crash_and_reconnect();
            crashes++;
            reply = client_get(&client, "CLAIM w line");
            EXPECT(claim_parse(&again, reply) && again.again && again.id == claim.id &&
                       again.token == claim.token,
                   "the held build %" PRIu64 " is not offered again: '%s'", claim.id, reply->line);
        }
        client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    }
    for (; offered < BUILDS; offered++) {
        EXPECT(ids[offered] == 0, "build number %zu is never offered", offered);
    }
    printf("  %zu of %d builds worked\n", worked, BUILDS);
    return crashes;
}

static void order_is_kept(void)
{
    struct seed seed = {first_seed};
    printf("  --seed %" PRIu64 "\n", first_seed);
    memset(ids, 0, sizeof(ids));
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_worker(&client, "w");
    size_t submitting = submit_all(&seed);
    size_t working = work_all(&seed);
    printf("  %zu kills while submitting, %zu while working\n", submitting, working);
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"Builds are offered in the order they were submitted in, through kills", order_is_kept},
};

int main(int argc, char **argv)
{
    first_seed = check_option(argc, argv, "--seed", (uint64_t)time(NULL));
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
