/* The write-ahead log: blocks of records, durable when append returns, replayed in order when
 * opened. */
#ifndef TALLY_WAL_WAL_H
#define TALLY_WAL_WAL_H

#include "wal/disk/io.h"
#include "wal/read/reader.h"
#include "wal/recover/repair.h"
#include "wal/types.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wal_options {
    struct wal_io *io;      /* borrowed, outlives the wal */
    uint64_t segment_bytes; /* 0: the default; a multiple of 4096 */
    uint64_t start_bytes; /* of a segment that a start has to wait for; 0: 8 MiB; a multiple, too */
    const struct wal_janitor_options *janitor; /* borrowed until open returns; NULL: no janitor */
    /* Called when the next segment cannot be made, once for each reason, and when it is made after
     * all; by the preallocation thread, it may not block. NULL: nobody. */
    void (*on_trouble)(void *arg, const char *what);
    void *trouble_arg;
    /* Called first, for each block of the newest snapshot that is whole (wal/files/snapshot_read.h:
     * wal_snapshot_read), with visit's arg. A snapshot is verified while it is shown: what load
     * returns counts only if all of it is whole. NULL: snapshots are not looked at, and the log
     * must begin at record 1. */
    wal_visit_fn load;
    /* Called with visit's arg when the snapshot that load was shown turns out not to be whole: the
     * visitor forgets it, and is shown an older snapshot, or none. Returns as visit. NULL: there is
     * nothing to forget. */
    int (*unload)(void *arg);
    /* Called once with visit's arg when visit was shown every block, before anything is changed on
     * the disk, so a visitor that puts blocks aside can still refuse. Returns as visit. NULL: the
     * visitor puts nothing aside. */
    int (*seen)(void *arg);
};

struct wal; /* the open log, for one writer */

/*
 * Locks the directory, recovers by the decision table, calls visit (NULL: nobody) for every block,
 * clears a torn tail, and begins a new segment with a new epoch. visit sees nothing that a crash
 * could undo; the disk is changed only after it, and options->seen, have accepted every block.
 * A snapshot that is not whole is passed over for the one before it, if the log reaches back to
 * that one; report->text says so.
 * Errors: TALLY_LOCKED; TALLY_DENIED: the lock's file may not be written; TALLY_IO; TALLY_DAMAGE;
 * TALLY_NEWER; TALLY_NOSPC: no space for the first segment of a new log (an existing log is opened
 * without space: then wal_disk_full is true, appends return TALLY_NOSPC, nothing on the disk has
 * changed, and an append or confirm looks for space again, at most 4 times a second);
 * TALLY_NOMEM; TALLY_THREAD; TALLY_INVAL: segment_bytes; what visit, load, unload or seen returned.
 * report is filled in every case.
 * Threads: one; may block for long.
 */
int wal_open(struct wal **out, const struct wal_options *options, wal_visit_fn visit, void *arg,
             struct wal_report *report);

/*
 * Writes one block of count records (lsns go on from the last) and waits until it is on disk. raw
 * is empty just when count is 0. Errors: TALLY_IO, final: every later call fails too (a failed
 * sync is never tried again), and wal_why says why; TALLY_NOSPC when the block does not fit the
 * active segment and the disk has no space for the next one: nothing was written, the same call may
 * succeed later; TALLY_TOOBIG when raw_bytes is above WAL_RAW_BYTES_MAX, or wal_block_bytes of it
 * (wal/format/block.h) above segment_bytes - 8192. Threads: the one writer; blocks for the disk,
 * and for the preallocation thread when it is not done with the next segment.
 */
int wal_append(struct wal *wal, uint32_t count, const void *raw, size_t raw_bytes);

/* Writes a block without records that says "durable up to here", if the last block is not confirmed
 * yet. As wal_append. */
int wal_confirm(struct wal *wal);

/*
 * Bytes that can be appended for sure: the unused rest of the active segment, and the next segment
 * if it is ready. A block of raw size n needs at most wal_block_bytes(n). A block that does not fit
 * the rest of the active segment leaves that rest unused, so a caller that plans for several blocks
 * counts the largest of them twice. A small value does not mean a full disk: shortly after a start,
 * or after a segment was taken, the next one is not ready yet. Any thread, as a hint.
 */
uint64_t wal_room_bytes(const struct wal *wal);

/*
 * Whether the active segment's name no longer leads to it: somebody has removed the segment or the
 * whole directory, and no start will find the appended blocks. A renamed directory is still the
 * same one. False when the file system cannot tell. Threads: the writer; asks the file system.
 */
bool wal_is_lost(const struct wal *wal);

/* True while the next segment cannot be made: mostly for lack of space, but also of descriptors or
 * memory. The preallocation thread tries again 4 times a second. Any thread, as a hint. */
bool wal_disk_full(const struct wal *wal);

/* Sets how many bytes of the disk are left free when a segment is made. The open sets it to the
 * largest size that a snapshot of this state can have. Any thread. */
void wal_reserve(struct wal *wal, uint64_t bytes);

/* The number of failed tries to make the next segment, since the open. Any thread. */
uint64_t wal_segment_failures(const struct wal *wal);

uint64_t wal_next_lsn(const struct wal *wal);

/* The log's 16 bytes. Threads: the writer. */
const unsigned char *wal_uuid(const struct wal *wal);

/* The failure that ended the log, in one sentence; empty while there was none. Lives as long as the
 * wal. */
const char *wal_why(const struct wal *wal);

/* Counters for INFO and the benchmark. Threads: the writer. */
struct wal_stats {
    uint64_t blocks;
    uint64_t raw_bytes;
    uint64_t stored_bytes;
    uint64_t sync_ns; /* time spent in write and sync */
    uint64_t segments;
};
void wal_stats(const struct wal *wal, struct wal_stats *stats);

/* Any thread. All 0 without a janitor. */
void wal_janitor_stats(const struct wal *wal, struct wal_janitor_stats *stats);

/*
 * The number of sealed files that are known to be damaged: from the last finished pass of the
 * scrub, or from the pass under way if that has found more. If there are any, *report tells the
 * last one found; its text is for people. The state that the open has read is whole in memory all
 * the same. Any thread.
 */
uint64_t wal_damage(const struct wal *wal, struct wal_report *report);

/*
 * The files lock: it is held while a segment is replaced or removed, so that the janitor brings no
 * removed segment back. Owns: it lives as long as the log. Threads: any but the writer's; it is
 * held for a few file calls.
 */
pthread_mutex_t *wal_files_lock(struct wal *wal);

/* With clean: ends the log with a clean-shutdown block. Then frees everything but the io, which
 * keeps the lock until it is destroyed. Returns 0, or TALLY_IO when this or an earlier call failed.
 */
int wal_close(struct wal *wal, bool clean);

#endif
