/* A feed: the changes of one poll's votes, from apply to the reader. */
#ifndef TALLY_ENGINE_STATE_FEED_H
#define TALLY_ENGINE_STATE_FEED_H

#include "engine/base/seq.h"
#include "engine/base/wake.h"
#include "wal/base/check.h"

/*
 *     apply ── tail ──▶ [ option votes ] [ option votes ] ... ──▶ head ── reader
 *
 * Each entry is an option and the votes it has from then on; a new option comes with none. So with
 * all entries up to some tail, and what the options had before the first, the reader has the poll
 * as it was when the tail was that: engine/README.md, "Reads that take long".
 *
 * Synchronization table
 *   entry   written by apply before the tail (F1), read by the reader behind it (F2); again by
 *           apply when the head is beyond it (F3, F4)
 *   tail    apply; inside state.seq, so that tail and state.lsn together are one moment
 *   head    the reader
 *   broken  apply, when the ring is full: from then on nothing is told, and the reader begins anew
 * Progress: wait-free on both sides; nobody waits for the reader. Reclamation: the reader's, when
 * the committer has let go of it (engine/edge/reader.h).
 */
struct option;
struct poll;

/* A ring has an entry for each option, and is within these. */
#ifndef FEED_ENTRIES_MAX /* a test builds it with a ring that is always full */
#define FEED_ENTRIES_MIN 1024
#define FEED_ENTRIES_MAX (1 << 18)
#endif

struct feed_entry {
    struct option *option;
    uint64_t votes;
};

struct feed {
    /* written once */
    struct poll *poll;
    struct wake *wake; /* of the reader, who is told when the ring is half full */
    uint64_t entries;  /* a power of two */
    /* written by apply */
    _Alignas(64) _Atomic uint64_t tail;
    _Atomic bool broken;
    /* written by the reader */
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) struct feed_entry ring[];
};

/* Tells the reader what an option has now. Threads: apply, between seq_write_begin and _end. */
static inline void feed_note(struct feed *feed, struct option *option, uint64_t votes)
{
    uint64_t tail = FIELD_OWN(feed->tail);
    /* F4: acquire; pairs with F3 */
    uint64_t used = tail - atomic_load_explicit(&feed->head, memory_order_acquire);
    DCHECK(used <= feed->entries);
    if (used == feed->entries || FIELD_OWN(feed->broken)) {
        FIELD_PUT(feed->broken, true);
        return;
    }
    feed->ring[tail & (feed->entries - 1)] = (struct feed_entry){option, votes};
    FIELD_PUT(feed->tail, tail + 1); /* F1: release, as S2; pairs with F2 */
    if (used == feed->entries / 2) {
        wake_up(feed->wake);
    }
}

#endif
