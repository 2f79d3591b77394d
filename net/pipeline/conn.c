/* A connection: its replies in flight, its stops, and the builds it has handed out. */
#include "net/pipeline/conn.h"

#include "engine/read.h"
#include "net/pipeline/pipeline.h"
#include "net/pipeline/reading.h"
#include "wal/base/check.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

void conn_touch_first(struct conn *conn)
{
    if (conn->fd >= 0) {
        conn->is_touched = true;
        TAILQ_INSERT_TAIL(&conn->pipeline->touched, conn, touched);
    }
}

bool conn_is_idle(const struct conn *conn)
{
    return conn->stop == STOP_NONE && conn->in_flight == 0 && conn->votes == 0 &&
           buf_len(&conn->out) == 0 && conn->telling == NULL;
}

void conn_closed(struct conn *conn)
{
    struct pipeline *pipeline = conn->pipeline;
    /* conn_io_close has checked that the connection is open */
    CHECK(conn->fd >= 0);
    conn->fd = -1;
    if (conn->reading != NULL) {
        read_is_unwanted(conn->reading->read);
    }
    if (conn->telling != NULL) {
        conn->telling->destroy(conn->telling);
        conn->telling = NULL;
    }
    if (conn->is_stopped) {
        TAILQ_REMOVE(&pipeline->stopped, conn, stopped);
    }
    conn->is_stopped = false;
    if (conn->is_touched) {
        TAILQ_REMOVE(&pipeline->touched, conn, touched);
    }
    conn->is_touched = false;
}

void conn_fini(struct conn *conn)
{
    /* free_closed frees only closed connections with nothing in flight */
    CHECK(conn->fd < 0 && conn->in_flight == 0 && conn->votes == 0);
    CHECK(!conn->is_stopped && !conn->is_touched); /* conn_closed took it off both lists */
    if (conn->telling != NULL) {
        conn->telling->destroy(conn->telling);
    }
    if (conn->reading != NULL) {
        conn->reading->destroy(conn->reading);
    }
    handed_fini(&conn->handed);
    buf_fini(&conn->held);
    buf_fini(&conn->out);
}

/* ---- replies ---- */

void conn_await(struct conn *conn, const struct pending_entry *entry)
{
    struct pending_entry mine = *entry;
    mine.conn = conn;
    if (pending_push(&conn->pipeline->pending, &mine)) {
        conn->in_flight++;
        conn->changes += (mine.flags & PENDING_CHANGE) != 0;
        conn->ordered += (mine.flags & PENDING_ORDERED) != 0;
        conn->ballots += (mine.flags & PENDING_BALLOT) != 0;
    }
    DCHECK(conn->in_flight > 0 && conn->in_flight <= PENDING_MAX);
    DCHECK(conn->ordered <= conn->changes && conn->changes <= conn->in_flight);
}

void conn_answered(struct conn *conn, const struct pending_entry *entry)
{
    DCHECK(conn->in_flight > 0);
    conn->in_flight--;
    conn->changes -= (entry->flags & PENDING_CHANGE) != 0;
    conn->ordered -= (entry->flags & PENDING_ORDERED) != 0;
    conn->ballots -= (entry->flags & PENDING_BALLOT) != 0;
    DCHECK(conn->ordered <= conn->changes && conn->changes <= conn->in_flight);
    if (entry->reading != NULL) {
        entry->reading->destroy(entry->reading);
    }
    conn_touch(conn);
}

/* ---- stopping and going on ---- */

void conn_stop(struct conn *conn, enum stop stop)
{
    struct pipeline *pipeline = conn->pipeline;
    /* requests are run, and may stop, only while the connection is not stopped: may_run */
    CHECK(conn->stop == STOP_NONE && stop != STOP_NONE && !conn->is_stopped);
    conn->stop = stop;
    conn->stop_seen = stop == STOP_COMMIT   ? pipeline->commits
                      : stop == STOP_ROOM   ? pipeline->freed
                      : stop == STOP_OFFERS ? pipeline->offers
                      : stop == STOP_TURN   ? pipeline->turns
                                            : 0;
    conn->is_stopped = true;
    TAILQ_INSERT_TAIL(&pipeline->stopped, conn, stopped);
}

void conn_resume(struct conn *conn)
{
    /* callers have the connection from the list of stopped ones, or have looked at its stop */
    CHECK(conn->is_stopped && conn->stop != STOP_NONE);
    TAILQ_REMOVE(&conn->pipeline->stopped, conn, stopped);
    conn->is_stopped = false;
    conn->stop = STOP_NONE;
}

bool conn_has_output_room(const struct conn *conn)
{
    size_t waiting = buf_len(&conn->out) + buf_len(&conn->held);
    if (conn->telling != NULL || waiting <= CONN_LEAST_OUTPUT_BYTES_MAX) {
        return conn->telling == NULL;
    }
    return conn->is_authed && waiting <= CONN_OUTPUT_BYTES_MAX &&
           !pipeline_is_tight(conn->pipeline);
}

bool conn_may_resume(const struct conn *conn)
{
    const struct pipeline *pipeline = conn->pipeline;
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
        return conn->ordered == 0 && conn->ballots == 0;
    case STOP_COMMIT:
        return pipeline->commits != conn->stop_seen;
    case STOP_ROOM:
        return pipeline->freed != conn->stop_seen;
    case STOP_QUEUE:
        return pending_room(&pipeline->pending) > PENDING_MAX / 4;
    case STOP_SLOTS:
        return edge_worker_left(pipeline->edge, conn->wait_worker) != conn->wait_left ||
               pipeline->now_ns >= conn->wait_until_ns || conn->is_leaving ||
               pipeline->drain_until_ns != 0;
    case STOP_OFFERS:
        return pipeline->offers != conn->stop_seen || pipeline->now_ns >= conn->wait_until_ns ||
               conn->is_leaving || pipeline->drain_until_ns != 0;
    case STOP_READING:
        CHECK(conn->reading != NULL); /* ask_read sets it before the connection stops */
        return read_is_done(conn->reading->read);
    case STOP_MEMORY:
        return !pipeline_is_tight(pipeline);
    case STOP_TURN:
        return pipeline->turns != conn->stop_seen;
    case STOP_OUTPUT:
        return conn_has_output_room(conn);
    }
    return false;
}

/* ---- builds that were handed out ---- */

/* The bytes that the client's machine has acknowledged; also after the end of the connection. */
static uint64_t acknowledged(const struct conn *conn)
{
    int left = 0;
    return ioctl(conn->fd, SIOCOUTQ, &left) == 0 ? conn->sent_bytes - (uint64_t)left : 0;
}

void conn_hands_out(struct conn *conn, uint64_t id, uint32_t token)
{
    struct handed *handed = &conn->handed;
    uint64_t pos = edge_tail(conn->pipeline->edge);
    /* the lane's tail never falls, and the list is filled here alone */
    CHECK(handed->count == 0 || handed->at[handed->count - 1].pos <= pos);
    if (handed->count > 0 && handed->count == handed->capacity) {
        handed_arrive(handed, acknowledged(conn));
        if (handed->count > handed->capacity / 2) {
            handed_grow(handed); /* so that few claims ask again, even if no reply arrives */
        }
    }
    handed_add(handed, &(struct handed_claim){.id = id, .token = token, .pos = pos});
}

bool conn_has_handed(struct conn *conn)
{
    if (conn->handed.count > 0) {
        handed_arrive(&conn->handed, acknowledged(conn));
    }
    return conn->handed.count > 0;
}

void conn_take_back(struct conn *conn)
{
    struct pipeline *pipeline = conn->pipeline;
    if (conn->handed.count > 0) {
        handed_arrive(&conn->handed, acknowledged(conn));
        handed_move(&pipeline->returns, &conn->handed);
        pipeline->again = true;
    }
}
