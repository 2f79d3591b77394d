/* A wake word: a signaller wakes a sleeping thread, once and only if it sleeps. */
#ifndef TALLY_ENGINE_BASE_WAKE_H
#define TALLY_ENGINE_BASE_WAKE_H

#include "wal/base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Both sides change one word by exchange, so the exchanges have one order: either the sleeper's
 * comes later and sees the signal (and, by W1 and W2, everything published before it), or the
 * signal comes later, sees the sleeper and wakes it. So no wake is lost, and no thread that is
 * awake is woken.
 *
 * Synchronization: one sleeper; any number of signallers.
 */
enum wake_state { WAKE_AWAKE, WAKE_SIGNALLED, WAKE_SLEEPS };

struct wake {
    _Atomic uint32_t state;
};

/* Signals. Returns true when the caller must wake the sleeper by other means (futex, eventfd). */
static inline bool wake_signal(struct wake *wake)
{
    /* W1: acq_rel; pairs with W2 */
    uint32_t was = atomic_exchange_explicit(&wake->state, WAKE_SIGNALLED, memory_order_acq_rel);
    DCHECK(was <= WAKE_SLEEPS);
    return was == WAKE_SLEEPS;
}

/* Returns true when the caller may block; false when a signal has come since the last call. */
static inline bool wake_may_sleep(struct wake *wake)
{
    /* W2: acq_rel; pairs with W1 */
    uint32_t was = atomic_exchange_explicit(&wake->state, WAKE_SLEEPS, memory_order_acq_rel);
    if (was != WAKE_SIGNALLED) {
        return true;
    }
    /* W3: acq_rel; pairs with W1: a signal between W2 and here costs one needless wake */
    atomic_exchange_explicit(&wake->state, WAKE_AWAKE, memory_order_acq_rel);
    return false;
}

static inline void wake_awake(struct wake *wake)
{
    /* W4: acq_rel; pairs with W1 */
    atomic_exchange_explicit(&wake->state, WAKE_AWAKE, memory_order_acq_rel);
}

/* For sleepers without descriptors: blocks while the state is WAKE_SLEEPS, at most timeout_ns. */
void wake_block(struct wake *wake, uint64_t timeout_ns);

/* Ends a wake_block. Called when wake_signal has returned true. */
void wake_unblock(struct wake *wake);

/* Signals, and ends a wake_block if the sleeper sleeps. */
void wake_up(struct wake *wake);

#endif
