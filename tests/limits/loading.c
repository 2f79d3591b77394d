/* Who comes while the log is read is told so, and how far it is; who waits is served later. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/limits/traced.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct server server;
static char port_text[8];
static const char *const port_args[] = {"--port", port_text, NULL};

/* The server listens before it says on which port, so it is told one. */
static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "bind");
    EXPECT(getsockname(fd, (struct sockaddr *)&at, &at_len) == 0, "getsockname");
    close(fd);
    return ntohs(at.sin_port);
}

/* A server whose reads of the log wait, so that it is still at it when we come. Returns its port;
 * the poll has an option with 3 votes. */
static int start_slow(uint64_t *option)
{
    struct client client;
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    *option = scene_option(&client, "lang", "C");
    scene_vote_times(&client, *option, 0, 3);
    client_close(&client);
    EXPECT(server_term(&server) == 0, "SIGTERM");

    int port = free_port();
    snprintf(port_text, sizeof(port_text), "%d", port);
    server.args = port_args;
    traced_set(&server, "inject=pread64:delay_enter=500000:when=1..6");
    server_launch(&server);
    return port;
}

static void come(struct client *client, int port)
{
    while (!client_try_open(client, port)) {
        sched_yield();
    }
}

static void expect_loading(const struct reply *reply)
{
    unsigned percent = 101;
    EXPECT(reply != NULL, "no reply");
    int read = sscanf(reply->line, "ERR LOADING the log is being read: %u %%", &percent);
    EXPECT(read == 1 && percent <= 100, "'%s'", reply->line);
}

static void told_and_served(void)
{
    uint64_t option;
    struct client early, patient, info, payload;
    int port = start_slow(&option);
    come(&patient, port);
    come(&early, port);
    expect_loading(client_ask(&early, "VOTE %" PRIu64, option));
    client_expect_close(&early);
    client_close(&early);

    come(&info, port);
    const struct reply *reply = client_ask(&info, "info");
    EXPECT(reply != NULL && strcmp(reply->line, "OK *1") == 0, "INFO");
    EXPECT(line_field_number(reply->rows[0], "loading_percent") <= 100, "'%s'", reply->rows[0]);
    client_expect_close(&info);
    client_close(&info);

    /* the payload looks like commands: one reply all the same */
    come(&payload, port);
    client_send_blob(&payload, "SUBMIT ios", "VOTE 1\nVOTE 1\n", 14);
    expect_loading(client_read(&payload));
    client_expect_close(&payload);
    client_close(&payload);

    server_await_ready(&server);
    client_expect(&patient, "OK PONG", "PING");
    EXPECT(scene_votes(&patient, "lang", option) == 3, "votes after a slow start");
    client_close(&patient);
    server_stop(&server);
}

/* More than the door has room for, all of them silent in the middle of a line: none keeps others
 * out, and each gets its reply. */
static void a_crowd(void)
{
    enum { CROWD = 100, LOADING_MIN = 30 };
    static struct client crowd[CROWD];
    struct client info, late;
    int loading = 0;
    uint64_t option;
    int port = start_slow(&option);
    for (int i = 0; i < CROWD; i++) {
        come(&crowd[i], port);
        client_write(&crowd[i], "PI", 2);
    }
    come(&info, port);
    const struct reply *reply = client_ask(&info, "INFO");
    EXPECT(reply != NULL && reply->row_count == 1 &&
               line_field_number(reply->rows[0], "loading_percent") <= 100,
           "INFO behind a crowd");
    client_close(&info);
    server_await_ready(&server);
    for (int i = 0; i < CROWD; i++) {
        client_write(&crowd[i], "NG\n", 3);
        reply = client_read(&crowd[i]);
        EXPECT(reply != NULL, "guest %d gets no reply", i);
        loading += reply_is_err(reply, "LOADING");
        EXPECT(reply_is_err(reply, "LOADING") || reply_is(reply, "OK PONG"), "'%s'", reply->line);
    }
    EXPECT(loading >= LOADING_MIN && loading < CROWD, "%d of %d were told LOADING", loading, CROWD);
    come(&late, port);
    client_expect(&late, "OK PONG", "PING");
    client_close(&late);
    client_close_all(crowd, CROWD);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"While the log is read there is one answer, LOADING, and who waits is served",
     told_and_served},
    {"A crowd of half lines at the door keeps nobody out, and each gets a reply", a_crowd},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, CHECK_COUNT(tests));
}
