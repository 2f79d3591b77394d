/* A SNAPSHOT that cannot be written: ERR BUSY, nothing else changes, and the next one is good. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VOTES = 7 };

static struct server server;
static struct client client;

/* Makes a directory with the name of the file that the server will make. */
static void bar(char path[SERVER_PATH_MAX + 128], uint64_t lsn)
{
    snprintf(path, SERVER_PATH_MAX + 128, "%s/snap-%016" PRIx64 ".tmp", server.data, lsn);
    EXPECT(mkdir(path, 0700) == 0, "mkdir %s: %s", path, strerror(errno));
}

static uint64_t lsn_now(void)
{
    const struct reply *reply = client_get(&client, "TALLY lang TOP 1");
    EXPECT(reply->row_count > 0, "TALLY gave '%s'", reply->line);
    return line_field_number(reply->rows[0], "lsn");
}

static void snapshot_busy(void)
{
    char path[SERVER_PATH_MAX + 128];
    char name[64];
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    scene_vote_times(&client, option, 0, VOTES);
    uint64_t lsn = lsn_now();
    bar(path, lsn);
    for (int i = 0; i < 3; i++) {
        client_expect_err(&client, "BUSY", "SNAPSHOT");
        client_expect(&client, "OK PONG", "PING");
    }
    snprintf(name, sizeof(name), "snap-%016" PRIx64 ".tmp", lsn);
    EXPECT(server_has_said(&server, name), "it does not say which file");
    EXPECT(scene_votes(&client, "lang", option) == VOTES, "the votes have changed");
    EXPECT(lsn_now() == lsn, "something was logged");

    EXPECT(rmdir(path) == 0, "rmdir %s: %s", path, strerror(errno));
    const struct reply *reply = client_get(&client, "SNAPSHOT");
    EXPECT(reply_is_ok(reply) && line_number(reply->line, 1) == lsn, "'%s'", reply->line);
    scene_vote_times(&client, option, VOTES, 1);
    bar(path, lsn_now());
    client_expect_err(&client, "BUSY", "SNAPSHOT");
    server_kill9(&server); /* leaves the older snapshot, and a vote behind it */
    EXPECT(rmdir(path) == 0, "rmdir %s: %s", path, strerror(errno));
    server_restart(&server);
    client_close(&client);
    client_open(&client, &server);
    EXPECT(scene_votes(&client, "lang", option) == VOTES + 1, "the votes have changed");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"A SNAPSHOT that cannot be written is ERR BUSY, changes nothing, and heals", snapshot_busy},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
