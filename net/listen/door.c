/* The door: listens before there is anything to serve, and says so to whoever comes. */
#include "net/listen/door.h"

#include "net/listen/address.h"
#include "net/protocol/parse.h"
#include "wal/base/clock.h"
#include "wal/base/thread.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    GUEST_MS = 5000,  /* to say something, and to hang up once it is answered */
    LINE_BYTES = 128, /* more of a first line is not needed to answer it */
};

/*
 *     accept --> [ waits ] -- a whole line, or the room is full --> [ answered ] --> closed
 *                    |
 *                    '------- the door opens: the server takes it over
 *
 * What a guest says is looked at and left in its socket, so the server can read it all the same.
 */
struct guest {
    int fd;
    bool is_answered;
    uint64_t until_ns; /* once it is answered */
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
    struct guest guests[DOOR_GUESTS_MAX]; /* in the order in which they came */
    nfds_t guest_count;
};

/* ---- the socket ---- */

/* While it is set, accept shows only connections that have said something. */
static void set_deferred(int fd, int seconds)
{
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

/* A peer that has gone without a word is found: by probes when nothing is under way, else by what
 * it does not acknowledge. What is set here, each accepted connection has, too. */
static int set_keepalive(int fd, unsigned peer_s)
{
    const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, (int)(peer_s / 2 > 0 ? peer_s / 2 : 1)},
        {IPPROTO_TCP, TCP_KEEPINTVL, (int)(peer_s / 6 > 0 ? peer_s / 6 : 1)},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(peer_s * 1000)},
    };
    for (size_t i = 0; peer_s > 0 && i < sizeof(options) / sizeof(options[0]); i++) {
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) !=
            0) {
            return -errno;
        }
    }
    return 0;
}

static int bind_and_listen(int fd, const struct address *address)
{
    int one = 1;
    int none = 0;
    set_deferred(fd, GUEST_MS / 1000);
    /* `::` takes IPv4, too, whatever the system's default is */
    if (address->at.ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof(none)) != 0) {
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(fd, (const struct sockaddr *)&address->at, address->at_bytes) != 0 ||
        listen(fd, BACKLOG) != 0) {
        return -errno;
    }
    return 0;
}

static int listen_on(const struct address *address, unsigned peer_s)
{
    int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    int err = set_keepalive(fd, peer_s);
    err = err != 0 ? err : bind_and_listen(fd, address);
    if (err != 0) {
        close(fd);
    }
    return err != 0 ? err : fd;
}

/* ---- the guests ---- */

/* Reads what is there and forgets it: what stays unread makes a close take the answer with it. */
static bool drop_input(int fd)
{
    char dropped[4096];
    ssize_t n;
    do {
        n = recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    } while (n == sizeof(dropped));
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void answer(const struct door *door, struct guest *guest, bool is_info)
{
    /* D1: relaxed; from D2: a number for people */
    unsigned percent = atomic_load_explicit(&door->percent, memory_order_relaxed);
    char reply[96];
    int len = snprintf(reply, sizeof(reply),
                       is_info ? "OK *1\r\nloading_percent=%u\r\n"
                               : "ERR LOADING the log is being read: %u %%\r\n",
                       percent);
    int one = 1;
    setsockopt(guest->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
    drop_input(guest->fd);
    /* it fits an empty send buffer; a guest who is gone is none of ours */
    (void)send(guest->fd, reply, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(guest->fd, SHUT_WR);
    guest->is_answered = true;
    guest->until_ns = clock_mono_ns() + (uint64_t)GUEST_MS * 1000000U;
}

/* Returns false when the guest is gone; is_last: what is there is all that will come. */
static bool hear(const struct door *door, struct guest *guest, bool is_last)
{
    char line[LINE_BYTES];
    if (guest->is_answered) {
        return drop_input(guest->fd);
    }
    ssize_t n = recv(guest->fd, line, sizeof(line), MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    size_t len = (size_t)n;
    if (memchr(line, '\n', len) == NULL && len < sizeof(line)) {
        /* it is woken for more than this only, or for its end */
        int more = (int)len + 1;
        setsockopt(guest->fd, SOL_SOCKET, SO_RCVLOWAT, &more, sizeof(more));
        return !is_last;
    }
    bool is_info =
        len > 4 && word_equal((struct span){line, 4}, "INFO") && memchr(" \t\r\n", line[4], 4);
    answer(door, guest, is_info);
    return true;
}

static void remove_guest(struct door *door, nfds_t i)
{
    close(door->guests[i].fd);
    door->guest_count--;
    memmove(&door->guests[i], &door->guests[i + 1],
            (door->guest_count - i) * sizeof(door->guests[0]));
}

/* A full room: the oldest one goes, of those that have their answer, if there is any. */
static void make_room(struct door *door)
{
    nfds_t i = 0;
    while (i < door->guest_count && !door->guests[i].is_answered) {
        i++;
    }
    if (i == door->guest_count) {
        i = 0;
        answer(door, &door->guests[0], false);
    }
    remove_guest(door, i);
}

static void let_in(struct door *door)
{
    if (door->guest_count == DOOR_GUESTS_MAX) {
        make_room(door);
    }
    int fd = accept4(door->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    struct guest *guest = &door->guests[door->guest_count++];
    *guest = (struct guest){.fd = fd};
    if (!hear(door, guest, false)) {
        remove_guest(door, door->guest_count - 1);
    }
}

static void see_off(struct door *door, const struct pollfd *polled)
{
    uint64_t now_ns = clock_mono_ns();
    for (nfds_t i = door->guest_count; i-- > 0;) {
        struct guest *guest = &door->guests[i];
        bool is_late = guest->is_answered && now_ns >= guest->until_ns;
        bool is_last = (polled[i].revents & ~POLLIN) != 0;
        if (is_late || (polled[i].revents != 0 && !hear(door, guest, is_last))) {
            remove_guest(door, i);
        }
    }
}

static void *stand(void *arg)
{
    struct door *door = arg;
    struct pollfd polled[DOOR_GUESTS_MAX + 2];
    do {
        nfds_t count = door->guest_count;
        for (nfds_t i = 0; i < count; i++) {
            polled[i] = (struct pollfd){.fd = door->guests[i].fd, .events = POLLIN | POLLRDHUP};
        }
        polled[count] = (struct pollfd){.fd = door->stop_fd, .events = POLLIN};
        polled[count + 1] = (struct pollfd){.fd = door->listen_fd, .events = POLLIN};
        /* for the time of the guests it looks again by itself */
        poll(polled, count + 2, count > 0 ? GUEST_MS / 10 : -1);
        see_off(door, polled);
        if (polled[count].revents != 0) {
            break;
        }
        if (polled[count + 1].revents != 0) {
            let_in(door);
        }
    } while (true);
    return NULL;
}

/* ---- its life ---- */

static int start(struct door *door, const struct address *address, unsigned peer_s)
{
    door->listen_fd = listen_on(address, peer_s);
    door->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (door->listen_fd < 0) {
        return door->listen_fd;
    }
    return door->stop_fd < 0 ? -errno : -thread_start(&door->thread, stand, door);
}

int door_new(struct door **out, const struct address *address, unsigned peer_s, char *told,
             size_t told_bytes)
{
    struct door *door = calloc(1, sizeof(*door));
    if (door == NULL) {
        return -ENOMEM;
    }
    int err = start(door, address, peer_s);
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
    address_tell(door->listen_fd, told, told_bytes);
    *out = door;
    return 0;
}

void door_progress(struct door *door, unsigned percent)
{
    /* D2: relaxed; to D1 */
    atomic_store_explicit(&door->percent, percent, memory_order_relaxed);
}

/* The answered ones are closed; the others have lost nothing. */
static void hand_over(struct door *door, struct door_opened *opened)
{
    int one = 1;
    opened->listen_fd = door->listen_fd;
    opened->guest_count = 0;
    for (nfds_t i = 0; i < door->guest_count; i++) {
        int fd = door->guests[i].fd;
        if (door->guests[i].is_answered) {
            close(fd);
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
        opened->guests[opened->guest_count++] = fd;
    }
}

void door_open(struct door *door, struct door_opened *opened)
{
    uint64_t one = 1;
    ssize_t written = write(door->stop_fd, &one, sizeof(one));
    (void)written; /* an eventfd at 0 takes it */
    pthread_join(door->thread, NULL);
    close(door->stop_fd);
    set_deferred(door->listen_fd, 0);
    hand_over(door, opened);
    free(door);
}
