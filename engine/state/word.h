/* The words: what one atomic read-modify-write decides about an option or a build. */
#ifndef TALLY_ENGINE_STATE_WORD_H
#define TALLY_ENGINE_STATE_WORD_H

#include "engine/read.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- an option: { changes:24 | votes:40 } ----
 *
 * changes counts records; the lanes together hold fewer than 2^23 of them, so the accepted word of
 * the committer and the `before` of a record in flight never meet by chance.
 */
enum { VOTES_BITS = 40, VOTE_N_MAX = 1 << 20 };
#define VOTES_MASK  (((uint64_t)1 << VOTES_BITS) - 1)
#define VOTES_RANGE ((uint64_t)1 << 39) /* no vote is begun at or above */

static inline uint64_t option_step(uint64_t n)
{
    return ((uint64_t)1 << VOTES_BITS) + n;
}

static inline uint64_t option_votes(uint64_t word)
{
    return word & VOTES_MASK;
}

/* ---- a build: { state:4 | token:28 | deadline:32 } ----
 *
 *                       CLAIM                     BEAT (first)
 *   ┌──────────▶ pending ──────────▶ assigned ──────────────▶ building
 *   │ DUE          ▲   ▲               │   │                   │   │
 *   │              │   └── RELEASE ────┤   └────── DONE ───────┤   │
 *   │              │       FAIL EXPIRE │           completed ◀─┘   │
 *   │              │       UNHOLD ◀────┼───────────────────────────┤
 *   └── delayed ◀──┼── FAIL, RELEASE ──┴── with DELAY ─────────────┤
 *                  │                                               │
 *                  └── (new token)             failed ◀── FAIL, EXPIRE: no attempt or token left
 *
 * Every edge but the first BEAT takes a new token. The log chains on state and token (the upper
 * status); the deadline, in lease ticks of 100 ms, is 0 until the claim is applied, and moves by
 * heartbeats without a record. An expiry is a CAS on the whole word, so it and a heartbeat never
 * both succeed.
 */
#define TOKEN_MAX             ((uint32_t)0x0fffffff)

/*
 * The token with which a build begins: in the lower half, so that each has 2^27 of them to go, and
 * far from those of its neighbours (by the golden ratio: of any thousand builds in a row, no two
 * begin within 50,000 of each other). So a token that belongs to another build is stale, whatever
 * the two have been through.
 */
#define BUILD_TOKEN_FIRST(id) ((uint32_t)(1 + (((uint32_t)(id)-1) * UINT32_C(2654435769) >> 5)))

static inline uint32_t build_status(enum build_state state, uint32_t token)
{
    return (uint32_t)state << 28 | token;
}

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

static inline enum build_state status_state(uint32_t status)
{
    return (enum build_state)(status >> 28);
}

static inline uint32_t status_token(uint32_t status)
{
    return status & TOKEN_MAX;
}

static inline bool status_is_held(uint32_t status)
{
    return status_state(status) == BUILD_ASSIGNED || status_state(status) == BUILD_BUILDING;
}

static inline bool status_is_ended(uint32_t status)
{
    return status_state(status) >= BUILD_COMPLETED;
}

/*
 * The status after a step that takes a new token. Where the tokens run out, what would be offered
 * again fails instead.
 */
static inline uint32_t status_next(uint32_t before, enum build_state to)
{
    uint32_t token = status_token(before) + 1;
    bool offered = to == BUILD_PENDING || to == BUILD_DELAYED;
    return build_status(offered && token > TOKEN_MAX - 4 ? BUILD_FAILED : to, token);
}

/* True when a step of this record type may lead from one status to the other. The one place that
 * says which edges there are. */
bool build_transition_is_legal(unsigned type, uint32_t before, uint32_t after);

/*
 * A step on a word. Order: acq_rel on success, so that what the step saw is before its record, and
 * whoever sees the step sees all that its maker did before (the argument of engine/README.md needs
 * both); acquire on failure.
 */
static inline bool word_step(_Atomic uint64_t *word, uint64_t *seen, uint64_t to)
{
    /* B1: acq_rel; pairs with B1 and B3; acquire on failure */
    return atomic_compare_exchange_strong_explicit(word, seen, to, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* A step that only asks for the status: tries again while nothing but the deadline moved. False:
 * the status is another. */
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
 * A heartbeat: the status becomes `status` (or stays), and the deadline `due`, but never an earlier
 * one than it has. Between looking at the clock and this, another heartbeat may have been told OK,
 * and what that was promised stands. False: the status is another.
 */
static inline bool word_prolong(_Atomic uint64_t *word, uint64_t seen, uint32_t status,
                                uint32_t due)
{
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
    /* B2: acq_rel; pairs with B2 and B3 */
    return atomic_fetch_add_explicit(word, add, memory_order_acq_rel);
}

static inline uint64_t word_get(const _Atomic uint64_t *word)
{
    /* B3: acquire; pairs with B1 and B2 */
    return atomic_load_explicit(word, memory_order_acquire);
}

/* The deadline alone: what is left of a lease is no state that a crash could undo (G3), so whoever
 * reads may tell it. */
static inline uint32_t word_lease_deadline(const _Atomic uint64_t *word)
{
    return word_deadline(word_get(word));
}

static inline void word_set(_Atomic uint64_t *word, uint64_t to)
{
    /* B4: release; pairs with B3: only before an entity is published */
    atomic_store_explicit(word, to, memory_order_release);
}

#endif
