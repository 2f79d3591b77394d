/* The committer: one thread that merges, writes, applies and publishes, block by block. */
#ifndef TALLY_ENGINE_COMMIT_COMMITTER_H
#define TALLY_ENGINE_COMMIT_COMMITTER_H

#include "engine/commit/forget.h"
#include "engine/commit/gate.h"
#include "engine/commit/judge.h"
#include "engine/commit/merge.h"
#include "engine/commit/own_lane.h"
#include "engine/commit/snapshot.h"
#include "engine/commit/space.h"
#include "engine/commit/stuck.h"
#include "engine/commit/timers.h"

#include <pthread.h>

/*
 *     round:  timers, gate, forget ──▶ own lane
 *             snapshot ── a slice of its walk
 *             merge ── batch ──▶ wal_append ──▶ apply ──▶ effects ──▶ publish ──▶ wake edges
 *                                               │           ▲
 *                                               └─ record by record: timers and gate work off the
 *                                                  effects of one before the next is applied
 *
 * The committer ties its parts together; no part includes its header, and a part uses another only
 * where its own header says so (gate, timers, forget and snapshot append to the own lane; the
 * snapshot asks the space).
 *
 * Synchronization table
 *   stopping      set by committer_stop (E8 release), read by the thread (E7 acquire)
 *   the parts     the committer's thread alone between committer_start and committer_stop; before
 *                 and after the thread that calls these
 *   shared        engine/edge/shared.h
 *   state         written here alone, inside its sequence counter
 * Reclamation: what apply retires waits for a grace period (engine/base/rcu.h); texts and requests
 * of a slot are freed here when their record is applied; the parts end with committer_fini.
 */
struct committer {
    /* written once */
    const struct tally_options *options;
    struct state *state;
    struct shared *shared;
    struct edges *edges;
    struct wal *wal;
    pthread_t thread;
    _Atomic bool stopping;
    /* the thread's */
    _Alignas(64) uint64_t last_commit_ns;
    struct own_lane own;
    struct judge judge;
    struct merge merge;
    struct stuck stuck;
    struct timers timers;
    struct gate gate;
    struct forget forget;
    struct space space;
    struct snapshot snapshot;
    struct record record;       /* the one that is applied: here, since it is too large to clear */
    struct apply_result result; /* of the record that is applied */
};

/* Sets the parts up. Errors: NOMEM; call committer_fini in any case. */
int committer_init(struct committer *committer, const struct tally_options *options,
                   struct state *state, struct shared *shared, struct edges *edges);

/* The log that the committer writes: filled in after the open, before the start. */
struct committer_log {
    struct wal *wal;
    struct wal_io *io;
    uint64_t lane_bytes_all;
    uint64_t log_bytes_min;
    struct snapshot_found found;
};

/* Starts the parts and the thread: after the replay, once log time goes on and the reader runs.
 * Errors: NOMEM, THREAD. */
int committer_start(struct committer *committer, const struct committer_log *log);

/* Commits the records in the lanes and ends the thread. REQUIRES: the committer was started; no
 * edge appends any more. */
void committer_stop(struct committer *committer);

/* Whether the log is not in its directory any more. REQUIRES: the committer is stopped. */
bool committer_log_is_lost(struct committer *committer);

/* Ends the snapshot's thread and frees the parts. REQUIRES: the committer is stopped, or was never
 * started; the log is still open. */
void committer_fini(struct committer *committer);

#endif
