/* Parcels: payloads, results and errors, counted in the ledger and shared by their readers. */
#ifndef TALLY_ENGINE_BASE_PARCEL_H
#define TALLY_ENGINE_BASE_PARCEL_H

#include "engine/base/ledger.h"
#include "wal/base/span.h"

#include <stdatomic.h>
#include <stddef.h>

/*
 *     build ── payload ──▶ parcel { holders 2 } ◀── a reply that a client reads slowly
 *
 * Synchronization: the bytes never change. The state releases its hold through rcu_retire, so a
 * thread that finds the parcel in a pass may take its own hold until the end of that pass, and keep
 * it as long as it likes. Progress: wait-free. Reclamation: the release of the last hold frees the
 * parcel (P2 of all others pairs with P2 of the last).
 */
struct parcel {
    struct ledger *ledger; /* borrowed; outlives all parcels */
    _Atomic uint32_t holders;
    uint32_t kind; /* enum ledger_kind */
    size_t len;
    char at[];
};

/* Makes a parcel with a copy of the bytes and one hold; the ledger counts it until it is freed.
 * Returns NULL without memory. */
struct parcel *parcel_new(struct ledger *ledger, enum ledger_kind kind, struct span bytes);

/* Takes one more hold. Returns the parcel. Threads: any, in the pass in which it was found. */
struct parcel *parcel_hold(struct parcel *parcel);

/* Releases a hold; NULL is allowed. Threads: any. */
void parcel_release(void *parcel);

static inline struct span parcel_span(const struct parcel *parcel)
{
    return parcel != NULL ? (struct span){parcel->at, parcel->len} : (struct span){NULL, 0};
}

#endif
