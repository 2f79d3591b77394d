/* A connection: receiving, stopping and going on, sending, closing. */
#include "net/io/conn.h"

#include "engine/base/ledger.h"
#include "engine/read.h"
#include "net/pipeline/auth.h"
#include "net/commands/command.h"
#include "net/io/loop.h"
#include "net/io/run.h"
#include "net/server_state.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is sent and not read waits here or in the kernel; before AUTH both have a small bound. */
static void bound_unsent(const struct conn *conn, int bytes)
{
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

void conn_unlock(struct conn *conn)
{
    if (!conn->is_authed) {
        conn->is_authed = true;
        conn->auth_until_ns = 0;
        bound_unsent(conn, 0); /* what the system says */
    }
}

void conn_open(struct loop *loop, int fd, struct rate_address address)
{
    struct server *server = loop->server;
    struct conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        close(fd);
        /* C4: relaxed: as C1; a count of connections, and nothing else */
        atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
        return;
    }
    conn->loop = loop;
    conn->fd = fd;
    conn->address = address;
    conn->is_authed = !server->auth.is_needed;
    conn->wants_in = true;
    conn->wants_end = true;
    TAILQ_INSERT_TAIL(&loop->all, conn, all);
    conn_count(conn);
    if (!conn->is_authed) {
        bound_unsent(conn, CONN_LEAST_OUTPUT_BYTES_MAX);
        conn->auth_until_ns = loop->now_ns + (uint64_t)AUTH_WITHIN_MS * NS_PER_MS;
        loop_due(loop, conn->auth_until_ns);
    }
    if (loop_watch_new(loop, conn) != 0) {
        conn_close(conn);
    }
}

/* ---- what was handed out ---- */

/* What the client's machine has acknowledged; also after the end of the connection. */
static uint64_t acknowledged(const struct conn *conn)
{
    int left = 0;
    return ioctl(conn->fd, SIOCOUTQ, &left) == 0 ? conn->sent_bytes - (uint64_t)left : 0;
}

void conn_hands_out(struct conn *conn, uint64_t id, uint32_t token)
{
    struct handed *handed = &conn->handed;
    if (handed->count > 0 && handed->count == handed->room) {
        handed_arrive(handed, acknowledged(conn));
        if (handed->count > handed->room / 2) {
            handed_grow(handed); /* so that this costs each claim little, however few arrive */
        }
    }
    handed_add(handed, &(struct handed_claim){
                           .id = id, .token = token, .pos = edge_tail(conn->loop->edge)});
}

bool conn_has_handed(struct conn *conn)
{
    if (conn->handed.count > 0) {
        handed_arrive(&conn->handed, acknowledged(conn));
    }
    if (conn->handed.count == 0) {
        return false;
    }
    conn->handed_at_ns = conn->loop->now_ns + (uint64_t)CONN_HANDED_MS * NS_PER_MS;
    loop_due(conn->loop, conn->handed_at_ns);
    return true;
}

/* It ends: what has not arrived goes back. */
static void take_back(struct conn *conn)
{
    struct loop *loop = conn->loop;
    if (conn->handed.count > 0) {
        handed_arrive(&conn->handed, acknowledged(conn));
        handed_move(&loop->returns, &conn->handed);
        loop->again = true;
    }
}

void conn_close(struct conn *conn)
{
    struct loop *loop = conn->loop;
    if (conn->fd < 0) {
        return;
    }
    take_back(conn);
    close(conn->fd);
    conn->fd = -1;
    if (conn->reading != NULL) {
        read_is_unwanted(conn->reading->read);
    }
    if (conn->telling != NULL) {
        conn->telling->destroy(conn->telling);
        conn->telling = NULL;
    }
    if (conn->is_stopped) {
        TAILQ_REMOVE(&loop->stopped, conn, stopped);
    }
    conn->is_stopped = false;
    if (conn->is_touched) {
        TAILQ_REMOVE(&loop->touched, conn, touched);
    }
    conn->is_touched = false;
    TAILQ_REMOVE(&loop->all, conn, all);
    TAILQ_INSERT_TAIL(&loop->closed, conn, all);
    /* C5: relaxed: as C4 */
    atomic_fetch_sub_explicit(&loop->server->connections, 1, memory_order_relaxed);
}

void conn_destroy(struct conn *conn)
{
    struct ledger *ledger = edge_ledger(conn->loop->edge);
    if (conn->telling != NULL) {
        conn->telling->destroy(conn->telling);
    }
    ledger_sub(ledger, LEDGER_CONNECTIONS, conn->counted_in);
    ledger_sub(ledger, LEDGER_REPLIES, conn->counted_out);
    TAILQ_REMOVE(&conn->loop->closed, conn, all);
    handed_fini(&conn->handed);
    buf_fini(&conn->in);
    buf_fini(&conn->held);
    buf_fini(&conn->out);
    if (conn->reading != NULL) {
        conn->reading->destroy(conn->reading);
    }
    free(conn);
}

static size_t rooms_of(const struct conn *conn)
{
    size_t told = conn->telling != NULL ? conn->telling->held : 0;
    return sizeof(*conn) + conn->in.room + conn->held.room + conn->out.room + told;
}

void conn_count(struct conn *conn)
{
    uint64_t in = sizeof(*conn) + conn->in.room;
    uint64_t out = rooms_of(conn) - in;
    if (in != conn->counted_in || out != conn->counted_out) {
        ledger_add(edge_ledger(conn->loop->edge), LEDGER_CONNECTIONS, in - conn->counted_in);
        ledger_add(edge_ledger(conn->loop->edge), LEDGER_REPLIES, out - conn->counted_out);
        conn->counted_in = in;
        conn->counted_out = out;
    }
}

void conn_end(struct conn *conn)
{
    conn->is_closing = true;
    conn->drop_err = 0;
    conn->request_until_ns = 0;
    conn_touch(conn);
}

void conn_touch(struct conn *conn)
{
    if (!conn->is_touched && conn->fd >= 0) {
        conn->is_touched = true;
        TAILQ_INSERT_TAIL(&conn->loop->touched, conn, touched);
    }
}

bool conn_is_idle(const struct conn *conn)
{
    return conn->stop == STOP_NONE && conn->in_flight == 0 && conn->votes == 0 &&
           buf_len(&conn->out) == 0 && conn->telling == NULL;
}

/* ---- receiving ---- */

static bool may_read(const struct conn *conn)
{
    return conn->is_lingering || (conn->stop == STOP_NONE && !conn->is_closing && !conn->is_ended);
}

/* Returns the bytes received, 0 for none now: the end and errors are dealt with. */
static size_t receive(struct conn *conn, char *to, size_t room)
{
    ssize_t got = recv(conn->fd, to, room, MSG_DONTWAIT);
    if (got > 0) {
        counter_add(&conn->loop->counters.bytes_in, (uint64_t)got);
        return (size_t)got;
    }
    if (got == 0) {
        conn->is_ended = true;
        conn_touch(conn);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_close(conn);
    }
    return 0;
}

/* The buffers of all connections have used up their share of the memory. */
static bool is_tight(const struct loop *loop)
{
    return !ledger_has_buffers(edge_ledger(loop->edge), LEDGER_CONNECTIONS_SHARE);
}

static void run_kept(struct conn *conn)
{
    size_t done = run_input(conn, conn->in.at + conn->in.start, buf_len(&conn->in));
    buf_take(&conn->in, done);
}

/* A request too big for the thread's buffer is received where it will be run. */
static void receive_big(struct conn *conn)
{
    size_t room = conn->need - buf_len(&conn->in);
    char *to = buf_room(&conn->in, room);
    if (to == NULL) {
        conn_close(conn);
        return;
    }
    conn_count(conn); /* at once: others may want as much in this pass */
    buf_wrote(&conn->in, receive(conn, to, room));
    if (conn->fd >= 0 && buf_len(&conn->in) >= conn->need) {
        run_kept(conn);
    }
}

/* Everything else goes through the one buffer of the thread, which is warm. */
static void receive_small(struct conn *conn)
{
    struct loop *loop = conn->loop;
    size_t kept = buf_len(&conn->in);
    size_t room = !conn->is_authed ? CONN_LOCKED_RECEIVE_BYTES
                  : is_tight(loop) ? CONN_TIGHT_RECEIVE_BYTES
                                   : CONN_RECEIVE_BYTES;
    room = room < LOOP_INPUT_BYTES - kept ? room : LOOP_INPUT_BYTES - kept;
    size_t got = receive(conn, loop->input + kept, room);
    if (got == 0) {
        return;
    }
    if (kept + got < conn->need) {
        buf_put(&conn->in, loop->input + kept, got);
        return;
    }
    if (kept > 0) {
        memcpy(loop->input, conn->in.at + conn->in.start, kept);
        buf_take(&conn->in, kept);
    }
    size_t done = run_input(conn, loop->input, kept + got);
    buf_put(&conn->in, loop->input + done, kept + got - done);
}

static void linger(struct conn *conn)
{
    size_t got = receive(conn, conn->loop->input, LOOP_INPUT_BYTES);
    conn->lingered_bytes += got;
    if (conn->is_ended || conn->lingered_bytes > CONN_LINGER_BYTES_MAX) {
        conn_close(conn);
    }
}

/* A request that does not fit the buffer that there is waits until buffers take less. */
static bool must_wait_for_memory(const struct conn *conn)
{
    return buf_len(&conn->in) > 0 && conn->need > conn->in.room && is_tight(conn->loop);
}

void conn_readable(struct conn *conn)
{
    conn_touch(conn);
    if (may_read(conn) && !conn->is_lingering && must_wait_for_memory(conn)) {
        conn_stop(conn, STOP_MEMORY);
    }
    if (!may_read(conn)) {
        conn->wants_in = false;
        loop_watch(conn->loop, conn);
    } else if (conn->is_lingering) {
        linger(conn);
    } else if (conn->need > LOOP_INPUT_BYTES / 2) {
        receive_big(conn);
    } else {
        receive_small(conn);
    }
}

void conn_leaves(struct conn *conn)
{
    conn->is_leaving = true;
    conn->wants_end = false;
    loop_watch(conn->loop, conn);
}

/* ---- stopping and going on ---- */

void conn_stop(struct conn *conn, enum stop stop)
{
    struct loop *loop = conn->loop;
    DCHECK(conn->stop == STOP_NONE && stop != STOP_NONE);
    conn->stop = stop;
    conn->request_until_ns = 0; /* it is us who let it wait */
    conn->stop_seen = stop == STOP_COMMIT   ? loop->commits
                      : stop == STOP_ROOM   ? loop->freed
                      : stop == STOP_OFFERS ? loop->offers
                      : stop == STOP_TURN   ? loop->turns
                                            : 0;
    if (stop == STOP_MEMORY) {
        conn->memory_at_ns = loop->now_ns + (uint64_t)CONN_MEMORY_MS * NS_PER_MS;
        loop_due(loop, conn->memory_at_ns);
    }
    conn->is_stopped = true;
    TAILQ_INSERT_TAIL(&loop->stopped, conn, stopped);
}

bool conn_has_output_room(const struct conn *conn)
{
    size_t waiting = buf_len(&conn->out) + buf_len(&conn->held);
    if (conn->telling != NULL || waiting <= CONN_LEAST_OUTPUT_BYTES_MAX) {
        return conn->telling == NULL;
    }
    return conn->is_authed && waiting <= CONN_OUTPUT_BYTES_MAX && !is_tight(conn->loop);
}

bool conn_may_resume(const struct conn *conn)
{
    const struct loop *loop = conn->loop;
    switch (conn->stop) {
    case STOP_NONE:
        break;
    case STOP_FLUSH:
        return conn->votes == 0;
    case STOP_ALL:
        return conn->in_flight == 0;
    case STOP_CHANGES:
        return conn->changes == 0;
    case STOP_ORDERED:
        return conn->ordered == 0;
    case STOP_COMMIT:
        return loop->commits != conn->stop_seen;
    case STOP_ROOM:
        return loop->freed != conn->stop_seen;
    case STOP_QUEUE:
        return pending_room(&loop->pending) > PENDING_MAX / 4;
    case STOP_SLOTS:
        return edge_worker_left(loop->edge, conn->wait_worker) != conn->wait_left ||
               loop->now_ns >= conn->wait_until_ns || conn->is_leaving || loop->stop_at_ns != 0;
    case STOP_OFFERS:
        return loop->offers != conn->stop_seen || loop->now_ns >= conn->wait_until_ns ||
               conn->is_leaving || loop->stop_at_ns != 0;
    case STOP_READING:
        return read_is_done(conn->reading->read);
    case STOP_MEMORY:
        return !is_tight(loop);
    case STOP_TURN:
        return loop->turns != conn->stop_seen;
    case STOP_OUTPUT:
        return conn_has_output_room(conn);
    }
    return false;
}

void conn_resume(struct conn *conn)
{
    TAILQ_REMOVE(&conn->loop->stopped, conn, stopped);
    conn->is_stopped = false;
    conn->stop = STOP_NONE;
    conn_touch(conn);
    run_kept(conn);
}

/* ---- replies ---- */

void conn_await(struct conn *conn, const struct pending_entry *entry)
{
    struct pending_entry mine = *entry;
    mine.conn = conn;
    if (pending_push(&conn->loop->pending, &mine)) {
        conn->in_flight++;
        conn->changes += (mine.flags & PENDING_CHANGE) != 0;
        conn->ordered += (mine.flags & PENDING_ORDERED) != 0;
    }
}

void conn_answered(struct conn *conn, const struct pending_entry *entry)
{
    conn->in_flight--;
    conn->changes -= (entry->flags & PENDING_CHANGE) != 0;
    conn->ordered -= (entry->flags & PENDING_ORDERED) != 0;
    if (entry->reading != NULL) {
        entry->reading->destroy(entry->reading);
    }
    conn_touch(conn);
}

/* ---- the end of a pass ---- */

static void send_out(struct conn *conn)
{
    struct buf *out = &conn->out;
    ssize_t sent = send(conn->fd, out->at + out->start, buf_len(out), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        conn_close(conn);
        return;
    }
    if (sent > 0) {
        counter_add(&conn->loop->counters.bytes_out, (uint64_t)sent);
        conn->sent_bytes += (uint64_t)sent;
        buf_take(out, (size_t)sent);
    }
    bool waits = buf_len(out) > 0 || conn->telling != NULL;
    if (!waits || conn->sent_bytes - conn->stall_from >= CONN_STALL_BYTES) {
        conn->stall_until_ns = 0;
    }
    if (waits && conn->stall_until_ns == 0) {
        uint64_t ms = conn->loop->server->options.request_ms;
        conn->stall_until_ns = conn->loop->now_ns + ms * NS_PER_MS;
        conn->stall_from = conn->sent_bytes;
        loop_due(conn->loop, conn->stall_until_ns);
    }
}

/* Makes and sends the next pieces of a long reply, as far as the client takes them, and the pass
 * has some left: then epoll says at once that the next one may come. */
static void tell_more(struct conn *conn)
{
    while (conn->telling != NULL && conn->fd >= 0 && conn->loop->pieces > 0) {
        struct reply reply = {.to = &conn->out};
        if (reply_is_full(&reply)) {
            return;
        }
        conn->loop->pieces--;
        if (conn->telling->format(conn->telling, &reply)) {
            conn->telling->destroy(conn->telling);
            conn->telling = NULL;
        }
        send_out(conn);
    }
}

/*
 * A socket closed with unread input is reset by the kernel, and the client may lose the reply it
 * has not read yet. So first our side is closed, and what still comes is thrown away for a while.
 */
static void say_goodbye(struct conn *conn)
{
    if (conn->is_ended || shutdown(conn->fd, SHUT_WR) != 0) {
        conn_close(conn);
        return;
    }
    buf_fini(&conn->in);
    conn->is_lingering = true;
    conn->linger_until_ns = conn->loop->now_ns + (uint64_t)CONN_LINGER_MS * NS_PER_MS;
    loop_due(conn->loop, conn->linger_until_ns);
}

/* A request that has begun has to be whole in time; what stops us does not count against it. */
static void watch_request(struct conn *conn)
{
    bool is_half = buf_len(&conn->in) > 0 || conn->drop_err != 0;
    if (!is_half || conn->stop != STOP_NONE || conn->is_closing || conn->is_ended) {
        conn->request_until_ns = 0;
    } else if (conn->request_until_ns == 0) {
        uint64_t ms = conn->loop->server->options.request_ms;
        conn->request_until_ns = conn->loop->now_ns + ms * NS_PER_MS;
        loop_due(conn->loop, conn->request_until_ns);
    }
}

/* No memory stays with a connection that it does not need for what it holds. */
static void give_back(struct conn *conn)
{
    buf_shrink(&conn->in, conn->need);
    buf_shrink(&conn->held, 0);
    buf_shrink(&conn->out, 0);
}

void conn_finish(struct conn *conn)
{
    if (conn->in.failed || conn->held.failed || conn->out.failed) {
        conn_close(conn);
        return;
    }
    if (buf_len(&conn->out) > 0) {
        send_out(conn);
    }
    tell_more(conn);
    bool is_over = (conn->is_closing || conn->is_ended) && !conn->is_lingering;
    if (conn->fd >= 0 && is_over && conn_is_idle(conn) && !conn_has_handed(conn)) {
        say_goodbye(conn);
    }
    size_t rooms = rooms_of(conn);
    /* mostly they are small, and the same */
    if (rooms != conn->counted_in + conn->counted_out || rooms > sizeof(*conn) + BUF_KEEP_BYTES) {
        give_back(conn);
        conn_count(conn);
    }
    if (conn->fd < 0) {
        return;
    }
    watch_request(conn);
    conn->loop->again =
        conn->loop->again || (conn->stop == STOP_OUTPUT && conn_has_output_room(conn));
    /* a stopped connection is only taken off epoll when input comes: mostly it goes on before */
    bool wants_in = conn->wants_in || may_read(conn);
    bool wants_out = buf_len(&conn->out) > 0 || conn->telling != NULL;
    if (wants_in != conn->wants_in || wants_out != conn->wants_out) {
        conn->wants_in = wants_in;
        conn->wants_out = wants_out;
        loop_watch(conn->loop, conn);
    }
}

/* ---- the clock ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return b != 0 && b < a ? b : a;
}

static bool waits_for_claim(const struct conn *conn)
{
    return conn->stop == STOP_OFFERS || conn->stop == STOP_SLOTS;
}

uint64_t conn_deadline_ns(const struct conn *conn)
{
    uint64_t at = UINT64_MAX;
    at = waits_for_claim(conn) ? earlier(at, conn->wait_until_ns) : at;
    at = conn->stop == STOP_MEMORY ? earlier(at, conn->memory_at_ns) : at;
    at = earlier(at, conn->handed_at_ns);
    at = earlier(at, conn->auth_until_ns);
    at = earlier(at, conn->request_until_ns);
    at = earlier(at, conn->stall_until_ns);
    return earlier(at, conn->linger_until_ns);
}

static bool is_past(uint64_t until_ns, uint64_t now_ns)
{
    return until_ns != 0 && now_ns >= until_ns;
}

/* Nothing outlives the time until AUTH: no output that nobody reads, no goodbye. */
static void close_locked(struct conn *conn)
{
    struct reply reply = {.to = &conn->out};
    if (!conn->is_closing && buf_len(&conn->out) == 0) {
        reply_err(&reply, TALLY_TIMEOUT, "AUTH has to come within %d s", AUTH_WITHIN_MS / 1000);
        /* unread input would make the close a reset, which takes the line with it */
        receive(conn, conn->loop->input, LOOP_INPUT_BYTES);
    }
    if (conn->fd >= 0 && buf_len(&conn->out) > 0) {
        send_out(conn);
    }
    conn_close(conn);
}

void conn_due(struct conn *conn)
{
    uint64_t now_ns = conn->loop->now_ns;
    if (is_past(conn->handed_at_ns, now_ns)) {
        conn->handed_at_ns = 0;
        conn_touch(conn); /* the end of this pass looks */
    }
    if (is_past(conn->stall_until_ns, now_ns) || is_past(conn->linger_until_ns, now_ns)) {
        conn_close(conn);
    } else if (is_past(conn->auth_until_ns, now_ns)) {
        close_locked(conn);
    } else if (is_past(conn->request_until_ns, now_ns)) {
        run_late(conn);
    } else if (conn->stop == STOP_MEMORY && is_past(conn->memory_at_ns, now_ns)) {
        conn->memory_at_ns = now_ns + (uint64_t)CONN_MEMORY_MS * NS_PER_MS; /* this pass looks */
    } else if (waits_for_claim(conn) && now_ns >= conn->wait_until_ns) {
        conn_resume(conn);
    }
}
