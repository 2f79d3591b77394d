/* Vote limits: an exact sliding window for each poll and voter, BY word or client address. */
#ifndef TALLY_NET_PIPELINE_RATE_H
#define TALLY_NET_PIPELINE_RATE_H

#include "engine/base/ledger.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * For each pair of poll and voter, BY word or address the table keeps the times of the votes in the
 * window; votes of one ms share a time. A vote passes when the window that ends with it holds no
 * more than n votes: so the n-th last vote decides. When a window has more than RATE_TIMES times,
 * they are rounded to its 4096th part, on the side of refusing: no window ever has more than n
 * votes, and the retry_ms of a refusal is enough.
 *
 * The memory is bounded. A client chooses its voters and BY words, so what their votes take is
 * accounted to the address from which the first of them came. Of the first half of the table an
 * address may have half of what is free there; the second half is for addresses that have little.
 * So neither one address that invents voters nor a thousand of them keep others out. Later votes
 * and rate_sweep give back the memory of times that have left their window.
 */
enum { RATE_TIMES = 4096, RATE_FREE_SHARE = 2, RATE_LITTLE_BYTES = 1024, RATE_NAME_MAX = 64 };
#define RATE_SWEEP_NS  ((uint64_t)1000 * 1000 * 1000) /* between two calls of rate_sweep */
#define RATE_BYTES_MAX ((uint64_t)64 << 20)           /* but at most 1/16 of the clients' memory */

struct rate; /* one server's table */

/* IPv4 in its IPv6 form; of IPv6 only the network, because one client may have all of its hosts. */
struct rate_address {
    uint64_t high;
    uint64_t low;
};

/* By what votes are counted. The kinds never meet: a voter may be called like a BY word. */
enum rate_kind { RATE_BY_ADDRESS, RATE_BY_WORD, RATE_BY_VOTER };

struct rate_ask {
    uint64_t poll;
    struct rate_address from;
    enum rate_kind kind;
    struct span name; /* the voter or the BY word, 1 to RATE_NAME_MAX bytes */
    uint64_t n;       /* votes allowed in per_ms */
    uint64_t per_ms;
    uint64_t votes;  /* wanted now */
    uint64_t now_ms; /* monotonic */
};

/* Errors: NOMEM. The ledger must live as long as the table. */
int rate_new(struct rate **out, struct ledger *ledger);
void rate_destroy(struct rate *rate);

/*
 * Counts the votes if they are allowed. Errors, after which nothing is counted: RATE with
 * *retry_ms, after which the same votes pass if no others have passed before; RANGE: more votes at
 * once than the limit ever allows; BUSY with *retry_ms: no memory for votes of this address.
 * Threads: any; short locks.
 */
int rate_take(struct rate *rate, const struct rate_ask *ask, uint64_t *retry_ms);

/*
 * Forgets some of the entries whose votes have left the window. Returns whether the table still has
 * entries. Has to be called from time to time while votes are taken; takes about 0.3 ms for a full
 * table. Threads: any.
 */
bool rate_sweep(struct rate *rate, uint64_t now_ms);

/* Undoes the rate_take of the same ask, for votes that were not counted after all. */
void rate_give_back(struct rate *rate, const struct rate_ask *ask);

/* Copies an ask that was taken, until it is known whether its votes are counted. Returns NULL
 * without memory: then they stay taken. Owned by the caller, who ends it by rate_settle. */
struct rate_ask *rate_keep(struct rate *rate, const struct rate_ask *ask);

/* Ends a kept ask, and gives its votes back if they were not counted. NULL is allowed. */
void rate_settle(struct rate *rate, struct rate_ask *kept, bool is_counted);

#endif
