/* Questions to a server over a blocking socket, for the time before and after the load. */
#ifndef TALLY_BENCH_ASK_H
#define TALLY_BENCH_ASK_H

#include <stdint.h>

#include "bench/proto.h"

/* Connects; tries again for a few seconds while no server listens yet. Ends the program when none
 * of the tries succeeds. */
int ask_connect(const char *host, const char *port);

struct questions {
    int fd;
    const struct proto *proto;
    uint64_t count;
    void (*add)(struct text *t, uint64_t i, void *arg); /* words question i */
    void (*heard)(const struct proto_reply *reply, uint64_t i, void *arg);
    void *arg;
};

/* Asks them all, some hundreds in flight; hands every reply to `heard`. */
void ask_all(const struct questions *q);

/* Ends the program when the reply is an ERR, unless it begins with `forgiven` (may be NULL). */
void ask_must(const struct proto_reply *reply, const char *forgiven);

/* Asks one question; its reply is treated as by ask_must. */
void ask_one(int fd, const struct proto *proto, const struct text *request, const char *forgiven);

#endif
