/* Snapshots of a live engine: when one is made, its walk in the committer, its writer thread. */
#ifndef TALLY_ENGINE_COMMIT_SNAPSHOT_H
#define TALLY_ENGINE_COMMIT_SNAPSHOT_H

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
 * The committer never waits for the writer: when CHUNKS_MAX are not written yet the walk pauses;
 * only what apply saves by itself may exceed them. A chunk belongs to the list, then to the writer.
 * The writer wakes the committer when there is room again and when it has a result.
 *
 * On a full disk the committer asks for a sweep first: what two snapshots hold goes, whatever was
 * to be kept as history. If nothing could go, and one more snapshot would let go of more than it
 * takes, it is made, in the room that is kept free for it (engine/commit/space.c), and the sweep
 * comes again.
 */
enum { SNAPSHOT_CHUNKS_MAX = 8 };

struct snapshot_chunk {
    struct snapshot_chunk *next;
    struct image_buf images;
};

struct snapshot_result {
    int err; /* 0: it counts */
    uint64_t lsn;
    uint64_t bytes;
    uint64_t segments_removed;
    uint64_t gain_bytes;  /* of a sweep: so much would go behind one more snapshot */
    uint64_t gain2_bytes; /* and behind two more */
    char why[224];
};

enum hand_over_phase {
    HAND_IDLE,      /* the writer has nothing to do */
    HAND_SWEEP,     /* what two snapshots hold is to go, whatever is to be kept: the disk is full */
    HAND_OPEN,      /* chunks come */
    HAND_CLOSED,    /* all have come */
    HAND_ABANDONED, /* the committer has failed, or the engine ends */
    HAND_ENDED,     /* the result is there */
};

struct snapshot_writer {
    /* written before the thread begins */
    struct wal_io *io;
    struct wal *wal; /* whose janitor packs beside it */
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
    uint64_t newest_lsn; /* of the snapshots that count, as this process has seen for itself */
    uint64_t older_lsn;
    char why[96]; /* why the last one is none that can be loaded; empty: it can */
};

/* ---- snapshot_writer.c ---- */

/* Starts the thread. io, wake, arg, uuid, retain_* and newest_lsn are set. Errors: NOMEM. */
int snapshot_writer_init(struct snapshot_writer *writer);
/* Ends it, and removes what is half written. */
void snapshot_writer_fini(struct snapshot_writer *writer);

/* Threads, of the rest: the committer; none blocks. */
/* is_full: history is not kept now, there is no room for it. */
void snapshot_writer_begin(struct snapshot_writer *writer, uint64_t lsn, bool is_full);
/* Removes what two snapshots hold, without a new one; ends with a result, too. */
void snapshot_writer_sweep(struct snapshot_writer *writer);
/* As capture.emit; the writer itself is the arg. */
int snapshot_writer_put(void *writer, struct image_buf *images);
void snapshot_writer_close(struct snapshot_writer *writer, bool is_whole);
bool snapshot_writer_is_full(struct snapshot_writer *writer);
/* True once for each begin, when it has ended. May come before the close, when it has failed. */
bool snapshot_writer_result(struct snapshot_writer *writer, struct snapshot_result *result);

/* ---- snapshot.c: in the committer ---- */

struct tally;

struct snapshot {
    /* the committer alone */
    struct capture capture;
    bool walking;
    bool running;
    bool sweeping;      /* and it is no snapshot */
    bool makes_room;    /* one is wanted, so that old log can go: the disk is full */
    bool is_held_back;  /* one is due and was not made, which was said */
    uint64_t sweep_ns;  /* not before this */
    uint64_t serves;    /* tickets up to this are answered by the one that runs */
    uint64_t log_bytes; /* what was replayed; what is stored since comes to it */
    uint64_t bytes_at;  /* both together, when the last one began */
    uint64_t began_ns;
    uint64_t retry_ns; /* not before this, after one that failed */
    uint64_t quiet_ns; /* when the last one began; before the first, when the engine did */
    struct snapshot_writer writer;
    bool has_writer;
};

/* What the start has found. */
struct snapshot_found {
    uint64_t lsn; /* 0: no snapshot */
    uint64_t time_ms;
    uint64_t file_bytes;
    uint64_t log_bytes; /* of the blocks behind it */
};

/* After the replay. Errors: NOMEM. */
int snapshot_start(struct tally *tally, const struct snapshot_found *found);
void snapshot_stop(struct tally *tally);

/* Asks for one because a file is damaged: though nothing has changed, and again until one counts.
 * Threads: any. */
void snapshot_renew(struct tally *tally);

/* Once in each round of the committer. Returns true when it wants the next round at once. */
bool snapshot_run(struct tally *tally);

#endif
