/* The I/O of a connection: its socket, its input, and its deadlines. */
#ifndef TALLY_NET_IO_CONN_IO_H
#define TALLY_NET_IO_CONN_IO_H

#include "net/pipeline/conn.h"

#include <stddef.h>

struct loop;

enum {
    CONN_IO_LINGER_MS = 5 * 1000, /* the time of lingering, see say_goodbye */
    CONN_IO_MEMORY_MS = 20,       /* between two tries of a connection that waits for memory */
    CONN_IO_ALIVE_MS = 60 * 1000, /* so often a worker whose claim waits is said to live: well
                                   * before it is called silent */
    CONN_IO_HANDED_MS = 10,       /* so often a closing one looks whether the builds that it
                                   * handed out have arrived */
};

struct conn_io {
    struct conn conn; /* the first member: conn_io_of */
    struct loop *loop;

    struct buf in;    /* input that is read and not yet run */
    size_t need;      /* the parser needs at least so many bytes of input */
    size_t drop_left; /* bytes of a payload still to be dropped */
    int drop_err;     /* the error to answer after the drop; 0: nothing is dropped */
    const char *drop_text;

    bool is_known;     /* the client has sent a whole request: it speaks our protocol */
    bool is_closing;   /* runs no more requests; closes when its replies are sent */
    bool is_lingering; /* all replies are sent, and it waits for the client to close its side */
    bool wants_in;     /* epoll reports its input */
    bool wants_out;
    bool wants_end;
    size_t lingered_bytes;
    uint64_t counted_in;  /* bytes counted in the ledger: the struct and its input */
    uint64_t counted_out; /* ... and its replies */

    uint64_t auth_until_ns;    /* 0: the key was shown, or none is asked for */
    uint64_t request_until_ns; /* for a request that is not whole; 0: none */
    uint64_t stall_until_ns;   /* for the client to read output; 0: no output waits */
    uint64_t stall_from;       /* sent_bytes when stall_until_ns was set */
    uint64_t linger_until_ns;
    uint64_t memory_at_ns; /* for STOP_MEMORY: when to look again */
    uint64_t alive_at_ns;  /* for a claim that waits: when its worker is said to live */
    uint64_t handed_at_ns; /* when to look for replies that have arrived; 0: it is not closing */

    TAILQ_ENTRY(conn_io) all;
};

TAILQ_HEAD(conn_io_list, conn_io);

/* Every struct conn of a loop is the first member of one of these. */
static inline struct conn_io *conn_io_of(struct conn *conn)
{
    _Static_assert(offsetof(struct conn_io, conn) == 0, "a connection begins with its struct conn");
    return (struct conn_io *)conn;
}

/* Opens a connection on the socket; closes the socket when there is no memory. */
void conn_io_open(struct loop *loop, int fd, struct rate_address address);

/* Closes the socket. The struct is freed at the end of a pass when nothing of it is in flight. */
void conn_io_close(struct conn_io *io);

/* Frees it. REQUIRES: it is closed, and nothing of it is in flight. */
void conn_io_destroy(struct conn_io *io);

/* Notes that the client will send no more. */
void conn_io_leaves(struct conn_io *io);

/* Unlocks the connection: AUTH has succeeded. */
void conn_io_unlock(struct conn_io *io);

/* Ends the connection: no further request is run, and it closes when all replies have left. */
void conn_io_end(struct conn_io *io);

/* Stops the reading of requests. conn_io_resume goes on with the kept input when the reason has
 * passed. */
void conn_io_stop(struct conn_io *io, enum stop stop);
void conn_io_resume(struct conn_io *io);

/* Whether the connection may receive: none of its requests waits, or it lingers. */
static inline bool conn_io_may_receive(const struct conn_io *io)
{
    return io->is_lingering ||
           (io->conn.stop == STOP_NONE && !io->is_closing && !io->conn.is_ended);
}

/* Tells the ledger how much memory the connection holds now. */
void conn_io_count(struct conn_io *io);

/* Whether the reply to a claim has not arrived, which a close would lose; then a time is set to
 * look again. */
bool conn_io_has_handed(struct conn_io *io);

/* Ends the pass of a connection: sends, closes, and tells epoll what the connection waits for. */
void conn_io_finish(struct conn_io *io);

/* The next deadline of the connection, UINT64_MAX for never; and what to do when it has come. */
uint64_t conn_io_deadline_ns(const struct conn_io *io);
void conn_io_due(struct conn_io *io);

#endif
