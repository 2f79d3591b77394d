/* The writer thread of snapshots, and the hand-over of chunks from the committer to it. */
#ifndef TALLY_ENGINE_COMMIT_SNAPSHOT_WRITER_H
#define TALLY_ENGINE_COMMIT_SNAPSHOT_WRITER_H

#include "engine/apply/snapshot_capture.h"
#include "engine/base/time.h"
#include "wal/disk/io.h"
#include "wal/types.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 *     committer                                    writer thread
 *     ─────────                                    ─────────────
 *     begin at the applied lsn ──────────────────▶ snap-<lsn>.tmp
 *     walk a slice after each commit ── chunks ──▶ compress, write, sync
 *     all walked ────────────────────── close ───▶ sync, read back, verify, rename, sync directory
 *     newest and older lsn       ◀───── result ──  remove the third, then segments that may go
 *
 * The two share the hand-over below: a list under a mutex that either holds for a few instructions.
 * The committer never waits for the writer: when SNAPSHOT_CHUNKS_MAX chunks are not written yet the
 * walk pauses; only entities that apply captures may exceed them. The writer wakes the committer
 * when the list has a free place again and when there is a result.
 *
 * Synchronization table
 *   first, last, count, phase, result, ...   under the mutex
 *   a chunk                                  the committer's until it is in the list, then the
 *                                            writer's
 *   newest_lsn, older_lsn, why               the writer alone, once the thread has begun
 * Reclamation: the thread that has a chunk frees it; chunks that are never written are freed with
 * the list.
 */
enum { SNAPSHOT_CHUNKS_MAX = 8 };

struct snapshot_chunk {
    struct snapshot_chunk *next;
    struct image_buf images;
};

struct snapshot_result {
    int err; /* 0: the snapshot counts */
    uint64_t lsn;
    uint64_t bytes;
    uint64_t segments_removed;
    uint64_t gain_bytes;  /* of a sweep: bytes of log that one more snapshot would free */
    uint64_t gain2_bytes; /* that two more would free */
    char why[224];
};

enum hand_over_phase {
    HAND_IDLE,      /* the writer has nothing to do */
    HAND_SWEEP,     /* the disk is full: remove all segments that two snapshots hold */
    HAND_OPEN,      /* chunks come */
    HAND_CLOSED,    /* all chunks have come */
    HAND_ABANDONED, /* the committer has failed, or the engine ends */
    HAND_ENDED,     /* the result is there */
};

struct snapshot_writer {
    /* written before the thread begins */
    struct wal_io *io;
    struct wal *wal; /* its janitor packs at the same time */
    struct ledger *ledger;
    unsigned char uuid[WAL_UUID_BYTES];
    uint64_t retain_bytes;
    uint64_t retain_ms;
    const struct engine_time *time;
    void (*wake)(void *arg);
    void *arg;
    pthread_t thread;
    /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum hand_over_phase phase;
    bool stopping;
    bool is_full;
    uint64_t lsn;
    struct snapshot_chunk *first;
    struct snapshot_chunk *last;
    uint32_t count;
    struct snapshot_result result;
    /* the writer alone; set before it begins */
    uint64_t newest_lsn; /* of the snapshots that count, as this process has verified */
    uint64_t older_lsn;
    char why[96]; /* why the last snapshot cannot be loaded; empty: it can */
};

/* Starts the thread. io, wake, arg, uuid, retain_* and newest_lsn are set. Errors: NOMEM. */
int snapshot_writer_init(struct snapshot_writer *writer);
/* Ends the thread, and removes a half-written file. */
void snapshot_writer_fini(struct snapshot_writer *writer);

/* Threads, of the rest: the committer; none blocks. */
/* Begins a snapshot. is_full: the disk is full, so no history is kept. */
void snapshot_writer_begin(struct snapshot_writer *writer, uint64_t lsn, bool is_full);
/* Removes the segments that two snapshots hold, without a new one; ends with a result, too. */
void snapshot_writer_sweep(struct snapshot_writer *writer);
/* Hands a chunk over; as capture.emit, and the writer itself is the arg. */
int snapshot_writer_put(void *writer, struct image_buf *images);
void snapshot_writer_close(struct snapshot_writer *writer, bool is_whole);
bool snapshot_writer_is_full(struct snapshot_writer *writer);
/* Returns true once for each begin, when it has ended; before the close if it has failed. */
bool snapshot_writer_result(struct snapshot_writer *writer, struct snapshot_result *result);

#endif
