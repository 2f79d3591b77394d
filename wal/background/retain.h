/* Retention: the oldest segments are removed once two snapshots hold what they say. */
#ifndef TALLY_WAL_BACKGROUND_RETAIN_H
#define TALLY_WAL_BACKGROUND_RETAIN_H

#include "wal/disk/io.h"
#include "wal/types.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Which segments are to be kept. */
struct wal_retain {
    uint64_t safe_lsn;  /* of the older of two snapshots that count; 0: nothing goes */
    uint64_t bytes_max; /* the segments together; beyond, the oldest goes */
    /* Whether a block is so old that records of its time need not be kept; NULL: none is. */
    bool (*is_old)(void *arg, const struct wal_block *block);
    void *arg;
    pthread_mutex_t *files_lock; /* of the open log (wal_files_lock); NULL: no log is open here */
};

/*
 * Removes sealed segments from the oldest on, each durably before the next, while all of their
 * records are in the older snapshot (so at no moment does a start depend on one of them) and they
 * are outside of what is to be kept: all segments are larger than bytes_max, or the first block
 * behind them is old. The log may be written meanwhile. Returns how many went, or TALLY_IO,
 * TALLY_NOMEM. Threads: any one at a time.
 */
int wal_retain(struct wal_io *io, const struct wal_retain *retain);

/* How many bytes of segments wal_retain would remove, if that were the older snapshot's lsn and
 * nothing were to be kept. Threads: as wal_retain. */
uint64_t wal_retain_bytes(struct wal_io *io, uint64_t safe_lsn);

#endif
