/* The address that the server listens on, the key it needs, and clients that come as it drains. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEY_BYTES_MAX = 1000, EXIT_USAGE = 64, EXIT_CONFIG = 78 };

static struct server server;
static struct client client;

static void start(const char *const *args)
{
    server.args = args;
    server_launch(&server);
    server_await_ready(&server);
}

/* Expects that the server does not start, and that it prints the reason. */
static void expect_refusal(const char *const *args, int code, const char *why)
{
    unlink(server.said);
    server.args = args;
    server_launch(&server);
    int got = server_await_exit(&server);
    EXPECT(got == code, "exit %d instead of %d", got, code);
    EXPECT(server_has_said(&server, why), "it does not say '%s'", why);
}

/* ---- the key ---- */

static char key[KEY_BYTES_MAX + 2];
static char key_path[64];
static const char *const key_args[] = {"--api-key-file", key_path, NULL};

static void write_key(size_t len, const char *behind, size_t behind_len)
{
    memset(key, 'k', sizeof(key));
    key[len] = '\0';
    snprintf(key_path, sizeof(key_path), "/tmp/tally-key-%d", (int)getpid());
    FILE *file = fopen(key_path, "we");
    EXPECT(file != NULL && fwrite(key, 1, len, file) == len, "%s", key_path);
    EXPECT(fwrite(behind, 1, behind_len, file) == behind_len && fclose(file) == 0, "%s", key_path);
}

static void long_keys(void)
{
    server_init(&server);
    write_key(KEY_BYTES_MAX + 1, "\n", 1);
    setenv("TALLY_API_KEY", key, 1);
    expect_refusal(NULL, EXIT_CONFIG, "more than 1000 characters");
    unsetenv("TALLY_API_KEY");
    expect_refusal(key_args, EXIT_CONFIG, "more than 1000 characters");
    write_key(KEY_BYTES_MAX + 1, "", 0);
    expect_refusal(key_args, EXIT_CONFIG, "more than 1000 characters");
    write_key(0, "\r\nmore\n", 7);
    expect_refusal(key_args, EXIT_CONFIG, "is empty: the key stands there");
    write_key(40, "\0hidden\n", 8);
    expect_refusal(key_args, EXIT_CONFIG, "NUL");

    write_key(KEY_BYTES_MAX, "\r\nmore\n", 7);
    start(key_args);
    client_open(&client, &server);
    client_expect(&client, "OK", "AUTH %s", key);
    client_close(&client);
    server_stop(&server);
    unlink(key_path);
}

/* ---- the address ---- */

static void names(void)
{
    static const char *const localhost[] = {"--bind", "localhost", NULL};
    static const char *const nowhere[] = {"--bind", "nowhere.invalid", NULL};
    static const char *const nothing[] = {"--bind", "", NULL};
    static const char *const with_port[] = {"--bind", "[::1]:8259", NULL};
    static const char *const short_form[] = {"--bind", "127.1", NULL};
    static const char *const all[] = {"--bind", "0.0.0.0", NULL};
    server_init(&server);
    expect_refusal(nowhere, EXIT_USAGE, "--bind nowhere.invalid: ");
    expect_refusal(nothing, EXIT_USAGE, "--bind must not be empty");
    expect_refusal(with_port, EXIT_USAGE, "the port is said with --port");
    expect_refusal(all, EXIT_CONFIG, "0.0.0.0 is not a loopback address");
    start(short_form);
    EXPECT(server_term(&server) == 0, "SIGTERM");
    start(localhost);
    client_open(&client, &server);
    client_expect(&client, "OK PONG", "PING");
    client_close(&client);
    server_stop(&server);
}

/* Makes a network namespace in which IPv6 sockets accept no IPv4 by default; where that is not
 * allowed, the machine's default is used. */
static void set_v6only(void)
{
    struct ifreq lo = {.ifr_flags = IFF_UP | IFF_RUNNING};
    snprintf(lo.ifr_name, sizeof(lo.ifr_name), "lo");
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0, "the loopback does not come up");
    close(fd);
    int sysctl = open("/proc/sys/net/ipv6/bindv6only", O_WRONLY | O_CLOEXEC);
    if (sysctl >= 0) {
        EXPECT(write(sysctl, "1", 1) == 1, "bindv6only");
        close(sysctl);
    }
}

static void both_families(void)
{
    static const char *const args[] = {"--bind", "::", NULL};
    const struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int v6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v6 < 0 || bind(v6, (const struct sockaddr *)&any, sizeof(any)) != 0) {
        check_skip("this machine has no IPv6");
    }
    close(v6);
    set_v6only();
    setenv("TALLY_API_KEY", "0123456789abcdef0123456789ABCDEF", 1);
    server_start(&server, args);
    unsetenv("TALLY_API_KEY");
    client_open(&client, &server); /* by 127.0.0.1 */
    client_expect(&client, "OK PONG", "PING");
    client_close(&client);
    server_stop(&server);
}

/* ---- the drain ---- */

enum { BLOB_BYTES = 1 << 20, BLOBS = 16 };

/* One write of more than the server's socket holds: at the first byte of a reply the server has
 * read all of it. */
static void ask_for_much(const struct client *lazy)
{
    static const char request[] = "PAYLOAD 1\n";
    char requests[BLOBS * (sizeof(request) - 1)];
    int room_bytes = 128 * 1024;
    EXPECT(setsockopt(lazy->fd, SOL_SOCKET, SO_RCVBUF, &room_bytes, sizeof(room_bytes)) == 0,
           "SO_RCVBUF: %s", strerror(errno));
    for (size_t i = 0; i < BLOBS; i++) {
        memcpy(requests + i * (sizeof(request) - 1), request, sizeof(request) - 1);
    }
    EXPECT(send(lazy->fd, requests, sizeof(requests), MSG_NOSIGNAL) == sizeof(requests), "send");
}

/* A client that does not read holds the drain up. */
static void come_late(void)
{
    static char blob[BLOB_BYTES];
    struct client late, lazy;
    server_start(&server, NULL);
    client_open(&client, &server);
    memset(blob, 'x', sizeof(blob));
    client_send_blob(&client, "SUBMIT big", blob, sizeof(blob));
    EXPECT(reply_is(client_next(&client), "OK 1"), "SUBMIT");
    client_open(&lazy, &server);
    ask_for_much(&lazy);
    EXPECT(recv(lazy.fd, blob, 1, MSG_PEEK) == 1, "no reply");
    kill(server.pid, SIGTERM);
    client_expect_close(&client); /* the server drains */
    for (int i = 0; i < 3; i++) {
        client_open(&late, &server);
        const struct reply *reply = client_next(&late);
        EXPECT(reply_is_err(reply, "DRAINING"), "'%s'", reply->line);
        client_expect_close(&late);
        client_close(&late);
    }
    client_close(&lazy);
    EXPECT(server_await_exit(&server) == 0, "the drain");
    client_close(&client);
}

static const struct check_test tests[] = {
    {"A key that is too long, or that nobody can say, is refused and not cut", long_keys},
    {"A name of loopback needs no key; another name, or none, is refused with the reason", names},
    {"Who comes during the drain hears DRAINING", come_late},
    {"On :: clients come by IPv4, too, whatever the default is", both_families},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
