/* The ask: one request being run, as its handler sees it, and the handler's outcome. */
#ifndef TALLY_NET_COMMANDS_ASK_H
#define TALLY_NET_COMMANDS_ASK_H

#include "net/pipeline/pipeline.h"
#include "net/pipeline/reading.h"
#include "net/protocol/parse.h"
#include "net/protocol/reply.h"

struct command;

enum outcome {
    ASK_ANSWERED, /* nothing was changed; the reply is written */
    ASK_STEPPED,  /* the reply is written, and leaves when the lane is applied up to its step */
    ASK_CLAIMED,  /* as ASK_STEPPED; later claims need not wait for it */
    ASK_VOTED,    /* the next flush writes the reply */
    ASK_ORDERED,  /* ask->on_result writes the reply */
    ASK_BALLOT,   /* as ASK_ORDERED; later ballots need not wait for it */
    ASK_STOPPED,  /* ask->stop says why; nothing was changed or written */
    ASK_UNLOCKED, /* answered; the key was shown, or none is asked for */
    ASK_LAST,     /* answered; the connection closes behind the reply */
};

/* One request being run. */
struct ask {
    struct conn *conn;
    struct pipeline *pipeline;
    struct edge *edge;
    const struct command *command;
    const struct request *request;
    struct reply reply;
    enum stop stop;
    void (*on_result)(struct reply *reply, int err, const struct edge_result *result);
    struct reading *reading;
    struct rate_ask *taken; /* of an ordered vote: what the limiter has counted */
};

enum { ERROR_TEXT_BYTES_MAX = 4096 };

/* An option word and where its value goes. */
struct keyword {
    const char *word;
    enum keyword_kind { KEYWORD_NUMBER, KEYWORD_TEXT, KEYWORD_FLAG } kind;
    uint64_t min; /* of a number */
    uint64_t max;
    void *to; /* uint64_t, struct span or bool */
};

/* Reads the option words from words[from] on. False: the ERR is written. */
bool ask_keywords(struct ask *ask, size_t from, const struct keyword *keywords, size_t count);

/* Reads a number; `what` names it in the error. False: the ERR is written. */
bool ask_number(struct ask *ask, size_t word, const char *what, uint64_t max, uint64_t *number);

/* Checks that a word is a name (letters, digits, `_.-`). False: the ERR is written. */
bool ask_name(struct ask *ask, struct span word, const char *what);

/* Finds the option that a word names: by its id, or as poll/label. False: *outcome says what became
 * of the request. */
bool ask_option(struct ask *ask, struct span word, uint64_t *option, enum outcome *outcome);

/* Copies a name that ask_name has taken into NAME_LEN_MAX bytes; one at NULL stays there. */
struct span ask_keep(char *to, struct span name);

/* Checks that a word is a list of tags. False: the ERR is written. */
bool ask_tags(struct ask *ask, struct span tags);

/* Checks a KEY: 1 to KEY_LEN_MAX bytes, or none at all. False: the ERR is written. */
bool ask_key(struct ask *ask, struct span key);

/* Writes `OK number`, and `dup=1` where the request is a repetition. */
void ask_ok_number(struct reply *reply, const struct edge_result *result);

/* Writes the ERR of a KEY that was another request's; returns false when it is another EXISTS. */
bool ask_key_clashes(struct reply *reply, int err, const struct edge_result *result);

/* Writes `ERR code`. */
enum outcome ask_error(struct ask *ask, int err, const char *text);

/*
 * Deals with a refusal of the edge: writes the ERR, or stops after PARK or ROOM, or when an ordered
 * request of the same connection, which is in flight, may change the answer (rule 8).
 */
enum outcome ask_refused(struct ask *ask, int err, const char *what);

enum outcome ask_stop(struct ask *ask, enum stop stop);

/* Runs a read and answers with it; or stops until its rows are there. Owns the reading. */
enum outcome ask_read(struct ask *ask, struct reading *reading);

/* Answers with the first piece of a reading whose rows are there; the connection sends the rest.
 * Owns the reading. Only for COMMAND_READ, which runs with nothing in flight. */
enum outcome ask_tell(struct ask *ask, struct reading *reading);

#endif
