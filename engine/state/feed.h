/* A feed: the changes of one poll's votes, from apply to the reader. */
#ifndef TALLY_ENGINE_STATE_FEED_H
#define TALLY_ENGINE_STATE_FEED_H

#include "engine/base/seq.h"
#include "engine/base/wake.h"
#include "wal/base/check.h"

/*
 *     apply ── tail ──▶ [ option votes ] [ option votes ] ... ──▶ head ── reader
 *
 * Each entry is an option and the votes that it has from then on; a new option has an entry with 0
 * votes. So from the votes before the first entry and all entries up to some tail, the reader has
 * the poll as it was at that tail: engine/README.md, "Reads that take long".
 *
 * Synchronization table
 *   entry   written by apply before the tail (F1), read by the reader behind it (F2); again by
 *           apply when the head is beyond it (F3, F4)
 *   tail    apply; inside state.seq, so that tail and state.lsn together are one moment
 *   head    the reader
 *   broken  apply, when the ring is full: from then on apply adds no entry, and the reader makes
 *           the rank anew
 * Progress: wait-free on both sides; nobody waits for the reader. Reclamation: the reader frees the
 * feed after the committer has detached it (engine/edge/reader.h).
 */
struct option;
struct poll;

/* A ring has an entry for each option, but is within these bounds. */
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
    uint64_t poll_id;
    struct poll *poll; /* set by the committer when it attaches the feed, which keeps the poll */
    struct wake *wake; /* of the reader, which is woken when the ring is half full */
    uint64_t entries;  /* a power of two */
    /* written by apply */
    _Alignas(64) _Atomic uint64_t tail;
    _Atomic bool broken;
    /* written by the reader */
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) struct feed_entry ring[];
};

/* Appends the new votes of an option. Threads: apply, between seq_write_begin and _end. */
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
