/* The janitor: the background thread that packs and scrubs sealed segments. */
#ifndef TALLY_WAL_BACKGROUND_JANITOR_H
#define TALLY_WAL_BACKGROUND_JANITOR_H

#include "wal/disk/io.h"
#include "wal/types.h"

#include <pthread.h>
#include <stdint.h>

/*
 *   writer                          janitor, at the lowest priority
 *   ──────                          ───────────────────────────────
 *   rotate: seals n, takes n+1
 *     active = n+1, wake ─────────▶ next < active: pack it, oldest first
 *                                     write wal-n.pack, read it back, compare
 *                                     [files lock] rename over wal-n.seg, sync the directory
 *                                   failed: go on, and come back to it after retry_ms
 *                                 nothing to pack, and a pass is due: scrub the next segment below
 *                                   active, past the page cache; damaged: say so
 *
 * Synchronization:
 *   | writer / janitor       | active and the semaphore: the writer takes no lock                |
 *   | janitor / retention    | the files lock, around a rename or an unlink of a segment         |
 *   | janitor / any thread   | counters: relaxed; the damage report: a lock of its own           |
 *   | janitor / readers      | none: a file under a segment's name is whole at every moment      |
 * Guarantees: the janitor touches only sealed segments below the active one. A failure in the
 * janitor stops neither the log nor the janitor.
 */
struct wal_janitor;

/*
 * Starts the thread. active: the number of the active segment; all segments below are sealed.
 * Packing leaves *reserve bytes of the disk free. Errors: TALLY_NOMEM, TALLY_THREAD. Owns: *out is
 * the caller's; io, files and reserve are borrowed.
 */
int wal_janitor_new(struct wal_janitor **out, struct wal_io *io,
                    const struct wal_janitor_options *options, pthread_mutex_t *files,
                    const _Atomic uint64_t *reserve, uint64_t active);

/* Sets the number of the active segment: all below are sealed. Threads: the writer; does not block.
 */
void wal_janitor_wake(struct wal_janitor *janitor, uint64_t active);

/* As wal_janitor_stats. Any thread. */
void wal_janitor_counts(const struct wal_janitor *janitor, struct wal_janitor_stats *stats);

/* As wal_damage. Any thread. */
uint64_t wal_janitor_damage(struct wal_janitor *janitor, struct wal_report *report);

/* Stops the thread, even in the middle of a segment, and frees everything. */
void wal_janitor_destroy(struct wal_janitor *janitor);

#endif
