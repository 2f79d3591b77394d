/* A connection: its replies, the count of those in flight, and why it waits. */
#ifndef TALLY_NET_PIPELINE_CONN_H
#define TALLY_NET_PIPELINE_CONN_H

#include "net/pipeline/handed.h"
#include "net/pipeline/rate.h"
#include "net/protocol/buf.h"
#include "wal/base/check.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct pending_entry;
struct pipeline;
struct reading;

enum {
    CONN_OUTPUT_BYTES_MAX = 1024 * 1024, /* waiting output beyond which no request is run */
    CONN_LEAST_OUTPUT_BYTES_MAX = 4096,  /* the same before AUTH (and as much in the kernel), and
                                           * while buffers have used up their share */
};

/*
 *              request in hand
 *                    |
 *      reads on <- STOP_NONE ---- a vote is not flushed ---------> STOP_FLUSH  -.
 *          ^         |--- a read behind what is in flight -------> STOP_ALL      |
 *          |         |--- a claim behind a change ---------------> STOP_CHANGES  |
 *          |         |--- a step behind an ordered request ------> STOP_ORDERED  |
 *          |         |--- TALLY_PARK ----------------------------> STOP_COMMIT   |
 *          |         |--- TALLY_ROOM ----------------------------> STOP_ROOM     |
 *          |         |--- too many replies are in flight --------> STOP_QUEUE    |
 *          |         |--- CLAIM ... WAIT, nothing there ---------> STOP_OFFERS   |
 *          |         |--- CLAIM ... WAIT, no slot is free -------> STOP_SLOTS    |
 *          |         |--- a read that takes long is being made --> STOP_READING  |
 *          |         |--- a long input, no memory for buffers ---> STOP_MEMORY   |
 *          |         |--- the thread's turn is over -------------> STOP_TURN     |
 *          |         `--- the client does not read --------------> STOP_OUTPUT   |
 *          `--- what it waits for has come: the request is read again -----------'
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

/* Receiving and sending are in struct conn_io (net/io/conn_io.h), which begins with a conn. */
struct conn {
    struct pipeline *pipeline;
    int fd; /* -1: closed; the struct stays until nothing is in flight */

    struct buf held;         /* replies that wait for the lane, in order */
    struct buf out;          /* replies that may leave */
    struct reading *telling; /* owned; the rest of a long reply, behind `out`; made as it is sent */

    struct handed handed; /* builds whose replies may not have arrived */
    uint64_t sent_bytes;

    uint32_t in_flight; /* its entries in the pipeline's pending queue */
    uint32_t changes;   /* of them, those with PENDING_CHANGE */
    uint32_t ordered;   /* of them, those with PENDING_ORDERED */
    uint32_t ballots;   /* of them, those with PENDING_BALLOT */
    uint32_t votes;     /* cast, and not yet flushed */
    uint64_t late_look; /* the last look at which the result of an applied entry was not there */
    enum stop stop;
    uint64_t stop_seen;      /* the value, when it stopped, of the count that has to move */
    struct reading *reading; /* owned; of the request it stopped at, for STOP_READING */

    bool is_authed;
    bool is_leaving; /* the client will send no more, but not all of its input is read */
    bool is_ended;   /* all of its input is read */
    bool is_touched; /* is in the pipeline's list of those to finish in this pass */
    bool is_stopped; /* is in the pipeline's list of stopped ones */
    unsigned auth_failures;

    uint64_t wait_until_ns; /* of a claim; 0: none */
    uint64_t wait_worker;   /* of STOP_OFFERS and STOP_SLOTS: whose, and edge_worker_left before */
    uint64_t wait_left;
    uint64_t snapshot_ticket; /* of edge_snapshot; 0: none */

    struct rate_address address;
    TAILQ_ENTRY(conn) stopped;
    TAILQ_ENTRY(conn) touched;
};

TAILQ_HEAD(conn_list, conn);

/* Frees its members. REQUIRES: it is closed, and nothing of it is in flight. */
void conn_fini(struct conn *conn);

/* Puts the connection on the list of those finished at the end of this pass. */
void conn_touch_first(struct conn *conn); /* in this pass */
static inline void conn_touch(struct conn *conn)
{
    DCHECK(conn->fd >= 0 || !conn->is_touched);
    if (!conn->is_touched) {
        conn_touch_first(conn);
    }
}

/* Whether nothing of the connection is under way: no reply, no vote, no wait. */
bool conn_is_idle(const struct conn *conn);

/* Whether the output has room for a further request's reply: the client reads its replies. */
bool conn_has_output_room(const struct conn *conn);

/* Adds a reply in flight, and sets the entry's connection. REQUIRES: there is room for it. */
void conn_await(struct conn *conn, const struct pending_entry *entry);

/* Counts an entry of this connection as answered. */
void conn_answered(struct conn *conn, const struct pending_entry *entry);

/* Stops the reading of requests until the stop's reason has passed; and goes on with it. */
void conn_stop(struct conn *conn, enum stop stop);
bool conn_may_resume(const struct conn *conn);
void conn_resume(struct conn *conn);

/* Notes that the present request hands out a build: if its reply does not arrive, the build goes
 * back. */
void conn_hands_out(struct conn *conn, uint64_t id, uint32_t token);

/* Whether, as far as the kernel knows, the reply with some build has not arrived. */
bool conn_has_handed(struct conn *conn);

/* Gives back the builds whose replies have not arrived, before the server closes the socket. */
void conn_take_back(struct conn *conn);

/* Takes the connection off the lists after its socket was closed; no reply is written any more. */
void conn_closed(struct conn *conn);

#endif
