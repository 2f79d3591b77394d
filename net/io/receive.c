/* Receiving: from a socket into the thread's buffer or the connection's own, then to run_input. */
#include "net/io/receive.h"

#include "net/io/conn_io.h"
#include "net/io/loop.h"
#include "net/io/run.h"
#include "wal/base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
    RECEIVE_BYTES = 64 * 1024,       /* at most in one pass */
    LOCKED_RECEIVE_BYTES = 2 * 1024, /* the same before AUTH */
    TIGHT_RECEIVE_BYTES = 4 * 1024,  /* the same while buffers have used up their share */
    LINGER_BYTES_MAX = 128 * 1024 * 1024,
};

size_t receive_bytes(struct conn_io *io, char *to, size_t room)
{
    ssize_t got = recv(io->conn.fd, to, room, MSG_DONTWAIT);
    if (got > 0) {
        counter_add(&io->conn.pipeline->counters.bytes_in, (uint64_t)got);
        return (size_t)got;
    }
    if (got == 0) {
        io->conn.is_ended = true;
        conn_touch(&io->conn);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_io_close(io);
    }
    return 0;
}

void receive_run_kept(struct conn_io *io)
{
    size_t done = run_input(io, io->in.at + io->in.start, buf_len(&io->in));
    buf_take(&io->in, done);
}

/* Receives a request that is too big for the thread's buffer into the connection's own. */
static void receive_big(struct conn_io *io)
{
    /* run_input has run all whole requests, so the parser needs more than it has */
    CHECK(io->need > buf_len(&io->in));
    size_t room = io->need - buf_len(&io->in);
    char *to = buf_room(&io->in, room);
    if (to == NULL) {
        conn_io_close(io);
        return;
    }
    conn_io_count(io); /* at once: others may want as much in this pass */
    buf_wrote(&io->in, receive_bytes(io, to, room));
    if (io->conn.fd >= 0 && buf_len(&io->in) >= io->need) {
        receive_run_kept(io);
    }
}

/* Receives into the buffer of the thread, which is in the CPU's cache. */
static void receive_small(struct conn_io *io)
{
    struct loop *loop = io->loop;
    size_t kept = buf_len(&io->in);
    size_t room = !io->conn.is_authed                  ? LOCKED_RECEIVE_BYTES
                  : pipeline_is_tight(&loop->pipeline) ? TIGHT_RECEIVE_BYTES
                                                       : RECEIVE_BYTES;
    DCHECK(kept < LOOP_INPUT_BYTES);
    room = room < LOOP_INPUT_BYTES - kept ? room : LOOP_INPUT_BYTES - kept;
    size_t got = receive_bytes(io, loop->input + kept, room);
    if (got == 0) {
        return;
    }
    if (kept + got < io->need) {
        buf_put(&io->in, loop->input + kept, got);
        return;
    }
    if (kept > 0) {
        memcpy(loop->input, io->in.at + io->in.start, kept);
        buf_take(&io->in, kept);
    }
    size_t done = run_input(io, loop->input, kept + got);
    DCHECK(done <= kept + got && buf_len(&io->in) == 0);
    buf_put(&io->in, loop->input + done, kept + got - done);
}

static void linger(struct conn_io *io)
{
    size_t got = receive_bytes(io, io->loop->input, LOOP_INPUT_BYTES);
    io->lingered_bytes += got;
    if (io->conn.is_ended || io->lingered_bytes > LINGER_BYTES_MAX) {
        conn_io_close(io);
    }
}

/* Whether the next request does not fit its buffer and has to wait until all buffers take less. */
static bool must_wait_for_memory(const struct conn_io *io)
{
    return buf_len(&io->in) > 0 && io->need > io->in.capacity &&
           pipeline_is_tight(io->conn.pipeline);
}

void receive_ready(struct conn_io *io)
{
    conn_touch(&io->conn);
    if (conn_io_may_receive(io) && !io->is_lingering && must_wait_for_memory(io)) {
        conn_io_stop(io, STOP_MEMORY);
    }
    if (!conn_io_may_receive(io)) {
        io->wants_in = false;
        loop_watch(io->loop, io);
    } else if (io->is_lingering) {
        linger(io);
    } else if (io->need > LOOP_INPUT_BYTES / 2) {
        receive_big(io);
    } else {
        receive_small(io);
    }
}
