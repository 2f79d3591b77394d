/* File descriptors: clients never use up those that are kept for the log. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/files.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    EXIT_CONFIG = 78,
    CLIENTS_MAX = 300,
    PAYLOAD_BYTES = 512 * 1024,
    SEGMENT_BYTES = 64 << 20,
    SUBMITS = 40, /* more than the first segment holds */
    SOON_MS = 30000,
};

static struct server server;
static struct client client;
static struct client idle[CLIENTS_MAX];

/* One I/O thread, so that the number of descriptors kept back does not depend on the machine. */
static const char *const args[] = {"--threads", "1", NULL};

static void start_with(const char *nofile)
{
    static const char *wrapper[] = {"prlimit", NULL, NULL};
    static char option[32];
    snprintf(option, sizeof(option), "--nofile=%s", nofile);
    wrapper[1] = option;
    server_init(&server);
    server.args = args;
    server.wrapper = wrapper;
    server_launch(&server);
}

static bool has_segment(unsigned number)
{
    char path[sizeof(server.data) + 40];
    snprintf(path, sizeof(path), "%s/wal-%016x.seg", server.data, number);
    return access(path, F_OK) == 0;
}

/* Waits until the segment has its name, and can be taken. */
static void await_segment(unsigned number)
{
    AWAIT(SOON_MS, has_segment(number) && scene_info(&client, "log_room_bytes") >= SEGMENT_BYTES,
          "segment %u is not there after %d ms", number, SOON_MS);
}

/* Makes the log go on to its second segment, and so the third is made. */
static void fill_first_segment(void)
{
    static unsigned char payload[PAYLOAD_BYTES];
    for (uint64_t i = 0; i < SUBMITS; i++) {
        seed_fill(i, payload, sizeof(payload));
        EXPECT(client_send_blob(&client, "SUBMIT big", payload, sizeof(payload)), "cut off");
        const struct reply *reply = client_next(&client);
        EXPECT(reply_is_ok(reply), "'%s'", reply->line);
    }
}

static void idle_connections(void)
{
    start_with("128:128");
    server_await_ready(&server);
    EXPECT(server_has_said(&server, "128 open files are allowed: at most "), "nothing is said");
    client_open(&client, &server);
    uint64_t max = scene_info(&client, "connections_max");
    EXPECT(max >= 64 && max < 128, "connections_max=%llu", (unsigned long long)max);
    await_segment(2);
    for (uint64_t i = 1; i < max; i++) {
        client_open(&idle[i], &server);
        client_expect(&idle[i], "OK PONG", "PING");
    }
    client_open(&idle[0], &server);
    EXPECT(reply_is_err(client_next(&idle[0]), "BUSY"), "one too many is not refused");
    client_expect_close(&idle[0]);

    fill_first_segment();
    await_segment(3);
    EXPECT(scene_info(&client, "segment_failures") == 0, "the log has met the limit");
    const struct reply *reply = client_get(&client, "SNAPSHOT");
    EXPECT(reply_is_ok(reply), "SNAPSHOT gave '%s'", reply->line);
    client_close_all(idle, max);
    client_close(&client);
    server_stop(&server);
}

static void limit_files(rlim_t soft, struct rlimit *before)
{
    EXPECT(prlimit(server.pid, RLIMIT_NOFILE, NULL, before) == 0, "prlimit: %s", strerror(errno));
    const struct rlimit files = {soft, before->rlim_max};
    EXPECT(prlimit(server.pid, RLIMIT_NOFILE, &files, NULL) == 0, "prlimit: %s", strerror(errno));
}

static void none_for_a_while(void)
{
    struct rlimit before;
    server_start(&server, args);
    client_open(&client, &server);
    await_segment(2);
    limit_files(3, &before);
    fill_first_segment();
    AWAIT(SOON_MS, scene_info(&client, "segment_failures") >= 2, "no second try in %d ms", SOON_MS);
    char *said = files_read(server.said, NULL);
    const char *first = strstr(said, "wal-0000000000000003.seg cannot be made now");
    EXPECT(first != NULL && strstr(first, "Too many open files") != NULL, "it said: %s", said);
    EXPECT(strstr(first, "\n") == strrchr(first, '\n'), "it said it twice: %s", said);
    free(said);
    EXPECT(prlimit(server.pid, RLIMIT_NOFILE, &before, NULL) == 0, "prlimit: %s", strerror(errno));
    await_segment(3);
    fill_first_segment();
    fill_first_segment();
    fill_first_segment();
    fill_first_segment();
    await_segment(4);
    EXPECT(server_has_said(&server, "wal-0000000000000003.seg is made after all"), "not said");
    client_close(&client);
    server_stop(&server);
}

static void soft_limit_is_raised(void)
{
    start_with("64:4096");
    server_await_ready(&server);
    client_open_all(idle, CLIENTS_MAX, &server);
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        client_expect(&idle[i], "OK PONG", "PING");
    }
    client_close_all(idle, CLIENTS_MAX);
    server_stop(&server);
}

static void too_few(void)
{
    start_with("64:64");
    int code = server_await_exit(&server);
    EXPECT(code == EXIT_CONFIG, "it ended with code %d", code);
    EXPECT(server_has_said(&server, "64 open files are allowed") &&
               server_has_said(&server, "ulimit -n"),
           "it does not say what to do");
}

static const struct check_test tests[] = {
    {"Idle connections take all that are theirs, and the log makes its next segment",
     idle_connections},
    {"No descriptor for the next segment is said once, counted, and tried again", none_for_a_while},
    {"The soft limit of open files is raised as far as the hard one", soft_limit_is_raised},
    {"Where too few open files are allowed it says how many it takes", too_few},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
