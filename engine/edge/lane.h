/* A lane: the ring in which one edge thread hands its records to the committer, and gets results
 * back. */
#ifndef TALLY_ENGINE_EDGE_LANE_H
#define TALLY_ENGINE_EDGE_LANE_H

#include "engine/base/wake.h"
#include "wal/base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Positions only grow; slot p stands at p mod LANE_SLOTS.
 *
 *      freed        applied       taken           tail         next
 *   ─────┼─────────────┼─────────────┼───────────────┼────────────┼─────▶
 *        │ results     │ in the      │ published,    │ written by │
 *        │ to be read  │ block being │ not merged    │ the edge   │
 *        │             │ committed   │ yet           │            │
 *
 * Synchronization table
 *   next, freed   the edge thread alone
 *   tail          written by the edge (L1 release), read by the committer (L2 acquire): the slots
 *                 below are filled
 *   taken         the committer alone
 *   applied       written by the committer (L3 release), read by the edge (L4 acquire): the slots
 *                 below hold their results, and their changes of the state are seen
 *
 * So a slot belongs to the edge from freed + LANE_SLOTS back to tail and between freed and applied,
 * to the committer between applied and tail; nobody else touches it.
 * Progress: wait-free on both sides. A full lane (next - freed = LANE_SLOTS) is met before a step,
 * never after it.
 */
#ifndef LANE_SLOTS /* a test builds the engine once more with lanes that are always full */
#define LANE_SLOTS     (1 << 15)
#define LANE_BYTES_MAX (2 << 20)
#endif

/* Bytes that the record of a slot takes in the log, at most, beside its texts. */
enum { LANE_SLOT_BYTES = 32 };

struct build;
struct option;
struct parcel;
struct poll;
struct ordered_request;
struct worker;

/* The type of votes in the committer's lane that answer a ballot or a SEED: no record_type. */
enum { LANE_BALLOT_VOTE = 0x80 };

struct lane_vote {
    uint8_t type;    /* RECORD_VOTE, or LANE_BALLOT_VOTE */
    uint32_t n;      /* votes */
    uint64_t before; /* the option's word before them */
    struct option *option;
    struct ordered_request *request; /* LANE_BALLOT_VOTE: what it answers */
};

struct lane_step {
    uint8_t type; /* of a build step: record_is_build_step */
    bool dead;    /* FAIL: no further attempt is wanted */
    union {
        uint32_t lease_ms; /* CLAIM */
        uint32_t delay_ms; /* FAIL, RELEASE */
    };
    uint32_t before; /* the build's status */
    uint32_t after;
    struct build *build;
    union {
        struct worker *worker; /* CLAIM */
        struct parcel *text;   /* record_is_step_with_text: owned by the slot; NULL: none */
    };
};

struct lane_ordered {
    uint8_t type;
    struct ordered_request *request; /* of this edge or, in the committer's lane, of any */
};

/* What the committer leaves when it has taken the record. */
struct lane_result {
    uint8_t type;   /* as it was */
    bool is_alone;  /* an ordered request without a record: its edge gives its bytes back */
    uint32_t bytes; /* of its texts, which have left the lane */
    struct ordered_request *request; /* of an ordered record, with its result; else unset */
};

/* A tagged union: `type` (enum record_type) and the slot's place say which member it holds. Between
 * tail and applied it is the vote, the step or the ordered record of that type; below applied, the
 * result. */
struct lane_slot {
    union {
        uint8_t type;
        struct lane_vote vote;
        struct lane_step step;
        struct lane_ordered ordered;
        struct lane_result result;
    };
};

_Static_assert(sizeof(struct lane_slot) == 32, "two slots fill a cache line");

struct lane {
    /* written by the edge */
    _Alignas(64) _Atomic uint64_t tail;
    uint64_t next;
    uint64_t freed;
    uint64_t bytes_in; /* bytes of texts ever appended, but for those given back */
    /* written by the committer */
    _Alignas(64) _Atomic uint64_t applied;
    _Atomic uint64_t bytes_out; /* bytes of texts ever applied */
    uint64_t taken;
    /* written by both, once a sleep */
    _Alignas(64) struct wake wake;
    /* written once */
    _Alignas(64) struct lane_slot *slots;
};

/* Returns NULL without memory. */
struct lane *lane_new(void);
void lane_destroy(struct lane *lane);

static inline struct lane_slot *lane_at(const struct lane *lane, uint64_t position)
{
    return &lane->slots[position & (LANE_SLOTS - 1)];
}

/* ---- the edge's side ---- */

static inline uint64_t lane_room(const struct lane *lane)
{
    DCHECK(lane->next - lane->freed <= LANE_SLOTS);
    return LANE_SLOTS - (lane->next - lane->freed);
}

/* True when `bytes` more of texts may wait in the lane; into an empty lane one text always may. */
static inline int lane_takes_bytes(const struct lane *lane, uint64_t bytes)
{
    /* L6: relaxed: a count publishes nothing */
    uint64_t in = lane->bytes_in - atomic_load_explicit(&lane->bytes_out, memory_order_relaxed);
    DCHECK(in <= lane->bytes_in); /* no more bytes leave than came */
    return in == 0 || in + bytes <= LANE_BYTES_MAX;
}

/* Takes the next free slot. REQUIRES: lane_room() > 0. */
static inline struct lane_slot *lane_append(struct lane *lane)
{
    DCHECK(lane_room(lane) > 0);
    return lane_at(lane, lane->next++);
}

/* Publishes the appended slots. Returns false when there are no new ones. */
static inline int lane_publish(struct lane *lane)
{
    /* L0: relaxed: own writes */
    if (atomic_load_explicit(&lane->tail, memory_order_relaxed) == lane->next) {
        return 0;
    }
    /* L1: release; pairs with L2 */
    atomic_store_explicit(&lane->tail, lane->next, memory_order_release);
    return 1;
}

static inline uint64_t lane_applied(const struct lane *lane)
{
    /* L4: acquire; pairs with L3 */
    return atomic_load_explicit(&lane->applied, memory_order_acquire);
}

/* ---- the committer's side ---- */

static inline uint64_t lane_tail(const struct lane *lane)
{
    /* L2: acquire; pairs with L1 */
    return atomic_load_explicit(&lane->tail, memory_order_acquire);
}

static inline void lane_bytes_applied(struct lane *lane, uint64_t bytes)
{
    /* L6: relaxed: a count publishes nothing */
    uint64_t out = atomic_load_explicit(&lane->bytes_out, memory_order_relaxed);
    /* L6: relaxed: a count publishes nothing */
    atomic_store_explicit(&lane->bytes_out, out + bytes, memory_order_relaxed);
}

static inline void lane_apply(struct lane *lane, uint64_t position)
{
    /* L3: release; pairs with L4 */
    atomic_store_explicit(&lane->applied, position, memory_order_release);
}

#endif
