/* Running requests: from the bytes of a request to the place of its reply in the order. */
#include "net/io/run.h"

#include "engine/base/ledger.h"
#include "engine/read.h"
#include "net/commands/command.h"
#include "net/io/conn_io.h"
#include "net/io/loop.h"
#include "net/pipeline/pipeline.h"
#include "wal/base/check.h"

/*
 *     command ── writes ──▶ pipeline->reply ─┬─ moved, counted ──▶ conn->held ── applied ──┐
 *                                            └─ nothing is in flight ──────────────────────┴─▶ out
 *
 * A request's reply is written into a buffer of its own, so its length is known whatever else is
 * written into the connection's buffers meanwhile.
 */
static size_t hold_reply(struct conn *conn)
{
    struct buf *reply = &conn->pipeline->reply;
    return buf_move(&conn->held, reply, buf_len(reply));
}

/* Answers at once, or behind the replies in flight: replies leave in the order of the requests. */
static void answer_now(struct conn *conn)
{
    struct buf *reply = &conn->pipeline->reply;
    if (conn->in_flight == 0 && conn->votes == 0) {
        buf_move(&conn->out, reply, buf_len(reply));
        conn_touch(conn);
        return;
    }
    conn_await(conn, &(struct pending_entry){.pos = edge_tail(conn->pipeline->edge),
                                             .held_bytes = hold_reply(conn)});
}

/* Counts a request that is answered or in flight, and an ERR that is written. */
static void count_request(struct pipeline *pipeline, const struct reply *reply)
{
    counter_add(&pipeline->counters.requests, 1);
    counter_add(&pipeline->counters.errors, reply->is_err);
}

static void answer_error(struct conn *conn, int err, const char *text)
{
    struct reply reply = {.to = &conn->pipeline->reply};
    reply_err(&reply, err, "%s", text);
    count_request(conn->pipeline, &reply);
    answer_now(conn);
}

/* Puts the reply, or the entry for a later one, in its place. */
static void place(struct ask *ask, enum outcome outcome)
{
    struct conn *conn = ask->conn;
    /* behind votes that are not flushed a request stops first: run_request */
    CHECK(outcome == ASK_VOTED || conn->votes == 0);
    struct pending_entry entry = {
        .pos = edge_tail(ask->edge), .reading = ask->reading, .taken = ask->taken};
    switch (outcome) {
    case ASK_VOTED:
    case ASK_STOPPED:
        return;
    case ASK_ANSWERED:
        answer_now(conn);
        return;
    case ASK_UNLOCKED:
        answer_now(conn);
        conn_io_unlock(conn_io_of(conn));
        return;
    case ASK_LAST:
        answer_now(conn);
        conn_io_end(conn_io_of(conn));
        return;
    case ASK_STEPPED:
        entry.flags = PENDING_CHANGE;
        entry.held_bytes = hold_reply(conn);
        break;
    case ASK_CLAIMED:
        entry.flags = PENDING_CLAIM;
        entry.held_bytes = hold_reply(conn);
        break;
    case ASK_BALLOT:
    case ASK_ORDERED:
        entry.kind = PENDING_RESULT;
        entry.flags = PENDING_CHANGE | (outcome == ASK_ORDERED ? PENDING_ORDERED : PENDING_BALLOT);
        DCHECK(ask->on_result != NULL && buf_len(&conn->pipeline->reply) == 0);
        entry.on_result = ask->on_result;
        break;
    }
    conn_await(conn, &entry);
}

/* Rule 8: a request that could see an earlier change of its own connection stops before it is run.
 */
static enum stop must_stop(const struct conn *conn, unsigned flags)
{
    if (conn->votes > 0 && (flags & COMMAND_VOTE) == 0) {
        return STOP_FLUSH;
    }
    if ((flags & (COMMAND_VOTE | COMMAND_STEP)) != 0 && conn->ordered > 0) {
        return STOP_ORDERED;
    }
    if ((flags & COMMAND_READ) != 0 && conn->in_flight > 0) {
        return STOP_ALL;
    }
    if ((flags & COMMAND_CLAIM) != 0 && conn->changes > 0) {
        return STOP_CHANGES;
    }
    return STOP_NONE;
}

static bool has_args(const struct command *command, const struct request *request)
{
    return request->count >= command->args_min && request->count <= command->args_max &&
           (command->payload.kind != PAYLOAD_LAST || request->has_payload);
}

/* Whether a long reply may be made. Reads cannot take the share of the buffers that claims have. */
static bool may_be_large(const struct ask *ask, const struct command *command)
{
    bool is_claim = (command->flags & COMMAND_CLAIM) != 0;
    return (command->flags & COMMAND_LARGE) == 0 ||
           ledger_has_buffers(edge_ledger(ask->edge),
                              is_claim ? LEDGER_CONNECTIONS_SHARE : LEDGER_REPLIES_SHARE);
}

static enum outcome run_command(struct ask *ask, const struct command *command)
{
    if (!ask->conn->is_authed && (command->flags & COMMAND_OPEN) == 0) {
        return ask_error(ask, TALLY_NOAUTH, "send AUTH first");
    }
    if (!has_args(command, ask->request)) {
        reply_err(&ask->reply, TALLY_ARGS, "usage: %s", command->syntax);
        return ASK_ANSWERED;
    }
    if (ask->request->has_payload &&
        ask->request->payload.len > ask->pipeline->service->options.payload_bytes_max) {
        return ask_error(ask, TALLY_TOOBIG, "the payload is larger than allowed");
    }
    if (!may_be_large(ask, command)) {
        return ask_error(ask, TALLY_BUSY, "retry_ms=1000 replies that nobody takes use up memory");
    }
    return command->run(ask);
}

/* Runs a request. Returns false when the connection has stopped before it. */
static bool run_request(struct conn_io *io, const struct request *request)
{
    struct conn *conn = &io->conn;
    struct pipeline *pipeline = conn->pipeline;
    const struct command *command = command_find(request->verb);
    struct ask ask = {.conn = conn,
                      .pipeline = pipeline,
                      .edge = pipeline->edge,
                      .command = command,
                      .request = request,
                      .reply = {.to = &pipeline->reply}};
    /* the parser refuses verbs that are not in the table: PAYLOAD_UNKNOWN_VERB */
    CHECK(command != NULL);
    enum stop stop = must_stop(conn, command->flags);
    if (stop != STOP_NONE) {
        conn_io_stop(io, stop);
        return false;
    }
    struct reading *reading = conn->reading; /* the request has stopped for it, and goes on */
    conn->reading = NULL;
    enum outcome outcome = reading != NULL ? ask_tell(&ask, reading) : run_command(&ask, command);
    if (conn->votes > 0 && outcome != ASK_VOTED && outcome != ASK_STOPPED) {
        /* a refused vote behind others is run again after their flush: its reply follows theirs */
        buf_take(&pipeline->reply, buf_len(&pipeline->reply));
        pipeline->reply.failed = false;
        ask.stop = STOP_FLUSH;
        outcome = ASK_STOPPED;
    }
    if (outcome == ASK_STOPPED) {
        conn_io_stop(io, ask.stop);
        return false;
    }
    conn->wait_until_ns = 0;
    if (outcome != ASK_VOTED) {
        count_request(pipeline, &ask.reply);
    }
    place(&ask, outcome);
    if ((command->flags & COMMAND_LARGE) != 0) {
        conn_io_count(io); /* at once: other connections may ask for as much in this pass */
    }
    return true;
}

/* Runs the first request; returns its bytes, 0 when it is not whole or has to wait. */
static size_t run_one(struct conn_io *io, const char *at, size_t len)
{
    struct loop *loop = io->loop;
    struct request request;
    loop->limits.locked = !io->conn.is_authed;
    loop->limits.is_first = !io->is_known;
    loop->limits.line_bytes_max =
        io->conn.is_authed ? PARSE_LINE_BYTES_MAX : PARSE_LOCKED_LINE_BYTES_MAX;
    struct parsed how = parse(&loop->parser, (struct span){at, len}, &loop->limits, &request);
    io->need = how.need;
    /* the parser consumes no more than it was given, and needs more than that */
    CHECK(how.kind == PARSE_MORE ? how.need == 0 || how.need > len : how.consumed <= len);
    if (how.kind == PARSE_MORE) {
        return 0;
    }
    io->is_known = io->is_known || how.kind == PARSE_REQUEST || how.kind == PARSE_DROP;
    if (how.kind == PARSE_REQUEST) {
        return run_request(io, &request) ? how.consumed : 0;
    }
    if (io->conn.votes > 0) {
        conn_io_stop(io, STOP_FLUSH);
        return 0;
    }
    if (how.kind == PARSE_DROP) {
        io->drop_left = how.drop;
        io->drop_err = how.err;
        io->drop_text = how.text;
        return how.consumed;
    }
    if (how.kind == PARSE_ERROR) {
        answer_error(&io->conn, how.err, how.text);
    }
    if (how.kind == PARSE_FOREIGN || how.then_close) {
        conn_io_end(io);
    }
    return how.consumed;
}

/* Drops the rest of a payload and the line end behind it, then writes the ERR. */
static size_t run_drop(struct conn_io *io, const char *at, size_t len)
{
    DCHECK(io->drop_err != 0);
    size_t part = len < io->drop_left ? len : io->drop_left;
    io->drop_left -= part;
    if (part == len) {
        return part;
    }
    size_t end = part + (at[part] == '\r');
    if (end == len) {
        return part;
    }
    answer_error(&io->conn, io->drop_err, io->drop_text);
    io->drop_err = 0;
    if (at[end] != '\n') {
        conn_io_end(io);
    }
    return end + 1;
}

/*
 * Whether the next request may be run. Any request may need a reply, so there has to be a place for
 * one among the replies in flight, beside those of the votes that are not flushed.
 */
static bool may_run(struct conn_io *io)
{
    struct pipeline *pipeline = io->conn.pipeline;
    if (io->conn.stop != STOP_NONE || io->is_closing || io->conn.fd < 0) {
        return false;
    }
    if (!conn_has_output_room(&io->conn)) {
        conn_io_stop(io, STOP_OUTPUT);
    } else if (!pipeline_has_place(pipeline)) {
        conn_io_stop(io, STOP_QUEUE);
    } else if (loop_turn_is_over(io->loop)) {
        conn_io_stop(io, STOP_TURN);
    } else if (pipeline->votes.cast_count == VOTES_MAX) {
        votes_flush(pipeline); /* here, where no request is under way */
    }
    return io->conn.stop == STOP_NONE;
}

/* Runs the plain votes at the front and the request behind them. Returns their bytes. */
static size_t run_next(struct conn_io *io, const char *at, size_t len)
{
    if (io->drop_err != 0) {
        return run_drop(io, at, len);
    }
    bool may_vote = io->conn.is_authed && io->conn.ordered == 0 && io->conn.ballots == 0;
    size_t voted = may_vote ? votes_read(&io->conn, at, len) : 0;
    if (voted > 0) {
        io->is_known = true;
        loop_worked(io->loop, voted);
        return voted;
    }
    loop_worked(io->loop, LOOP_REQUEST_WORK);
    return run_one(io, at, len);
}

size_t run_input(struct conn_io *io, const char *at, size_t len)
{
    size_t done = 0;
    size_t part = 1;
    while (part > 0 && done < len && may_run(io)) {
        part = run_next(io, at + done, len - done);
        done += part;
        DCHECK(done <= len);
        if (part > 0 && io->drop_err == 0) {
            io->request_until_ns = 0; /* the next request has its own time */
        }
    }
    return io->is_closing ? len : done;
}

void run_late(struct conn_io *io)
{
    /* its time began when no request before it was left to run, so all votes are flushed */
    DCHECK(io->conn.votes == 0 && io->conn.stop == STOP_NONE);
    if (!pipeline_has_place(io->conn.pipeline)) {
        conn_io_close(io); /* without a reply: there is no place for one */
        return;
    }
    answer_error(&io->conn, TALLY_TIMEOUT, "the request did not come to its end in time");
    conn_io_end(io);
}
