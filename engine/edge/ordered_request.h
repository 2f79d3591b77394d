/* Ordered requests: a record on its way through a lane, with its own copy of the texts. */
#ifndef TALLY_ENGINE_EDGE_ORDERED_REQUEST_H
#define TALLY_ENGINE_EDGE_ORDERED_REQUEST_H

#include "engine/base/ledger.h"
#include "engine/log/record.h"

/* The bytes that an ordered request counts beside its texts: about those of its numbers in the log.
 */
enum { ORDERED_REQUEST_NUMS_BYTES = 64 };

/*
 * The record and its texts in one allocation. The thread that appends it to its lane owns it until
 * it publishes the slot, the committer from then on: it frees the request when the record is
 * applied.
 */
struct ordered_request {
    struct record record;
    size_t bytes;
    uint64_t weight; /* in the ledger: its own bytes, and those that apply will add to the state */
    char texts[];
};

/* Makes a request. `growth` is the bytes that it will add to the state beside its texts. Returns
 * NULL without memory. */
struct ordered_request *ordered_request_new(struct ledger *ledger, enum record_type type,
                                            const struct span *texts, unsigned count,
                                            uint64_t growth);
void ordered_request_free(struct ledger *ledger, struct ordered_request *request);

#endif
