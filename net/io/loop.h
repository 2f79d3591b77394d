/* The loop: one I/O thread with epoll, its pipeline, and its connections. */
#ifndef TALLY_NET_IO_LOOP_H
#define TALLY_NET_IO_LOOP_H

#include "net/io/conn_io.h"
#include "net/pipeline/pipeline.h"
#include "net/protocol/parse.h"

#include <pthread.h>

struct epoll_event;

struct loop {
    struct pipeline pipeline; /* its edge, replies in flight, clock and counters */
    unsigned number;          /* of this loop in its server, from 0 */
    pthread_t thread;
    int epoll_fd;
    int wake_fd;
    int start_err; /* of the thread's start; valid once is_ready is posted */

    char *input; /* owned; LOOP_INPUT_BYTES, one for all connections */
    struct parser parser;
    struct parse_limits limits;

    /* a turn: requests run between two publications, engine/edge.h */
    uint64_t turn_until_ns;
    size_t turn_work; /* bytes of input since the clock was read */
    bool turn_over;
    int event_first; /* the first event that the next pass handles */

    struct conn_io_list all;
    struct conn_io_list
        closed;            /* linked by `all`, too; each is freed when nothing of it is in flight */
    uint64_t accept_at_ns; /* no descriptors: accepting pauses until then; 0: it does not pause */
    bool is_accepting;
    int pieces; /* number of pieces of long replies that may still be made in this pass */
};

enum {
    LOOP_INPUT_BYTES = 256 * 1024,
    LOOP_LOOK_WORK = 16 * 1024, /* work after which the clock is read, in bytes of input */
    LOOP_REQUEST_WORK = 256,    /* work of a request that is no plain vote */
};

/* Errors: negative errno. Owns: *out is the caller's until loop_destroy. */
int loop_new(struct loop **out, struct service *service, unsigned number);
void loop_destroy(struct loop *loop);

/* Starts the thread and waits until its edge is open. Errors: negative errno. */
int loop_start(struct loop *loop);

/* Waits for the thread, which ends when the server is stopping. */
void loop_join(struct loop *loop);

/* Wakes the thread from any other. */
void loop_wake(struct loop *loop);

/* Tells epoll about a new connection, or which events of a connection it has to report. */
int loop_watch_new(struct loop *loop, struct conn_io *io);
void loop_watch(struct loop *loop, struct conn_io *io);

/* Adds to the work of this turn, in bytes of input. */
static inline void loop_worked(struct loop *loop, size_t work)
{
    loop->turn_work += work;
}

/*
 * Whether the turn is over: then no further request is run in it, so that its steps are published.
 * A turn ends about 1 ms after it has begun, however much input there is.
 */
bool loop_turn_look(struct loop *loop);
void loop_turn_begin(struct loop *loop, uint64_t now_ns);

/*
 * Handles events until the turn is over. The kernel reports the events that are left again in the
 * next pass, in the same order; the next pass begins with them. Otherwise only the first
 * connections would be served if they always had input.
 */
void loop_handle(struct loop *loop, const struct epoll_event *events, int count);

static inline bool loop_turn_is_over(struct loop *loop)
{
    return loop->turn_over || (loop->turn_work >= LOOP_LOOK_WORK && loop_turn_look(loop));
}

#endif
