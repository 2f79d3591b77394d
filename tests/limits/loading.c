/* A client that connects while the log is read is told the percentage; one that waits is served. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/wait.h"
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

static uint64_t still_until_ms; /* until then, at least, the server stands still */
static int port_fd = -1;        /* reserves the port for a server that is given it */

/* Gives the server a port, for it listens before it prints which one it has. */
static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_len = sizeof(at);
    int one = 1;
    port_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(port_fd >= 0 && setsockopt(port_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
               bind(port_fd, (struct sockaddr *)&at, sizeof(at)) == 0,
           "bind");
    EXPECT(getsockname(port_fd, (struct sockaddr *)&at, &at_len) == 0, "getsockname");
    return ntohs(at.sin_port);
}

/* Starts a server that stands still for so long in the middle of the log. Returns its port; the
 * poll has an option with 3 votes. */
static int start_slow(uint64_t *option, unsigned seconds)
{
    static char inject[64];
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
    snprintf(inject, sizeof(inject), "inject=fadvise64:delay_enter=%u000000:when=1", seconds);
    server.args = port_args;
    traced_set(&server, inject);
    still_until_ms = wait_now_ms() + (uint64_t)seconds * 1000;
    server_launch(&server);
    return port;
}

static bool is_still(void)
{
    return wait_now_ms() < still_until_ms;
}

static void end(struct client *patient)
{
    client_close(patient);
    close(port_fd);
    server_stop(&server);
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

/* Returns whether every request was sent while the server stood still: else the machine is slow. */
static bool is_told(unsigned seconds)
{
    uint64_t option;
    struct client early, patient, info, payload;
    int port = start_slow(&option, seconds);
    come(&patient, port);
    come(&early, port);
    const struct reply *to_early = client_ask(&early, "VOTE %" PRIu64, option);
    come(&info, port);
    const struct reply *to_info = client_ask(&info, "info");
    /* the payload looks like commands: one reply all the same */
    come(&payload, port);
    client_send_blob(&payload, "SUBMIT ios", "VOTE 1\nVOTE 1\n", 14);
    const struct reply *to_payload = client_read(&payload);
    bool is_in_time = is_still();
    if (is_in_time) {
        expect_loading(to_early);
        client_expect_close(&early);
        EXPECT(to_info != NULL && strcmp(to_info->line, "OK *1") == 0, "INFO");
        EXPECT(line_field_number(to_info->rows[0], "loading_percent") <= 100, "'%s'",
               to_info->rows[0]);
        client_expect_close(&info);
        expect_loading(to_payload);
        client_expect_close(&payload);
    }
    client_close(&early);
    client_close(&info);
    client_close(&payload);
    server_await_ready(&server);
    client_expect(&patient, "OK PONG", "PING");
    EXPECT(!is_in_time || scene_votes(&patient, "lang", option) == 3, "votes after a slow start");
    end(&patient);
    return is_in_time;
}

static void told_and_served(void)
{
    for (unsigned seconds = 2; !is_told(seconds); seconds *= 2) {
    }
}

enum { CROWD = 100, LOADING_MIN = 30 };

/* Every guest gets its reply in the end. Returns how many were told LOADING. */
static int hear_crowd(struct client *crowd)
{
    int loading = 0;
    for (int i = 0; i < CROWD; i++) {
        client_write(&crowd[i], "NG\n", 3);
        const struct reply *reply = client_read(&crowd[i]);
        EXPECT(reply != NULL, "guest %d gets no reply", i);
        loading += reply_is_err(reply, "LOADING");
        EXPECT(reply_is_err(reply, "LOADING") || reply_is(reply, "OK PONG"), "'%s'", reply->line);
    }
    return loading;
}

/* More guests than there are places, all of them silent in the middle of a line: none keeps others
 * out, and each gets its reply. Returns whether all came while the server stood still. */
static bool is_crowded(unsigned seconds)
{
    static struct client crowd[CROWD];
    struct client info, late;
    uint64_t option;
    int port = start_slow(&option, seconds);
    for (int i = 0; i < CROWD; i++) {
        come(&crowd[i], port);
        client_write(&crowd[i], "PI", 2);
    }
    come(&info, port);
    const struct reply *reply = client_ask(&info, "INFO");
    bool is_in_time = is_still();
    EXPECT(!is_in_time || (reply != NULL && reply->row_count == 1 &&
                           line_field_number(reply->rows[0], "loading_percent") <= 100),
           "INFO behind a crowd");
    client_close(&info);
    server_await_ready(&server);
    int loading = hear_crowd(crowd);
    EXPECT(!is_in_time || (loading >= LOADING_MIN && loading < CROWD), "%d of %d were told LOADING",
           loading, CROWD);
    come(&late, port);
    client_expect(&late, "OK PONG", "PING");
    client_close_all(crowd, CROWD);
    end(&late);
    return is_in_time;
}

static void a_crowd(void)
{
    for (unsigned seconds = 2; !is_crowded(seconds); seconds *= 2) {
    }
}

static const struct check_test tests[] = {
    {"While the log is read there is one answer, LOADING, and who waits is served",
     told_and_served},
    {"A crowd of half lines at the door keeps nobody out, and each gets a reply", a_crowd},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
