/* A sequence counter: one writer changes a state, many readers copy it and learn if the copy is
 * whole. */
#ifndef TALLY_ENGINE_BASE_SEQ_H
#define TALLY_ENGINE_BASE_SEQ_H

#include "wal/base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 *     writer                         reader
 *     seq = odd        (S1)          s = seq, even        (S5)
 *     FIELD_PUT ...    (S2)          FIELD_GET ...        (S4)
 *     seq = even       (S3)          seq still s ?        (S6)
 *
 * There is no stand-alone fence. A reader that sees a field of S2 synchronizes with it, so it also
 * sees the odd counter of S1, which is before it, and S6 fails. The acquire of S4 keeps S6 behind
 * the copies; the release of S2 keeps S1 before them. On x86 all of these are plain moves.
 *
 * Synchronization: one writer; any number of readers; readers never wait and never make the writer
 * wait.
 */
struct seq {
    _Atomic uint64_t count;
};

static inline void seq_write_begin(struct seq *seq)
{
    uint64_t now =
        atomic_load_explicit(&seq->count, memory_order_relaxed); /* S0: relaxed: own writes */
    DCHECK((now & 1) == 0); /* one writer, and no change is under way */
    /* S1: relaxed; pairs with S6: each S2 that follows releases it */
    atomic_store_explicit(&seq->count, now + 1, memory_order_relaxed);
}

static inline void seq_write_end(struct seq *seq)
{
    uint64_t now =
        atomic_load_explicit(&seq->count, memory_order_relaxed); /* S0: relaxed: own writes */
    DCHECK((now & 1) == 1);                                      /* a change is under way */
    /* S3: release; pairs with S5 */
    atomic_store_explicit(&seq->count, now + 1, memory_order_release);
}

/* Begins a read. Returns false while the writer changes the state: try later. */
static inline bool seq_read_begin(const struct seq *seq, uint64_t *mark)
{
    /* S5: acquire; pairs with S3 */
    *mark = atomic_load_explicit(&seq->count, memory_order_acquire);
    return (*mark & 1) == 0;
}

static inline bool seq_read_is_valid(const struct seq *seq, uint64_t mark)
{
    DCHECK((mark & 1) == 0); /* seq_read_begin has returned true */
    /* S6: relaxed; pairs with S1: kept behind the copies by their acquire */
    return atomic_load_explicit(&seq->count, memory_order_relaxed) == mark;
}

/* S2: release; pairs with S4 */
#define FIELD_PUT(field, value) atomic_store_explicit(&(field), (value), memory_order_release)
/* S4: acquire; pairs with S2 */
#define FIELD_GET(field)        atomic_load_explicit(&(field), memory_order_acquire)
/* S7: relaxed: the one writer reads what it wrote itself */
#define FIELD_OWN(field)        atomic_load_explicit(&(field), memory_order_relaxed)
#define FIELD_ADD(field, value) FIELD_PUT(field, FIELD_OWN(field) + (value))

#endif
