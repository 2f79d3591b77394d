/* Framing of the line dialect: one request out of a stream of bytes, its words unquoted. */
#ifndef TALLY_NET_PROTOCOL_PARSE_H
#define TALLY_NET_PROTOCOL_PARSE_H

#include "wal/base/err.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PARSE_WORDS_MAX = 64,
    PARSE_LINE_BYTES_MAX = 64 * 1024,        /* without its line end */
    PARSE_LOCKED_LINE_BYTES_MAX = 1024,      /* the same before AUTH */
    PARSE_DROP_BYTES_MAX = 64 * 1024 * 1024, /* a payload longer than this ends the connection */
};

/* Where a verb takes its payload. */
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

/* What a dialect hands to a command. All bytes belong to the input and to the parser. */
struct request {
    struct span verb;
    struct span words[PARSE_WORDS_MAX]; /* without the verb, the payload, and the word before it */
    size_t count;
    struct span payload;
    bool has_payload;
};

/* What may be read, and the rule of each verb. */
struct parse_limits {
    size_t line_bytes_max;
    size_t payload_bytes_max;
    bool locked;   /* before AUTH: payloads are dropped */
    bool is_first; /* no request has come yet: what no client of ours sends is not answered */
    struct payload_rule (*rule)(struct span verb);
};

enum parse_kind {
    PARSE_REQUEST,
    PARSE_MORE,    /* it is not all there; ask again when `need` bytes are, or any more for 0 */
    PARSE_ERROR,   /* one ERR; the stream is in step, unless then_close */
    PARSE_DROP,    /* drop `drop` bytes and the line end behind them, then one ERR */
    PARSE_FOREIGN, /* another protocol's: close without a word */
};

struct parsed {
    enum parse_kind kind;
    size_t consumed; /* bytes that are done with, for all but PARSE_MORE */
    size_t need;
    size_t drop;
    int err;
    const char *text; /* for people; static */
    bool then_close;
};

/* One thread's; the unquoted words of the request read last live in it. */
struct parser {
    char *unquoted; /* owned; PARSE_LINE_BYTES_MAX bytes */
    size_t used;
};

int parser_init(struct parser *parser); /* Errors: NOMEM */
void parser_fini(struct parser *parser);

/* Reads the request at the front of `bytes`. The input is not changed: the same may be read
 * again.*/
struct parsed parse(struct parser *parser, struct span bytes, const struct parse_limits *limits,
                    struct request *request);

#endif
