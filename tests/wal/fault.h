/* A struct wal_io on top of another one: it lets calls fail, shortens or counts them. */
#ifndef TALLY_TESTS_WAL_FAULT_H
#define TALLY_TESTS_WAL_FAULT_H

#include "wal/disk/io.h"

#include <pthread.h>
#include <stdbool.h>

enum fault_call {
    FAULT_OPEN,
    FAULT_PWRITE,
    FAULT_PREAD,
    FAULT_DATASYNC,
    FAULT_SYNC,
    FAULT_DROP_CACHE,
    FAULT_TRUNCATE,
    FAULT_RENAME,
    FAULT_UNLINK,
    FAULT_SYNCDIR,
    FAULT_LIST,
    FAULT_LOCK,
    FAULT_CALLS,
};

/* Every field behind io may be set between two calls into the log, under the lock if the log's
 * helper thread is running. */
struct fault_io {
    struct wal_io io;
    struct wal_io *real; /* borrowed */
    pthread_mutex_t lock;
    pthread_cond_t failed; /* a fault was delivered */

    enum fault_call call; /* the call that fails */
    int after;            /* after so many successes */
    int times;            /* so many times; -1: always */
    int err;              /* with this error */
    bool temp_only;       /* only on files whose name ends in .tmp, where there is a name */
    bool pack_only;       /* only on files whose name ends in .pack, where there is a name */

    bool stutter; /* every second read or write is interrupted, the others transfer 1000 bytes */
    bool turn;

    long garble; /* this read of a .pack file, counted from 1, brings a wrong byte; 0: none */

    long calls[FAULT_CALLS];
    long faults;          /* delivered */
    char names[1024][48]; /* of the open files, by descriptor */
};

void fault_io_init(struct fault_io *fault, struct wal_io *real);
void fault_io_fini(struct fault_io *fault);

/* The call fails with err after `after` successes, `times` times. */
void fault_io_set(struct fault_io *fault, enum fault_call call, int err, int after, int times);

/* Ends the faults. */
void fault_io_heal(struct fault_io *fault);

/* Waits until so many faults were delivered since set. */
void fault_io_await(struct fault_io *fault, long faults);

#endif
