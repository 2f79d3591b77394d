/* Running what was read: the way of a request from its bytes to its place in the order of replies.
 */
#include "net/io/run.h"

#include "engine/base/ledger.h"
#include "engine/read.h"
#include "net/commands/command.h"
#include "net/server_state.h"
#include "wal/base/check.h"

/*
 *     command ── writes ──▶ loop->reply ── moved, and counted here ──▶ conn->held ── the lane is
 *                                       └── nothing is in flight ──▶ conn->out      applied ──▶ out
 *
 * A request's reply is written into a buffer of its own, so what it is long does not depend on what
 * else may come into the connection's buffers meanwhile.
 */
static size_t hold_reply(struct conn *conn)
{
    struct buf *reply = &conn->loop->reply;
    return buf_move(&conn->held, reply, buf_len(reply));
}

/* Answers at once, or behind what is in flight: replies leave in the order of the requests. */
static void answer_now(struct conn *conn)
{
    struct buf *reply = &conn->loop->reply;
    if (conn->in_flight == 0 && conn->votes == 0) {
        buf_move(&conn->out, reply, buf_len(reply));
        conn_touch(conn);
        return;
    }
    conn_await(conn, &(struct pending_entry){.pos = edge_tail(conn->loop->edge),
                                             .held_bytes = hold_reply(conn)});
}

/* A request is counted when it has its reply, or is on its way to it; an ERR when it is written. */
static void count_request(struct loop *loop, const struct reply *reply)
{
    counter_add(&loop->counters.requests, 1);
    counter_add(&loop->counters.errors, reply->is_err);
}

static void answer_error(struct conn *conn, int err, const char *text)
{
    struct reply reply = {.to = &conn->loop->reply};
    reply_err(&reply, err, "%s", text);
    count_request(conn->loop, &reply);
    answer_now(conn);
}

/* Puts the reply, or the promise of one, in its place. */
static void place(struct ask *ask, enum outcome outcome)
{
    struct conn *conn = ask->conn;
    struct pending_entry entry = {.pos = edge_tail(ask->edge), .reading = ask->reading};
    switch (outcome) {
    case ASK_VOTED:
    case ASK_STOPPED:
        return;
    case ASK_ANSWERED:
        answer_now(conn);
        return;
    case ASK_LAST:
        answer_now(conn);
        conn_end(conn);
        return;
    case ASK_STEPPED:
        entry.flags = PENDING_CHANGE;
        entry.held_bytes = hold_reply(conn);
        break;
    case ASK_CLAIMED:
        entry.flags = PENDING_CLAIM;
        entry.held_bytes = hold_reply(conn);
        break;
    case ASK_ORDERED:
        entry.kind = PENDING_RESULT;
        entry.flags = PENDING_CHANGE | PENDING_ORDERED;
        entry.on_result = ask->on_result;
        break;
    }
    conn_await(conn, &entry);
}

/* Rule 8: what could see an earlier change of its own connection stops before it is run. */
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
           (command->payload != PAYLOAD_LAST || request->has_payload);
}

/* Claims have a share of the buffers that reads cannot take from them. */
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
        ask->request->payload.len > ask->loop->limits.payload_bytes_max) {
        return ask_error(ask, TALLY_TOOBIG, "the payload is larger than allowed");
    }
    if (!may_be_large(ask, command)) {
        return ask_error(ask, TALLY_BUSY, "retry_ms=1000 replies that nobody takes use up memory");
    }
    return command->run(ask);
}

/* Returns false when the request was not run: the connection has stopped in front of it. */
static bool run_request(struct conn *conn, const struct request *request)
{
    const struct command *command = command_find(request->verb);
    struct ask ask = {.conn = conn,
                      .loop = conn->loop,
                      .edge = conn->loop->edge,
                      .request = request,
                      .reply = {.to = &conn->loop->reply}};
    /* the parser has refused every verb that the table does not have: PAYLOAD_UNKNOWN_VERB */
    CHECK(command != NULL);
    enum stop stop = must_stop(conn, command->flags);
    if (stop != STOP_NONE) {
        conn_stop(conn, stop);
        return false;
    }
    struct reading *reading = conn->reading; /* the request stopped for it, and goes on */
    conn->reading = NULL;
    enum outcome outcome = reading != NULL ? ask_tell(&ask, reading) : run_command(&ask, command);
    if (conn->votes > 0 && outcome != ASK_VOTED && outcome != ASK_STOPPED) {
        /* a refused vote behind others: its reply comes after theirs, so it is asked again then */
        buf_take(&conn->loop->reply, buf_len(&conn->loop->reply));
        conn->loop->reply.failed = false;
        ask.stop = STOP_FLUSH;
        outcome = ASK_STOPPED;
    }
    if (outcome == ASK_STOPPED) {
        conn_stop(conn, ask.stop);
        return false;
    }
    conn->wait_until_ns = 0;
    if (outcome != ASK_VOTED) {
        count_request(conn->loop, &ask.reply);
    }
    place(&ask, outcome);
    if ((command->flags & COMMAND_LARGE) != 0) {
        conn_count(conn); /* at once: others may ask for as much in this pass */
    }
    return true;
}

/* Runs the first request; returns the bytes done with, 0 when it is not whole or has to wait. */
static size_t run_one(struct conn *conn, const char *at, size_t len)
{
    struct loop *loop = conn->loop;
    struct request request;
    loop->limits.locked = !conn->is_authed;
    loop->limits.is_first = !conn->is_known;
    loop->limits.line_bytes_max =
        conn->is_authed ? PARSE_LINE_BYTES_MAX : PARSE_LOCKED_LINE_BYTES_MAX;
    struct parsed how = parse(&loop->parser, (struct span){at, len}, &loop->limits, &request);
    conn->need = how.need;
    if (how.kind == PARSE_MORE) {
        return 0;
    }
    conn->is_known = conn->is_known || how.kind == PARSE_REQUEST || how.kind == PARSE_DROP;
    if (how.kind == PARSE_REQUEST) {
        return run_request(conn, &request) ? how.consumed : 0;
    }
    if (conn->votes > 0) {
        conn_stop(conn, STOP_FLUSH);
        return 0;
    }
    if (how.kind == PARSE_DROP) {
        conn->drop_left = how.drop;
        conn->drop_err = how.err;
        conn->drop_text = how.text;
        return how.consumed;
    }
    if (how.kind == PARSE_ERROR) {
        answer_error(conn, how.err, how.text);
    }
    if (how.kind == PARSE_FOREIGN || how.then_close) {
        conn_end(conn);
    }
    return how.consumed;
}

/* Drops the rest of a payload and the line end behind it, then says why. */
static size_t run_drop(struct conn *conn, const char *at, size_t len)
{
    size_t part = len < conn->drop_left ? len : conn->drop_left;
    conn->drop_left -= part;
    if (part == len) {
        return part;
    }
    size_t end = part + (at[part] == '\r');
    if (end == len) {
        return part;
    }
    answer_error(conn, conn->drop_err, conn->drop_text);
    conn->drop_err = 0;
    if (at[end] != '\n') {
        conn_end(conn);
    }
    return end + 1;
}

/*
 * Whether the next request may be run. Whatever it is, it may be answered, so a place among the
 * replies in flight is made sure of first, beside those of the votes that are not flushed.
 */
static bool may_run(struct conn *conn)
{
    struct loop *loop = conn->loop;
    if (conn->stop != STOP_NONE || conn->is_closing || conn->fd < 0) {
        return false;
    }
    if (!conn_has_output_room(conn)) {
        conn_stop(conn, STOP_OUTPUT);
    } else if (pending_room(&loop->pending) <= loop->votes.run_count + 1) {
        conn_stop(conn, STOP_QUEUE);
    } else if (loop_turn_is_over(loop)) {
        conn_stop(conn, STOP_TURN);
    } else if (loop->votes.cast_count == VOTES_MAX) {
        votes_flush(loop); /* here, where no request is under way */
    }
    return conn->stop == STOP_NONE;
}

/* Runs the request at the front, and the plain votes before it. Returns the bytes done with. */
static size_t run_next(struct conn *conn, const char *at, size_t len)
{
    if (conn->drop_err != 0) {
        return run_drop(conn, at, len);
    }
    size_t voted = conn->is_authed && conn->ordered == 0 ? votes_read(conn, at, len) : 0;
    if (voted > 0) {
        conn->is_known = true;
        loop_worked(conn->loop, voted);
        return voted;
    }
    loop_worked(conn->loop, LOOP_REQUEST_WORK);
    return run_one(conn, at, len);
}

size_t run_input(struct conn *conn, const char *at, size_t len)
{
    size_t done = 0;
    size_t part = 1;
    while (part > 0 && done < len && may_run(conn)) {
        part = run_next(conn, at + done, len - done);
        done += part;
        if (part > 0 && conn->drop_err == 0) {
            conn->request_until_ns = 0; /* the next one has its own time */
        }
    }
    return conn->is_closing ? len : done;
}

void run_late(struct conn *conn)
{
    /* its time began when nothing before it was left to run, so no vote of it is unflushed */
    DCHECK(conn->votes == 0 && conn->stop == STOP_NONE);
    if (pending_room(&conn->loop->pending) <= conn->loop->votes.run_count + 1) {
        conn_close(conn); /* no place for the reply, and no reason to wait for one */
        return;
    }
    answer_error(conn, TALLY_TIMEOUT, "the request did not come to its end in time");
    conn_end(conn);
}

/* ---- the way back ---- */

static bool answer_verdict(struct loop *loop, struct pending_entry *entry, struct reply *reply)
{
    uint64_t value = 0;
    int err = edge_apply_result(loop->edge, entry->pos, &value);
    if (err == TALLY_PARK) {
        return false;
    }
    if (err == TALLY_EXISTS && entry->reading != NULL) {
        entry->reading->format(entry->reading, reply);
    } else {
        entry->on_result(reply, err, value);
    }
    counter_add(&loop->counters.errors, reply->is_err);
    return true;
}

/* Returns false when the head has to wait after all. */
static bool answer(struct loop *loop, struct pending_entry *entry)
{
    struct conn *conn = entry->conn;
    struct reply reply = {.to = &conn->out};
    if (entry->kind == PENDING_HELD) {
        buf_move(&conn->out, &conn->held, entry->held_bytes);
        if ((entry->flags & PENDING_CLAIM) != 0) {
            handed_leave(&conn->handed, entry->pos, conn->sent_bytes + buf_len(&conn->out));
        }
    } else if (conn->fd >= 0 && !answer_verdict(loop, entry, &reply)) {
        return false;
    }
    conn_answered(conn, entry);
    pending_pop(&loop->pending);
    return true;
}

void run_release(struct loop *loop)
{
    uint64_t applied = edge_applied(loop->edge);
    uint64_t free_to = applied;
    struct pending_entry *head;
    while ((head = pending_head(&loop->pending)) != NULL && head->pos <= applied) {
        if (!answer(loop, head)) {
            break;
        }
    }
    if (head != NULL && head->pos <= applied && head->pos > 0) {
        free_to = head->pos - 1;
    }
    if (free_to > loop->freed) {
        edge_free(loop->edge, free_to);
        loop->freed = free_to;
    }
}
