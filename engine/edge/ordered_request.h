/* Ordered requests: a record on its way through a lane, with its own copy of the texts, and its
 * result on the way back. */
#ifndef TALLY_ENGINE_EDGE_ORDERED_REQUEST_H
#define TALLY_ENGINE_EDGE_ORDERED_REQUEST_H

#include "engine/base/ledger.h"
#include "engine/edge.h"
#include "engine/log/record.h"

#include <stdatomic.h>
#include <sys/queue.h>

/* The bytes that an ordered request counts beside its texts: about those of its numbers in the log.
 */
enum { ORDERED_REQUEST_NUMS_BYTES = 64 };

/* Numbers of a reply that need no allocation. */
enum { ORDERED_REQUEST_NUMBERS = 4 };

/*
 * The record and its texts in one allocation.
 *
 *     edge: new, append ── publish ──▶ committer: record, answer ── is_done ──▶ edge: read, free
 *
 * Synchronization: the edge that made it has it until it publishes the slot, the committer from
 * then on until it sets is_done (Q5 release), and the edge again when it has seen that (Q6
 * acquire). Mostly is_done is set before the slot's lane position is applied; a request that waits
 * for something else (the gate, a step of the committer) is answered later.
 * Reclamation: the edge frees it, with its slot (edge_free); the committer's own requests, which
 * nobody reads, it frees itself.
 */
struct ordered_request {
    struct record record;
    size_t bytes;     /* of its lane: edge_ordered.c */
    uint64_t weight;  /* in the ledger: its own bytes, and those that apply will add to the state */
    int unless_known; /* what it is told unless its KEY is known; then it has no other text, and
                             no record. 0: it may have one */
    uint64_t unless_value; /* the number of that refusal */
    uint64_t fingerprint;  /* of the whole request; if unless_known is not 0 */
    /* the result */
    _Atomic bool is_done;
    bool is_own;                           /* the committer's: nobody reads the result */
    bool is_next;                          /* RESET, POLLDEL: it has passed the gate */
    STAILQ_ENTRY(ordered_request) waiting; /* these: in poll->acts; in own_lane's list */
    int err;
    struct edge_result reply;
    uint64_t few[ORDERED_REQUEST_NUMBERS];
    uint64_t *many;                  /* owned; the numbers of the reply, when they are more */
    bool is_under_way;               /* the judge has it among those with a KEY */
    struct ordered_request *repeats; /* those with the same KEY that wait for its answer, a list */
    uint64_t until;   /* BYE: the reply waits until the committer's lane is applied up to here */
    uint64_t poll_id; /* POLL: until this poll has settled `until`; else 0 */
    char texts[];
};

/* Makes a request. `growth` is the bytes that it will add to the state beside its texts. Returns
 * NULL without memory. */
struct ordered_request *ordered_request_new(struct ledger *ledger, enum record_type type,
                                            const struct span *texts, unsigned count,
                                            uint64_t growth);
void ordered_request_free(struct ledger *ledger, struct ordered_request *request);

/* Leaves a result, and hands the request back to its edge: the caller has it no more. The numbers
 * are copied. Errors: NOMEM; then nothing has changed. Threads: the committer. */
int ordered_request_answer(struct ordered_request *request, int err,
                           const struct edge_result *reply);

/* Whether it is answered. Order: acquire; the result is seen. */
static inline bool ordered_request_is_done(const struct ordered_request *request)
{
    /* Q6: acquire; pairs with Q5 */
    return atomic_load_explicit(&request->is_done, memory_order_acquire);
}

#endif
