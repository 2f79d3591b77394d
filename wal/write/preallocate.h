/* The preallocation thread that makes the next segment before it is needed. */
#ifndef TALLY_WAL_WRITE_PREALLOCATE_H
#define TALLY_WAL_WRITE_PREALLOCATE_H

#include "wal/write/create.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Two threads share it: the preallocation thread and the log's one writer.
 *
 *            take                what can pass              created
 *   READY ─────────▶ CREATING ─────────────────▶ WAITING ───────────▶ READY
 *                     │  │                        (tried again 4 times a second)
 *                     │  └── created ──▶ READY
 *                     └── any other error ──▶ FAILED, which is final
 *
 * Synchronization: state and segment change under the lock; the file calls are made outside of it.
 * is_waiting and ready_bytes repeat them for threads that only look.
 */
struct wal_preallocation;

/* The callback for trouble: say is given one sentence when a segment cannot be created, and one
 * when it was created after all, by the preallocation thread. say may be NULL; it may not block. */
struct wal_preallocation_trouble {
    void (*say)(void *arg, const char *what);
    void *arg;
};

/*
 * Starts the preallocation thread, which creates segment head->number at once, and after each take
 * the next one. A blank segment of that number and size that an earlier start has left is used.
 * A failure that can pass (no space, no descriptor, no memory, an interrupted call) is reported
 * once, and the creation is tried again 4 times a second; any other failure is reported and final.
 * The thread leaves *reserve bytes of the disk free, whatever that value is at the moment.
 * Errors: TALLY_NOMEM, TALLY_THREAD. Owns: *out is the caller's. io and reserve are borrowed;
 * *trouble is copied.
 */
int wal_preallocate_new(struct wal_preallocation **out, struct wal_io *io,
                        const struct wal_segment_head *head,
                        const struct wal_preallocation_trouble *trouble,
                        const _Atomic uint64_t *reserve);

/*
 * Hands over the next segment; waits while it is being created.
 * Errors: TALLY_NOSPC: it cannot be created now, ask again later; TALLY_IO: it can never be
 * created; *errnum then says why. Owns: segment->fd is the caller's. Threads: the writer.
 */
int wal_preallocate_take(struct wal_preallocation *preallocation, struct wal_segment *segment,
                         int *errnum);

/* The length of the segment that can be taken without waiting; 0: there is none. Any thread. */
uint64_t wal_preallocate_ready_bytes(const struct wal_preallocation *preallocation);

/* Whether the next segment cannot be created now, and is tried again. Any thread. */
bool wal_preallocate_is_waiting(const struct wal_preallocation *preallocation);

/* The number of failed tries, of all segments. Any thread. */
uint64_t wal_preallocate_failures(const struct wal_preallocation *preallocation);

/* Stops the preallocation thread and frees everything; a segment that is ready stays on the disk
 * for the next start, a temporary file is removed. */
void wal_preallocate_destroy(struct wal_preallocation *preallocation);

#endif
