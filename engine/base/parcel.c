/* Parcels: making, holding and releasing them. */
#include "engine/base/parcel.h"

#include "wal/base/check.h"

#include <stdlib.h>

static uint64_t weight(size_t len)
{
    return sizeof(struct parcel) + len;
}

struct parcel *parcel_new(struct ledger *ledger, enum ledger_kind kind, struct span bytes)
{
    DCHECK(kind == LEDGER_PAYLOADS || kind == LEDGER_RESULTS || kind == LEDGER_ERRORS);
    struct parcel *parcel = malloc(sizeof *parcel + bytes.len);
    if (parcel == NULL) {
        return NULL;
    }
    parcel->ledger = ledger;
    atomic_init(&parcel->holders, 1);
    parcel->kind = kind;
    parcel->len = bytes.len;
    if (bytes.len > 0) {
        memcpy(parcel->at, bytes.at, bytes.len);
    }
    ledger_add(ledger, kind, weight(bytes.len));
    return parcel;
}

struct parcel *parcel_hold(struct parcel *parcel)
{
    /* P1: relaxed: the state's hold is there, and is not released before the pass has ended */
    uint64_t was = atomic_fetch_add_explicit(&parcel->holders, 1, memory_order_relaxed);
    DCHECK(was > 0);
    return parcel;
}

void parcel_release(void *held)
{
    struct parcel *parcel = held;
    if (parcel == NULL) {
        return;
    }
    /* P2: acq_rel; pairs with P2: the reads of other holders happen before the free */
    uint64_t was = atomic_fetch_sub_explicit(&parcel->holders, 1, memory_order_acq_rel);
    DCHECK(was > 0);
    if (was == 1) {
        ledger_sub(parcel->ledger, (enum ledger_kind)parcel->kind, weight(parcel->len));
        free(parcel);
    }
}
