/* What the I/O threads of one server share. */
#ifndef TALLY_NET_SERVER_STATE_H
#define TALLY_NET_SERVER_STATE_H

#include "net/pipeline/auth.h"
#include "net/protocol/parse.h"
#include "net/server.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct rate;

/*
 * Who writes what:
 *     before the threads start, once        all of the first group
 *     any thread, relaxed                   connections
 *     the stopping thread                   stopping, once; the loops read it every pass
 */
struct server {
    struct tally *tally; /* borrowed */
    struct server_options options;
    struct auth auth;
    struct rate *rate;   /* owned */
    struct loop **loops; /* owned, options.threads of them */
    unsigned running;    /* of them; the starting and stopping thread's */
    uint64_t started_ns;

    _Alignas(64) _Atomic uint32_t connections;
    _Alignas(64) _Atomic bool stopping;
};

#endif
