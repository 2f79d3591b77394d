/* The listener: listens while the log is read, and answers its guests with ERR LOADING. */
#include "net/listen/listener.h"

#include "net/listen/address.h"
#include "net/protocol/word.h"
#include "wal/base/check.h"
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
    GUEST_MS = 5000,  /* for a guest to send something, and to close once it is answered */
    LINE_BYTES = 128, /* of a first line, enough to answer it */
    DROPS_MAX = 16,   /* pieces of a guest's input that are dropped in one turn */
};

/*
 *     accept --> [ waits ] -- a whole line, or all places are taken --> [ answered ] --> closed
 *                    |
 *                    '------- the server is ready: the server takes it over
 *
 * A guest's input is only peeked at: it stays in the socket, for the server to read.
 */
struct guest {
    int fd;
    bool is_answered;
    uint64_t until_ns; /* of an answered guest: when it is closed */
};

/*
 * Synchronization: percent: any thread (D1, D2); everything else belongs to the listener's thread
 * between its start and its join.
 */
struct listener {
    int listen_fd;
    int stop_fd; /* an eventfd: written once */
    pthread_t thread;
    _Atomic unsigned percent;
    struct guest guests[LISTENER_GUESTS_MAX]; /* in the order in which they came */
    nfds_t guest_count;
};

/* ---- the socket ---- */

/* Makes accept return only connections that have sent something; 0 seconds: all. */
static void set_deferred(int fd, int seconds)
{
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

/* Makes the kernel find peers that are gone without a close: by probes on an idle connection, else
 * by bytes that are not acknowledged. Accepted connections inherit these options. */
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
    /* `::` accepts IPv4, too, whatever the system's default is */
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

/* Reads and drops input, for a close with unread input is a reset, which loses the answer. It stops
 * after DROPS_MAX pieces: a guest may send without end. */
static bool drop_input(int fd)
{
    char dropped[4096];
    ssize_t n = sizeof(dropped);
    for (int i = 0; i < DROPS_MAX && n == sizeof(dropped); i++) {
        n = recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void answer_guest(const struct listener *listener, struct guest *guest, bool is_info)
{
    /* D1: relaxed; from D2: a number for people only */
    unsigned percent = atomic_load_explicit(&listener->percent, memory_order_relaxed);
    char reply[96];
    int len = snprintf(reply, sizeof(reply),
                       is_info ? "OK *1\r\nloading_percent=%u\r\n"
                               : "ERR LOADING the log is being read: %u %%\r\n",
                       percent);
    int one = 1;
    /* hear_guest answers a guest once; and a percentage is short */
    CHECK(!guest->is_answered && len > 0 && (size_t)len < sizeof(reply));
    setsockopt(guest->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
    drop_input(guest->fd);
    /* it fits an empty send buffer; an error means that the guest is gone */
    (void)send(guest->fd, reply, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(guest->fd, SHUT_WR);
    guest->is_answered = true;
    guest->until_ns = clock_mono_ns() + (uint64_t)GUEST_MS * 1000000U;
}

/* Peeks at a guest's input and answers a whole line. Returns false when the guest is gone. is_last:
 * no more input will come. */
static bool hear_guest(const struct listener *listener, struct guest *guest, bool is_last)
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
        /* from now on poll reports this guest only for more input than this, or for its end */
        int more = (int)len + 1;
        setsockopt(guest->fd, SOL_SOCKET, SO_RCVLOWAT, &more, sizeof(more));
        return !is_last;
    }
    bool is_info =
        len > 4 && word_equal((struct span){line, 4}, "INFO") && memchr(" \t\r\n", line[4], 4);
    answer_guest(listener, guest, is_info);
    return true;
}

static void remove_guest(struct listener *listener, nfds_t i)
{
    /* callers pass the place of a guest that is there */
    CHECK(i < listener->guest_count);
    close(listener->guests[i].fd);
    listener->guest_count--;
    memmove(&listener->guests[i], &listener->guests[i + 1],
            (listener->guest_count - i) * sizeof(listener->guests[0]));
}

/* Frees a place when all are taken: closes the oldest answered guest, else the oldest of all. */
static void free_place(struct listener *listener)
{
    nfds_t i = 0;
    while (i < listener->guest_count && !listener->guests[i].is_answered) {
        i++;
    }
    if (i == listener->guest_count) {
        i = 0;
        answer_guest(listener, &listener->guests[0], false);
    }
    remove_guest(listener, i);
}

static void let_in(struct listener *listener)
{
    if (listener->guest_count == LISTENER_GUESTS_MAX) {
        free_place(listener);
    }
    int fd = accept4(listener->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    /* free_place has closed one if all places were taken */
    CHECK(listener->guest_count < LISTENER_GUESTS_MAX);
    struct guest *guest = &listener->guests[listener->guest_count++];
    *guest = (struct guest){.fd = fd};
    if (!hear_guest(listener, guest, false)) {
        remove_guest(listener, listener->guest_count - 1);
    }
}

static void see_off(struct listener *listener, const struct pollfd *polled)
{
    uint64_t now_ns = clock_mono_ns();
    DCHECK(listener->guest_count <= LISTENER_GUESTS_MAX);
    for (nfds_t i = listener->guest_count; i-- > 0;) {
        struct guest *guest = &listener->guests[i];
        bool is_late = guest->is_answered && now_ns >= guest->until_ns;
        bool is_last = (polled[i].revents & ~POLLIN) != 0;
        if (is_late || (polled[i].revents != 0 && !hear_guest(listener, guest, is_last))) {
            remove_guest(listener, i);
        }
    }
}

static void *stand(void *arg)
{
    struct listener *listener = arg;
    struct pollfd polled[LISTENER_GUESTS_MAX + 2];
    do {
        nfds_t count = listener->guest_count;
        for (nfds_t i = 0; i < count; i++) {
            polled[i] = (struct pollfd){.fd = listener->guests[i].fd, .events = POLLIN | POLLRDHUP};
        }
        polled[count] = (struct pollfd){.fd = listener->stop_fd, .events = POLLIN};
        polled[count + 1] = (struct pollfd){.fd = listener->listen_fd, .events = POLLIN};
        /* with guests it wakes from time to time, to close those whose time is over */
        poll(polled, count + 2, count > 0 ? GUEST_MS / 10 : -1);
        see_off(listener, polled);
        if (polled[count].revents != 0) {
            break;
        }
        if (polled[count + 1].revents != 0) {
            let_in(listener);
        }
    } while (true);
    return NULL;
}

/* ---- its life ---- */

static int start(struct listener *listener, const struct address *address, unsigned peer_s)
{
    listener->listen_fd = listen_on(address, peer_s);
    listener->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (listener->listen_fd < 0) {
        return listener->listen_fd;
    }
    return listener->stop_fd < 0 ? -errno : -thread_start(&listener->thread, stand, listener);
}

int listener_new(struct listener **out, const struct address *address, unsigned peer_s, char *told,
                 size_t told_bytes)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return -ENOMEM;
    }
    int err = start(listener, address, peer_s);
    if (err != 0) {
        if (listener->listen_fd >= 0) {
            close(listener->listen_fd);
        }
        if (listener->stop_fd >= 0) {
            close(listener->stop_fd);
        }
        free(listener);
        return err;
    }
    address_tell(listener->listen_fd, told, told_bytes);
    *out = listener;
    return 0;
}

void listener_progress(struct listener *listener, unsigned percent)
{
    /* D2: relaxed; to D1 */
    atomic_store_explicit(&listener->percent, percent, memory_order_relaxed);
}

/* Closes the answered guests, and hands over the others, whose input is still unread. */
static void hand_over(struct listener *listener, struct listener_handed *opened)
{
    int one = 1;
    opened->listen_fd = listener->listen_fd;
    opened->guest_count = 0;
    for (nfds_t i = 0; i < listener->guest_count; i++) {
        int fd = listener->guests[i].fd;
        if (listener->guests[i].is_answered) {
            close(fd);
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
        opened->guests[opened->guest_count++] = fd;
    }
    DCHECK(opened->guest_count <= listener->guest_count);
}

void listener_hand_over(struct listener *listener, struct listener_handed *opened)
{
    uint64_t one = 1;
    ssize_t written = write(listener->stop_fd, &one, sizeof(one));
    (void)written; /* an eventfd at 0 takes it */
    pthread_join(listener->thread, NULL);
    close(listener->stop_fd);
    set_deferred(listener->listen_fd, 0);
    hand_over(listener, opened);
    free(listener);
}
