/* A dialect of the load generator: how requests are written and where each reply ends. */
#ifndef TALLY_BENCH_PROTO_H
#define TALLY_BENCH_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/options.h"
#include "bench/text.h"

enum reply_kind { REPLY_OK, REPLY_NIL, REPLY_ERR, REPLY_KINDS };

/* One whole reply. The bytes belong to the buffer they were parsed from. */
struct proto_reply {
    enum reply_kind kind;
    const char *bytes;
    size_t line_len; /* the first line, without its line end */
    size_t len;      /* all of it */
};

/* The names and ids that requests use after the server was prepared. */
struct stage {
    const struct options *options;
    char name[40]; /* unique to this run: poll and workers are named after it */
    uint64_t *id;  /* of options->ids options; owned here */
    char *payload; /* of options->payload_bytes letters; owned here */
};

struct proto {
    const char *name;

    /* Finds the first reply in [p, end). Returns its length, 0: not all there yet, -1: no reply. */
    ssize_t (*parse)(const char *p, const char *end, struct proto_reply *reply);

    /* Readies the server over the blocking socket `fd`: makes what votes or builds need. */
    void (*prepare)(struct stage *stage, int fd);

    /* Readies (`again`: and leaves) connection `index`; may be NULL. */
    void (*join)(const struct stage *stage, int fd, unsigned index);
    void (*leave)(const struct stage *stage, int fd, unsigned index);

    /* Adds one request of a mix. Returns false when the dialect has no such verb. */
    bool (*add_verb)(struct text *t, const struct stage *stage, enum verb verb, uint64_t id);

    /* Adds the requests that count the vote of a new voter; each has a reply. NULL when the dialect
     * has no voters. */
    void (*add_ballot)(struct text *t, const struct stage *stage, uint64_t id, const char *voter);
    unsigned requests_of_ballot;

    /* The three requests of a build cycle; NULL when the dialect has no builds. `add_finish` is
     * given the reply that handed the build out. */
    void (*add_give)(struct text *t, const struct stage *stage);
    void (*add_take)(struct text *t, const struct stage *stage, unsigned index);
    void (*add_finish)(struct text *t, const struct stage *stage, const struct proto_reply *taken);
    unsigned requests_to_finish;
};

extern const struct proto proto_line;
extern const struct proto proto_redis;
extern const struct proto proto_beanstalk;

/* Returns the dialect of that name, or NULL. */
const struct proto *proto_find(const char *name);

#endif
