/* Sessions: the blocking calls of the library, one edge each. */
#include "engine/edge/session.h"

#include "engine/edge/edge_internal.h"
#include "engine/base/rcu.h"
#include "engine/read.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <stdlib.h>

struct session {
    struct edge *edge;
};

#define SLEEP_NS_MAX NS_PER_S

static void session_wake(void *arg)
{
    struct session *session = arg;
    wake_unblock(&session->edge->lane->wake);
}

int session_new(struct session **out, struct edges *edges)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return TALLY_NOMEM;
    }
    int err = edges_take(edges, &session->edge, session_wake, session);
    if (err != 0) {
        free(session);
        return err;
    }
    rcu_offline();
    *out = session;
    return 0;
}

void tally_session_destroy(struct session *session)
{
    DCHECK(edge_applied(session->edge) == edge_tail(session->edge)); /* each call waits for it */
    edge_destroy(session->edge);
    free(session);
}

/* Blocks until the next commit, or returns at once if one has come since the last look. */
static void next_commit(struct edge *edge)
{
    edge_publish(edge);
    edge_pass_end(edge);
    if (edge_may_sleep(edge)) {
        wake_block(&edge->lane->wake, SLEEP_NS_MAX);
        edge_awake(edge);
    }
    edge_pass_begin(edge);
}

/* Blocks until all appended records are applied. */
static void session_settle(struct edge *edge)
{
    edge_publish(edge);
    while (edge_applied(edge) < edge_tail(edge)) {
        next_commit(edge);
    }
}

static bool must_wait(int err)
{
    return err == TALLY_PARK || err == TALLY_ROOM;
}

/* Begins a call. Between two calls the thread is offline for RCU: it may do other work for any
 * time, and no grace period waits for it. */
static void session_begin(struct session *s)
{
    rcu_online();
    edge_pass_begin(s->edge);
}

/* Ends a call: waits until everything is applied, and frees the slots. */
static int session_end(struct edge *edge, int err)
{
    session_settle(edge);
    DCHECK(edge_applied(edge) == edge_tail(edge));
    edge_free(edge, edge_applied(edge));
    edge_pass_end(edge);
    rcu_offline();
    return err;
}

/* The result of the ordered request just appended. */
static int session_result(struct edge *edge, int err, uint64_t *value)
{
    struct edge_result result = {0};
    DCHECK(err != TALLY_PARK && err != TALLY_ROOM); /* the lane of this edge was empty */
    if (err == 0) {
        session_settle(edge);
        err = edge_apply_result(edge, edge_tail(edge), &result);
        while (err == TALLY_PARK) {
            next_commit(edge);
            err = edge_apply_result(edge, edge_tail(edge), &result);
        }
        *value = result.value;
    }
    return session_end(edge, err);
}

int tally_poll(struct session *s, const char *name)
{
    struct edge_poll ask = {span_of(name), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP};
    uint64_t value = 0;
    session_begin(s);
    int err = edge_poll(s->edge, &ask);
    while (must_wait(err)) { /* another session is deleting the poll */
        next_commit(s->edge);
        err = edge_poll(s->edge, &ask);
    }
    return session_result(s->edge, err, &value);
}

int tally_option(struct session *s, const char *poll, const char *label, uint64_t *option)
{
    session_begin(s);
    int err = edge_option(s->edge, span_of(poll), span_of(label), SPAN(""));
    while (must_wait(err)) {
        next_commit(s->edge);
        err = edge_option(s->edge, span_of(poll), span_of(label), SPAN(""));
    }
    return session_result(s->edge, err, option);
}

int tally_vote(struct session *s, uint64_t option, uint64_t n, uint64_t *votes_after)
{
    struct edge_vote vote;
    session_begin(s);
    int err = edge_vote(s->edge, option, n, &vote);
    while (must_wait(err)) {
        next_commit(s->edge);
        err = edge_vote(s->edge, option, n, &vote);
    }
    edge_flush(s->edge);
    if (err == 0) {
        *votes_after = edge_votes_after(s->edge, vote);
        DCHECK(*votes_after >= n);
    }
    return session_end(s->edge, err);
}

int tally_reset(struct session *s, const char *poll, uint64_t *votes_before)
{
    session_begin(s);
    int err = edge_reset(s->edge, span_of(poll), SPAN(""));
    while (must_wait(err)) {
        next_commit(s->edge);
        err = edge_reset(s->edge, span_of(poll), SPAN(""));
    }
    return session_result(s->edge, err, votes_before);
}

int tally_polldel(struct session *s, const char *poll)
{
    uint64_t value = 0;
    session_begin(s);
    int err = edge_polldel(s->edge, span_of(poll));
    while (must_wait(err)) {
        next_commit(s->edge);
        err = edge_polldel(s->edge, span_of(poll));
    }
    return session_result(s->edge, err, &value);
}

int tally_tally(struct session *s, const char *poll, struct tally_count *rows, size_t *count)
{
    struct read_tally r;
    read_tally_init(&r, span_of(poll), *count);
    session_begin(s);
    if (edge_read(s->edge, &r.read) == EDGE_QUEUED) {
        while (!read_is_done(&r.read)) {
            next_commit(s->edge);
        }
    }
    int err = r.read.err;
    for (size_t i = 0; err == 0 && i < r.row_count; i++) {
        rows[i] = (struct tally_count){r.rows[i].id, r.rows[i].votes};
    }
    DCHECK(r.row_count <= *count);
    *count = err == 0 ? r.row_count : 0;
    read_tally_fini(&r);
    return session_end(s->edge, err);
}

int tally_worker(struct session *s, const char *worker, uint32_t slots)
{
    struct edge_worker ask = {.id = span_of(worker), .slots = slots};
    uint64_t value = 0;
    session_begin(s);
    return session_result(s->edge, edge_worker(s->edge, &ask), &value);
}

int tally_submit(struct session *s, const char *queue, struct span payload, uint64_t *id)
{
    struct edge_submit ask = {.queue = span_of(queue),
                              .payload = payload,
                              .pri = BUILD_PRI_DEFAULT,
                              .lease_ms = BUILD_LEASE_MS_DEFAULT,
                              .tries = BUILD_TRIES_DEFAULT};
    session_begin(s);
    if (payload.len > s->edge->shared->payload_bytes_max) {
        return session_end(s->edge, TALLY_TOOBIG);
    }
    return session_result(s->edge, edge_submit(s->edge, &ask), id);
}

static int copy_claim(const struct edge_claimed *got, struct tally_claim *claim)
{
    DCHECK(got->id != 0 && got->token != 0);
    *claim = (struct tally_claim){.id = got->id,
                                  .token = got->token,
                                  .attempt = got->attempt,
                                  .lease_ms = got->lease_ms,
                                  .payload = malloc(got->payload.len + 1),
                                  .payload_bytes = got->payload.len,
                                  .again = got->again};
    if (claim->payload == NULL) {
        return TALLY_NOMEM; /* the build stays held; a later claim gives it again */
    }
    if (got->payload.len > 0) {
        memcpy(claim->payload, got->payload.at, got->payload.len);
    }
    return 0;
}

int tally_claim(struct session *s, const char *worker, const char *queue, struct tally_claim *claim)
{
    struct edge_claim ask = {
        .worker = span_of(worker), .queues = {span_of(queue)}, .queue_count = 1};
    struct edge_claimed got;
    session_begin(s);
    int err = edge_claim(s->edge, &ask, &got);
    while (must_wait(err)) {
        next_commit(s->edge);
        err = edge_claim(s->edge, &ask, &got);
    }
    if (err == 0) {
        err = copy_claim(&got, claim);
    }
    return session_end(s->edge, err);
}

int tally_done(struct session *s, uint64_t id, uint32_t token, struct span result)
{
    session_begin(s);
    int err = edge_done(s->edge, id, token, result);
    while (must_wait(err)) {
        next_commit(s->edge);
        err = edge_done(s->edge, id, token, result);
    }
    DCHECK(err <= 0 || err == EDGE_DUP);
    return session_end(s->edge, err == EDGE_DUP ? TALLY_EXISTS : err);
}

int tally_fail(struct session *s, uint64_t id, uint32_t token, struct span text)
{
    struct edge_fail ask = {.id = id, .token = token, .text = text};
    struct edge_failed how;
    session_begin(s);
    int err = edge_fail(s->edge, &ask, &how);
    while (must_wait(err)) {
        next_commit(s->edge);
        err = edge_fail(s->edge, &ask, &how);
    }
    return session_end(s->edge, err);
}

int tally_release(struct session *s, uint64_t id, uint32_t token)
{
    session_begin(s);
    int err = edge_release(s->edge, id, token, 0);
    while (must_wait(err)) {
        next_commit(s->edge);
        err = edge_release(s->edge, id, token, 0);
    }
    return session_end(s->edge, err);
}
