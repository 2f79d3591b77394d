/* The checks that close a run of kills. */
#include "tests/kill/verdict.h"

#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/fold.h"
#include "tests/lib/scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BUILDS = 50, STATE_MAX = 16 };

struct judged_build {
    uint64_t id;
    char state[STATE_MAX];
};

struct builds {
    struct judged_build *at;
    size_t count, room;
};

static void expect_told_once(const struct crew *crew, size_t option, uint64_t votes)
{
    unsigned char *told = calloc((size_t)votes + 1, 1);
    for (size_t c = 0; c < CREW; c++) {
        const struct numbers *list = &crew[c].history.told[option];
        for (size_t i = 0; i < list->count; i++) {
            uint64_t after = list->at[i];
            EXPECT(after >= 1 && after <= votes,
                   "votes_after %" PRIu64 " was told to client %zu, there are %" PRIu64 " votes",
                   after, c, votes);
            EXPECT(told[after] == 0, "votes_after %" PRIu64 " was told twice", after);
            EXPECT(i == 0 || after > list->at[i - 1],
                   "client %zu was told %" PRIu64 " after %" PRIu64, c, after, list->at[i - 1]);
            told[after] = 1;
        }
    }
    free(told);
}

void verdict_votes(const struct crew *crew, const struct server *server, bool is_whole)
{
    struct client client;
    struct fold fold = {0};
    uint64_t sum = 0;
    for (size_t c = 0; c < CREW; c++) {
        EXPECT(crew[c].history.fault[0] == '\0', "%s", crew[c].history.fault);
    }
    client_open(&client, server);
    if (is_whole) {
        fold_begin(&fold, server);
        fold_all(&fold);
    }
    for (size_t i = 0; i < OPTIONS; i++) {
        uint64_t acked = 0, sent = 0;
        for (size_t c = 0; c < CREW; c++) {
            acked += crew[c].history.votes_acked[i];
            sent += crew[c].history.votes_sent[i];
        }
        uint64_t votes = scene_votes(&client, "race", crew[0].options[i]);
        sum += votes;
        EXPECT(votes >= acked && votes <= sent,
               "option %zu: %" PRIu64 " acknowledged, %" PRIu64 " counted, %" PRIu64 " sent", i,
               acked, votes, sent);
        expect_told_once(crew, i, votes);
        if (is_whole) {
            fold_expect_votes(&fold, crew[0].options[i], votes);
        }
        printf("  option %zu: %" PRIu64 " votes acknowledged, %" PRIu64 " counted, %" PRIu64
               " sent\n",
               i, acked, votes, sent);
    }
    uint64_t total = scene_total(&client, "race");
    EXPECT(total == sum, "total=%" PRIu64 " and the options have %" PRIu64, total, sum);
    fold_fini(&fold);
    client_close(&client);
}

static void add_row(struct builds *builds, const char *row)
{
    if (builds->count == builds->room) {
        builds->room = builds->room * 2 + 256;
        builds->at = realloc(builds->at, builds->room * sizeof(*builds->at));
    }
    struct judged_build *build = &builds->at[builds->count++];
    build->id = line_field_number(row, "id");
    EXPECT(build->id != UINT64_MAX && line_field(row, "state", build->state, STATE_MAX),
           "BUILDS has a line '%s'", row);
    EXPECT(builds->count < 2 || build->id > build[-1].id, "BUILDS lists %" PRIu64 " after %" PRIu64,
           build->id, build[-1].id);
}

/* All builds of queue `work`, by pages, in the order of their ids. */
static void load_builds(struct builds *builds, struct client *client)
{
    uint64_t after = 0;
    memset(builds, 0, sizeof(*builds));
    for (;;) {
        const struct reply *reply =
            client_get(client, "BUILDS work AFTER %" PRIu64 " COUNT %d", after, PAGE_BUILDS);
        EXPECT(reply_is_ok(reply), "BUILDS gave '%s'", reply->line);
        for (size_t i = 0; i < reply->row_count; i++) {
            add_row(builds, reply->rows[i]);
        }
        if (reply->row_count == 0) {
            return;
        }
        after = builds->at[builds->count - 1].id;
    }
}

static int compare_id(const void *key, const void *item)
{
    uint64_t id = *(const uint64_t *)key, other = ((const struct judged_build *)item)->id;
    return id < other ? -1 : id > other;
}

static const struct judged_build *find_build(const struct builds *builds, uint64_t id)
{
    return bsearch(&id, builds->at, builds->count, sizeof(*builds->at), compare_id);
}

/* Every payload in the queue is one that a client has sent, and stands there once. */
static void expect_payloads(const struct builds *builds, const struct crew *crew,
                            struct client *client)
{
    unsigned char *seen[CREW];
    for (size_t c = 0; c < CREW; c++) {
        seen[c] = calloc(crew[c].submits_made + 1, 1);
    }
    for (size_t i = 0; i < builds->count; i++) {
        size_t c = CREW;
        uint64_t number = 0, id = builds->at[i].id;
        const struct reply *reply = client_get(client, "PAYLOAD %" PRIu64, id);
        EXPECT(reply->blob != NULL &&
                   sscanf(reply->blob, "client-%zu-build-%" SCNu64, &c, &number) == 2 && c < CREW &&
                   number < crew[c].submits_made,
               "PAYLOAD %" PRIu64 " gave '%s'", id,
               reply->blob != NULL ? reply->blob : reply->line);
        EXPECT(seen[c][number] == 0, "'%s' was submitted once and is there twice", reply->blob);
        seen[c][number] = 1;
        /* an acknowledged id has this payload and no other: ids are checked the other way round
         * below */
        for (size_t s = 0; s < crew[c].history.submit_count; s++) {
            const struct submit *submit = &crew[c].history.submits[s];
            EXPECT(submit->number != number || submit->id == 0 || submit->id == id,
                   "'%s' is build %" PRIu64 " and was told to be %" PRIu64, reply->blob, id,
                   submit->id);
        }
    }
    for (size_t c = 0; c < CREW; c++) {
        free(seen[c]);
    }
}

static void expect_submits(const struct builds *builds, const struct crew *crew)
{
    size_t acked = 0, sent = 0;
    for (size_t c = 0; c < CREW; c++) {
        for (size_t i = 0; i < crew[c].history.submit_count; i++) {
            uint64_t id = crew[c].history.submits[i].id;
            EXPECT(id == 0 || find_build(builds, id) != NULL,
                   "build %" PRIu64 " was acknowledged and is missing", id);
            acked += id != 0;
            sent++;
        }
    }
    EXPECT(builds->count >= acked && builds->count <= sent,
           "%zu builds, %zu acknowledged, %zu sent", builds->count, acked, sent);
    printf("  builds: %zu acknowledged, %zu there, %zu sent\n", acked, builds->count, sent);
}

static void expect_ends(const struct builds *builds, const struct crew *crew, struct client *client)
{
    char result[CREW_PAYLOAD_MAX];
    size_t done = 0, failed = 0;
    for (size_t c = 0; c < CREW; c++) {
        for (size_t i = 0; i < crew[c].history.end_count; i++) {
            const struct end *end = &crew[c].history.ends[i];
            const struct judged_build *build = find_build(builds, end->build);
            EXPECT(build != NULL, "build %" PRIu64 " was worked and is missing", end->build);
            if (end->kind == END_FAILED) {
                EXPECT(strcmp(build->state, "failed") == 0,
                       "build %" PRIu64 " was acknowledged as failed and is %s", end->build,
                       build->state);
                failed++;
            } else if (end->kind == END_DONE) {
                EXPECT(strcmp(build->state, "completed") == 0,
                       "build %" PRIu64 " was acknowledged as done and is %s", end->build,
                       build->state);
                crew_result(result, end->build, end->token);
                const struct reply *reply = client_get(client, "RESULT %" PRIu64, end->build);
                EXPECT(reply->blob != NULL && strcmp(reply->blob, result) == 0,
                       "RESULT %" PRIu64 " is not '%s'", end->build, result);
                done++;
            }
        }
    }
    printf("  ends: %zu done, %zu failed for good\n", done, failed);
}

void verdict_builds(const struct crew *crew, const struct server *server)
{
    struct client client;
    struct builds builds;
    client_open(&client, server);
    load_builds(&builds, &client);
    expect_submits(&builds, crew);
    expect_payloads(&builds, crew, &client);
    expect_ends(&builds, crew, &client);
    free(builds.at);
    client_close(&client);
}

static int compare_hold(const void *left, const void *right)
{
    const struct hold *a = left, *b = right;
    if (a->build != b->build) {
        return a->build < b->build ? -1 : 1;
    }
    return a->from_ns < b->from_ns ? -1 : a->from_ns > b->from_ns;
}

void verdict_holds(const struct crew *crew)
{
    size_t count = 0, used = 0;
    for (size_t c = 0; c < CREW; c++) {
        count += crew[c].history.hold_count;
    }
    struct hold *holds = calloc(count + 1, sizeof(*holds));
    for (size_t c = 0; c < CREW; c++) {
        if (crew[c].history.hold_count > 0) {
            memcpy(holds + used, crew[c].history.holds,
                   crew[c].history.hold_count * sizeof(*holds));
            used += crew[c].history.hold_count;
        }
    }
    qsort(holds, count, sizeof(*holds), compare_hold);
    for (size_t i = 1; i < count; i++) {
        const struct hold *a = &holds[i - 1], *b = &holds[i];
        if (a->build != b->build) {
            continue;
        }
        EXPECT(a->to_ns <= b->from_ns, "clients %zu and %zu held build %" PRIu64 " at one time",
               a->client, b->client, a->build);
        EXPECT(b->token > a->token || (b->token == a->token && b->client == a->client),
               "build %" PRIu64 ": token %" PRIu64 " of client %zu after token %" PRIu64
               " of client %zu",
               a->build, b->token, b->client, a->token, a->client);
    }
    free(holds);
    printf("  holds: %zu, none at one time with another of the same build\n", count);
}
