/* A lane: the ring in which one edge thread hands its records to the committer, and gets results
 * back. */
#ifndef TALLY_ENGINE_EDGE_LANE_H
#define TALLY_ENGINE_EDGE_LANE_H

#include "engine/base/wake.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Positions only grow; slot p stands at p mod LANE_SLOTS.
 *
 *      freed        applied       taken           tail         next
 *   ─────┼─────────────┼─────────────┼───────────────┼────────────┼─────▶
 *        │ results    │ in the      │ published,    │ written by │
 *        │ to be read  │ block being │ not merged    │ the edge   │
 *        │             │ committed   │ yet           │            │
 *
 * Synchronization table
 *   next, freed   the edge thread alone
 *   tail          written by the edge (L1 release), read by the committer (L2 acquire): the slots
 * below are filled taken         the committer alone applied       written by the committer (L3
 * release), read by the edge (L4 acquire): the slots below hold their results, and what they did
 * to the state is to be seen So a slot belongs to the edge from freed + LANE_SLOTS back to tail and
 * between freed and applied, to the committer between applied and tail; nobody else touches it.
 * Progress: wait-free on both sides. A full lane (next - freed = LANE_SLOTS) is met before a step,
 * never after it.
 */
#ifndef LANE_SLOTS /* a test builds the engine once more with lanes that are always full */
#define LANE_SLOTS     (1 << 15)
#define LANE_BYTES_MAX (2 << 20)
#endif
enum { LANE_SLOT_BYTES = 32 };

/* LANE_SLOT_BYTES is what the record of a slot takes in the log, at most, beside what is counted as
 * its texts. */

struct lane_slot {
    uint8_t type; /* enum record_type */
    bool dead;    /* fail: no further attempt is wanted */
    int16_t err;  /* result */
    uint32_t n;   /* votes; lease or delay in ms */
    uint64_t
        word; /* VOTE: the word before. Step: before and after, 32 bits each. Result: a number */
    void *entity; /* option, build; result of BYE: the committer's lane position to wait for */
    void *arg;    /* claim: worker; done, fail: blob; ordered: request */
};

struct lane {
    /* written by the edge */
    _Alignas(64) _Atomic uint64_t tail;
    uint64_t next;
    uint64_t freed;
    uint64_t bytes_in; /* bytes of texts ever appended */
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
    return LANE_SLOTS - (lane->next - lane->freed);
}

/* True when bytes more of texts may wait in the lane; one text alone always may. */
static inline int lane_takes_bytes(const struct lane *lane, uint64_t bytes)
{
    /* L6: relaxed: a count publishes nothing */
    uint64_t in = lane->bytes_in - atomic_load_explicit(&lane->bytes_out, memory_order_relaxed);
    return in == 0 || in + bytes <= LANE_BYTES_MAX;
}

/* The next free slot. REQUIRES: lane_room() > 0. */
static inline struct lane_slot *lane_append(struct lane *lane)
{
    return lane_at(lane, lane->next++);
}

/* Publishes what was appended. Returns false when there was nothing new. */
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
