/* Blocking questions: send a few hundred requests, read as many replies, and repeat. */
#include "bench/ask.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define IN_FLIGHT      256
#define CONNECT_TRIES  500
#define CONNECT_GAP_NS 10000000 /* 500 tries, 10 ms apart: a server may take 5 s to come up */
#define SILENCE_S      30       /* a server that is silent for longer counts as hung */

static int connect_once(const struct addrinfo *list)
{
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0) {
            continue;
        }
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
            return fd;
        }
        int cause = errno;
        close(fd);
        errno = cause;
    }
    return -1;
}

int ask_connect(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const struct timespec gap = {.tv_nsec = CONNECT_GAP_NS};
    struct addrinfo *list;
    int fd = -1;

    int failed = getaddrinfo(host, port, &hints, &list);
    if (failed != 0) {
        errx(EX_NOHOST, "%s:%s: %s", host, port, gai_strerror(failed));
    }
    for (int i = 0; i < CONNECT_TRIES && fd < 0; i++) {
        fd = connect_once(list);
        if (fd < 0 && (errno != ECONNREFUSED || nanosleep(&gap, NULL) != 0)) {
            break;
        }
    }
    if (fd < 0) {
        err(EX_UNAVAILABLE, "connect to %s:%s", host, port);
    }
    freeaddrinfo(list);
    const int on = 1;
    const struct timeval limit = {.tv_sec = SILENCE_S};
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
        err(EX_OSERR, "setsockopt");
    }
    return fd;
}

static void send_all(int fd, const struct text *t)
{
    for (size_t sent = 0; sent < t->len;) {
        ssize_t n = send(fd, t->at + sent, t->len - sent, MSG_NOSIGNAL);
        if (n < 0) {
            err(EX_IOERR, "send");
        }
        sent += (size_t)n;
    }
}

static void receive_more(int fd, struct text *in)
{
    text_reserve(in, 65536);
    ssize_t n = recv(fd, in->at + in->len, in->room - in->len, 0);
    if (n < 0) {
        err(EX_IOERR, "recv");
    }
    if (n == 0) {
        errx(EX_PROTOCOL, "the server closed the connection while it was being prepared");
    }
    in->len += (size_t)n;
}

/* Reads the replies to questions [first, end) of q. */
static void hear(const struct questions *q, uint64_t first, uint64_t end)
{
    struct text in = {0};
    size_t eaten = 0;

    while (first < end) {
        struct proto_reply reply;
        ssize_t n = 0;

        if (in.len > eaten) {
            n = q->proto->parse(in.at + eaten, in.at + in.len, &reply);
        }
        if (n < 0) {
            errx(EX_PROTOCOL, "this is no reply in the dialect %s", q->proto->name);
        }
        if (n == 0) {
            receive_more(q->fd, &in);
            continue;
        }
        q->heard(&reply, first++, q->arg);
        eaten += (size_t)n;
    }
    text_fini(&in);
}

void ask_all(const struct questions *q)
{
    struct text out = {0};

    for (uint64_t first = 0; first < q->count; first += IN_FLIGHT) {
        uint64_t end = q->count - first > IN_FLIGHT ? first + IN_FLIGHT : q->count;

        out.len = 0;
        for (uint64_t i = first; i < end; i++) {
            q->add(&out, i, q->arg);
        }
        send_all(q->fd, &out);
        hear(q, first, end);
    }
    text_fini(&out);
}

void ask_must(const struct proto_reply *reply, const char *forgiven)
{
    if (reply->kind != REPLY_ERR) {
        return;
    }
    if (forgiven != NULL && reply->line_len >= strlen(forgiven) &&
        memcmp(reply->bytes, forgiven, strlen(forgiven)) == 0) {
        return;
    }
    errx(EX_PROTOCOL, "refused: %.*s", (int)reply->line_len, reply->bytes);
}

struct one {
    const struct text *request;
    const char *forgiven;
};

static void add_the_one(struct text *t, uint64_t i, void *arg)
{
    const struct one *one = arg;

    (void)i;
    text_add(t, one->request->at, one->request->len);
}

static void heard_the_one(const struct proto_reply *reply, uint64_t i, void *arg)
{
    const struct one *one = arg;

    (void)i;
    ask_must(reply, one->forgiven);
}

void ask_one(int fd, const struct proto *proto, const struct text *request, const char *forgiven)
{
    struct one one = {.request = request, .forgiven = forgiven};
    const struct questions q = {.fd = fd,
                                .proto = proto,
                                .count = 1,
                                .add = add_the_one,
                                .heard = heard_the_one,
                                .arg = &one};

    ask_all(&q);
}
