/* The loop: one I/O thread, which waits for events and makes passes. */
#include "net/io/loop.h"

#include "engine/read.h"
#include "engine/tally.h"
#include "net/commands/command.h"
#include "net/commands/refusal.h"
#include "net/io/receive.h"
#include "net/io/run.h"
#include "net/pipeline/pipeline.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/thread.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * One pass:
 *
 *     wait ── begin ── sample ── read and run what is ready ─┬─ flush votes ── publish ──
 *                                                            |      answer what is applied
 *                                                            `─ go on with what has stopped <-'
 *     ── one send a connection ── end
 *
 * Appended records are published before the thread can block, so nobody waits for a record that
 * only this thread knows. Reading is one turn, going on with stopped connections another, and each
 * is bounded in time. Connections that were left out come first in a later pass: epoll and the list
 * of stopped connections alternate.
 */
enum {
    EVENTS_MAX = 256,
    ACCEPTS_MAX = 64, /* in one pass */
    PIECES_MAX = 2,   /* of long replies, in one pass: less than 1 ms, wherever their rows are */
    ROUNDS_MAX = 16,  /* over the stopped connections, before replies are sent */
    TURN_NS = 1000 * 1000,
    ACCEPT_PAUSE_MS = 100,
    DRAIN_MS = 10 * 1000,
    BUSY_RETRY_MS = 1000,
};

/* ---- epoll ---- */

static uint32_t events_of(const struct conn_io *io)
{
    return (io->wants_in ? (uint32_t)EPOLLIN : 0) | (io->wants_out ? (uint32_t)EPOLLOUT : 0) |
           (io->wants_end ? (uint32_t)EPOLLRDHUP : 0);
}

int loop_watch_new(struct loop *loop, struct conn_io *io)
{
    struct epoll_event event = {.events = events_of(io), .data.ptr = io};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, io->conn.fd, &event);
}

void loop_watch(struct loop *loop, struct conn_io *io)
{
    struct epoll_event event = {.events = events_of(io), .data.ptr = io};
    if (io->conn.fd >= 0 && epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, io->conn.fd, &event) != 0) {
        conn_io_close(io);
    }
}

void loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    /* it fails only when the counter is full, and then the thread is awake */
    ssize_t written = write(loop->wake_fd, &one, sizeof(one));
    (void)written;
}

static void wake_from_engine(void *arg)
{
    loop_wake(arg);
}

static void accept_start(struct loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE,
                                .data.ptr = loop->pipeline.service};
    loop->is_accepting = epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD,
                                   loop->pipeline.service->options.listen_fd, &event) == 0;
}

static void accept_stop(struct loop *loop)
{
    DCHECK(loop->epoll_fd >= 0);
    if (loop->is_accepting) {
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->pipeline.service->options.listen_fd, NULL);
        loop->is_accepting = false;
    }
}

/* ---- new connections ---- */

static struct rate_address address_of(const struct sockaddr_storage *from)
{
    struct rate_address address = {0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        address.low = 0xffff00000000u | ntohl(in->sin_addr.s_addr);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        memcpy(&address.high, in6->sin6_addr.s6_addr, sizeof(address.high));
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            memcpy(&address.low, in6->sin6_addr.s6_addr + 8, sizeof(address.low));
        }
    }
    return address;
}

static void refuse_place(struct loop *loop, int fd)
{
    struct buf text = {0};
    struct reply reply = {.to = &text};
    DCHECK(fd >= 0);
    counter_add(&loop->pipeline.counters.refused, 1);
    if (loop->pipeline.drain_until_ns != 0) {
        refusal_put(&reply, TALLY_DRAINING, "");
    } else {
        reply_err(&reply, TALLY_BUSY, "retry_ms=%d too many connections", BUSY_RETRY_MS);
    }
    /* read first: a close with unread input is a reset, and the client would lose the line */
    (void)recv(fd, loop->input, LOOP_INPUT_BYTES, MSG_DONTWAIT);
    /* a fresh socket takes a line, or the client is gone */
    ssize_t sent = send(fd, text.at, buf_len(&text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
    buf_fini(&text);
    shutdown(fd, SHUT_WR);
    close(fd);
}

static void welcome(struct loop *loop, int fd, const struct sockaddr_storage *from)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (loop->pipeline.drain_until_ns == 0 && service_enter(loop->pipeline.service)) {
        counter_add(&loop->pipeline.counters.accepted, 1);
        conn_io_open(loop, fd, address_of(from));
    } else {
        refuse_place(loop, fd);
    }
}

/* Opens this thread's share of the guests' connections. */
static void welcome_guests(struct loop *loop)
{
    const struct server_options *options = &loop->pipeline.service->options;
    loop->pipeline.now_ns = clock_mono_ns();
    for (unsigned i = 0; i < options->guest_count; i++) {
        if (i % options->threads == loop->number) {
            struct sockaddr_storage from = {0};
            socklen_t from_len = sizeof(from);
            getpeername(options->guests[i], (struct sockaddr *)&from, &from_len);
            welcome(loop, options->guests[i], &from);
        }
    }
}

static void accept_ready(struct loop *loop)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t from_len = sizeof(from);
        int fd = accept4(loop->pipeline.service->options.listen_fd, (struct sockaddr *)&from,
                         &from_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            accept_stop(loop);
            loop->accept_at_ns = loop->pipeline.now_ns + (uint64_t)ACCEPT_PAUSE_MS * NS_PER_MS;
            pipeline_due(&loop->pipeline, loop->accept_at_ns);
        }
        if (fd < 0) {
            return;
        }
        welcome(loop, fd, &from);
    }
}

/* ---- the parts of a pass ---- */

void loop_turn_begin(struct loop *loop, uint64_t now_ns)
{
    loop->pipeline.turns++;
    loop->turn_until_ns = now_ns + TURN_NS;
    loop->turn_work = 0;
    loop->turn_over = false;
}

bool loop_turn_look(struct loop *loop)
{
    loop->turn_work = 0;
    loop->turn_over = clock_mono_ns() >= loop->turn_until_ns;
    loop->pipeline.again = loop->pipeline.again || loop->turn_over;
    return loop->turn_over;
}

static void handle(struct loop *loop, const struct epoll_event *event)
{
    if (event->data.ptr == loop) {
        return; /* a wake from another thread, which only ends the wait */
    }
    if (event->data.ptr == loop->pipeline.service) {
        accept_ready(loop);
        return;
    }
    struct conn_io *io = event->data.ptr;
    DCHECK(io->loop == loop); /* epoll's own; closed connections are freed after the pass */
    if ((event->events & (EPOLLERR | EPOLLHUP)) != 0) {
        conn_io_close(io);
        return;
    }
    if ((event->events & EPOLLRDHUP) != 0) {
        conn_io_leaves(io);
    }
    if ((event->events & EPOLLIN) != 0 && io->conn.fd >= 0) {
        receive_ready(io);
    }
    conn_touch(&io->conn);
}

void loop_handle(struct loop *loop, const struct epoll_event *events, int count)
{
    DCHECK(count <= EVENTS_MAX);
    int first = loop->event_first < count ? loop->event_first : 0;
    int next = first;
    int handled = 0;
    while (handled < count && !loop_turn_is_over(loop)) {
        handle(loop, &events[next]);
        next = next + 1 < count ? next + 1 : 0;
        handled++;
    }
    loop->event_first = handled < count ? next : 0;
}

static void do_due(struct loop *loop)
{
    if (loop->pipeline.now_ns < loop->pipeline.next_ns) {
        return;
    }
    loop->pipeline.next_ns = UINT64_MAX;
    if (loop->accept_at_ns != 0 && loop->pipeline.now_ns >= loop->accept_at_ns) {
        loop->accept_at_ns = 0;
        accept_start(loop);
    }
    pipeline_due(&loop->pipeline, loop->accept_at_ns != 0 ? loop->accept_at_ns : UINT64_MAX);
    pipeline_sweep(&loop->pipeline);
    struct conn_io *next;
    for (struct conn_io *io = TAILQ_FIRST(&loop->all); io != NULL; io = next) {
        next = TAILQ_NEXT(io, all);
        if (conn_io_deadline_ns(io) <= loop->pipeline.now_ns) {
            conn_io_due(io);
        }
        if (io->conn.fd >= 0) {
            pipeline_due(&loop->pipeline, conn_io_deadline_ns(io));
        }
    }
}

/* Asks each stopped connection once whether it may go on. A connection that stops again waits for
 * the next round. */
static bool go_on(struct loop *loop)
{
    struct conn *last = TAILQ_LAST(&loop->pipeline.stopped, conn_list);
    struct conn *next;
    bool moved = false;
    for (struct conn *conn = TAILQ_FIRST(&loop->pipeline.stopped); conn != NULL && !loop->turn_over;
         conn = next) {
        next = conn == last ? NULL : TAILQ_NEXT(conn, stopped);
        DCHECK(conn->is_stopped && conn->pipeline == &loop->pipeline);
        if (conn_may_resume(conn)) {
            moved = true;
            conn_io_resume(conn_io_of(conn));
        }
    }
    return moved;
}

static void run_rounds(struct loop *loop)
{
    int rounds = 0;
    loop_turn_begin(loop,
                    TAILQ_EMPTY(&loop->pipeline.stopped) ? loop->pipeline.now_ns : clock_mono_ns());
    do {
        votes_flush(&loop->pipeline);
        edge_publish(loop->pipeline.edge);
        pipeline_release(&loop->pipeline);
        pipeline_sample(&loop->pipeline);
    } while (rounds++ < ROUNDS_MAX && !loop->turn_over && go_on(loop));
    loop->pipeline.again = loop->pipeline.again || rounds > ROUNDS_MAX;
    votes_flush(&loop->pipeline);
    edge_publish(loop->pipeline.edge);
}

static void finish_touched(struct loop *loop)
{
    struct conn *conn;
    while ((conn = TAILQ_FIRST(&loop->pipeline.touched)) != NULL) {
        DCHECK(conn->is_touched && conn->fd >= 0);
        TAILQ_REMOVE(&loop->pipeline.touched, conn, touched);
        conn->is_touched = false;
        conn_io_finish(conn_io_of(conn));
    }
}

static void free_closed(struct loop *loop)
{
    struct conn_io *next;
    for (struct conn_io *io = TAILQ_FIRST(&loop->closed); io != NULL; io = next) {
        const struct conn *conn = &io->conn;
        next = TAILQ_NEXT(io, all);
        CHECK(conn->fd < 0); /* only conn_io_close puts a connection into this list */
        bool is_read = conn->reading == NULL || read_is_done(conn->reading->read);
        if (conn->in_flight == 0 && conn->votes == 0 && is_read) {
            conn_io_destroy(io);
        }
    }
}

static bool has_unread(const struct conn *conn)
{
    char byte;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Closes the connections with nothing in flight and no input; after DRAIN_MS, all connections. */
static void drain(struct loop *loop)
{
    if (loop->pipeline.drain_until_ns == 0) {
        loop->pipeline.drain_until_ns = loop->pipeline.now_ns + (uint64_t)DRAIN_MS * NS_PER_MS;
        loop->pipeline.again = true; /* the next pass answers claims that wait */
        return; /* the thread goes on: a client that connects now gets its answer, too */
    }
    pipeline_due(&loop->pipeline, loop->pipeline.drain_until_ns);
    struct conn_io *next;
    for (struct conn_io *io = TAILQ_FIRST(&loop->all); io != NULL; io = next) {
        next = TAILQ_NEXT(io, all);
        bool quiet = conn_is_idle(&io->conn) && (io->is_closing || !has_unread(&io->conn));
        if ((quiet && !conn_io_has_handed(io)) ||
            loop->pipeline.now_ns >= loop->pipeline.drain_until_ns) {
            conn_io_close(io);
        }
    }
}

static void pass(struct loop *loop, const struct epoll_event *events, int count)
{
    loop->pipeline.now_ns = clock_mono_ns();
    loop->pipeline.again = false;
    loop->pieces = PIECES_MAX;
    counter_add(&loop->pipeline.counters.passes, 1);
    edge_pass_begin(loop->pipeline.edge);
    pipeline_sample(&loop->pipeline);
    loop_turn_begin(loop, loop->pipeline.now_ns);
    loop_handle(loop, events, count);
    do_due(loop);
    if (loop->pipeline.returns.count > 0) {
        pipeline_give_returns(&loop->pipeline);
    }
    run_rounds(loop);
    finish_touched(loop);
    DCHECK(buf_len(&loop->pipeline.reply) == 0);
    buf_shrink(&loop->pipeline.reply, 0); /* a large reply may have been copied out of it */
    if (service_is_stopping(loop->pipeline.service)) {
        drain(loop);
    }
    free_closed(loop);
    edge_pass_end(loop->pipeline.edge);
}

static int timeout_ms_of(const struct loop *loop)
{
    if (loop->pipeline.next_ns == UINT64_MAX) {
        return -1;
    }
    uint64_t now_ns = clock_mono_ns();
    if (loop->pipeline.next_ns <= now_ns) {
        return 0;
    }
    uint64_t ms = (loop->pipeline.next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return ms < 3600 * 1000 ? (int)ms : 3600 * 1000;
}

static int wait_events(struct loop *loop, struct epoll_event *events)
{
    int timeout_ms = loop->pipeline.again ? 0 : timeout_ms_of(loop);
    if (timeout_ms == 0 || !edge_may_sleep(loop->pipeline.edge)) {
        return epoll_wait(loop->epoll_fd, events, EVENTS_MAX, 0);
    }
    int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, timeout_ms);
    edge_awake(loop->pipeline.edge);
    return count;
}

static bool is_done(const struct loop *loop)
{
    return loop->pipeline.drain_until_ns != 0 && TAILQ_EMPTY(&loop->all) &&
           TAILQ_EMPTY(&loop->closed) && loop->pipeline.returns.count == 0 &&
           edge_applied(loop->pipeline.edge) >= edge_tail(loop->pipeline.edge);
}

/* ---- the thread ---- */

struct start {
    struct loop *loop;
    sem_t ready;
};

static void *run(void *arg)
{
    struct start *start = arg;
    struct loop *loop = start->loop;
    struct epoll_event events[EVENTS_MAX];
    loop->start_err =
        edge_new(&loop->pipeline.edge, loop->pipeline.service->tally, wake_from_engine, loop);
    if (loop->start_err == 0) {
        welcome_guests(loop);
    }
    sem_post(&start->ready);
    if (loop->start_err != 0) {
        return NULL;
    }
    while (!is_done(loop)) {
        pass(loop, events, wait_events(loop, events));
    }
    /* is_done has seen no connection left, and each ended with nothing in flight */
    CHECK(TAILQ_EMPTY(&loop->pipeline.stopped) && TAILQ_EMPTY(&loop->pipeline.touched));
    accept_stop(loop);
    edge_destroy(loop->pipeline.edge);
    return NULL;
}

static int open_fds(struct loop *loop)
{
    /* edge-triggered: every wake is an event of its own, and the counter need not be read */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = loop};
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        return -errno;
    }
    accept_start(loop);
    return loop->is_accepting ? 0 : -errno;
}

static int make_buffers(struct loop *loop, struct service *service)
{
    loop->input = malloc(LOOP_INPUT_BYTES);
    bool good = parser_init(&loop->parser) == 0;
    good = pipeline_init(&loop->pipeline, service) == 0 && good;
    return good && loop->input != NULL ? 0 : -ENOMEM;
}

int loop_new(struct loop **out, struct service *service, unsigned number)
{
    struct loop *loop = aligned_alloc(64, sizeof(*loop));
    if (loop == NULL) {
        return -ENOMEM;
    }
    memset(loop, 0, sizeof(*loop));
    /* the server makes options.threads loops */
    CHECK(number < service->options.threads);
    loop->number = number;
    loop->epoll_fd = -1;
    loop->wake_fd = -1;
    loop->limits = (struct parse_limits){.payload_bytes_max = service->options.payload_bytes_max,
                                         .rule = command_payload};
    TAILQ_INIT(&loop->all);
    TAILQ_INIT(&loop->closed);
    int err = make_buffers(loop, service);
    err = err == 0 ? open_fds(loop) : err;
    if (err != 0) {
        loop_destroy(loop);
        return err;
    }
    *out = loop;
    return 0;
}

int loop_start(struct loop *loop)
{
    struct start start = {.loop = loop};
    sem_init(&start.ready, 0, 0);
    int err = -thread_start(&loop->thread, run, &start);
    if (err == 0) {
        while (sem_wait(&start.ready) != 0) {
        }
        err = loop->start_err == 0 ? 0 : -ENOMEM;
        if (err != 0) {
            pthread_join(loop->thread, NULL);
        }
    }
    sem_destroy(&start.ready);
    return err;
}

void loop_join(struct loop *loop)
{
    pthread_join(loop->thread, NULL);
}

void loop_destroy(struct loop *loop)
{
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    pipeline_fini(&loop->pipeline);
    parser_fini(&loop->parser);
    free(loop->input);
    free(loop);
}
