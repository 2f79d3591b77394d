/* One I/O thread: epoll, its edge into the engine, and its connections. */
#ifndef TALLY_NET_IO_LOOP_H
#define TALLY_NET_IO_LOOP_H

#include "engine/edge.h"
#include "net/io/conn.h"
#include "net/protocol/parse.h"
#include "net/pipeline/pending.h"
#include "net/pipeline/vote.h"

#include <pthread.h>
#include <stdatomic.h>

struct server;

/* Written by the loop alone, read by whoever answers INFO. */
struct loop_counters {
    _Atomic uint64_t accepted;
    _Atomic uint64_t refused;     /* over the limit of connections */
    _Atomic uint64_t undelivered; /* builds whose reply did not arrive, given back */
    _Atomic uint64_t requests;
    _Atomic uint64_t votes;
    _Atomic uint64_t errors;
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t bytes_out;
    _Atomic uint64_t passes;
};

struct loop {
    struct server *server;
    struct edge *edge; /* owned; made and used by the thread itself */
    pthread_t thread;
    int epoll_fd;
    int wake_fd;
    int start_err; /* of the thread's start; valid once is_ready is posted */

    char *input; /* owned; LOOP_INPUT_BYTES, one for all connections */
    struct parser parser;
    struct parse_limits limits;
    struct pending pending;
    struct votes votes;
    struct buf reply; /* of the request under way: net/io/run.c; empty between two */

    /* Sampled before anything is asked, so that what moves meanwhile is seen to have moved. */
    uint64_t now_ns;
    uint64_t commits;
    uint64_t freed;
    uint64_t offers;

    /* a turn: requests run between two publications, engine/edge.h */
    uint64_t turns;
    uint64_t turn_until_ns;
    size_t turn_work; /* bytes of input since the clock was read */
    bool turn_over;
    int event_first; /* where the next pass begins among the events */

    struct conn_list all;
    struct conn_list stopped;
    struct conn_list touched;
    struct handed returns;   /* builds whose replies did not arrive: they go back */
    struct conn_list closed; /* by `all` too: freed when nothing is in flight */
    uint64_t next_ns;        /* no deadline of a connection is earlier */
    uint64_t sweep_at_ns;    /* the table of rates is looked through; 0: nothing is to go */
    uint64_t accept_at_ns;   /* 0, or accepting pauses until then: no file descriptors */
    uint64_t stop_at_ns;     /* 0, or it drains, at most until then */
    bool is_accepting;
    bool again; /* the next pass must not block */
    int pieces; /* of long replies, that may still be made in this pass */

    _Alignas(64) struct loop_counters counters;
};

enum {
    LOOP_INPUT_BYTES = 256 * 1024,
    LOOP_LOOK_WORK = 16 * 1024, /* the clock is read after so many bytes of input */
    LOOP_REQUEST_WORK = 256,    /* a request that is no plain vote counts as so many */
};

/* Errors: negative errno. Owns: *out is the caller's until loop_destroy. */
int loop_new(struct loop **out, struct server *server);
void loop_destroy(struct loop *loop);

/* Starts the thread and waits until its edge is open. Errors: negative errno. */
int loop_start(struct loop *loop);

/* Waits for the end of the thread, which comes when the server is stopping. */
void loop_join(struct loop *loop);

/* Wakes the thread from any other. */
void loop_wake(struct loop *loop);

/* Tells epoll about a new connection, or what it wants to hear of. */
int loop_watch_new(struct loop *loop, struct conn *conn);
void loop_watch(struct loop *loop, struct conn *conn);

/* A deadline was set: the loop may not sleep past it. */
static inline void loop_due(struct loop *loop, uint64_t at_ns)
{
    loop->next_ns = at_ns < loop->next_ns ? at_ns : loop->next_ns;
}

/* Counts what was done in this turn. */
static inline void loop_worked(struct loop *loop, size_t work)
{
    loop->turn_work += work;
}

/*
 * Whether the turn has lasted long enough: then no further request is run in it, so that what it
 * has stepped is published. A turn ends about 1 ms after it has begun, however much input there is.
 */
bool loop_turn_look(struct loop *loop);
void loop_turn_begin(struct loop *loop, uint64_t now_ns);

/*
 * Handles events until the turn is over. What it leaves is ready again in the next pass, and the
 * kernel tells of all in the same order: so the next pass begins with those. Else the first ones,
 * if they always have something to say, would be the only ones that are heard.
 */
struct epoll_event;
void loop_handle(struct loop *loop, const struct epoll_event *events, int count);

static inline bool loop_turn_is_over(struct loop *loop)
{
    return loop->turn_over || (loop->turn_work >= LOOP_LOOK_WORK && loop_turn_look(loop));
}

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    /* C1: relaxed: a count publishes nothing, and its thread alone writes it */
    uint64_t sum = atomic_load_explicit(counter, memory_order_relaxed) + n;
    /* C2: relaxed: as C1 */
    atomic_store_explicit(counter, sum, memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic uint64_t *counter)
{
    /* C3: relaxed: as C1; a reader may be a moment behind */
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
