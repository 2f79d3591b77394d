/* The janitor: the background thread that packs sealed segments, and reads them again. */
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
 *   | janitor / who removes  | the files lock, around a rename or an unlink of a segment         |
 *   | janitor / who asks     | counters, relaxed; what is damaged, a lock of its own             |
 *   | janitor / readers      | none: a file under a segment's name is whole at every moment      |
 * Guarantees: it touches sealed segments below the active one alone. Nothing that fails in it stops
 * the log, or the janitor.
 */
struct wal_janitor;

/*
 * Starts the thread. active: the number of the segment that is written now; what is below is
 * sealed. It packs nothing into what *reserve keeps free. Errors: TALLY_NOMEM, TALLY_THREAD. Owns:
 * *out is the caller's; io, files and reserve are borrowed.
 */
int wal_janitor_new(struct wal_janitor **out, struct wal_io *io,
                    const struct wal_janitor_options *options, pthread_mutex_t *files,
                    const _Atomic uint64_t *reserve, uint64_t active);

/* Says that the active segment is another one now, and all below are sealed. Threads: the writer;
 * does not block. */
void wal_janitor_wake(struct wal_janitor *janitor, uint64_t active);

/* Any thread. */
void wal_janitor_counts(const struct wal_janitor *janitor, struct wal_janitor_stats *stats);

/* As wal_damage. Any thread. */
uint64_t wal_janitor_damage(struct wal_janitor *janitor, struct wal_report *report);

/* Stops the thread, in the middle of a segment if need be, and frees everything. */
void wal_janitor_destroy(struct wal_janitor *janitor);

#endif
