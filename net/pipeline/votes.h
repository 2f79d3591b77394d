/* The hot path: votes read with a few compares, combined by the edge, answered after its flush. */
#ifndef TALLY_NET_PIPELINE_VOTES_H
#define TALLY_NET_PIPELINE_VOTES_H

#include "engine/edge.h"
#include "net/pipeline/rate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct pipeline;

enum { VOTES_MAX = 8192, VOTES_UNRATED = 256 };

/* The votes since the last flush, in the order they were cast, in runs of one connection each. */
struct votes {
    struct edge_vote cast[VOTES_MAX];
    struct cast_run {
        struct conn *conn;
        uint32_t count;
    } runs[VOTES_MAX];
    uint32_t cast_count;
    uint32_t run_count;
    /* Options that had no limit. This holds until the next commit, which may give them one. */
    struct vote_unrated {
        uint64_t option;
        uint64_t commits;
    } unrated[VOTES_UNRATED];
};

/*
 * Casts the votes at the front of the input, as long as they are written `VOTE digits`. Returns the
 * number of bytes read. It stops at any other request, and at a vote that is refused or has to
 * wait: these are run by the command table.
 */
size_t votes_read(struct conn *conn, const char *at, size_t len);

/* By what a vote is counted in a poll with a limit: an address is the connection's. */
struct vote_from {
    enum rate_kind kind;
    struct span name;
    bool is_ballot;
};

/*
 * Asks the limiter for ask->votes, and fills in the rest of the ask, whose name is that of `from`.
 * ask->votes is 0 afterwards when there is nothing to give back: after an error, or where the poll
 * has no limit. Errors: RATE and BUSY with *retry_ms; RANGE: more votes than the limit ever allows;
 * and before these, in a poll with a limit, those of edge_vote_window.
 */
int votes_limit(struct conn *conn, uint64_t option, const struct vote_from *from,
                struct rate_ask *ask, uint64_t *retry_ms);

/*
 * Casts n votes; the next flush writes the reply. Errors: those of edge_vote; RATE and BUSY with
 * *retry_ms; ROOM also when too many replies are in flight, or VOTES_MAX are cast: votes_cast never
 * flushes, because a request may be under way.
 */
int votes_cast(struct conn *conn, uint64_t option, uint64_t n, const struct vote_from *from,
               uint64_t *retry_ms);

/*
 * Makes the steps and the replies of all votes since the last flush, and publishes the steps: other
 * threads' votes for the same options wait for that. REQUIRES: no request is under way.
 */
void votes_flush(struct pipeline *pipeline);

#endif
