/* The I/O of a connection: opening, closing, the end of a pass, and the clock. */
#include "net/io/conn_io.h"

#include "engine/base/ledger.h"
#include "net/io/loop.h"
#include "net/io/receive.h"
#include "net/io/run.h"
#include "net/io/send.h"
#include "net/pipeline/auth.h"
#include "net/pipeline/reading.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/err.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sets how many unsent bytes the kernel holds for a client that does not read; few before AUTH. */
static void bound_unsent(const struct conn_io *io, int bytes)
{
    setsockopt(io->conn.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

void conn_io_unlock(struct conn_io *io)
{
    DCHECK(io->conn.votes == 0); /* AUTH waits for the votes before it */
    if (!io->conn.is_authed) {
        io->conn.is_authed = true;
        io->auth_until_ns = 0;
        bound_unsent(io, 0); /* the system's default */
    }
}

void conn_io_open(struct loop *loop, int fd, struct rate_address address)
{
    struct pipeline *pipeline = &loop->pipeline;
    struct conn_io *io = calloc(1, sizeof(*io));
    CHECK(fd >= 0); /* callers have it from accept, or from the listener */
    if (io == NULL) {
        close(fd);
        service_leave(pipeline->service);
        return;
    }
    io->loop = loop;
    io->conn.pipeline = pipeline;
    io->conn.fd = fd;
    io->conn.address = address;
    io->conn.is_authed = !pipeline->service->auth.is_needed;
    io->wants_in = true;
    io->wants_end = true;
    TAILQ_INSERT_TAIL(&loop->all, io, all);
    conn_io_count(io);
    if (!io->conn.is_authed) {
        bound_unsent(io, CONN_LEAST_OUTPUT_BYTES_MAX);
        io->auth_until_ns = pipeline->now_ns + (uint64_t)AUTH_WITHIN_MS * NS_PER_MS;
        pipeline_due(pipeline, io->auth_until_ns);
    }
    if (loop_watch_new(loop, io) != 0) {
        conn_io_close(io);
    }
}

void conn_io_close(struct conn_io *io)
{
    struct loop *loop = io->loop;
    if (io->conn.fd < 0) {
        return;
    }
    conn_take_back(&io->conn);
    close(io->conn.fd);
    conn_closed(&io->conn);
    TAILQ_REMOVE(&loop->all, io, all);
    TAILQ_INSERT_TAIL(&loop->closed, io, all);
    service_leave(io->conn.pipeline->service);
}

void conn_io_destroy(struct conn_io *io)
{
    struct ledger *ledger = edge_ledger(io->conn.pipeline->edge);
    DCHECK(io->conn.fd < 0); /* it is in the list of closed ones */
    ledger_sub(ledger, LEDGER_CONNECTIONS, io->counted_in);
    ledger_sub(ledger, LEDGER_REPLIES, io->counted_out);
    TAILQ_REMOVE(&io->loop->closed, io, all);
    conn_fini(&io->conn);
    buf_fini(&io->in);
    free(io);
}

static size_t capacity_of(const struct conn_io *io)
{
    size_t told = io->conn.telling != NULL ? io->conn.telling->held : 0;
    return sizeof(*io) + io->in.capacity + io->conn.held.capacity + io->conn.out.capacity + told;
}

void conn_io_count(struct conn_io *io)
{
    uint64_t in = sizeof(*io) + io->in.capacity;
    uint64_t out = capacity_of(io) - in;
    DCHECK(capacity_of(io) >= in);
    if (in != io->counted_in || out != io->counted_out) {
        struct ledger *ledger = edge_ledger(io->conn.pipeline->edge);
        ledger_add(ledger, LEDGER_CONNECTIONS, in - io->counted_in);
        ledger_add(ledger, LEDGER_REPLIES, out - io->counted_out);
        io->counted_in = in;
        io->counted_out = out;
    }
}

void conn_io_end(struct conn_io *io)
{
    io->is_closing = true;
    io->drop_err = 0;
    io->request_until_ns = 0;
    conn_touch(&io->conn);
}

void conn_io_leaves(struct conn_io *io)
{
    io->conn.is_leaving = true;
    io->wants_end = false;
    loop_watch(io->loop, io);
}

/* ---- stopping and going on ---- */

static bool waits_for_claim(const struct conn_io *io)
{
    return io->conn.stop == STOP_OFFERS || io->conn.stop == STOP_SLOTS;
}

/* The next moment to say that the waiting worker lives: the same one for all connections, so that
 * one walk serves them all. */
static uint64_t next_alive_ns(uint64_t now_ns)
{
    const uint64_t every_ns = (uint64_t)CONN_IO_ALIVE_MS * NS_PER_MS;
    return (now_ns / every_ns + 1) * every_ns;
}

void conn_io_stop(struct conn_io *io, enum stop stop)
{
    struct pipeline *pipeline = io->conn.pipeline;
    conn_stop(&io->conn, stop);
    io->request_until_ns = 0; /* the request waits for the server: its time does not run */
    if (stop == STOP_MEMORY) {
        io->memory_at_ns = pipeline->now_ns + (uint64_t)CONN_IO_MEMORY_MS * NS_PER_MS;
        pipeline_due(pipeline, io->memory_at_ns);
    }
    if (waits_for_claim(io)) {
        io->alive_at_ns = next_alive_ns(pipeline->now_ns);
        pipeline_due(pipeline, io->alive_at_ns);
    }
}

void conn_io_resume(struct conn_io *io)
{
    /* a closed connection is in no list, and conn_io_due is called for open ones */
    CHECK(io->conn.fd >= 0);
    conn_resume(&io->conn);
    conn_touch(&io->conn);
    receive_run_kept(io);
}

bool conn_io_has_handed(struct conn_io *io)
{
    if (!conn_has_handed(&io->conn)) {
        return false;
    }
    io->handed_at_ns = io->conn.pipeline->now_ns + (uint64_t)CONN_IO_HANDED_MS * NS_PER_MS;
    pipeline_due(io->conn.pipeline, io->handed_at_ns);
    return true;
}

/* ---- the end of a pass ---- */

/*
 * The kernel resets a socket that is closed with unread input, and the client may lose a reply that
 * it has not read. So first only our side is closed, and further input is dropped for a while.
 */
static void say_goodbye(struct conn_io *io)
{
    /* conn_io_finish calls it once, when nothing of the connection is under way */
    CHECK(!io->is_lingering && conn_is_idle(&io->conn));
    if (io->conn.is_ended || shutdown(io->conn.fd, SHUT_WR) != 0) {
        conn_io_close(io);
        return;
    }
    buf_fini(&io->in);
    io->is_lingering = true;
    io->linger_until_ns = io->conn.pipeline->now_ns + (uint64_t)CONN_IO_LINGER_MS * NS_PER_MS;
    pipeline_due(io->conn.pipeline, io->linger_until_ns);
}

/* Sets the time in which a request that has begun has to be whole; while the server lets it wait,
 * the time does not run. */
static void watch_request(struct conn_io *io)
{
    bool is_half = buf_len(&io->in) > 0 || io->drop_err != 0;
    if (!is_half || io->conn.stop != STOP_NONE || io->is_closing || io->conn.is_ended) {
        io->request_until_ns = 0;
    } else if (io->request_until_ns == 0) {
        uint64_t ms = io->conn.pipeline->service->options.request_ms;
        io->request_until_ns = io->conn.pipeline->now_ns + ms * NS_PER_MS;
        pipeline_due(io->conn.pipeline, io->request_until_ns);
    }
}

/* Gives back the memory of buffers beyond their need. */
static void give_back(struct conn_io *io)
{
    buf_shrink(&io->in, io->need);
    buf_shrink(&io->conn.held, 0);
    buf_shrink(&io->conn.out, 0);
}

void conn_io_finish(struct conn_io *io)
{
    if (io->in.failed || io->conn.held.failed || io->conn.out.failed) {
        conn_io_close(io);
        return;
    }
    if (buf_len(&io->conn.out) > 0) {
        send_out(io);
    }
    if (io->conn.telling != NULL) {
        send_long(io);
    }
    bool is_over = (io->is_closing || io->conn.is_ended) && !io->is_lingering;
    if (io->conn.fd >= 0 && is_over && conn_is_idle(&io->conn) && !conn_io_has_handed(io)) {
        say_goodbye(io);
    }
    size_t capacity = capacity_of(io);
    /* skipped for small buffers that have not changed, which most are */
    if (capacity != io->counted_in + io->counted_out || capacity > sizeof(*io) + BUF_KEEP_BYTES) {
        give_back(io);
        conn_io_count(io);
    }
    if (io->conn.fd < 0) {
        return;
    }
    watch_request(io);
    io->conn.pipeline->again = io->conn.pipeline->again ||
                               (io->conn.stop == STOP_OUTPUT && conn_has_output_room(&io->conn));
    /* a stopped connection is taken off epoll only when input comes: most go on before that */
    bool wants_in = io->wants_in || conn_io_may_receive(io);
    bool wants_out = buf_len(&io->conn.out) > 0 || io->conn.telling != NULL;
    if (wants_in != io->wants_in || wants_out != io->wants_out) {
        io->wants_in = wants_in;
        io->wants_out = wants_out;
        loop_watch(io->loop, io);
    }
}

/* ---- the clock ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return b != 0 && b < a ? b : a;
}

uint64_t conn_io_deadline_ns(const struct conn_io *io)
{
    uint64_t at = UINT64_MAX;
    if (waits_for_claim(io)) {
        at = earlier(earlier(at, io->conn.wait_until_ns), io->alive_at_ns);
    }
    at = io->conn.stop == STOP_MEMORY ? earlier(at, io->memory_at_ns) : at;
    at = earlier(at, io->handed_at_ns);
    at = earlier(at, io->auth_until_ns);
    at = earlier(at, io->request_until_ns);
    at = earlier(at, io->stall_until_ns);
    return earlier(at, io->linger_until_ns);
}

static bool is_past(uint64_t until_ns, uint64_t now_ns)
{
    return until_ns != 0 && now_ns >= until_ns;
}

/* A connection without AUTH is closed at once, whatever output waits. */
static void close_locked(struct conn_io *io)
{
    struct reply reply = {.to = &io->conn.out};
    if (!io->is_closing && buf_len(&io->conn.out) == 0) {
        reply_err(&reply, TALLY_TIMEOUT, "AUTH has to come within %d s", AUTH_WITHIN_MS / 1000);
        /* read first: a close with unread input is a reset, and the client would lose the line */
        receive_bytes(io, io->loop->input, LOOP_INPUT_BYTES);
    }
    if (io->conn.fd >= 0 && buf_len(&io->conn.out) > 0) {
        send_out(io);
    }
    conn_io_close(io);
}

void conn_io_due(struct conn_io *io)
{
    uint64_t now_ns = io->conn.pipeline->now_ns;
    if (is_past(io->handed_at_ns, now_ns)) {
        io->handed_at_ns = 0;
        conn_touch(&io->conn); /* looked at again at the end of this pass */
    }
    if (is_past(io->stall_until_ns, now_ns) || is_past(io->linger_until_ns, now_ns)) {
        conn_io_close(io);
    } else if (is_past(io->auth_until_ns, now_ns)) {
        close_locked(io);
    } else if (is_past(io->request_until_ns, now_ns)) {
        run_late(io);
    } else if (io->conn.stop == STOP_MEMORY && is_past(io->memory_at_ns, now_ns)) {
        io->memory_at_ns = now_ns + (uint64_t)CONN_IO_MEMORY_MS * NS_PER_MS; /* in this pass */
    } else if (waits_for_claim(io) && now_ns >= io->conn.wait_until_ns) {
        conn_io_resume(io);
    } else if (waits_for_claim(io) && now_ns >= io->alive_at_ns) {
        edge_worker_waits(io->conn.pipeline->edge, io->conn.wait_worker);
        io->alive_at_ns = next_alive_ns(now_ns);
    }
}
