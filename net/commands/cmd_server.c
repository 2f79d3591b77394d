/* Commands about the connection and the server: PING QUIT HELP AUTH SNAPSHOT. */
#include "net/commands/cmd.h"

#include "engine/edge.h"
#include "net/commands/command.h"
#include "wal/base/check.h"

enum outcome cmd_ping(struct ask *ask)
{
    reply_begin(&ask->reply);
    reply_name(&ask->reply, NULL, SPAN("PONG"));
    if (ask->request->count > 0) {
        reply_text(&ask->reply, NULL, ask->request->words[0]);
    }
    reply_end(&ask->reply);
    return ASK_ANSWERED;
}

enum outcome cmd_quit(struct ask *ask)
{
    reply_ok(&ask->reply);
    return ASK_LAST;
}

static void put_help(struct reply *reply, const struct command *command)
{
    reply_row(reply);
    reply_name(reply, NULL, span_of(command->syntax));
    reply_name(reply, NULL, SPAN("-"));
    reply_name(reply, NULL, span_of(command->help));
    reply_end(reply);
}

enum outcome cmd_help(struct ask *ask)
{
    if (ask->request->count == 0) {
        reply_rows(&ask->reply, command_count);
        for (size_t i = 0; i < command_count; i++) {
            put_help(&ask->reply, &commands[i]);
        }
        return ASK_ANSWERED;
    }
    const struct command *command = command_find(ask->request->words[0]);
    if (command == NULL) {
        return ask_error(ask, TALLY_NOTFOUND, "no such verb: HELP alone lists them");
    }
    reply_rows(&ask->reply, 1);
    put_help(&ask->reply, command);
    return ASK_ANSWERED;
}

enum outcome cmd_auth(struct ask *ask)
{
    const struct auth *auth = &ask->pipeline->service->auth;
    if (!auth->is_needed || auth_accepts(auth, ask->request->words[0])) {
        reply_ok(&ask->reply);
        return ASK_UNLOCKED;
    }
    /* the last failure ends the connection, and no request of it is run after that */
    CHECK(ask->conn->auth_failures < AUTH_FAILURES_MAX);
    ask_error(ask, TALLY_DENIED, "this is not the key");
    return ++ask->conn->auth_failures < AUTH_FAILURES_MAX ? ASK_ANSWERED : ASK_LAST;
}

enum outcome cmd_snapshot(struct ask *ask)
{
    struct edge_snapshot done;
    int err = edge_snapshot(ask->edge, &ask->conn->snapshot_ticket, &done);
    if (err == TALLY_IO) {
        return ask_error(ask, TALLY_BUSY, "it cannot be written now: the server's stderr says why");
    }
    if (err != 0) {
        return ask_refused(ask, err, "snapshot");
    }
    reply_begin(&ask->reply);
    reply_number(&ask->reply, NULL, done.lsn);
    reply_number(&ask->reply, "bytes", done.bytes);
    reply_end(&ask->reply);
    return ASK_ANSWERED;
}
