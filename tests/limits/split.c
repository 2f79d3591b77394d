/* Requests cut anywhere by TCP: the replies are the same as to whole ones. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRIPT_MAX = 1024, REPLIES_MAX = 8192 };

/* One I/O thread: when the second connection's PING is answered, the first one's bytes have been
 * read. */
static const char *const args[] = {"--threads", "1", NULL};

static struct server server;
static struct client fence;
static char script[SCRIPT_MAX];
static size_t script_bytes;
static size_t request_count;

/* Requests whose replies are the same every time: reads, refusals, and repeats of done requests. */
static void set_up_script(void)
{
    struct claim claim;
    struct client client;
    client_open(&client, &server);
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    scene_vote_times(&client, option, 0, 3);
    scene_worker(&client, "w1");
    scene_submit(&client, "line", "", "payload");
    scene_claim(&claim, &client, "w1", "line");
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64 " RESULT r\xC3\xA9sult", claim.id,
                  claim.token);
    client_close(&client);

    script_bytes = (size_t)snprintf(script, sizeof(script),
                                    "PING\r\n"
                                    "POLL lang\n"
                                    "vote \"12\\x61bc\"\r\n"
                                    "TALLY nowhere\n"
                                    "PAYLOAD %" PRIu64 "\n"
                                    "SUBMIT bad/queue $12\r\n\nPING\nVOTE 1\n"
                                    "OPTION lang \" ELIXIR \"\n"
                                    "DONE %" PRIu64 " %" PRIu64 " RESULT $7\r\nr\xC3\xA9sult\r\n"
                                    "RESULT %" PRIu64 "\n"
                                    "NONSENSE :$5\n"
                                    "BUILD %" PRIu64 "\n"
                                    "CLAIM w1 nothing\n",
                                    claim.id, claim.id, claim.token, claim.id, claim.id);
    request_count = 12;
    EXPECT(script_bytes < sizeof(script), "the script is too long");
}

/* Appends the whole reply, blob and all, to `text`. */
static void note_reply(char *text, const struct reply *reply)
{
    size_t used = strlen(text);
    snprintf(text + used, REPLIES_MAX - used, "%s%s%s\n", reply->line,
             reply->blob != NULL ? " | " : "", reply->blob != NULL ? reply->blob : "");
}

static void read_replies(struct client *client, char *text)
{
    text[0] = '\0';
    for (size_t i = 0; i < request_count; i++) {
        note_reply(text, client_next(client));
    }
    client_expect(client, "OK PONG", "PING");
}

/* Sends the script in pieces of `step` bytes, the first one of `first`, each read by the server
 * before the next. */
static void send_in_pieces(struct client *client, size_t first, size_t step)
{
    size_t at = 0, part = first;
    while (at < script_bytes) {
        part = part < script_bytes - at ? part : script_bytes - at;
        EXPECT(client_write(client, script + at, part), "cut off at byte %zu", at);
        at += part;
        part = step;
        client_expect(&fence, "OK PONG", "PING");
    }
}

static void split_everywhere(void)
{
    static char whole[REPLIES_MAX], split[REPLIES_MAX];
    struct client client;
    server_start(&server, args);
    set_up_script();
    client_open(&fence, &server);
    client_open(&client, &server);
    EXPECT(client_write(&client, script, script_bytes), "cut off");
    read_replies(&client, whole);
    for (size_t at = 1; at < script_bytes; at++) {
        send_in_pieces(&client, at, script_bytes);
        read_replies(&client, split);
        EXPECT(strcmp(whole, split) == 0, "split at byte %zu:\n%s\n  in one piece:\n%s", at, split,
               whole);
    }
    for (size_t step = 1; step <= 7; step++) {
        send_in_pieces(&client, step, step);
        read_replies(&client, split);
        EXPECT(strcmp(whole, split) == 0, "in pieces of %zu:\n%s\n  in one piece:\n%s", step, split,
               whole);
    }
    client_close(&client);
    client_close(&fence);
    server_stop(&server);
}

static void split_submits(void)
{
    static const char submit[] = "SUBMIT line PRI 3 $10\r\nab\nVOTE 1\n\r\n";
    struct client client;
    uint64_t last = 0;
    server_start(&server, args);
    client_open(&fence, &server);
    client_open(&client, &server);
    for (size_t at = 1; at < sizeof(submit) - 1; at++) {
        EXPECT(client_write(&client, submit, at), "cut off");
        client_expect(&fence, "OK PONG", "PING");
        EXPECT(client_write(&client, submit + at, sizeof(submit) - 1 - at), "cut off");
        const struct reply *reply = client_next(&client);
        uint64_t id = line_number(reply->line, 1);
        EXPECT(reply_is_ok(reply) && id > last, "split at byte %zu gave '%s'", at, reply->line);
        last = id;
        reply = client_get(&client, "PAYLOAD %" PRIu64, id);
        EXPECT(reply->blob_bytes == 10 && memcmp(reply->blob, "ab\nVOTE 1\n", 10) == 0,
               "split at byte %zu the payload is '%s'", at, reply->blob);
    }
    client_close(&client);
    client_close(&fence);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"Requests split at every byte get the same replies as in one piece", split_everywhere},
    {"A submit split at every byte is submitted once, with its payload", split_submits},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
