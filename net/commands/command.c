/* The table of commands: dispatch, HELP and the list in PROTOCOL.md are made from it. */
#include "net/commands/command.h"

#include "net/commands/cmd.h"
#include "net/protocol/word.h"

enum { ANY = PARSE_WORDS_MAX };

#define NEVER                                                                                      \
    {                                                                                              \
        PAYLOAD_NEVER, NULL                                                                        \
    }
#define LAST                                                                                       \
    {                                                                                              \
        PAYLOAD_LAST, NULL                                                                         \
    }
#define AFTER(word)                                                                                \
    {                                                                                              \
        PAYLOAD_AFTER, word                                                                        \
    }

const struct command commands[] = {
    {"PING", 0, 1, NEVER, COMMAND_OPEN, cmd_ping, "PING [text]", "answers PONG, and the text"},
    {"QUIT", 0, 0, NEVER, COMMAND_OPEN, cmd_quit, "QUIT", "answers what is under way, then closes"},
    {"HELP", 0, 1, NEVER, COMMAND_OPEN, cmd_help, "HELP [verb]", "this list"},
    {"AUTH", 1, 1, NEVER, COMMAND_OPEN, cmd_auth, "AUTH key",
     "shows the API key, where one is needed"},
    {"INFO", 0, 1, NEVER, COMMAND_READ, cmd_info, "INFO [section]",
     "numbers: server clients memory log polls queues latency"},
    {"SNAPSHOT", 0, 0, NEVER, COMMAND_READ, cmd_snapshot, "SNAPSHOT",
     "saves the state; answers when that is on disk: the lsn, and the file's bytes"},
    {"POLL", 1, ANY, NEVER, 0, cmd_poll, "POLL name [MODE free] [OPEN ms] [CLOSE ms] [RATE n/ms]",
     "makes a poll, or alters what is named"},
    {"POLLS", 0, ANY, NEVER, COMMAND_READ | COMMAND_LARGE, cmd_polls,
     "POLLS [AFTER name] [COUNT n]", "lists polls by name"},
    {"OPTION", 2, 2, NEVER, 0, cmd_option, "OPTION poll label",
     "adds an option to a poll, answers its id"},
    {"VOTE", 1, ANY, NEVER, COMMAND_VOTE, cmd_vote, "VOTE option [N n]",
     "votes for an option, by id or poll/label; answers the count after it"},
    {"TALLY", 1, ANY, NEVER, COMMAND_READ | COMMAND_LARGE, cmd_tally, "TALLY poll [TOP n]",
     "the counts of a poll, most votes first"},
    {"SUBMIT", 1, ANY, LAST, 0, cmd_submit,
     "SUBMIT queue [PRI 0-9] [DELAY ms] [LEASE ms] [TRIES n] [NEED tag,...] [UNIQ u] payload",
     "puts a build in a queue, answers its id"},
    {"CLAIM", 2, ANY, NEVER, COMMAND_CLAIM | COMMAND_LARGE, cmd_claim,
     "CLAIM worker queue[,queue...] [WAIT ms] [COUNT n] [LEASE ms]",
     "takes the next build, by priority and order of offering: id token queue attempt lease_ms, "
     "payload"},
    {"BEAT", 2, ANY, NEVER, COMMAND_STEP, cmd_beat, "BEAT id token [PROG 0-100]",
     "keeps a claimed build: a fresh lease"},
    {"DONE", 2, ANY, AFTER("RESULT"), COMMAND_STEP, cmd_done, "DONE id token [RESULT payload]",
     "ends a claimed build well"},
    {"FAIL", 2, ANY, AFTER("TEXT"), COMMAND_STEP, cmd_fail,
     "FAIL id token [DELAY ms|DEAD] [TEXT payload]",
     "gives a claimed build back as failed; DEAD: no further attempt"},
    {"RELEASE", 2, ANY, NEVER, COMMAND_STEP, cmd_release, "RELEASE id token [DELAY ms]",
     "gives a claimed build back, the attempt not counted"},
    {"BUILD", 1, 1, NEVER, COMMAND_READ, cmd_build, "BUILD id", "shows one build"},
    {"BUILDS", 1, ANY, NEVER, COMMAND_READ | COMMAND_LARGE, cmd_builds,
     "BUILDS queue|* [STATE s,...] [WORKER w] [AFTER id] [COUNT n] [REV]", "lists builds by id"},
    {"PAYLOAD", 1, 1, NEVER, COMMAND_READ | COMMAND_LARGE, cmd_payload, "PAYLOAD id",
     "the payload of a build"},
    {"RESULT", 1, 1, NEVER, COMMAND_READ | COMMAND_LARGE, cmd_result, "RESULT id",
     "the result of a build"},
    {"QUEUES", 0, 1, NEVER, COMMAND_READ | COMMAND_LARGE, cmd_queues, "QUEUES [name]",
     "lists queues and how many builds they hold in each state"},
    {"WORKER", 1, ANY, NEVER, 0, cmd_worker, "WORKER id [NAME n] [TAGS t,...] [SLOTS n]",
     "registers a worker, or brings it back"},
    {"WORKERS", 0, 1, NEVER, COMMAND_READ | COMMAND_LARGE, cmd_workers, "WORKERS [id]",
     "lists workers"},
    {"HELD", 1, 1, NEVER, COMMAND_READ, cmd_held, "HELD worker",
     "what a worker holds: id token queue attempt lease_ms"},
    {"BYE", 1, 1, NEVER, 0, cmd_bye, "BYE worker",
     "a worker leaves; its builds go back at once, the attempts not counted"},
};

const size_t command_count = sizeof(commands) / sizeof(commands[0]);

const struct command *command_find(struct span verb)
{
    char first = verb.len > 0 ? (char)(verb.at[0] & ~0x20) : '\0';
    for (size_t i = 0; i < command_count; i++) {
        if (commands[i].verb[0] == first && word_equal(verb, commands[i].verb)) {
            return &commands[i];
        }
    }
    return NULL;
}

struct payload_rule command_payload(struct span verb)
{
    const struct command *command = command_find(verb);
    return command == NULL ? (struct payload_rule){PAYLOAD_UNKNOWN_VERB, NULL} : command->payload;
}
