/* Ordered requests: a record with its own copy of the texts, and its result. */
#include "engine/edge/ordered_request.h"

#include "wal/base/check.h"

#include <stdlib.h>
#include <string.h>

struct ordered_request *ordered_request_new(struct ledger *ledger, enum record_type type,
                                            const struct span *texts, unsigned count,
                                            uint64_t growth)
{
    DCHECK(count <= RECORD_TEXTS);
    size_t bytes = ORDERED_REQUEST_NUMS_BYTES;
    for (unsigned i = 0; i < count; i++) {
        bytes += texts[i].len;
    }
    struct ordered_request *request = malloc(sizeof *request + bytes);
    if (request == NULL) {
        return NULL;
    }
    *request = (struct ordered_request){
        .record = {.type = type}, .bytes = bytes, .weight = sizeof *request + bytes + growth};
    ledger_add(ledger, LEDGER_IN_FLIGHT, request->weight);
    char *at = request->texts;
    for (unsigned i = 0; i < count; i++) {
        if (texts[i].len > 0) {
            memcpy(at, texts[i].at, texts[i].len);
        }
        request->record.text[i] = (struct span){at, texts[i].len};
        at += texts[i].len;
    }
    return request;
}

void ordered_request_free(struct ledger *ledger, struct ordered_request *request)
{
    DCHECK(request->weight >= sizeof *request);
    ledger_sub(ledger, LEDGER_IN_FLIGHT, request->weight);
    free(request->many);
    free(request);
}

int ordered_request_answer(struct ordered_request *request, int err,
                           const struct edge_result *reply)
{
    size_t count = (size_t)reply->value_count + reply->prev_count;
    uint64_t *to = request->few;
    DCHECK(err <= 0 && !ordered_request_is_done(request)); /* each request is answered once */
    if (count > ORDERED_REQUEST_NUMBERS) {
        to = malloc(count * sizeof *to);
        request->many = to;
    }
    if (to == NULL) {
        return TALLY_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        to[i] = i < reply->value_count ? reply->values[i] : reply->prev[i - reply->value_count];
    }
    request->err = err;
    request->reply = *reply;
    request->reply.values = to;
    request->reply.prev = to + reply->value_count;
    /* Q5: release; pairs with Q6 */
    atomic_store_explicit(&request->is_done, true, memory_order_release);
    return 0;
}
