/* Reading a snapshot: verified from the first to the last byte, its blocks shown on the way. */
#ifndef TALLY_WAL_FILES_SNAPSHOT_READ_H
#define TALLY_WAL_FILES_SNAPSHOT_READ_H

#include "wal/disk/io.h"
#include "wal/types.h"

#include <stdint.h>

struct wal_snapshot_info {
    uint64_t lsn; /* 0: there is none */
    unsigned char uuid[WAL_UUID_BYTES];
    uint64_t bytes;
    uint64_t images;
    char text[192]; /* what is wrong with a file that was passed over; empty: nothing */
};

/*
 * Verifies a snapshot from the first to the last byte, and hands its blocks to visit (NULL:
 * nobody): first_lsn is there the number of the block's first image, and the last block is the one
 * with WAL_BLOCK_SEAL and no images. Errors: TALLY_DAMAGE, TALLY_NEWER, TALLY_IO, all with a
 * text; TALLY_NOMEM; what visit returned. Threads: any.
 */
int wal_snapshot_read(struct wal_io *io, uint64_t lsn, wal_visit_fn visit, void *arg,
                      struct wal_snapshot_info *info);

/* The same under another name, for one that is not there under its own yet. */
int wal_snapshot_read_file(struct wal_io *io, const char *name, uint64_t lsn, wal_visit_fn visit,
                           void *arg, struct wal_snapshot_info *info);

#endif
