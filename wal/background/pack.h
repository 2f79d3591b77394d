/* Packing: a sealed segment is written anew as few large blocks, checked, and replaced by them. */
#ifndef TALLY_WAL_BACKGROUND_PACK_H
#define TALLY_WAL_BACKGROUND_PACK_H

#include "wal/disk/io.h"
#include "wal/format/segment.h"
#include "wal/types.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The task of a packer, and its result. */
struct wal_pack {
    struct wal_io *io;
    uint64_t number;           /* of a segment that is sealed and not the active one */
    pthread_mutex_t *replaces; /* the files lock: held while a file is replaced or removed */

    /* Called after every step of that many bytes read or written; may wait, to limit the rate.
     * Returns 0, or a negative error that ends the packing. */
    int (*pace)(void *arg, size_t bytes);
    void *arg;

    uint64_t from_bytes; /* of the file as it was */
    uint64_t to_bytes;   /* of the packed one */
    bool is_damaged;     /* the segment is damaged, and damage says how */
    struct wal_report damage;
};

enum wal_packed {
    WAL_PACKED = 0,      /* the packed file is in its place, durably */
    WAL_PACKED_LEFT = 1, /* it would not be smaller by a quarter, or was packed before */
};

/*
 * Packs one segment: writes wal-<number>.pack in small steps, each synced; reads it back from the
 * disk and compares it with the segment, block by block; and gives it the segment's name. A crash
 * at any point leaves the one or the other, whole.
 * Returns enum wal_packed; or -ENOENT: the segment is gone; -EBADMSG: it is damaged; -EIO: among
 * others, the file read back differs from the segment; what pace returned; or another negative
 * errno value. After an error the segment is as it was, and there is no other file.
 * Threads: one; blocks for long.
 */
int wal_pack_run(struct wal_pack *pack);

#endif
