/* One I/O thread: waits, and makes passes over what is ready. */
#include "net/io/loop.h"

#include "engine/read.h"
#include "engine/tally.h"
#include "net/commands/command.h"
#include "net/io/run.h"
#include "net/server_state.h"
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
 * What was appended is published before anything can block, so nobody waits for a record that
 * only this thread knows. The reading and the going on are a turn each, and bounded in time; what
 * did not get its turn comes first in a later pass: epoll and the list of the stopped take turns.
 */
enum {
    EVENTS_MAX = 256,
    ACCEPTS_MAX = 64, /* in one pass */
    PIECES_MAX = 2,   /* of long replies, in one pass: less than 1 ms, wherever their rows are */
    ROUNDS_MAX = 16,  /* of going on, before what can be sent is sent */
    TURN_NS = 1000 * 1000,
    ACCEPT_PAUSE_MS = 100,
    DRAIN_MS = 10 * 1000,
    BUSY_RETRY_MS = 1000,
};

/* ---- epoll ---- */

static uint32_t events_of(const struct conn *conn)
{
    return (conn->wants_in ? (uint32_t)EPOLLIN : 0) | (conn->wants_out ? (uint32_t)EPOLLOUT : 0) |
           (conn->wants_end ? (uint32_t)EPOLLRDHUP : 0);
}

int loop_watch_new(struct loop *loop, struct conn *conn)
{
    struct epoll_event event = {.events = events_of(conn), .data.ptr = conn};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
}

void loop_watch(struct loop *loop, struct conn *conn)
{
    struct epoll_event event = {.events = events_of(conn), .data.ptr = conn};
    if (conn->fd >= 0 && epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) != 0) {
        conn_close(conn);
    }
}

void loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    /* it can only fail when the counter is full, and then the thread is awake */
    ssize_t written = write(loop->wake_fd, &one, sizeof(one));
    (void)written;
}

static void wake_from_engine(void *arg)
{
    loop_wake(arg);
}

static void accept_start(struct loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = loop->server};
    loop->is_accepting =
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->server->options.listen_fd, &event) == 0;
}

static void accept_stop(struct loop *loop)
{
    if (loop->is_accepting) {
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->server->options.listen_fd, NULL);
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

static bool take_place(struct loop *loop)
{
    struct server *server = loop->server;
    /* C6: relaxed: as C4; the sum of all threads is exact, whichever comes first */
    uint32_t before = atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
    if (before < server->options.connections_max) {
        return true;
    }
    /* C7: relaxed: as C4 */
    atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
    return false;
}

static void refuse(struct loop *loop, int fd)
{
    struct buf text = {0};
    struct reply reply = {.to = &text};
    counter_add(&loop->counters.refused, 1);
    if (loop->stop_at_ns != 0) {
        reply_refused(&reply, TALLY_DRAINING, "");
    } else {
        reply_err(&reply, TALLY_BUSY, "retry_ms=%d too many connections", BUSY_RETRY_MS);
    }
    /* unread input would make the close a reset, which takes the line with it */
    (void)recv(fd, loop->input, LOOP_INPUT_BYTES, MSG_DONTWAIT);
    /* a fresh socket has room for a line, or nobody is there to read it */
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
    if (loop->stop_at_ns == 0 && take_place(loop)) {
        counter_add(&loop->counters.accepted, 1);
        conn_open(loop, fd, address_of(from));
    } else {
        refuse(loop, fd);
    }
}

/* Each thread takes its share of those who came before there was a thread. */
static void welcome_guests(struct loop *loop)
{
    const struct server_options *options = &loop->server->options;
    loop->now_ns = clock_mono_ns();
    for (unsigned i = 0; i < options->guest_count; i++) {
        if (loop->server->loops[i % options->threads] == loop) {
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
        int fd = accept4(loop->server->options.listen_fd, (struct sockaddr *)&from, &from_len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            accept_stop(loop);
            loop->accept_at_ns = loop->now_ns + (uint64_t)ACCEPT_PAUSE_MS * NS_PER_MS;
            loop_due(loop, loop->accept_at_ns);
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
    loop->turns++;
    loop->turn_until_ns = now_ns + TURN_NS;
    loop->turn_work = 0;
    loop->turn_over = false;
}

bool loop_turn_look(struct loop *loop)
{
    loop->turn_work = 0;
    loop->turn_over = clock_mono_ns() >= loop->turn_until_ns;
    loop->again = loop->again || loop->turn_over;
    return loop->turn_over;
}

static void sample(struct loop *loop)
{
    loop->commits = edge_commits(loop->edge);
    loop->offers = edge_offers(loop->edge);
}

static void handle(struct loop *loop, const struct epoll_event *event)
{
    if (event->data.ptr == loop) {
        return; /* it says nothing but that we are awake */
    }
    if (event->data.ptr == loop->server) {
        accept_ready(loop);
        return;
    }
    struct conn *conn = event->data.ptr;
    if ((event->events & (EPOLLERR | EPOLLHUP)) != 0) {
        conn_close(conn);
        return;
    }
    if ((event->events & EPOLLRDHUP) != 0) {
        conn_leaves(conn);
    }
    if ((event->events & EPOLLIN) != 0 && conn->fd >= 0) {
        conn_readable(conn);
    }
    conn_touch(conn);
}

void loop_handle(struct loop *loop, const struct epoll_event *events, int count)
{
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
    if (loop->now_ns < loop->next_ns) {
        return;
    }
    loop->next_ns = UINT64_MAX;
    if (loop->accept_at_ns != 0 && loop->now_ns >= loop->accept_at_ns) {
        loop->accept_at_ns = 0;
        accept_start(loop);
    }
    loop_due(loop, loop->accept_at_ns != 0 ? loop->accept_at_ns : UINT64_MAX);
    if (loop->sweep_at_ns != 0 && loop->now_ns >= loop->sweep_at_ns) {
        bool more = rate_sweep(loop->server->rate, loop->now_ns / NS_PER_MS);
        loop->sweep_at_ns = more ? loop->now_ns + RATE_SWEEP_NS : 0;
    }
    loop_due(loop, loop->sweep_at_ns != 0 ? loop->sweep_at_ns : UINT64_MAX);
    struct conn *next;
    for (struct conn *conn = TAILQ_FIRST(&loop->all); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, all);
        if (conn_deadline_ns(conn) <= loop->now_ns) {
            conn_due(conn);
        }
        if (conn->fd >= 0) {
            loop_due(loop, conn_deadline_ns(conn));
        }
    }
}

/* Builds whose replies did not arrive go back; what cannot be known yet is asked again. */
static void give_returns(struct loop *loop)
{
    struct handed *returns = &loop->returns;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < returns->count; i++) {
        int err = edge_take_back(loop->edge, returns->at[i].id, returns->at[i].token);
        if (err == TALLY_PARK || err == TALLY_ROOM) {
            returns->at[kept++] = returns->at[i];
        } else if (err == 0) {
            counter_add(&loop->counters.undelivered, 1);
        }
    }
    returns->count = kept;
    if (kept > 0) {
        loop_due(loop, loop->now_ns + (uint64_t)CONN_HANDED_MS * NS_PER_MS);
    }
}

/* One round over those that are stopped now; who stops again is asked in the next round. */
static bool go_on(struct loop *loop)
{
    struct conn *last = TAILQ_LAST(&loop->stopped, conn_list);
    struct conn *next;
    bool moved = false;
    for (struct conn *conn = TAILQ_FIRST(&loop->stopped); conn != NULL && !loop->turn_over;
         conn = next) {
        next = conn == last ? NULL : TAILQ_NEXT(conn, stopped);
        if (conn_may_resume(conn)) {
            moved = true;
            conn_resume(conn);
        }
    }
    return moved;
}

static void run_rounds(struct loop *loop)
{
    int rounds = 0;
    loop_turn_begin(loop, TAILQ_EMPTY(&loop->stopped) ? loop->now_ns : clock_mono_ns());
    do {
        votes_flush(loop);
        edge_publish(loop->edge);
        run_release(loop);
        sample(loop);
    } while (rounds++ < ROUNDS_MAX && !loop->turn_over && go_on(loop));
    loop->again = loop->again || rounds > ROUNDS_MAX;
    votes_flush(loop);
    edge_publish(loop->edge);
}

static void finish_touched(struct loop *loop)
{
    struct conn *conn;
    while ((conn = TAILQ_FIRST(&loop->touched)) != NULL) {
        TAILQ_REMOVE(&loop->touched, conn, touched);
        conn->is_touched = false;
        conn_finish(conn);
    }
}

static void free_closed(struct loop *loop)
{
    struct conn *next;
    for (struct conn *conn = TAILQ_FIRST(&loop->closed); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, all);
        bool is_read = conn->reading == NULL || read_is_done(conn->reading->read);
        if (conn->in_flight == 0 && conn->votes == 0 && is_read) {
            conn_destroy(conn);
        }
    }
}

static bool has_unread(const struct conn *conn)
{
    char byte;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Who has nothing in flight and nothing to say is closed; who is late is closed all the same. */
static void drain(struct loop *loop)
{
    if (loop->stop_at_ns == 0) {
        loop->stop_at_ns = loop->now_ns + (uint64_t)DRAIN_MS * NS_PER_MS;
        loop->again = true; /* claims that wait are told */
        return;             /* and who comes now is told, too, as long as we are here */
    }
    loop_due(loop, loop->stop_at_ns);
    struct conn *next;
    for (struct conn *conn = TAILQ_FIRST(&loop->all); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, all);
        bool quiet = conn_is_idle(conn) && (conn->is_closing || !has_unread(conn));
        if ((quiet && !conn_has_handed(conn)) || loop->now_ns >= loop->stop_at_ns) {
            conn_close(conn);
        }
    }
}

static bool is_stopping(const struct loop *loop)
{
    /* S1: acquire: pairs with S2; what the stopping thread did before is done */
    return atomic_load_explicit(&loop->server->stopping, memory_order_acquire);
}

static void pass(struct loop *loop, const struct epoll_event *events, int count)
{
    loop->now_ns = clock_mono_ns();
    loop->again = false;
    loop->pieces = PIECES_MAX;
    counter_add(&loop->counters.passes, 1);
    edge_pass_begin(loop->edge);
    sample(loop);
    loop_turn_begin(loop, loop->now_ns);
    loop_handle(loop, events, count);
    do_due(loop);
    give_returns(loop);
    run_rounds(loop);
    finish_touched(loop);
    buf_shrink(&loop->reply, 0); /* after a large reply that was copied */
    if (is_stopping(loop)) {
        drain(loop);
    }
    free_closed(loop);
    edge_pass_end(loop->edge);
}

static int wait_ms(const struct loop *loop)
{
    if (loop->next_ns == UINT64_MAX) {
        return -1;
    }
    uint64_t now_ns = clock_mono_ns();
    if (loop->next_ns <= now_ns) {
        return 0;
    }
    uint64_t ms = (loop->next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return ms < 3600 * 1000 ? (int)ms : 3600 * 1000;
}

static int wait_events(struct loop *loop, struct epoll_event *events)
{
    int timeout_ms = loop->again ? 0 : wait_ms(loop);
    if (timeout_ms == 0 || !edge_may_sleep(loop->edge)) {
        return epoll_wait(loop->epoll_fd, events, EVENTS_MAX, 0);
    }
    int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, timeout_ms);
    edge_awake(loop->edge);
    return count;
}

static bool is_done(const struct loop *loop)
{
    return loop->stop_at_ns != 0 && TAILQ_EMPTY(&loop->all) && TAILQ_EMPTY(&loop->closed) &&
           loop->returns.count == 0 && edge_applied(loop->edge) >= edge_tail(loop->edge);
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
    loop->start_err = edge_new(&loop->edge, loop->server->tally, wake_from_engine, loop);
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
    accept_stop(loop);
    edge_destroy(loop->edge);
    return NULL;
}

static int open_fds(struct loop *loop)
{
    /* edge-triggered: every wake is an event of its own, and nobody needs to read the counter */
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

static int make_buffers(struct loop *loop)
{
    loop->input = malloc(LOOP_INPUT_BYTES);
    bool good = parser_init(&loop->parser) == 0;
    good = pending_init(&loop->pending) == 0 && good;
    return good && loop->input != NULL ? 0 : -ENOMEM;
}

int loop_new(struct loop **out, struct server *server)
{
    struct loop *loop = aligned_alloc(64, sizeof(*loop));
    if (loop == NULL) {
        return -ENOMEM;
    }
    memset(loop, 0, sizeof(*loop));
    loop->server = server;
    loop->epoll_fd = -1;
    loop->wake_fd = -1;
    loop->next_ns = UINT64_MAX;
    loop->limits = (struct parse_limits){.payload_bytes_max = server->options.payload_bytes_max,
                                         .rule = command_payload};
    TAILQ_INIT(&loop->all);
    TAILQ_INIT(&loop->stopped);
    TAILQ_INIT(&loop->touched);
    TAILQ_INIT(&loop->closed);
    int err = make_buffers(loop);
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
    pending_fini(&loop->pending);
    parser_fini(&loop->parser);
    handed_fini(&loop->returns);
    buf_fini(&loop->reply);
    free(loop->input);
    free(loop);
}
