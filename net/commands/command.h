/* The table of commands, and what each of them works with. */
#ifndef TALLY_NET_COMMANDS_COMMAND_H
#define TALLY_NET_COMMANDS_COMMAND_H

#include "net/pipeline/pipeline.h"
#include "net/pipeline/reading.h"
#include "net/protocol/parse.h"
#include "net/protocol/reply.h"

enum outcome {
    ASK_ANSWERED, /* nothing was changed; the reply is written */
    ASK_STEPPED,  /* the reply is written, and leaves when the lane is applied so far */
    ASK_CLAIMED,  /* the same; later claims need not wait for it */
    ASK_VOTED,    /* the next flush writes the reply */
    ASK_ORDERED,  /* ask->on_result writes the reply */
    ASK_STOPPED,  /* ask->stop says why; nothing was changed or written */
    ASK_UNLOCKED, /* answered; the key was shown, or none is asked for */
    ASK_LAST,     /* answered; and the connection closes behind it */
};

/* One request being run. */
struct ask {
    struct conn *conn;
    struct pipeline *pipeline;
    struct edge *edge;
    const struct request *request;
    struct reply reply;
    enum stop stop;
    void (*on_result)(struct reply *reply, int err, uint64_t value);
    struct reading *reading;
};

enum command_flags {
    COMMAND_OPEN = 1,   /* also before AUTH */
    COMMAND_VOTE = 2,   /* as COMMAND_STEP; and may stand behind votes that are not flushed */
    COMMAND_READ = 4,   /* waits until everything of its connection is answered */
    COMMAND_CLAIM = 8,  /* waits until every change of its connection but claims is answered */
    COMMAND_LARGE = 32, /* its reply may be long: BUSY when the buffers have used up their share */
    COMMAND_STEP = 16,  /* waits until every ordered request of its connection is answered */
};

struct command {
    const char *verb;
    unsigned args_min; /* words behind the verb, the payload and the word before it not counted */
    unsigned args_max;
    enum payload_rule payload; /* PAYLOAD_LAST: and it must be there */
    unsigned flags;
    enum outcome (*run)(struct ask *ask);
    const char *syntax;
    const char *help;
};

extern const struct command commands[];
extern const size_t command_count;

const struct command *command_find(struct span verb);
enum payload_rule command_payload(struct span verb);

/* ---- for the commands ---- */

enum { ERROR_TEXT_BYTES_MAX = 4096 };

/* An option word and where its value goes. */
struct option {
    const char *word;
    enum option_kind { OPTION_NUMBER, OPTION_TEXT, OPTION_FLAG } kind;
    uint64_t min; /* of a number */
    uint64_t max;
    void *to; /* uint64_t, struct span or bool */
};

/* Reads the option words from words[from] on. False: the ERR is written. */
bool ask_options(struct ask *ask, size_t from, const struct option *options, size_t count);

/* Reads a number; `what` names it in the error. False: the ERR is written. */
bool ask_number(struct ask *ask, size_t word, const char *what, uint64_t max, uint64_t *number);

/* Looks whether a word is a name (letters, digits, `_.-`). False: the ERR is written. */
bool ask_name(struct ask *ask, struct span word, const char *what);
bool ask_tags(struct ask *ask, struct span tags);

/* Writes `ERR code`. */
enum outcome ask_error(struct ask *ask, int err, const char *text);

/*
 * The edge refused: ERR, or a stop when it said PARK or ROOM, or when an ordered request of the
 * same connection may be about to make it true (rule 8).
 */
enum outcome ask_refused(struct ask *ask, int err, const char *what);
void reply_refused(struct reply *reply, int err, const char *what);

enum outcome ask_stop(struct ask *ask, enum stop stop);

/* Runs a read and answers with it; or stops, until its rows have come. Takes the reading over. */
enum outcome ask_read(struct ask *ask, struct reading *reading);

/* Answers with the first piece of a reading whose rows are there; the connection tells the rest.
 * Takes the reading over. Only for COMMAND_READ, before which nothing is in flight. */
enum outcome ask_tell(struct ask *ask, struct reading *reading);

/* The handlers of the table. */
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
