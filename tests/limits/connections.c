/* The limits of connections: how many there are, and how many wrong keys one may try. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 10000, WRONG_KEYS_MAX = 3, OTHER_FILES = 200 };

static struct server server;

/* ---- connections ---- */

/* Raises the limit of open files for the test and for the server, which inherits it. */
static void allow_files(void)
{
    struct rlimit files;
    EXPECT(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit: %s", strerror(errno));
    if (files.rlim_max < CONNECTIONS_MAX + OTHER_FILES) {
        check_skip("%lu open files are allowed", (unsigned long)files.rlim_max);
    }
    files.rlim_cur = CONNECTIONS_MAX + OTHER_FILES;
    EXPECT(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit: %s", strerror(errno));
}

static int connect_one(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const struct linger at_once = {.l_onoff = 1}; /* other tests need so many ports, too */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(fd >= 0, "socket: %s", strerror(errno));
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0, "SO_LINGER: %s",
           strerror(errno));
    EXPECT(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "connect: %s",
           strerror(errno));
    return fd;
}

/* A reply shows that the server has accepted the connection. */
static void expect_pong(int fd)
{
    static const char pong[] = "OK PONG\r\n";
    char got[sizeof(pong) - 1];
    EXPECT(send(fd, "PING\n", 5, MSG_NOSIGNAL) == 5, "send: %s", strerror(errno));
    ssize_t len = recv(fd, got, sizeof(got), MSG_WAITALL);
    EXPECT(len == (ssize_t)sizeof(got) && memcmp(got, pong, sizeof(got)) == 0, "PING gave '%.*s'",
           len > 0 ? (int)len : 0, got);
}

static void one_too_many(void)
{
    static int fds[CONNECTIONS_MAX];
    struct client client;
    allow_files();
    server_start(&server, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        fds[i] = connect_one();
        expect_pong(fds[i]);
    }
    for (int i = 0; i < 3; i++) {
        client_open(&client, &server);
        const struct reply *reply = client_next(&client);
        EXPECT(reply_is_err(reply, "BUSY") && strstr(reply->line, "retry_ms=") != NULL, "'%s'",
               reply->line);
        client_expect_close(&client);
        client_close(&client);
    }
    expect_pong(fds[0]);
    expect_pong(fds[CONNECTIONS_MAX - 1]);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        close(fds[i]);
    }
    server_stop(&server);
}

/* ---- keys ---- */

static const char key[] = "0123456789abcdef0123456789ABCDEF";
static const char key_wrong[] = "0123456789abcdef0123456789ABCDEf";

static void three_wrong_keys(void)
{
    struct client client;
    setenv("TALLY_API_KEY", key, 1);
    server_start(&server, NULL);
    unsetenv("TALLY_API_KEY");
    client_open(&client, &server);
    for (int i = 1; i < WRONG_KEYS_MAX; i++) {
        client_expect_err(&client, "DENIED", "AUTH %s", key_wrong);
        client_expect(&client, "OK PONG", "PING");
        client_expect_err(&client, "NOAUTH", "POLL lang");
    }
    client_expect(&client, "OK", "AUTH %s", key);
    scene_poll(&client, "lang");
    client_close(&client);

    client_open(&client, &server);
    for (int i = 1; i <= WRONG_KEYS_MAX; i++) {
        client_expect_err(&client, "DENIED", "AUTH %s", key_wrong);
    }
    client_expect_close(&client);
    client_close(&client);

    /* a request behind the third is not run, even with the right key */
    client_open(&client, &server);
    for (int i = 1; i <= WRONG_KEYS_MAX; i++) {
        EXPECT(client_send(&client, "AUTH %s", key_wrong), "send");
    }
    EXPECT(client_send(&client, "AUTH %s", key) && client_send(&client, "POLL other"), "send");
    for (int i = 1; i <= WRONG_KEYS_MAX; i++) {
        EXPECT(reply_is_err(client_next(&client), "DENIED"), "'%s'", client.reply.line);
    }
    client_expect_close(&client);
    client_close(&client);
    client_open(&client, &server);
    client_expect(&client, "OK", "AUTH %s", key);
    client_expect_err(&client, "NOTFOUND", "TALLY other");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"One connection too many is ERR BUSY with retry_ms=, and closed", one_too_many},
    {"The third wrong key closes the connection", three_wrong_keys},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
