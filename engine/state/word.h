/* The words: what one atomic read-modify-write decides about an option or a build. */
#ifndef TALLY_ENGINE_STATE_WORD_H
#define TALLY_ENGINE_STATE_WORD_H

#include "engine/log/status.h"
#include "wal/base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- an option: { changes:24 | votes:40 } ----
 *
 * changes counts records; the lanes together hold fewer than 2^23 of them, so the accepted word of
 * the committer and the `before` of a record in flight never meet by chance.
 */
static inline uint64_t option_step(uint64_t n)
{
    DCHECK(n <= VOTES_MASK);
    return ((uint64_t)1 << VOTES_BITS) + n;
}

/* Returns the word after so many changes, which are counted without end elsewhere. */
static inline uint64_t option_word(uint64_t changes, uint64_t votes)
{
    DCHECK(votes <= VOTES_MASK);
    return changes << VOTES_BITS | votes;
}

static inline uint64_t option_votes(uint64_t word)
{
    return word & VOTES_MASK;
}

/* ---- a build: { state:4 | token:28 | deadline:32 } ----
 *
 *                 CLAIM               BEAT (first)
 *     pending ───────────▶ assigned ──────────────▶ building
 *      ▲   ▲                   └───────────┬────────────┘
 *      │   │                               │
 *      │   └─── FAIL RELEASE EXPIRE UNHOLD ┤
 *      │ DUE                               │
 *     delayed ◀── FAIL RELEASE with DELAY ─┤
 *                                          │
 *     completed ◀───────────────────  DONE ┤
 *                                          │
 *     failed ◀─ FAIL RELEASE EXPIRE UNHOLD ┘   no attempt is left; and DUE too: no token is left
 *
 * Every transition but the first BEAT takes a new token. The log chains on the status (state and
 * token, engine/log/status.h). The deadline, in lease ticks of 100 ms, is 0 until the claim is
 * applied, and heartbeats move it without a record. An expiry is a CAS on the whole word, so it and
 * a heartbeat never both succeed.
 */
static inline uint64_t build_word(uint32_t status, uint32_t deadline)
{
    return (uint64_t)status << 32 | deadline;
}

static inline uint32_t word_status(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint32_t word_deadline(uint64_t word)
{
    return (uint32_t)word;
}

/* True when a step of this record type may lead from one status to the other. All transitions are
 * defined behind this function, and nowhere else. */
bool word_transition_is_legal(unsigned type, uint32_t before, uint32_t after);

/*
 * A step on a word. Order: acq_rel on success, so that the steps that it saw happen before its
 * record, and a thread that sees the step sees all that its maker did before (the argument of
 * engine/README.md needs both); acquire on failure.
 */
static inline bool word_step(_Atomic uint64_t *word, uint64_t *seen, uint64_t to)
{
    /* B1: acq_rel; pairs with B1 and B3; acquire on failure */
    return atomic_compare_exchange_strong_explicit(word, seen, to, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* A step that depends on the status alone: tries again while only the deadline has moved. False:
 * the status has changed. */
static inline bool word_step_status(_Atomic uint64_t *word, uint64_t seen, uint64_t to)
{
    uint64_t now = seen;
    while (!word_step(word, &now, to)) {
        if (word_status(now) != word_status(seen)) {
            return false;
        }
    }
    return true;
}

/*
 * A heartbeat: the status becomes `status` (or stays), and the deadline becomes `due`, unless the
 * word has a later one: since the clock was read another heartbeat may have been answered OK, and
 * its deadline must hold. False: the status has changed.
 */
static inline bool word_prolong(_Atomic uint64_t *word, uint64_t seen, uint32_t status,
                                uint32_t due)
{
    DCHECK(status_is_held(status)); /* only a held build has a lease */
    uint64_t now = seen;
    while (word_status(now) == word_status(seen)) {
        uint32_t later = word_deadline(now) > due ? word_deadline(now) : due;
        if (word_step(word, &now, build_word(status, later))) {
            return true;
        }
    }
    return false;
}

static inline uint64_t word_add(_Atomic uint64_t *word, uint64_t add)
{
    DCHECK(add >> VOTES_BITS == 1); /* one record is one change */
    /* B2: acq_rel; pairs with B2 and B3 */
    return atomic_fetch_add_explicit(word, add, memory_order_acq_rel);
}

static inline uint64_t word_get(const _Atomic uint64_t *word)
{
    /* B3: acquire; pairs with B1 and B2 */
    return atomic_load_explicit(word, memory_order_acquire);
}

/* The deadline alone. Reads may show it: the rest of a lease is not in the log, so no crash could
 * undo it (G3). */
static inline uint32_t word_lease_deadline(const _Atomic uint64_t *word)
{
    return word_deadline(word_get(word));
}

static inline void word_set(_Atomic uint64_t *word, uint64_t to)
{
    /* B4: release; pairs with B3: only before an entity is published, or behind the gate */
    atomic_store_explicit(word, to, memory_order_release);
}

#endif
