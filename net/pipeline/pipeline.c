/* The pipeline: one I/O thread's way into the engine and back. */
#include "net/pipeline/pipeline.h"

#include "net/pipeline/rate.h"
#include "net/pipeline/reading.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/err.h"

enum {
    HANDED_MS = 10, /* between two tries to give a build back */
};

int pipeline_init(struct pipeline *pipeline, struct service *service)
{
    pipeline->service = service;
    pipeline->next_ns = UINT64_MAX;
    TAILQ_INIT(&pipeline->stopped);
    TAILQ_INIT(&pipeline->touched);
    return pending_init(&pipeline->pending);
}

void pipeline_fini(struct pipeline *pipeline)
{
    /* the thread frees all connections first, and each only with nothing in flight */
    CHECK(pending_head(&pipeline->pending) == NULL && pipeline->votes.cast_count == 0);
    pending_fini(&pipeline->pending);
    handed_fini(&pipeline->returns);
    buf_fini(&pipeline->reply);
}

void pipeline_sweep(struct pipeline *pipeline)
{
    if (pipeline->sweep_at_ns != 0 && pipeline->now_ns >= pipeline->sweep_at_ns) {
        bool more = rate_sweep(pipeline->service->rate, pipeline->now_ns / NS_PER_MS);
        pipeline->sweep_at_ns = more ? pipeline->now_ns + RATE_SWEEP_NS : 0;
    }
    pipeline_due(pipeline, pipeline->sweep_at_ns != 0 ? pipeline->sweep_at_ns : UINT64_MAX);
}

void pipeline_give_returns(struct pipeline *pipeline)
{
    struct handed *returns = &pipeline->returns;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < returns->count; i++) {
        int err = edge_take_back(pipeline->edge, returns->at[i].id, returns->at[i].token);
        if (err == TALLY_PARK || err == TALLY_ROOM) {
            returns->at[kept++] = returns->at[i];
        } else if (err == 0) {
            counter_add(&pipeline->counters.undelivered, 1);
        }
    }
    returns->count = kept;
    if (kept > 0) {
        pipeline_due(pipeline, pipeline->now_ns + (uint64_t)HANDED_MS * NS_PER_MS);
    }
}

/* ---- the way back ---- */

/* Returns false when the result is not there yet. A connection that has gone gets no reply, but its
 * request is in flight until there is a result. */
static bool answer_result(struct pipeline *pipeline, struct pending_entry *entry,
                          struct reply *reply)
{
    struct edge_result result;
    int err = edge_apply_result(pipeline->edge, entry->pos, &result);
    if (err == TALLY_PARK) {
        return false;
    }
    rate_settle(pipeline->service->rate, entry->taken, err == 0 && !result.dup);
    if (entry->conn->fd < 0) {
        return true;
    }
    if (err == TALLY_EXISTS && !result.dup && entry->reading != NULL) {
        entry->reading->format(entry->reading, reply);
    } else {
        /* every handler that appends an ordered request sets on_result */
        CHECK(entry->on_result != NULL);
        entry->on_result(reply, err, &result);
    }
    counter_add(&pipeline->counters.errors, reply->is_err);
    return true;
}

/* Answers an entry. Returns false when its result is not there yet. */
static bool answer_entry(struct pipeline *pipeline, struct pending_entry *entry)
{
    struct conn *conn = entry->conn;
    struct reply reply = {.to = &conn->out};
    DCHECK(conn->pipeline == pipeline && conn->in_flight > 0);
    if (entry->kind == PENDING_HELD) {
        buf_move(&conn->out, &conn->held, entry->held_bytes);
        if ((entry->flags & PENDING_CLAIM) != 0) {
            handed_leave(&conn->handed, entry->pos, conn->sent_bytes + buf_len(&conn->out));
        }
    } else if (!answer_result(pipeline, entry, &reply)) {
        return false;
    }
    conn_answered(conn, entry);
    entry->conn = NULL;
    return true;
}

void pipeline_release(struct pipeline *pipeline)
{
    uint64_t applied = edge_applied(pipeline->edge);
    uint64_t free_to = applied;
    struct pending_entry *entry;
    pipeline->looks++;
    for (uint32_t i = 0; (entry = pending_at(&pipeline->pending, i)) != NULL; i++) {
        struct conn *conn = entry->conn;
        if (entry->pos > applied) {
            break;
        }
        if (conn != NULL && conn->late_look != pipeline->looks && !answer_entry(pipeline, entry)) {
            conn->late_look = pipeline->looks; /* its later replies wait for this one */
        }
    }
    pending_pop(&pipeline->pending);
    const struct pending_entry *head = pending_head(&pipeline->pending);
    if (head != NULL && head->pos <= applied && head->pos > 0) {
        free_to = head->pos - 1;
    }
    DCHECK(free_to <= applied);
    if (free_to > pipeline->freed) {
        edge_free(pipeline->edge, free_to);
        pipeline->freed = free_to;
    }
}
