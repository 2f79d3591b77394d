/* Limits of votes per client address: a window that slides exactly, for each poll and address. */
#ifndef TALLY_NET_PIPELINE_RATE_H
#define TALLY_NET_PIPELINE_RATE_H

#include "engine/base/ledger.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Of each pair of poll and address the times of the votes in the window are kept; votes of one ms
 * are one time. A vote passes when the window that ends with it holds no more than n: so it is the
 * n-th last vote that decides. Beyond RATE_TIMES times in a window they are told apart by its
 * 4096th part only, to the side of refusing: never more than n votes are in any window, and what a
 * refusal says holds.
 *
 * All memory together is bounded. Of its first half an address may have an eighth of what is free
 * there, the second half is for those who have little: so neither one nor a thousand that vote in
 * very many polls keep others out. What has left its window is given back by those who come later,
 * and by rate_sweep.
 */
enum { RATE_TIMES = 4096, RATE_FREE_SHARE = 8, RATE_LITTLE_BYTES = 1024 };
#define RATE_SWEEP_NS  ((uint64_t)1000 * 1000 * 1000) /* between two calls of rate_sweep */
#define RATE_BYTES_MAX ((uint64_t)64 << 20) /* but at most 1/16 of what clients may have */

struct rate; /* one server's table */

/* IPv4 in its IPv6 form; of IPv6 the network, because a client has the rest to itself. */
struct rate_address {
    uint64_t high;
    uint64_t low;
};

struct rate_ask {
    uint64_t poll; /* not 0 */
    struct rate_address from;
    uint64_t n; /* votes allowed in per_ms */
    uint64_t per_ms;
    uint64_t votes;  /* wanted now */
    uint64_t now_ms; /* monotonic */
};

/* Errors: NOMEM. The ledger must live as long as the table. */
int rate_new(struct rate **out, struct ledger *ledger);
void rate_destroy(struct rate *rate);

/*
 * Counts the votes when they are allowed. Errors, and nothing was counted then: RATE, with
 * *retry_ms, after which the same votes pass if no others do; RANGE, more votes at once than the
 * limit ever allows; BUSY with *retry_ms, no memory for this address. Threads: any; short lock.
 */
int rate_take(struct rate *rate, const struct rate_ask *ask, uint64_t *retry_ms);

/*
 * Forgets some of what has left its window. Returns whether anything is left to forget, now or
 * later. Whoever takes calls it once in a while; about 0.3 ms for a full table. Threads: any.
 */
bool rate_sweep(struct rate *rate, uint64_t now_ms);

/* Takes back what rate_take counted, for votes that were refused. The same ask. */
void rate_give_back(struct rate *rate, const struct rate_ask *ask);

#endif
