/* Payloads: the largest, and those that are too large, cut off or malformed. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"
#include "tests/limits/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PAYLOAD_BYTES_MAX = 1024 * 1024,
    DROPPED_BYTES_MAX = 64 * 1024 * 1024,
    CHUNK_BYTES = 64 * 1024,
};

static struct server server;
static struct client client;

static void start(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    scene_option(&client, "lang", "Elixir");
    scene_worker(&client, "w1");
}

static void stop(void)
{
    client_close(&client);
    server_stop(&server);
}

/* Sends `prefix $N` and N bytes that are requests in form. */
static void send_tempting(struct client *to, const char *prefix, size_t len_bytes)
{
    static const char line[] = "\nVOTE lang/Elixir\nQUIT\n";
    char *chunk = malloc(CHUNK_BYTES);
    for (size_t i = 0; i < CHUNK_BYTES; i++) {
        chunk[i] = line[i % (sizeof(line) - 1)];
    }
    EXPECT(client_send(to, "%s $%zu", prefix, len_bytes), "cut off");
    while (len_bytes > 0) {
        size_t part = len_bytes < CHUNK_BYTES ? len_bytes : CHUNK_BYTES;
        EXPECT(client_write(to, chunk, part), "cut off with %zu bytes to go", len_bytes);
        len_bytes -= part;
    }
    EXPECT(client_write(to, "\n", 1), "cut off at the end");
    free(chunk);
}

static void expect_too_big(const char *prefix, size_t len_bytes)
{
    send_tempting(&client, prefix, len_bytes);
    const struct reply *reply = client_next(&client);
    EXPECT(reply_is_err(reply, "TOOBIG"), "$%zu gave '%s'", len_bytes, reply->line);
    client_expect(&client, "OK PONG", "PING");
}

static void too_big(void)
{
    char request[128];
    struct claim claim;
    start();
    scene_submit(&client, "line", "LEASE 3600000", "build");
    scene_claim(&claim, &client, "w1", "line");
    char *before = state_read(&client);
    expect_too_big("SUBMIT line", PAYLOAD_BYTES_MAX + 1);
    expect_too_big("SUBMIT line PRI 3", 5 * PAYLOAD_BYTES_MAX);
    expect_too_big("SUBMIT line", DROPPED_BYTES_MAX);
    snprintf(request, sizeof(request), "DONE %" PRIu64 " %" PRIu64 " RESULT", claim.id,
             claim.token);
    expect_too_big(request, PAYLOAD_BYTES_MAX + 1);
    state_expect(&client, before, "a payload too large");
    free(before);
    stop();
}

/* Beyond 64 MiB, and behind a `$` without a number, payload cannot be told from requests: only a
 * close is safe. */
static void past_all_bounds(void)
{
    static const char *const lines[] = {
        "SUBMIT line $67108865\n",
        "SUBMIT line $4294967296\n",
        "SUBMIT line $18446744073709551615\n",
        "SUBMIT line $18446744073709551621\n",
        "SUBMIT line $123456789012345678901234567890\n",
    };
    start();
    char *before = state_read(&client);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct client other;
        client_open(&other, &server);
        client_write(&other, lines[i], strlen(lines[i]));
        const struct reply *reply = client_next(&other);
        EXPECT(strncmp(reply->line, "ERR ", 4) == 0, "'%s' gave '%s'", lines[i], reply->line);
        client_expect_close(&other);
        client_close(&other);
    }
    state_expect(&client, before, "a payload past all bounds");
    free(before);
    stop();
}

/* One error; then either a close, or the next request has its own reply. */
static void malformed(void)
{
    static const char *const lines[] = {
        "SUBMIT line $\n",   "SUBMIT line $-1\n", "SUBMIT line $+5\n",
        "SUBMIT line $5x\n", "SUBMIT line $ 5\n", "SUBMIT line $0x5\n",
    };
    start();
    char *before = state_read(&client);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct client other;
        client_open(&other, &server);
        client_write(&other, lines[i], strlen(lines[i]));
        const struct reply *reply = client_next(&other);
        EXPECT(strncmp(reply->line, "ERR ", 4) == 0, "'%s' gave '%s'", lines[i], reply->line);
        reply = client_ask(&other, "PING");
        EXPECT(reply == NULL || reply_is(reply, "OK PONG"), "after '%s': '%s'", lines[i],
               reply->line);
        client_close(&other);
    }
    state_expect(&client, before, "a malformed payload");
    free(before);
    stop();
}

static void cut_off(void)
{
    static const char *const pieces[] = {
        "SUBMIT line $100\n",
        "SUBMIT line $100\nonly a part",
        "SUBMIT line $8\nall of it", /* one byte more than said, so no line end where one must be */
        "SUBMIT line $9\nall of it", /* the line end is missing */
        "SUBMIT line $1048577\nVOTE lang/Elixir\n",
    };
    start();
    char *before = state_read(&client);
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct client other;
        const struct reply *reply;
        client_open(&other, &server);
        client_write(&other, pieces[i], strlen(pieces[i]));
        shutdown(other.fd, SHUT_WR);
        while ((reply = client_read(&other)) != NULL) {
            EXPECT(!reply_is_ok(reply), "'%s' gave '%s'", pieces[i], reply->line);
        }
        EXPECT(!other.is_late, "'%s': the server does not close", pieces[i]);
        client_close(&other);
        state_expect(&client, before, pieces[i]);
    }
    free(before);
    stop();
}

static void expect_kept(uint64_t id, const void *bytes, size_t len_bytes)
{
    const struct reply *reply = client_get(&client, "PAYLOAD %" PRIu64, id);
    EXPECT(reply->blob != NULL && reply->blob_bytes == len_bytes &&
               memcmp(reply->blob, bytes, len_bytes) == 0,
           "payload %" PRIu64 " is not what was submitted: '%s'", id, reply->line);
}

/* Sizes around the limits of a block and of the payload itself, of bytes that do not compress. */
static void every_size_is_kept(void)
{
    static const size_t sizes[] = {0,
                                   1,
                                   2,
                                   4095,
                                   4096,
                                   4097,
                                   65535,
                                   65536,
                                   65537,
                                   262144,
                                   1000000,
                                   PAYLOAD_BYTES_MAX - 1,
                                   PAYLOAD_BYTES_MAX};
    uint64_t ids[COUNT_OF(sizes)];
    unsigned char *bytes = malloc(PAYLOAD_BYTES_MAX);
    start();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        seed_fill(i, bytes, sizes[i]);
        EXPECT(client_send_blob(&client, "SUBMIT line", bytes, sizes[i]), "cut off");
        const struct reply *reply = client_next(&client);
        ids[i] = line_number(reply->line, 1);
        EXPECT(reply_is_ok(reply), "$%zu gave '%s'", sizes[i], reply->line);
        expect_kept(ids[i], bytes, sizes[i]);
    }
    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct claim claim;
        seed_fill(i, bytes, sizes[i]);
        expect_kept(ids[i], bytes, sizes[i]);
        scene_claim(&claim, &client, "w1", "line");
        EXPECT(claim.id == ids[i] && claim.payload_bytes == sizes[i] &&
                   memcmp(claim.payload, bytes, sizes[i]) == 0,
               "the claim of %zu bytes hands out something else", sizes[i]);
        char prefix[128];
        snprintf(prefix, sizeof(prefix), "DONE %" PRIu64 " %" PRIu64 " RESULT", claim.id,
                 claim.token);
        EXPECT(client_send_blob(&client, prefix, bytes, sizes[i]), "cut off");
        EXPECT(reply_is(client_next(&client), "OK"), "DONE with a result of %zu bytes", sizes[i]);
        const struct reply *reply = client_get(&client, "RESULT %" PRIu64, ids[i]);
        EXPECT(reply->blob_bytes == sizes[i] && memcmp(reply->blob, bytes, sizes[i]) == 0,
               "the result of %zu bytes came back as '%s'", sizes[i], reply->line);
    }
    free(bytes);
    stop();
}

/* The four ways to write one payload. */
static void every_form_is_kept(void)
{
    start();
    expect_kept(scene_submit(&client, "line", "", "bare"), "bare", 4);
    expect_kept(scene_submit(&client, "line", "", "\"a \\\"b\\\" \\\\ \\n\\r\\t\\x00\\xFf\""),
                "a \"b\" \\ \n\r\t\0\xFF", 13);
    expect_kept(scene_submit(&client, "line", "PRI 2", ":the rest, \"as\" it $5 is "),
                "the rest, \"as\" it $5 is ", 24);
    expect_kept(scene_submit(&client, "line", "", "\"$5\""), "$5", 2);
    EXPECT(client_write(&client, "SUBMIT line $5\r\na\nb\r\n\r\n", 23), "cut off");
    expect_kept(line_number(client_next(&client)->line, 1), "a\nb\r\n", 5);
    client_expect(&client, "OK PONG", "PING");
    stop();
}

static const struct check_test tests[] = {
    {"A payload larger than allowed is dropped, one ERR TOOBIG, and nothing in it is run", too_big},
    {"A payload past 64 MiB is an error and a close", past_all_bounds},
    {"A malformed payload length is one error", malformed},
    {"A payload cut off by a disconnect is not submitted", cut_off},
    {"Payloads and results of every size are kept, byte by byte, also through a crash",
     every_size_is_kept},
    {"Bare, quoted, rest of the line and counted payloads are kept as written", every_form_is_kept},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
