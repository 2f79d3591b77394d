/* Builds by the protocol: the replies to a holder and to others, the first time and repeated. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct server server;
static struct client client;

static void begin(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_worker(&client, "w");
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

/* A build of w's own, claimed. */
static void hold(struct claim *claim, const char *words)
{
    scene_submit(&client, "q", words, "make");
    scene_claim(claim, &client, "w", "q");
}

/* The text of a failure is bytes: those behind a NUL belong to it, and are not another text's. */
static void foreign_memory(void)
{
    static const char *const shown[] = {"\"\\x00\"", "\"\\x00abc\"", "\"a\\x00\\x00\"", "abc"};
    static const char texts[][5] = {"\0", "\0abc", "a\0\0", "abc"};
    static const size_t lens[] = {1, 4, 3, 3};
    struct claim claim;
    char line[128];
    char *big = malloc(4096);
    begin();
    memset(big, 's', 4096);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        hold(&claim, "");
        snprintf(line, sizeof(line), "FAIL %" PRIu64 " %" PRIu64 " DEAD TEXT", claim.id,
                 claim.token);
        client_send_blob(&client, line, texts[i], lens[i]);
        EXPECT(reply_is(client_next(&client), "OK failed"), "the text was refused");
        const struct reply *reply = client_get(&client, "BUILD %" PRIu64, claim.id);
        const char *error = strstr(reply->line, "error=");
        EXPECT(error != NULL && strcmp(error + strlen("error="), shown[i]) == 0,
               "BUILD shows '%s' instead of %s", reply->line, shown[i]);
    }
    /* the longest text: one NUL, then bytes up to the limit */
    hold(&claim, "");
    snprintf(line, sizeof(line), "FAIL %" PRIu64 " %" PRIu64 " DEAD TEXT", claim.id, claim.token);
    big[0] = '\0';
    client_send_blob(&client, line, big, 4096);
    EXPECT(reply_is(client_next(&client), "OK failed"), "the text was refused");
    const struct reply *reply = client_get(&client, "BUILD %" PRIu64, claim.id);
    const char *error = strstr(reply->line, "error=");
    EXPECT(error != NULL && strspn(error + strlen("error=\"\\x00"), "s") == 4095,
           "BUILD shows '%.200s'", reply->line);
    free(big);
    end();
}

/* ---- repeated replies ---- */

static size_t count_held(const char *worker)
{
    const struct reply *reply = client_get(&client, "HELD %s", worker);
    EXPECT(reply_is_ok(reply), "HELD %s: '%s'", worker, reply->line);
    return reply->row_count;
}

static void held(void)
{
    struct claim first, second;
    begin();
    EXPECT(count_held("w") == 0, "it holds nothing yet");
    client_expect_err(&client, "NOTFOUND", "HELD nobody");
    client_expect_err(&client, "INVAL", "HELD bad/name");
    client_expect(&client, "OK again", "WORKER w SLOTS 3");
    hold(&first, "");
    hold(&second, "LEASE 30000");
    const struct reply *reply = client_get(&client, "HELD w");
    EXPECT(reply->row_count == 2, "'%s'", reply->line);
    const struct claim *claims[] = {&first, &second};
    for (size_t i = 0; i < 2; i++) {
        const char *row = reply->rows[i];
        EXPECT(line_number(row, 0) == claims[i]->id && line_number(row, 1) == claims[i]->token &&
                   line_number(row, 3) == 1 && line_number(row, 4) <= claims[i]->lease_ms,
               "HELD shows '%s'", row);
    }
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, first.id, first.token);
    EXPECT(count_held("w") == 1, "one is done");
    client_expect(&client, "OK released=1", "BYE w");
    client_expect_err(&client, "NOTFOUND", "HELD w");
    end();
}

/* Without a free slot COUNT tells all builds that are held, whatever its number. */
static void count_again(void)
{
    struct claim one[3];
    begin();
    client_expect(&client, "OK again", "WORKER w SLOTS 3");
    for (size_t i = 0; i < 3; i++) {
        hold(&one[i], "");
    }
    for (int count = 1; count <= 64; count += 63) {
        const struct reply *reply = client_get(&client, "CLAIM w q COUNT %d", count);
        EXPECT(reply->row_count == 3, "COUNT %d told '%s'", count, reply->line);
        for (size_t i = 0; i < 3; i++) {
            EXPECT(line_number(reply->rows[i], 0) == one[i].id &&
                       line_number(reply->rows[i], 1) == one[i].token &&
                       line_field_number(reply->rows[i], "again") == 1,
                   "COUNT %d told '%s'", count, reply->rows[i]);
        }
    }
    end();
}

/* Without a free slot WAIT waits for one, and only then asks for a build. */
static void wait_for_slot(void)
{
    struct client other;
    struct claim held, got;
    begin();
    hold(&held, "");
    uint64_t second = scene_submit(&client, "q", "", "second");
    uint64_t began_ms = wait_now_ms();
    const struct reply *reply = client_get(&client, "CLAIM w q WAIT 400");
    EXPECT(claim_parse(&got, reply) && got.again && got.id == held.id, "'%s'", reply->line);
    EXPECT(wait_now_ms() - began_ms >= 400, "it did not wait");
    client_open(&other, &server);
    client_send(&other, "CLAIM w q WAIT 60000");
    uint64_t before = scene_info(&client, "requests");
    while (scene_info(&client, "requests") < before + 20) {
        client_expect(&client, "OK PONG", "PING");
    }
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, held.id, held.token);
    reply = client_next(&other);
    EXPECT(claim_parse(&got, reply) && !got.again && got.id == second, "'%s'", reply->line);
    /* an added slot is a free one, too */
    client_send(&other, "CLAIM w q WAIT 60000");
    uint64_t third = scene_submit(&client, "q", "", "third");
    client_expect(&client, "OK again", "WORKER w SLOTS 2");
    reply = client_next(&other);
    EXPECT(claim_parse(&got, reply) && !got.again && got.id == third, "'%s'", reply->line);
    /* BYE ends the wait */
    client_send(&other, "CLAIM w q WAIT 60000");
    client_expect(&client, "OK released=2", "BYE w");
    EXPECT(reply_is_err(client_next(&other), "NOTFOUND"), "it waits for who has left");
    client_close(&other);
    end();
}

/* ---- words ---- */

/* A token has 28 bits: higher bits in a request must not reach the state beside the token. */
static void large_tokens(void)
{
    static const char *const ends[] = {"RELEASE", "FAIL", "DONE"};
    struct claim claim;
    begin();
    for (size_t i = 0; i < 3; i++) {
        hold(&claim, "TRIES 2");
        client_send(&client, "%s %" PRIu64 " %" PRIu64, ends[i], claim.id, claim.token);
        EXPECT(reply_is_ok(client_next(&client)), "%s", ends[i]);
        for (uint64_t bits = 1; bits < 16; bits++) {
            uint64_t token = claim.token + (bits << 28);
            for (size_t k = 0; k < 3; k++) {
                client_expect_err(&client, "STALE", "%s %" PRIu64 " %" PRIu64, ends[k], claim.id,
                                  token);
            }
            client_expect_err(&client, "STALE", "BEAT %" PRIu64 " %" PRIu64, claim.id, token);
        }
    }
    end();
}

static void no_result(void)
{
    struct claim claim;
    begin();
    hold(&claim, "");
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    const struct reply *reply = client_get(&client, "RESULT %" PRIu64, claim.id);
    EXPECT(reply_is_ok(reply) && reply->blob != NULL && reply->blob_bytes == 0, "'%s'",
           reply->line);
    end();
}

static void twice(void)
{
    static const char *const lines[] = {
        "VOTE 1 N 1 N 2",
        "POLL p CLOSE 0 CLOSE 0",
        "POLL p RATE 1/5 OPEN 0 RATE 1/5",
        "POLLS COUNT 1 count 1",
        "TALLY p TOP 1 TOP 2",
        "SUBMIT q PRI 1 PRI 2 :x",
        "SUBMIT q NEED a UNIQ u NEED a :x",
        "CLAIM w q WAIT 1 WAIT 1",
        "CLAIM w q COUNT 1 LEASE 100 COUNT 1",
        "BEAT 1 2 PROG 1 PROG 2",
        "DONE 1 2 RESULT a RESULT b",
        "FAIL 1 2 DEAD DEAD",
        "FAIL 1 2 DELAY 1 DELAY 1",
        "FAIL 1 2 DELAY 5 DEAD",
        "FAIL 1 2 TEXT a TEXT b",
        "RELEASE 1 2 DELAY 1 DELAY 1",
        "BUILDS * REV REV",
        "BUILDS * STATE pending STATE failed",
        "WORKER w SLOTS 1 SLOTS 2",
        "WORKER w NAME a NAME b",
    };
    begin();
    client_expect(&client, "OK", "POLL p");
    client_expect(&client, "OK 1", "OPTION p A");
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        client_expect_err(&client, "ARGS", "%s", lines[i]);
    }
    EXPECT(scene_total(&client, "p") == 0, "a vote was counted");
    client_expect(&client, "OK 1", "VOTE 1 N 1");
    end();
}

/* The largest number of the longest tags. */
static void many_tags(void)
{
    char tags[16 * 65 + 1];
    struct claim got;
    for (size_t i = 0; i < sizeof(tags); i++) {
        tags[i] = i % 65 == 64 ? ',' : i % 65 == 0 ? (char)('a' + i / 65) : 'x';
    }
    tags[sizeof(tags) - 2] = '\0';
    begin();
    client_expect(&client, "OK 1", "SUBMIT q NEED %s :x", tags);
    client_expect(&client, "OK again", "WORKER w TAGS %s", tags);
    scene_claim(&got, &client, "w", "q");
    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
    EXPECT(count_held("w") == 1, "it is held behind a restart");
    end();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a text with a NUL in it shows nothing but itself", foreign_memory},
        {"HELD tells all that a worker holds", held},
        {"COUNT at the slot limit tells all that is held", count_again},
        {"WAIT waits for a slot", wait_for_slot},
        {"A token of more bits than there are is nobody's", large_tokens},
        {"RESULT of a DONE without one is of no bytes", no_result},
        {"an option word that stands twice is ARGS", twice},
        {"16 tags of 64 bytes are taken", many_tags},
    };
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
