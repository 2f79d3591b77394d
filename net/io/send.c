/* Sending: one send for each connection and pass; several for a long reply. */
#include "net/io/send.h"

#include "net/io/conn_io.h"
#include "net/io/loop.h"
#include "net/pipeline/reading.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    STALL_BYTES = 16 * 1024, /* a client has to take so many, or all, in request_ms */
};

void send_out(struct conn_io *io)
{
    struct buf *out = &io->conn.out;
    ssize_t sent =
        send(io->conn.fd, out->at + out->start, buf_len(out), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        conn_io_close(io);
        return;
    }
    if (sent > 0) {
        counter_add(&io->conn.pipeline->counters.bytes_out, (uint64_t)sent);
        io->conn.sent_bytes += (uint64_t)sent;
        buf_take(out, (size_t)sent);
    }
    DCHECK(io->conn.sent_bytes >= io->stall_from);
    bool waits = buf_len(out) > 0 || io->conn.telling != NULL;
    if (!waits || io->conn.sent_bytes - io->stall_from >= STALL_BYTES) {
        io->stall_until_ns = 0;
    }
    if (waits && io->stall_until_ns == 0) {
        uint64_t ms = io->conn.pipeline->service->options.request_ms;
        io->stall_until_ns = io->conn.pipeline->now_ns + ms * NS_PER_MS;
        io->stall_from = io->conn.sent_bytes;
        pipeline_due(io->conn.pipeline, io->stall_until_ns);
    }
}

void send_long(struct conn_io *io)
{
    while (io->conn.telling != NULL && io->conn.fd >= 0 && io->loop->pieces > 0) {
        struct reply reply = {.to = &io->conn.out};
        if (reply_is_full(&reply)) {
            return;
        }
        io->loop->pieces--;
        if (io->conn.telling->format(io->conn.telling, &reply)) {
            io->conn.telling->destroy(io->conn.telling);
            io->conn.telling = NULL;
        }
        send_out(io);
    }
}
