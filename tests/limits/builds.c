/* Builds by the protocol: what a holder and others are told, at once and when they ask again. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

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

/* The text of a failure is bytes: what is behind a NUL in it is the text's, and nobody else's. */
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
    for (size_t i = 0; i < CHECK_COUNT(texts); i++) {
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
    /* as long as it may be, one NUL and then nothing that is known */
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

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a text with a NUL in it shows nothing but itself", foreign_memory},
    };
    return check_main(argc, argv, tests, CHECK_COUNT(tests));
}
