/* Snapshots of a live engine: when one is made, and how the committer captures the state for it. */
#ifndef TALLY_ENGINE_COMMIT_SNAPSHOT_H
#define TALLY_ENGINE_COMMIT_SNAPSHOT_H

#include "engine/apply/snapshot_capture.h"
#include "engine/commit/own_lane.h"
#include "engine/commit/snapshot_writer.h"
#include "engine/commit/space.h"
#include "engine/edge/shared.h"

/*
 *     asked for, due, or wanted for space ── begin ── a slice after each commit ── all walked
 *                                              │             chunks                    │
 *                                              └──────────▶ the writer thread ─────────┘
 *                                                           (snapshot_writer.h) ── result ── told
 *
 * Synchronization table
 *   shared: snapshot_*   engine/edge/shared.h
 *   writer               its hand-over is under a mutex: engine/commit/snapshot_writer.h
 *   the rest             the committer alone; before it begins and behind its end the thread that
 *                        opens and closes
 * Reclamation: snapshot_made is replaced as a whole and retired; the last one is freed at the stop.
 *
 * On a full disk the committer asks for a sweep first: segments that two snapshots hold are
 * removed, even those to be kept as history. If none could be removed, and one more snapshot would
 * free more space than it takes, that snapshot is made, in the space that is kept free for it
 * (engine/commit/space.c), and another sweep follows.
 */

struct snapshot {
    /* written once */
    struct state *state;
    struct shared *shared;
    struct space *space;
    struct own_lane *own;
    struct wal *wal;
    const struct tally_options *options;
    /* the rest */
    struct capture capture;
    uint64_t recent_poll;           /* the last one whose newest events are in the capture */
    struct event_buf recent_events; /* of that poll */
    bool is_parked;                 /* the walk waits for the reader */
    bool walking;
    bool running;
    bool sweeping;      /* a sweep runs, and no snapshot */
    bool makes_room;    /* the disk is full, and a snapshot lets old log be removed */
    bool is_held_back;  /* the operator was told that a snapshot is due and is not made */
    uint64_t sweep_ns;  /* no sweep before this moment */
    uint64_t serves;    /* the snapshot that runs answers tickets up to this one */
    uint64_t log_bytes; /* replayed at the start; added to the bytes stored since */
    uint64_t bytes_at;  /* that sum when the last snapshot began */
    uint64_t began_ns;
    uint64_t retry_ns; /* after a failure: no snapshot before this moment */
    uint64_t quiet_ns; /* when the last snapshot began; before the first, when the engine started */
    struct snapshot_writer writer;
    bool has_writer;
};

/* The snapshot that the start has loaded. */
struct snapshot_found {
    uint64_t lsn; /* 0: no snapshot */
    uint64_t time_ms;
    uint64_t file_bytes;
    uint64_t log_bytes; /* of the blocks behind it */
};

/* Starts the writer: after the replay. The fields written once are set. Errors: NOMEM, THREAD. */
int snapshot_start(struct snapshot *snapshot, struct wal_io *io,
                   const struct snapshot_found *found);
/* Ends the writer. REQUIRES: the committer is stopped, or never began. */
void snapshot_stop(struct snapshot *snapshot);

/* Asks for a snapshot because a file is damaged: the snapshot is made even if nothing has changed,
 * and tried again until one counts.
 * Threads: any. */
void snapshot_renew(struct shared *shared);

/* Called once in each round of the committer. Returns true when the next round should come at once.
 */
bool snapshot_run(struct snapshot *snapshot);

#endif
