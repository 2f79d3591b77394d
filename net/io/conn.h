/* A connection: its buffers, what it has in flight, and why it waits. */
#ifndef TALLY_NET_IO_CONN_H
#define TALLY_NET_IO_CONN_H

#include "net/protocol/buf.h"
#include "net/pipeline/handed.h"
#include "net/pipeline/pending.h"
#include "net/pipeline/rate.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;

enum {
    CONN_RECEIVE_BYTES = 64 * 1024,       /* at most in one pass */
    CONN_LOCKED_RECEIVE_BYTES = 2 * 1024, /* the same before AUTH */
    CONN_OUTPUT_BYTES_MAX = 1024 * 1024,  /* waiting output beyond which no request is run */
    CONN_LEAST_OUTPUT_BYTES_MAX = 4096,   /* the same before AUTH (and as much in the kernel), and
                                           * while buffers have used up their share */
    CONN_TIGHT_RECEIVE_BYTES = 4 * 1024,  /* at most in one pass, while they have */
    CONN_MEMORY_MS = 20,                  /* so often a connection looks whether that is over */
    CONN_STALL_BYTES = 16 * 1024,         /* or all that waits: a reader takes it in request_ms */
    CONN_LINGER_MS = 5 * 1000,            /* ... and this long its last words are listened to */
    CONN_LINGER_BYTES_MAX = 128 * 1024 * 1024,
    CONN_HANDED_MS = 10, /* so often a closing one looks whether what it handed out has arrived */
};

/*
 *              request in hand
 *                    |
 *      reads on <- STOP_NONE --- a vote is not flushed ---------------> STOP_FLUSH   --.
 *          ^                |--- a read behind what is in flight -----> STOP_ALL       |
 *          |                |--- a claim behind a change --------------> STOP_CHANGES   |
 *          |                |--- a step behind an ordered request -------> STOP_ORDERED    |
 *          |                |--- TALLY_PARK ---------------------------> STOP_COMMIT    |
 *          |                |--- TALLY_ROOM ---------------------------> STOP_ROOM      |
 *          |                |--- too many replies are in flight ------> STOP_QUEUE     |
 *          |                |--- CLAIM ... WAIT, nothing there --------> STOP_OFFERS    |
 *          |                |--- CLAIM ... WAIT, no slot is free ------> STOP_SLOTS     |
 *          |                |--- a read that takes long is being made -> STOP_READING   |
 *          |                |--- a long input, no memory for buffers -> STOP_MEMORY    |
 *          |                |--- the thread's turn is over ------------> STOP_TURN      |
 *          |                `--- the client does not read ------------> STOP_OUTPUT    |
 *          `------ what it waits for has come: the request is read again -------------'
 */
enum stop {
    STOP_NONE,
    STOP_FLUSH,
    STOP_ALL,
    STOP_CHANGES,
    STOP_ORDERED,
    STOP_COMMIT,
    STOP_ROOM,
    STOP_QUEUE,
    STOP_OFFERS,
    STOP_SLOTS,
    STOP_READING,
    STOP_MEMORY,
    STOP_TURN,
    STOP_OUTPUT,
};

struct conn {
    struct loop *loop;
    int fd; /* -1: closed; the struct stays until nothing is in flight */

    struct buf in;           /* read and not yet run */
    struct buf held;         /* replies that wait for the lane, in order */
    struct buf out;          /* replies that may leave */
    struct reading *telling; /* owned; the rest of a long reply, behind `out`; made as it is sent */

    struct handed handed; /* builds whose replies may not have arrived */
    uint64_t sent_bytes;

    uint32_t in_flight; /* entries of the loop's pending queue */
    uint32_t changes;   /* those with PENDING_CHANGE */
    uint32_t ordered;   /* those with PENDING_ORDERED */
    uint32_t votes;     /* cast, and not yet flushed */
    enum stop stop;
    uint64_t stop_seen;      /* what had not moved when it stopped */
    struct reading *reading; /* owned; of the request it stopped at, for STOP_READING */

    size_t need;      /* bytes of input without which there is no use in parsing */
    size_t drop_left; /* bytes of a payload still to be dropped */
    int drop_err;     /* != 0: it is dropping, and this is the answer */
    const char *drop_text;

    bool is_authed;
    bool is_known;     /* has sent a request: it is a client of ours */
    bool is_leaving;   /* the client will send no more, but not all is read */
    bool is_ended;     /* all it sent is read */
    bool is_closing;   /* runs no more requests; closes when its replies are sent */
    bool is_lingering; /* has said everything, waits for the client's end */
    bool is_touched;   /* stands in the loop's list of those to finish in this pass */
    bool is_stopped;   /* stands in the loop's list of stopped ones */
    bool wants_in;     /* as epoll was told */
    bool wants_out;
    bool wants_end;
    unsigned auth_failures;
    size_t lingered_bytes;
    uint64_t counted_in;  /* what the ledger knows of: the struct and its input */
    uint64_t counted_out; /* ... and its replies */

    uint64_t wait_until_ns; /* of a claim; 0: none */
    uint64_t wait_worker;   /* of STOP_SLOTS: whose slots, and edge_worker_left before */
    uint64_t wait_left;
    uint64_t snapshot_ticket;  /* of edge_snapshot; 0: none */
    uint64_t auth_until_ns;    /* 0: the key was shown, or none is asked for */
    uint64_t request_until_ns; /* for a request that is not whole; 0: none */
    uint64_t stall_until_ns;   /* 0: no output waits */
    uint64_t stall_from;       /* sent_bytes when that was set */
    uint64_t linger_until_ns;
    uint64_t memory_at_ns; /* for STOP_MEMORY: when to look again */
    uint64_t handed_at_ns; /* the same for what was handed out; 0: it is not closing */

    struct rate_address address;
    TAILQ_ENTRY(conn) all;
    TAILQ_ENTRY(conn) stopped;
    TAILQ_ENTRY(conn) touched;
};

TAILQ_HEAD(conn_list, conn);

/* Takes the socket over; closes it when there is no memory. */
void conn_open(struct loop *loop, int fd, struct rate_address address);

/* The socket has something to say. */
void conn_readable(struct conn *conn);
void conn_leaves(struct conn *conn); /* the client will send no more */

/* Closes the socket. The struct is freed at the end of a pass with nothing of it in flight. */
void conn_close(struct conn *conn);

/* The key was shown. */
void conn_unlock(struct conn *conn);

/* Whether a further request may be run: the client reads its replies. */
bool conn_has_output_room(const struct conn *conn);

/* Runs no further request; closes when all replies have left. */
void conn_end(struct conn *conn);

/* Tells the ledger what it holds now. */
void conn_count(struct conn *conn);

/* Frees it. REQUIRES: it is closed, and nothing of it is in flight. */
void conn_destroy(struct conn *conn);

/* At the end of a pass: sends, closes, tells epoll what is wanted. */
void conn_finish(struct conn *conn);

/* The client takes no part in anything that is under way. */
bool conn_is_idle(const struct conn *conn);

/* The next moment that something is due by the clock, UINT64_MAX for never; doing it. */
uint64_t conn_deadline_ns(const struct conn *conn);
void conn_due(struct conn *conn);

/* Puts the connection on the list of those finished at the end of this pass. */
void conn_touch(struct conn *conn);

/* Adds a reply in flight, for which there is room; the connection is filled in. */
void conn_await(struct conn *conn, const struct pending_entry *entry);

/* An entry of this connection is answered. */
void conn_answered(struct conn *conn, const struct pending_entry *entry);

/* The request in hand hands out a build: should its reply not arrive, the build goes back. */
void conn_hands_out(struct conn *conn, uint64_t id, uint32_t token);

/* Whether there is such a reply, which a close by us would take away; then it looks again soon. */
bool conn_has_handed(struct conn *conn);

/* Stops the reading of requests. */
void conn_stop(struct conn *conn, enum stop stop);

/* Whether what it stopped for has come. */
bool conn_may_resume(const struct conn *conn);
void conn_resume(struct conn *conn);

#endif
