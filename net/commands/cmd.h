/* The list of commands: the table, HELP, the handlers and the list in PROTOCOL.md come from it. */
#ifndef TALLY_NET_COMMANDS_CMD_H
#define TALLY_NET_COMMANDS_CMD_H

#include "net/commands/ask.h"

/*
 * X(verb, handler cmd_..., least words, most words behind the verb, payload, flags, form, help).
 * ANY: as many words as a line can have. Payload: NEVER; LAST, the last word; AFTER(word), behind
 * that word alone.
 */
#define COMMAND_LIST(X)                                                                            \
    X(PING, ping, 0, 1, NEVER, COMMAND_OPEN, "PING [text]", "answers PONG, and the text")          \
    X(QUIT, quit, 0, 0, NEVER, COMMAND_OPEN, "QUIT", "answers what is under way, then closes")     \
    X(HELP, help, 0, 1, NEVER, COMMAND_OPEN, "HELP [verb]", "this list")                           \
    X(AUTH, auth, 1, 1, NEVER, COMMAND_OPEN, "AUTH key", "shows the API key, where one is needed") \
    X(INFO, info, 0, 1, NEVER, COMMAND_READ, "INFO [section]",                                     \
      "numbers: server clients memory log polls queues latency")                                   \
    X(SNAPSHOT, snapshot, 0, 0, NEVER, COMMAND_READ, "SNAPSHOT",                                   \
      "saves the state; answers when that is on disk: the lsn, and the file's bytes")              \
    X(POLL, poll, 1, ANY, NEVER, 0,                                                                \
      "POLL name [MODE free|once|change] [OPEN ms] [CLOSE ms] [RATE n/ms]",                        \
      "makes a poll, or alters what is named")                                                     \
    X(POLLS, polls, 0, ANY, NEVER, COMMAND_READ | COMMAND_LARGE, "POLLS [AFTER name] [COUNT n]",   \
      "lists polls by name")                                                                       \
    X(RESET, reset, 1, ANY, NEVER, 0, "RESET poll [KEY k]",                                        \
      "takes all votes of a poll away, answers how many there were")                               \
    X(POLLDEL, polldel, 1, 1, NEVER, 0, "POLLDEL poll",                                            \
      "deletes a poll with its options and votes")                                                 \
    X(OPTION, option, 2, ANY, NEVER, 0, "OPTION poll label [KEY k]",                               \
      "adds an option to a poll, answers its id")                                                  \
    X(FIND, find, 2, 2, NEVER, COMMAND_READ, "FIND poll text",                                     \
      "finds up to 5 options by what somebody has typed so far: id and label, best first")         \
    X(VOTE, vote, 1, ANY, NEVER, COMMAND_VOTE,                                                     \
      "VOTE option ... [N n] [VOTER v] [BY word] [KEY k]",                                         \
      "votes for an option, by id or poll/label; answers the count after it")                      \
    X(UNVOTE, unvote, 1, ANY, NEVER, COMMAND_STEP, "UNVOTE poll VOTER v [KEY k]",                  \
      "takes a voter's vote back; answers the count after it")                                     \
    X(SEED, seed, 2, ANY, NEVER, COMMAND_STEP, "SEED option n [OVER ms] [KEY k]",                  \
      "adds votes that are dated back; answers the count after them")                              \
    X(TALLY, tally, 1, ANY, NEVER, COMMAND_READ | COMMAND_LARGE, "TALLY poll [TOP n]",             \
      "the counts of a poll, most votes first")                                                    \
    X(TREND, trend, 2, ANY, NEVER, COMMAND_READ | COMMAND_LARGE,                                   \
      "TREND poll 5m|1h|12h|24h [TOP n]",                                                          \
      "the counts of a poll at the end of each bucket: ms total id=votes ...")                     \
    X(EVENTS, events, 0, ANY, NEVER, COMMAND_READ | COMMAND_LARGE,                                 \
      "EVENTS [FROM lsn] [COUNT n] [MATCH pattern ...] [EACH]",                                    \
      "what has happened, oldest first; patterns: poll/NAME queue/NAME build/ID worker/ID *")      \
    X(SUBMIT, submit, 1, ANY, LAST, 0,                                                             \
      "SUBMIT queue [PRI 0-9] [DELAY ms] [LEASE ms] [TRIES n] [NEED tag,...] [UNIQ u] [KEY k] "    \
      "payload",                                                                                   \
      "puts a build in a queue, answers its id")                                                   \
    X(CLAIM, claim, 2, ANY, NEVER, COMMAND_CLAIM | COMMAND_LARGE,                                  \
      "CLAIM worker queue[,queue...] [WAIT ms] [COUNT n] [LEASE ms]",                              \
      "takes the next build, by priority and order of offering: id token queue attempt lease_ms, " \
      "payload")                                                                                   \
    X(BEAT, beat, 2, ANY, NEVER, COMMAND_STEP, "BEAT id token [PROG 0-100]",                       \
      "keeps a claimed build: a fresh lease")                                                      \
    X(DONE, done, 2, ANY, AFTER("RESULT"), COMMAND_STEP, "DONE id token [RESULT payload]",         \
      "ends a claimed build well")                                                                 \
    X(FAIL, fail, 2, ANY, AFTER("TEXT"), COMMAND_STEP,                                             \
      "FAIL id token [DELAY ms|DEAD] [TEXT payload]",                                              \
      "gives a claimed build back as failed; DEAD: no further attempt")                            \
    X(RELEASE, release, 2, ANY, NEVER, COMMAND_STEP, "RELEASE id token [DELAY ms]",                \
      "gives a claimed build back, the attempt not counted")                                       \
    X(BUILD, build, 1, 1, NEVER, COMMAND_READ, "BUILD id", "shows one build")                      \
    X(BUILDS, builds, 1, ANY, NEVER, COMMAND_READ | COMMAND_LARGE,                                 \
      "BUILDS queue|* [STATE s,...] [WORKER w] [AFTER id] [COUNT n] [REV]", "lists builds by id")  \
    X(PAYLOAD, payload, 1, 1, NEVER, COMMAND_READ | COMMAND_LARGE, "PAYLOAD id",                   \
      "the payload of a build")                                                                    \
    X(RESULT, result, 1, 1, NEVER, COMMAND_READ | COMMAND_LARGE, "RESULT id",                      \
      "the result of a build")                                                                     \
    X(QUEUES, queues, 0, 1, NEVER, COMMAND_READ | COMMAND_LARGE, "QUEUES [name]",                  \
      "lists queues and how many builds they hold in each state")                                  \
    X(WORKER, worker, 1, ANY, NEVER, 0, "WORKER id [NAME n] [TAGS t,...] [SLOTS n]",               \
      "registers a worker, or brings it back")                                                     \
    X(WORKERS, workers, 0, 1, NEVER, COMMAND_READ | COMMAND_LARGE, "WORKERS [id]",                 \
      "lists workers")                                                                             \
    X(HELD, held, 1, 1, NEVER, COMMAND_READ, "HELD worker",                                        \
      "what a worker holds: id token queue attempt lease_ms")                                      \
    X(BYE, bye, 1, 1, NEVER, 0, "BYE worker",                                                      \
      "a worker leaves; its builds go back at once, the attempts not counted")

#define X(verb, handler, ...) enum outcome cmd_##handler(struct ask *ask);
COMMAND_LIST(X)
#undef X

#endif
