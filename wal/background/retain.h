/* Retention: the oldest segments are removed once two snapshots hold their records. */
#ifndef TALLY_WAL_BACKGROUND_RETAIN_H
#define TALLY_WAL_BACKGROUND_RETAIN_H

#include "wal/disk/io.h"
#include "wal/types.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* The rules by which segments are kept. */
struct wal_retain {
    uint64_t safe_lsn;  /* of the older of two snapshots that count; 0: nothing is removed */
    uint64_t bytes_max; /* of all segments together; beyond, the oldest is removed */
    /* Whether a block is so old that records of its time need not be kept; NULL: none is. */
    bool (*is_old)(void *arg, const struct wal_block *block);
    void *arg;
    pthread_mutex_t *files_lock; /* of the open log (wal_files_lock); NULL: no log is open here */
};

/*
 * Removes sealed segments from the oldest on, each durably before the next. A segment is removed
 * when all of its records are in the older snapshot (so no start ever depends on it), and all
 * segments together are larger than bytes_max or the first block behind the segment is old. The log
 * may be written meanwhile. Returns the number of removed segments, or TALLY_IO, TALLY_NOMEM.
 * Threads: any one at a time.
 */
int wal_retain(struct wal_io *io, const struct wal_retain *retain);

/* The bytes that wal_retain would remove if the older snapshot had that lsn and no rule kept a
 * segment. Threads: as wal_retain. */
uint64_t wal_retain_bytes(struct wal_io *io, uint64_t safe_lsn);

#endif
