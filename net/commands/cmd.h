/* The handlers of the table: one for each verb. */
#ifndef TALLY_NET_COMMANDS_CMD_H
#define TALLY_NET_COMMANDS_CMD_H

#include "net/commands/ask.h"

enum outcome cmd_ping(struct ask *ask);
enum outcome cmd_quit(struct ask *ask);
enum outcome cmd_help(struct ask *ask);
enum outcome cmd_auth(struct ask *ask);
enum outcome cmd_snapshot(struct ask *ask);
enum outcome cmd_info(struct ask *ask);
enum outcome cmd_poll(struct ask *ask);
enum outcome cmd_polls(struct ask *ask);
enum outcome cmd_option(struct ask *ask);
enum outcome cmd_vote(struct ask *ask);
enum outcome cmd_tally(struct ask *ask);
enum outcome cmd_submit(struct ask *ask);
enum outcome cmd_claim(struct ask *ask);
enum outcome cmd_beat(struct ask *ask);
enum outcome cmd_done(struct ask *ask);
enum outcome cmd_fail(struct ask *ask);
enum outcome cmd_release(struct ask *ask);
enum outcome cmd_build(struct ask *ask);
enum outcome cmd_builds(struct ask *ask);
enum outcome cmd_payload(struct ask *ask);
enum outcome cmd_result(struct ask *ask);
enum outcome cmd_queues(struct ask *ask);
enum outcome cmd_worker(struct ask *ask);
enum outcome cmd_workers(struct ask *ask);
enum outcome cmd_held(struct ask *ask);
enum outcome cmd_bye(struct ask *ask);

#endif
