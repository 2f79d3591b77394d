/* Framing of the line dialect: cuts one request from a stream of bytes, and unquotes its words. */
#ifndef TALLY_NET_PROTOCOL_PARSE_H
#define TALLY_NET_PROTOCOL_PARSE_H

#include "wal/base/err.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PARSE_WORDS_MAX = 64,
    PARSE_LINE_BYTES_MAX = 64 * 1024,        /* of a line without its line end */
    PARSE_LOCKED_LINE_BYTES_MAX = 1024,      /* the same before AUTH */
    PARSE_DROP_BYTES_MAX = 64 * 1024 * 1024, /* a payload longer than this ends the connection */
};

/* Where a verb's payload stands. */
enum payload_kind {
    PAYLOAD_UNKNOWN_VERB,
    PAYLOAD_NEVER,
    PAYLOAD_LAST,  /* the last word, always there */
    PAYLOAD_AFTER, /* the last word, when `word` stands before it */
};

struct payload_rule {
    enum payload_kind kind;
    const char *word; /* upper case; of PAYLOAD_AFTER alone */
};

/* One request, as a dialect hands it to a command. Its bytes belong to the input and the parser. */
struct request {
    struct span verb;
    struct span words[PARSE_WORDS_MAX]; /* without the verb, the payload, and the word before it */
    size_t count;
    struct span payload;
    bool has_payload;
};

/* The limits of a request, and the payload rule of each verb. */
struct parse_limits {
    size_t line_bytes_max;
    size_t payload_bytes_max;
    bool locked;   /* before AUTH: payloads are dropped */
    bool is_first; /* no request has come yet: a line of another protocol is not answered */
    struct payload_rule (*rule)(struct span verb);
};

enum parse_kind {
    PARSE_REQUEST,
    PARSE_MORE,    /* not whole: parse again at `need` bytes, or, if that is 0, at one more */
    PARSE_ERROR,   /* one ERR; the stream is in step, unless then_close */
    PARSE_DROP,    /* drop `drop` bytes and the line end behind them, then one ERR */
    PARSE_FOREIGN, /* of another protocol: close without an answer */
};

struct parsed {
    enum parse_kind kind;
    size_t consumed; /* bytes to take from the input; not for PARSE_MORE */
    size_t need;
    size_t drop;
    int err;
    const char *text; /* for people; static */
    bool then_close;
};

/* One thread's parser; it holds the unquoted words of the last request. */
struct parser {
    char *unquoted; /* owned; PARSE_LINE_BYTES_MAX bytes */
    size_t used;
};

int parser_init(struct parser *parser); /* Errors: NOMEM */
void parser_fini(struct parser *parser);

/* Reads the request at the front of `bytes`, which stay unchanged and may be read again. */
struct parsed parse(struct parser *parser, struct span bytes, const struct parse_limits *limits,
                    struct request *request);

#endif
