/* The ledger: all bytes that clients can make the server hold, by kind, and their ceiling. */
#ifndef TALLY_ENGINE_BASE_LEDGER_H
#define TALLY_ENGINE_BASE_LEDGER_H

#include "wal/base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Code that allocates for a client adds the bytes, code that frees subtracts them. Payloads,
 * results and errors are counted to the byte from the allocation to the free
 * (engine/base/parcel.h), entities by an estimate (engine/state/state.h), buffers of connections by
 * their capacity at the end of each pass.
 *
 *     0 ───────────────────────────── growth_max ─────── ceiling
 *       whatever grows is let in          ends of claims
 *
 * Apply never asks the ledger, so a log that was written under a larger ceiling loads. The edge
 * asks before it lets a request in. Each thread asks and then adds, so the sum may pass the ceiling
 * by one request of each thread.
 *
 * Synchronization: any thread, relaxed (M1, M2): the counts publish nothing. A vote and its reply
 * touch none of them. Progress: wait-free.
 */
#define LEDGER_LIST(X)                                                                             \
    X(PAYLOADS, payload_bytes) /* of builds */                                                     \
    X(RESULTS, result_bytes)                                                                       \
    X(ERRORS, error_bytes)           /* texts of FAIL */                                           \
    X(ENTITIES, entity_bytes)        /* polls, options, queues, builds, workers, names, keys */    \
    X(IN_FLIGHT, in_flight_bytes)    /* ordered requests, and the entities they will make */       \
    X(REPLIES, reply_bytes)          /* waiting for the disk or the client, and rows of reads */   \
    X(CONNECTIONS, connection_bytes) /* connections, and the input they have sent */               \
    X(SAVES, save_bytes)             /* of a snapshot, not written yet */                          \
    X(RATES, rate_bytes)             /* times of votes in limited polls, by who voted */           \
    X(EVENTS, event_bytes)           /* the newest events of all */

enum ledger_kind {
#define X(name, key) LEDGER_##name,
    LEDGER_LIST(X)
#undef X
        LEDGER_KINDS
};

struct ledger {
    _Atomic uint64_t bytes[LEDGER_KINDS];
    uint64_t ceiling;  /* written once, before the first edge */
    uint64_t load_max; /* the machine's memory: a larger state is not loaded */
};

enum {
    LEDGER_RESERVE_SHARE = 16, /* 1/16 is kept for the ends of claims */
    /* finished builds keep payload, result and error in this, and all keys are kept in this */
    LEDGER_FINISHED_SHARE = 4,
    LEDGER_FINISHED_SHARE_MIN = 16, /* ... in this, while the last eighth of the ceiling is used */
    LEDGER_ENDED_SHARE = 8,         /* ... and are kept themselves up to this */
    LEDGER_REPLIES_SHARE = 8,       /* large replies begin while all buffers take less */
    LEDGER_CONNECTIONS_SHARE = 4    /* claims begin, and input grows, while they take less */
};

static inline void ledger_add(struct ledger *ledger, enum ledger_kind kind, uint64_t bytes)
{
    /* M1: relaxed: a count publishes nothing */
    atomic_fetch_add_explicit(&ledger->bytes[kind], bytes, memory_order_relaxed);
    DCHECK(kind < LEDGER_KINDS);
}

static inline void ledger_sub(struct ledger *ledger, enum ledger_kind kind, uint64_t bytes)
{
    /* M1: relaxed: a count publishes nothing */
    uint64_t was = atomic_fetch_sub_explicit(&ledger->bytes[kind], bytes, memory_order_relaxed);
    DCHECK(was >= bytes); /* bytes are added before they are subtracted */
}

static inline uint64_t ledger_of(const struct ledger *ledger, enum ledger_kind kind)
{
    DCHECK(kind < LEDGER_KINDS);
    /* M2: relaxed: as M1; a reader may be a moment behind */
    return atomic_load_explicit(&ledger->bytes[kind], memory_order_relaxed);
}

static inline uint64_t ledger_sum(const struct ledger *ledger)
{
    uint64_t sum = 0;
    for (unsigned kind = 0; kind < LEDGER_KINDS; kind++) {
        sum += ledger_of(ledger, (enum ledger_kind)kind);
    }
    return sum;
}

/* Whether so many bytes more may be added: for the end of a claim, or for any other growth. */
static inline bool ledger_takes(const struct ledger *ledger, uint64_t bytes, bool is_end)
{
    uint64_t kept = is_end ? 0 : ledger->ceiling / LEDGER_RESERVE_SHARE;
    return ledger_sum(ledger) + bytes <= ledger->ceiling - kept;
}

/* The least of `most` and a share of the ceiling. */
static inline uint64_t ledger_share(const struct ledger *ledger, unsigned share, uint64_t most)
{
    DCHECK(share > 0);
    return most < ledger->ceiling / share ? most : ledger->ceiling / share;
}

/*
 * Whether a load has made a state that is larger than the machine's memory. So a small file that
 * decompresses to very much is refused here, before the kernel kills the process. A state that a
 * server has let in is below its ceiling, which is half of that memory.
 */
static inline bool ledger_is_beyond(const struct ledger *ledger)
{
    return ledger_sum(ledger) > ledger->load_max;
}

/* Whether the buffers of all connections together take less than a share of the ceiling. */
static inline bool ledger_has_buffers(const struct ledger *ledger, unsigned share)
{
    DCHECK(share > 0);
    return ledger_of(ledger, LEDGER_REPLIES) + ledger_of(ledger, LEDGER_CONNECTIONS) <
           ledger->ceiling / share;
}

#endif
