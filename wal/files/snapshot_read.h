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
    char text[192]; /* the fault of a file that was passed over; empty: none was */
};

/*
 * Verifies a snapshot from the first to the last byte, and shows its blocks to visit (NULL:
 * nobody): their first_lsn is the number of the block's first image, and the last block has
 * WAL_BLOCK_SEAL and no images. Errors: TALLY_DAMAGE, TALLY_NEWER, TALLY_IO, all with a text;
 * TALLY_NOMEM; what visit returned. Threads: any.
 */
int wal_snapshot_read(struct wal_io *io, uint64_t lsn, wal_visit_fn visit, void *arg,
                      struct wal_snapshot_info *info);

/* The same for a file that does not have its final name yet. */
int wal_snapshot_read_file(struct wal_io *io, const char *name, uint64_t lsn, wal_visit_fn visit,
                           void *arg, struct wal_snapshot_info *info);

#endif
