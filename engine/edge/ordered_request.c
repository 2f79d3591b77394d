/* Ordered requests: a record with its own copy of the texts. */
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
    request->record = (struct record){.type = type};
    request->bytes = bytes;
    request->weight = sizeof *request + bytes + growth;
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
    DCHECK(request->weight >= request->bytes);
    ledger_sub(ledger, LEDGER_IN_FLIGHT, request->weight);
    free(request);
}
