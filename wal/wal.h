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
    /* Called when what load was shown is no whole snapshot after all, with visit's arg: it forgets
     * what it took, and is shown an older one, or none. Returns as visit. NULL: there is nothing to
     * forget. */
    int (*unload)(void *arg);
    /* Called once when visit has had every block that there is, with visit's arg, before anything
     * is changed on the disk: the last word of a visitor that puts blocks aside. Returns as visit.
     * NULL: it has none. */
    int (*seen)(void *arg);
};

struct wal; /* the open log, for one writer */

/*
 * Locks the directory, recovers by the decision table, calls visit (NULL: nobody) for every block,
 * clears a torn tail, and begins a new segment with a new epoch. visit sees nothing that a crash
 * could undo; the disk is changed only after it, and options->seen, have accepted every block.
 * A snapshot that is not whole is passed over for the one before it, if the log reaches back to
 * that; report->text says so.
 * Errors: TALLY_LOCKED; TALLY_DENIED: the lock's file may not be written; TALLY_IO; TALLY_DAMAGE;
 * TALLY_NEWER; TALLY_NOSPC (no space for the first segment of a new log; a log that is there is
 * opened all the same: then wal_disk_full holds, appends are TALLY_NOSPC, nothing on the disk has
 * changed, and each append or confirm looks for space again, 4 times a second at most);
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
 * Bytes that can be appended for sure: what is left of the active segment, and the next one if it
 * is ready. A block of raw size n needs at most wal_block_bytes(n). What is left at the end of
 * the active segment is of no use to a block that does not fit it, so whoever plans for several
 * blocks counts the largest of them twice. It says nothing of a full disk: shortly after a start,
 * or after a segment was taken, the next one is only not ready yet. Any thread, as a hint.
 */
uint64_t wal_room_bytes(const struct wal *wal);

/*
 * Whether the segment that is written is no more in the directory under its name: somebody has
 * removed it, or all of the directory, and no start will find what is appended. A directory with
 * another name is still the same one. What cannot be asked is not lost. Threads: the writer; asks
 * the file system.
 */
bool wal_is_lost(const struct wal *wal);

/* True while the next segment cannot be made: for lack of space, most times; of descriptors or
 * memory, too. The preallocation thread tries again by itself, 4 times a second. Any thread, as a
 * hint. */
bool wal_disk_full(const struct wal *wal);

/* From now on so many bytes of the disk are left free when a segment is made. At the open it is
 * what a snapshot can take at most. Any thread. */
void wal_reserve(struct wal *wal, uint64_t bytes);

/* How many tries to make the next segment have failed since the open. Any thread. */
uint64_t wal_segment_failures(const struct wal *wal);

uint64_t wal_next_lsn(const struct wal *wal);

/* The log's 16 bytes. Threads: the writer. */
const unsigned char *wal_uuid(const struct wal *wal);

/* What failed for good, one sentence; empty while nothing did. Lives as long as the wal. */
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
 * How many sealed files are known to be damaged: by the last pass of the scrub that came to its
 * end, or by the one that is under way if those are more. With any, *report is what was found last:
 * its text is for people. What was read at the open is whole in memory all the same. Any thread.
 */
uint64_t wal_damage(const struct wal *wal, struct wal_report *report);

/*
 * The lock under which a file takes a segment's place, or is removed. Whoever removes segments
 * holds it meanwhile, so that the janitor brings none back. Owns: it lives as long as the log.
 * Threads: any but the writer's; it is held for a few file calls.
 */
pthread_mutex_t *wal_files_lock(struct wal *wal);

/* With clean: ends the log with a clean-shutdown block. Then frees everything but the io, which
 * keeps the lock until it is destroyed. Returns 0, or TALLY_IO when this or an earlier call failed.
 */
int wal_close(struct wal *wal, bool clean);

#endif
