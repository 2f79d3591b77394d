/* The door: listens before there is anything to serve, and says so to whoever comes. */
#include "net/door.h"

#include "wal/base/clock.h"
#include "wal/base/thread.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    PORT_TEXT_BYTES = 8,
    GUESTS_MAX = 64,
    GUEST_MS = 5000,  /* to say a line, or to hang up once it is answered */
    LINE_BYTES = 128, /* more of a first line is not needed to answer it */
};

/* A connection that is answered and sent away. */
struct guest {
    int fd;
    uint64_t until_ns;
    size_t len;
    bool answered;
    char line[LINE_BYTES];
};

/*
 * Synchronization: percent by anybody (D1, D2); everything else is the thread's between its start
 * and its join.
 */
struct door {
    int listen_fd;
    int stop_fd; /* an eventfd: written once */
    pthread_t thread;
    _Atomic unsigned percent;
    struct guest guests[GUESTS_MAX];
    nfds_t guest_count;
};

/* ---- the socket ---- */

static int resolve(const char *bind_to, uint16_t port, struct addrinfo **out)
{
    char text[PORT_TEXT_BYTES];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    snprintf(text, sizeof(text), "%u", (unsigned)port);
    int err = getaddrinfo(bind_to, text, &hints, out);
    if (err == 0) {
        return 0;
    }
    return err == EAI_MEMORY ? -ENOMEM : -EADDRNOTAVAIL;
}

/* While it is set, accept shows only connections that have said something. */
static void set_deferred(int fd, int seconds)
{
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

static int listen_on(const char *bind_to, uint16_t port)
{
    struct addrinfo *found;
    int one = 1;
    int err = resolve(bind_to, port, &found);
    if (err != 0) {
        return err;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        err = -errno;
    } else {
        set_deferred(fd, GUEST_MS / 1000);
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
            bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
            err = -errno;
            close(fd);
        }
    }
    freeaddrinfo(found);
    return err != 0 ? err : fd;
}

static void tell_address(int fd, char *address, size_t address_bytes)
{
    struct sockaddr_storage at;
    socklen_t at_len = sizeof(at);
    char host[NI_MAXHOST] = "?";
    char port[NI_MAXSERV] = "?";
    if (getsockname(fd, (struct sockaddr *)&at, &at_len) == 0) {
        getnameinfo((struct sockaddr *)&at, at_len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    }
    snprintf(address, address_bytes, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

/* ---- the guests ---- */

static void answer(const struct door *door, struct guest *guest)
{
    /* D1: relaxed; from D2: a number for people */
    unsigned percent = atomic_load_explicit(&door->percent, memory_order_relaxed);
    size_t word = strcspn(guest->line, " \t\r\n");
    bool is_info = word == 4 && strncasecmp(guest->line, "INFO", word) == 0;
    char reply[96];
    int len = snprintf(reply, sizeof(reply),
                       is_info ? "OK *1\r\nloading_percent=%u\r\n"
                               : "ERR LOADING the log is being read: %u %%\r\n",
                       percent);
    /* it fits an empty send buffer; a guest who is gone is none of ours */
    (void)send(guest->fd, reply, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(guest->fd, SHUT_WR);
    guest->answered = true;
}

/* Returns false when the guest is gone. What follows the first line is read and dropped, so that
 * the close does not take the answer with it. */
static bool hear(const struct door *door, struct guest *guest)
{
    char dropped[4096];
    char *into = guest->answered ? dropped : guest->line + guest->len;
    size_t room = guest->answered ? sizeof(dropped) : sizeof(guest->line) - 1 - guest->len;
    ssize_t n = recv(guest->fd, into, room, MSG_DONTWAIT);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (!guest->answered) {
        guest->len += (size_t)n;
        guest->line[guest->len] = '\0';
        if (memchr(into, '\n', (size_t)n) != NULL || guest->len == sizeof(guest->line) - 1) {
            answer(door, guest);
        }
    }
    return true;
}

static void let_in(struct door *door)
{
    int fd = accept4(door->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        door->guests[door->guest_count++] =
            (struct guest){.fd = fd, .until_ns = clock_mono_ns() + (uint64_t)GUEST_MS * 1000000U};
    }
}

static void see_off(struct door *door, const struct pollfd *polled)
{
    uint64_t now_ns = clock_mono_ns();
    nfds_t kept = 0;
    for (nfds_t i = 0; i < door->guest_count; i++) {
        struct guest *guest = &door->guests[i];
        bool stays = now_ns < guest->until_ns;
        if (stays && polled[i].revents != 0) {
            stays = hear(door, guest);
        }
        if (stays) {
            door->guests[kept++] = *guest;
        } else {
            close(guest->fd);
        }
    }
    door->guest_count = kept;
}

static void *stand(void *arg)
{
    struct door *door = arg;
    struct pollfd polled[GUESTS_MAX + 2];
    do {
        nfds_t count = door->guest_count;
        for (nfds_t i = 0; i < count; i++) {
            polled[i] = (struct pollfd){.fd = door->guests[i].fd, .events = POLLIN};
        }
        polled[count] = (struct pollfd){.fd = door->stop_fd, .events = POLLIN};
        polled[count + 1] = (struct pollfd){.fd = door->listen_fd, .events = POLLIN};
        /* a full room lets nobody in; then, and for the guests' time, it looks again by itself */
        nfds_t watched = count + (count < GUESTS_MAX ? 2 : 1);
        polled[count + 1].revents = 0;
        poll(polled, watched, count > 0 ? GUEST_MS / 10 : -1);
        see_off(door, polled);
        if (polled[count + 1].revents != 0) {
            let_in(door);
        }
        if (polled[count].revents != 0) {
            break;
        }
    } while (true);
    for (nfds_t i = 0; i < door->guest_count; i++) {
        close(door->guests[i].fd);
    }
    return NULL;
}

/* ---- its life ---- */

static int start(struct door *door, const char *bind_to, uint16_t port)
{
    door->listen_fd = listen_on(bind_to, port);
    door->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (door->listen_fd < 0) {
        return door->listen_fd;
    }
    return door->stop_fd < 0 ? -errno : -thread_start(&door->thread, stand, door);
}

int door_new(struct door **out, const char *bind_to, uint16_t port, char *address,
             size_t address_bytes)
{
    struct door *door = calloc(1, sizeof(*door));
    if (door == NULL) {
        return -ENOMEM;
    }
    int err = start(door, bind_to, port);
    if (err != 0) {
        if (door->listen_fd >= 0) {
            close(door->listen_fd);
        }
        if (door->stop_fd >= 0) {
            close(door->stop_fd);
        }
        free(door);
        return err;
    }
    tell_address(door->listen_fd, address, address_bytes);
    *out = door;
    return 0;
}

void door_progress(struct door *door, unsigned percent)
{
    /* D2: relaxed; to D1 */
    atomic_store_explicit(&door->percent, percent, memory_order_relaxed);
}

int door_open(struct door *door)
{
    int listen_fd = door->listen_fd;
    uint64_t one = 1;
    ssize_t written = write(door->stop_fd, &one, sizeof(one));
    (void)written; /* an eventfd at 0 takes it */
    pthread_join(door->thread, NULL);
    close(door->stop_fd);
    set_deferred(listen_fd, 0);
    free(door);
    return listen_fd;
}
