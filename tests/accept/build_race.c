/* B1 and B2: many workers ask at once and every build goes to exactly one. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RUNS = 100, CRASH_EVERY = 2, WORKERS_MAX = 20, BUILDS_MAX = 10 };

struct claim_race {
    size_t workers;
    size_t builds;
};

/* The holders of the builds after a race. */
struct holding {
    bool any;
    uint64_t id, token;
};

static struct server server;
static struct client clients[WORKERS_MAX];
static struct holding holds[WORKERS_MAX];

static size_t index_of(const uint64_t *ids, size_t count, uint64_t id)
{
    size_t i = 0;
    while (i < count && ids[i] != id) {
        i++;
    }
    return i;
}

/* All claims are sent before the first reply is read. */
static void claim_at_once(const struct claim_race *race, const char *queue, const uint64_t *ids)
{
    bool taken[BUILDS_MAX] = {false};
    size_t nils = 0;
    for (size_t i = 0; i < race->workers; i++) {
        EXPECT(client_send(&clients[i], "CLAIM w%zu %s", i, queue), "worker %zu is cut off", i);
    }
    for (size_t i = 0; i < race->workers; i++) {
        struct claim claim;
        const struct reply *reply = client_next(&clients[i]);
        holds[i].any = claim_parse(&claim, reply);
        if (!holds[i].any) {
            EXPECT(reply_is(reply, "NIL"), "%s: worker %zu got '%s'", queue, i, reply->line);
            nils++;
            continue;
        }
        size_t nth = index_of(ids, race->builds, claim.id);
        EXPECT(nth < race->builds && !claim.again && claim.attempt == 1, "%s: worker %zu got '%s'",
               queue, i, reply->line);
        EXPECT(!taken[nth], "%s: two workers hold build %" PRIu64, queue, claim.id);
        taken[nth] = true;
        holds[i].id = claim.id;
        holds[i].token = claim.token;
    }
    EXPECT(nils == race->workers - race->builds, "%s: %zu workers got NIL", queue, nils);
}

/* After a crash each winner still holds its build by the same token, and nobody else gets it. */
static void claim_again_at_once(const struct claim_race *race, const char *queue)
{
    for (size_t i = 0; i < race->workers; i++) {
        EXPECT(client_send(&clients[i], "CLAIM w%zu %s", i, queue), "worker %zu is cut off", i);
    }
    for (size_t i = 0; i < race->workers; i++) {
        struct claim claim;
        const struct reply *reply = client_next(&clients[i]);
        if (!holds[i].any) {
            EXPECT(reply_is(reply, "NIL"), "%s: worker %zu got '%s'", queue, i, reply->line);
            continue;
        }
        EXPECT(claim_parse(&claim, reply) && claim.again && claim.id == holds[i].id &&
                   claim.token == holds[i].token,
               "%s: worker %zu held build %" PRIu64 " by token %" PRIu64 " and got '%s'", queue, i,
               holds[i].id, holds[i].token, reply->line);
    }
}

static void finish_all(const struct claim_race *race)
{
    for (size_t i = 0; i < race->workers; i++) {
        if (holds[i].any) {
            client_expect(&clients[i], "OK", "DONE %" PRIu64 " %" PRIu64, holds[i].id,
                          holds[i].token);
        }
    }
}

static void expect_finished(const char *queue, size_t builds)
{
    const struct reply *reply = client_get(&clients[0], "QUEUES %s", queue);
    EXPECT(reply->row_count == 1 && line_field_number(reply->rows[0], "completed") == builds &&
               line_field_number(reply->rows[0], "pending") == 0 &&
               line_field_number(reply->rows[0], "assigned") == 0,
           "QUEUES %s gave '%s'", queue, reply->row_count == 1 ? reply->rows[0] : reply->line);
}

static void restart_and_reconnect(const struct claim_race *race)
{
    server_crash(&server);
    client_close_all(clients, race->workers);
    client_open_all(clients, race->workers, &server);
}

static void run_race(const struct claim_race *race)
{
    char queue[32], payload[32], worker[32];
    uint64_t ids[BUILDS_MAX];
    server_start(&server, NULL);
    client_open_all(clients, race->workers, &server);
    for (size_t i = 0; i < race->workers; i++) {
        snprintf(worker, sizeof(worker), "w%zu", i);
        scene_worker(&clients[i], worker);
    }
    for (size_t run = 0; run < RUNS; run++) {
        snprintf(queue, sizeof(queue), "queue-%zu", run);
        for (size_t i = 0; i < race->builds; i++) {
            snprintf(payload, sizeof(payload), "build-%zu", i);
            ids[i] = scene_submit(&clients[0], queue, "", payload);
        }
        if (run % CRASH_EVERY == 1) {
            restart_and_reconnect(race);
        }
        claim_at_once(race, queue, ids);
        if (run % CRASH_EVERY == 0) {
            restart_and_reconnect(race);
            claim_again_at_once(race, queue);
        }
        finish_all(race);
        expect_finished(queue, race->builds);
    }
    restart_and_reconnect(race);
    for (size_t run = 0; run < RUNS; run++) {
        snprintf(queue, sizeof(queue), "queue-%zu", run);
        expect_finished(queue, race->builds);
    }
    client_close_all(clients, race->workers);
    server_stop(&server);
}

static void b1_twenty_for_ten(void)
{
    run_race(&(struct claim_race){.workers = 20, .builds = 10});
}

static void b2_ten_for_one(void)
{
    run_race(&(struct claim_race){.workers = 10, .builds = 1});
}

static const struct check_test tests[] = {
    {"B1: 20 workers get 10 builds exactly once each and 10 get NIL", b1_twenty_for_ten},
    {"B2: of 10 workers one gets the only build, 9 get NIL and nobody hangs", b2_ten_for_one},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
