/* The hot path: reads, casts and answers votes with as few branches as possible. */
#include "net/pipeline/votes.h"

#include "net/pipeline/pipeline.h"
#include "net/pipeline/rate.h"
#include "net/protocol/number.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

/* Nineteen digits always fit 64 bits; the strict reader reads longer numbers. */
enum { FAST_DIGITS_MAX = 19, REPLY_BYTES_MAX = NUMBER_DIGITS_MAX + 5 };

static const struct vote_from from_address = {RATE_BY_ADDRESS, {NULL, 0}, false};

static struct vote_unrated *unrated_place(struct pipeline *pipeline, uint64_t option)
{
    return &pipeline->votes.unrated[option % VOTES_UNRATED];
}

static bool is_unrated(struct pipeline *pipeline, uint64_t option)
{
    const struct vote_unrated *unrated = unrated_place(pipeline, option);
    return unrated->option == option && unrated->commits == pipeline->commits;
}

int votes_limit(struct conn *conn, uint64_t option, const struct vote_from *from,
                struct rate_ask *ask, uint64_t *retry_ms)
{
    struct pipeline *pipeline = conn->pipeline;
    if (!edge_vote_rate(pipeline->edge, option, &ask->n, &ask->per_ms, &ask->poll)) {
        *unrated_place(pipeline, option) = (struct vote_unrated){option, pipeline->commits};
        ask->votes = 0;
        return 0;
    }
    int err = edge_vote_window(pipeline->edge, option, from->is_ballot);
    if (err != 0) {
        ask->votes = 0;
        return err;
    }
    ask->from = conn->address;
    ask->kind = from->kind;
    ask->name = from->name;
    /* the pass may have begun before the vote was sent */
    ask->now_ms = clock_mono_ns() / NS_PER_MS;
    if (pipeline->sweep_at_ns == 0) {
        pipeline->sweep_at_ns = pipeline->now_ns + RATE_SWEEP_NS;
        pipeline_due(pipeline, pipeline->sweep_at_ns);
    }
    err = rate_take(pipeline->service->rate, ask, retry_ms);
    ask->votes = err == 0 ? ask->votes : 0;
    return err;
}

/* Returns the connection's run, a new one if the last run is another connection's. NULL: there is
 * no room for its reply. Room is checked before the step, for after the step only OK may follow. */
static struct cast_run *run_begin(struct pipeline *pipeline, struct conn *conn)
{
    struct votes *votes = &pipeline->votes;
    if (votes->run_count > 0 && votes->runs[votes->run_count - 1].conn == conn) {
        return &votes->runs[votes->run_count - 1];
    }
    if (votes->run_count == VOTES_MAX || !pipeline_has_place(pipeline)) {
        return NULL;
    }
    DCHECK(votes->run_count <= votes->cast_count); /* each run has a vote, see run_end */
    votes->runs[votes->run_count] = (struct cast_run){.conn = conn};
    return &votes->runs[votes->run_count++];
}

/* Removes a run without a vote, which needs no reply. */
static void run_end(struct pipeline *pipeline, const struct cast_run *run)
{
    pipeline->votes.run_count -= run->count == 0;
}

static inline int cast_one(struct conn *conn, struct cast_run *run, uint64_t option, uint64_t n,
                           const struct vote_from *from, uint64_t *retry_ms)
{
    struct pipeline *pipeline = conn->pipeline;
    struct votes *votes = &pipeline->votes;
    struct rate_ask rate;
    int err = 0;
    if (votes->cast_count == VOTES_MAX) {
        return TALLY_ROOM;
    }
    rate.votes = 0;
    if (!is_unrated(pipeline, option)) {
        rate.votes = n;
        err = votes_limit(conn, option, from, &rate, retry_ms);
    }
    if (err != 0) {
        return err;
    }
    err = edge_vote(pipeline->edge, option, n, &votes->cast[votes->cast_count]);
    if (err != 0) {
        if (rate.votes > 0) {
            rate_give_back(pipeline->service->rate, &rate);
        }
        return err;
    }
    votes->cast_count++;
    run->count++;
    conn->votes++;
    DCHECK(conn->votes >= run->count && votes->cast_count >= run->count);
    return 0;
}

int votes_cast(struct conn *conn, uint64_t option, uint64_t n, const struct vote_from *from,
               uint64_t *retry_ms)
{
    struct cast_run *run = run_begin(conn->pipeline, conn);
    if (run == NULL) {
        return TALLY_ROOM;
    }
    int err = cast_one(conn, run, option, n, from, retry_ms);
    run_end(conn->pipeline, run);
    return err;
}

size_t votes_read(struct conn *conn, const char *at, size_t len)
{
    const char *const start = at;
    const char *const end = at + len;
    DCHECK(conn->is_authed && conn->ordered == 0 && conn->ballots == 0); /* rule 8, run_next */
    uint64_t retry_ms;
    struct cast_run *run = run_begin(conn->pipeline, conn);
    if (run == NULL) {
        return 0;
    }
    while (end - at >= 7 && memcmp(at, "VOTE ", 5) == 0) {
        const char *next = at + 5;
        uint64_t option = 0;
        while (next < end && (unsigned char)(*next - '0') <= 9) {
            option = option * 10 + (unsigned char)(*next++ - '0');
        }
        size_t digits = (size_t)(next - at) - 5;
        if (next < end && *next == '\r') {
            next++;
        }
        if (next == end || *next != '\n' || digits == 0 || digits > FAST_DIGITS_MAX ||
            cast_one(conn, run, option, 1, &from_address, &retry_ms) != 0) {
            break;
        }
        at = next + 1;
    }
    run_end(conn->pipeline, run);
    return (size_t)(at - start);
}

static size_t answer_votes(struct edge *edge, const struct edge_vote *cast, uint32_t count,
                           char *to)
{
    char *const start = to;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to, "OK ", 3);
        to += 3 + number_write(to + 3, edge_votes_after(edge, cast[i]));
        memcpy(to, "\r\n", 2);
        to += 2;
    }
    DCHECK((size_t)(to - start) <= count * (size_t)REPLY_BYTES_MAX);
    return (size_t)(to - start);
}

void votes_flush(struct pipeline *pipeline)
{
    struct votes *votes = &pipeline->votes;
    const struct edge_vote *cast = votes->cast;
    if (votes->cast_count == 0) {
        return;
    }
    edge_flush(pipeline->edge);
    uint64_t pos = edge_tail(pipeline->edge);
    for (uint32_t i = 0; i < votes->run_count; i++) {
        struct cast_run *run = &votes->runs[i];
        struct conn *conn = run->conn;
        DCHECK(run->count > 0 && run->count <= conn->votes && conn->pipeline == pipeline);
        char *to = buf_room(&conn->held, run->count * (size_t)REPLY_BYTES_MAX);
        size_t len = to == NULL ? 0 : answer_votes(pipeline->edge, cast, run->count, to);
        buf_wrote(&conn->held, len);
        conn_await(conn,
                   &(struct pending_entry){.pos = pos, .held_bytes = len, .flags = PENDING_CHANGE});
        conn->votes -= run->count;
        cast += run->count;
    }
    DCHECK(cast == votes->cast + votes->cast_count); /* each vote is in one run */
    counter_add(&pipeline->counters.votes, votes->cast_count);
    counter_add(&pipeline->counters.requests, votes->cast_count);
    votes->cast_count = 0;
    votes->run_count = 0;
    edge_publish(pipeline->edge);
}
