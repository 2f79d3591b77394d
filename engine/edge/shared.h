/* The struct that the edges and the committer share beside the lanes and the state. */
#ifndef TALLY_ENGINE_EDGE_SHARED_H
#define TALLY_ENGINE_EDGE_SHARED_H

#include "engine/base/time.h"
#include "engine/base/wake.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 *     committer ── numbers, clock, space, "committed" ─▶ edges, reader
 *     committer ◀── nudge, snapshot tickets, wake ────── edges, reader, janitor
 *
 * The edges know the committer by this struct alone, and the committer knows nothing of an edge but
 * its lane (engine/edge/edges.h).
 *
 * Synchronization table
 *   commits, offers    counted by the committer behind a commit's lane positions (E3 release), read
 *                      by an edge (E4 acquire): an edge that sees a number sees all that was
 *                      published before it
 *   space              written by the committer (E5 release), read by an edge (E6 acquire)
 *   draining           written by tally_drain (E10 release), read by edges (E9 acquire)
 *   nudged             set by an edge that parked on a change that may never be committed, and by
 *                      the committer when a snapshot is answered (E12 release); taken by the
 *                      committer before it publishes (E11 acquire)
 *   snapshot_asked     tickets: each edge takes the next (E15 acq_rel), the committer reads how
 *                      many there are (E14 acquire)
 *   snapshot_renew     set by the janitor's thread (E18 release), read by the committer (E16
 *                      acquire), cleared by it (E17)
 *   snapshot_made      replaced by the committer as a whole (FIELD_PUT), read by any thread
 *                      (FIELD_GET); immutable, and retired
 *   time               engine/base/time.h
 *   other numbers      written by the committer alone (FIELD_PUT), read by any thread (FIELD_GET);
 *                      each is one word, and two of them need not be of one moment
 *   wake               the committer sleeps, anybody wakes: engine/base/wake.h
 *
 * Progress: wait-free for all.
 * Reclamation: it lives as long as the engine, which ends behind the last edge, the reader and the
 * committer.
 */

/* Which changes the log still takes; a higher value means less space. */
enum space_left {
    SPACE_PLENTY,
    SPACE_RESERVE, /* no new changes, but the ends of claims */
    SPACE_NONE,
    SPACE_LOST, /* the log is not in its directory any more: no changes at all */
};

/* The last snapshot that counts, as INFO and SNAPSHOT show it. Immutable: replaced as a whole, and
 * retired. */
struct snapshot_made {
    uint64_t lsn; /* 0: there is none */
    uint64_t bytes;
    uint64_t time_ms; /* log time */
    uint64_t took_ms;
};

struct event_store; /* engine/events/event_store.h */

struct shared {
    /* written once, before there is an edge */
    struct state *state;
    struct wal *wal;        /* for the counters of INFO */
    const struct lane *own; /* the committer's lane: the edges call only lane_applied() on it */
    struct reader *reader;
    struct event_store *events; /* the reader's; the committer's is its pipe */
    uint64_t retain_bytes;
    uint32_t payload_bytes_max;
    /* written by the committer with each commit */
    _Alignas(64) _Atomic uint64_t commits;
    _Atomic uint64_t offers; /* commits after which a claim that waits asks again */
    _Atomic uint32_t tick;   /* of the lease clock */
    _Atomic uint32_t space;  /* enum space_left */
    _Atomic uint64_t commit_us_last, commit_us_max, sync_ns, raw_bytes, stored_bytes, log_room;
    struct engine_time time;
    /* written by the committer, seldom */
    _Alignas(64) _Atomic uint64_t disk_free_bytes, disk_total_bytes;
    _Atomic uint64_t disk_snapshot_bytes; /* of one more snapshot, at most */
    _Atomic uint64_t disk_needed_bytes;   /* by the log without history and its snapshots */
    _Atomic uint64_t snapshot_served;     /* tickets answered */
    _Atomic uint64_t snapshot_good;       /* tickets answered by a snapshot that counts */
    _Atomic(const struct snapshot_made *) snapshot_made; /* never NULL once started */
    _Atomic uint64_t snapshots, snapshot_failures, segments_removed;
    _Atomic bool snapshot_running;
    /* written by anybody, seldom */
    _Alignas(64) _Atomic bool draining;
    _Atomic bool nudged;
    _Atomic bool snapshot_renew;     /* a snapshot is wanted even if the lsn has not moved */
    _Atomic uint64_t snapshot_asked; /* tickets given out */
    struct wake wake;                /* the committer's */
};

#endif
