/* The table of commands: each verb's words, when it may be run, and its handler. */
#ifndef TALLY_NET_COMMANDS_COMMAND_H
#define TALLY_NET_COMMANDS_COMMAND_H

#include "net/commands/ask.h"
#include "net/protocol/parse.h"

enum command_flags {
    COMMAND_OPEN = 1,   /* may be run before AUTH */
    COMMAND_VOTE = 2,   /* as COMMAND_STEP, and may be run behind votes that are not flushed */
    COMMAND_READ = 4,   /* waits until every request before it is answered */
    COMMAND_CLAIM = 8,  /* waits until every change of its connection, except claims, is answered */
    COMMAND_LARGE = 32, /* its reply may be long: BUSY when the buffers have used up their share */
    COMMAND_STEP = 16,  /* waits until every ordered request of its connection is answered */
};

struct command {
    const char *verb;
    unsigned args_min; /* words behind the verb, without the payload and the word before it */
    unsigned args_max;
    struct payload_rule payload; /* PAYLOAD_LAST: the payload must be there */
    unsigned flags;
    enum outcome (*run)(struct ask *ask);
    const char *syntax;
    const char *help;
};

extern const struct command commands[];
extern const size_t command_count;

const struct command *command_find(struct span verb);
struct payload_rule command_payload(struct span verb);

#endif
