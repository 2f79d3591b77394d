/* Snapshots beside the writer of a simulated log, and retention when they count. */
#ifndef TALLY_TESTS_CRASH_SNAPS_H
#define TALLY_TESTS_CRASH_SNAPS_H

#include "wal/format/segment.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run;

/* The snapshots of one life of a log; as the engine makes them, in a thread of their own. */
struct snaps {
    pthread_t thread;
    bool is_running;
    uint64_t newest_lsn; /* of the newest that counts, as far as this life knows; 0: none */
    uint64_t older_lsn;

    /* of the snapshot that is being made */
    uint64_t lsn;
    unsigned char uuid[WAL_UUID_BYTES];
    unsigned char *images; /* owned */
    size_t count;
    uint64_t bytes_max; /* retention keeps so much log */
};

/* Begins a snapshot of the acknowledged blocks. When it counts, older snapshots and old segments
 * are removed. A failure is in run->wrong. REQUIRES: the log is open. */
void snaps_begin(struct run *run);

/* Waits for the snapshot that is being made. */
void snaps_join(struct run *run);

/* Damages the newest snapshot on the disk, if the model has an older one for that. Returns whether
 * it did. REQUIRES: the log is not open. */
bool snaps_damage(struct run *run);

#endif
