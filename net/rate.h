/* Limits of votes per client address: a sliding window for each pair of poll and address. */
#ifndef TALLY_NET_RATE_H
#define TALLY_NET_RATE_H

#include <stdint.h>

struct rate; /* one server's table, of fixed size */

/* IPv4 in its IPv6 form; of IPv6 the network, because a client has the rest to itself. */
struct rate_address {
    uint64_t high;
    uint64_t low;
};

struct rate_ask {
    uint64_t poll;
    struct rate_address from;
    uint64_t n; /* votes allowed in per_ms */
    uint64_t per_ms;
    uint64_t votes; /* wanted now */
    uint64_t now_ms;
};

int rate_new(struct rate **out); /* Errors: NOMEM */
void rate_destroy(struct rate *rate);

/*
 * Counts the votes when they are allowed. Errors: RATE, with *retry_ms; BUSY when the table has no
 * place for one more address, with *retry_ms; nothing was counted then. Threads: any; short lock.
 */
int rate_take(struct rate *rate, const struct rate_ask *ask, uint64_t *retry_ms);

/* Takes back what rate_take counted, for votes that were refused. */
void rate_give_back(struct rate *rate, const struct rate_ask *ask);

#endif
