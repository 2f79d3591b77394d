/* The do-nothing server: one epoll thread; it counts line ends and answers `OK 1` to each. */
#include "bench/null_server.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define ANSWER         "OK 1\r\n"
#define ANSWER_BYTES   (sizeof ANSWER - 1)
#define RECEIVE_BYTES  65536u
#define EVENTS_AT_ONCE 64

struct client {
    int fd;
    bool waits_for_room;
    size_t owed_bytes; /* of answers */
};

/* As many answers as one receive can ask for: every answer ever sent is a piece of this. */
static char answers[RECEIVE_BYTES * ANSWER_BYTES];
static char received[RECEIVE_BYTES];

int null_server_listen(unsigned port, unsigned *bound_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    const int on = 1;

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        err(EX_UNAVAILABLE, "listen on port %u", port);
    }
    *bound_port = ntohs(address.sin_port);
    return fd;
}

static void client_accept(int epoll, int listener)
{
    const int on = 1;

    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct client *c = calloc(1, sizeof *c);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        err(EX_OSERR, "accept");
    }
    c->fd = fd;
}

static void client_destroy(struct client *c)
{
    close(c->fd);
    free(c);
}

static size_t count_lines(const char *p, size_t len)
{
    const char *end = p + len;
    size_t lines = 0;

    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        if (++p == end) {
            break;
        }
    }
    return lines;
}

/* Sends the owed answers. While answers are owed nothing is read, so their number is bounded. */
static void client_answer(int epoll, struct client *c)
{
    if (c->owed_bytes > 0) {
        const char *from = answers + (sizeof answers - c->owed_bytes);
        ssize_t n = send(c->fd, from, c->owed_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            client_destroy(c);
            return;
        }
        c->owed_bytes -= n > 0 ? (size_t)n : 0;
    }
    if (c->waits_for_room != (c->owed_bytes > 0)) {
        c->waits_for_room = c->owed_bytes > 0;
        struct epoll_event event = {.events = c->waits_for_room ? EPOLLOUT : EPOLLIN,
                                    .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) {
            err(EX_OSERR, "epoll_ctl");
        }
    }
}

static void client_work(int epoll, struct client *c)
{
    if (c->owed_bytes == 0) {
        ssize_t n = recv(c->fd, received, sizeof received, 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            client_destroy(c);
            return;
        }
        c->owed_bytes = count_lines(received, (size_t)n) * ANSWER_BYTES;
    }
    client_answer(epoll, c);
}

void null_server_serve(int listener)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    for (size_t i = 0; i < sizeof answers; i += ANSWER_BYTES) {
        memcpy(answers + i, ANSWER, ANSWER_BYTES);
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) {
        err(EX_OSERR, "epoll");
    }
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                client_accept(epoll, listener);
            } else {
                client_work(epoll, events[i].data.ptr);
            }
        }
    }
}

pid_t null_server_start(unsigned *bound_port)
{
    int listener = null_server_listen(0, bound_port);
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0) {
        err(EX_OSERR, "fork");
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(0);
        }
        null_server_serve(listener);
    }
    close(listener);
    return pid;
}
