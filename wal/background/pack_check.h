/* The check of a packed segment against the one it was made of, block by block. */
#ifndef TALLY_WAL_BACKGROUND_PACK_CHECK_H
#define TALLY_WAL_BACKGROUND_PACK_CHECK_H

#include "wal/disk/io.h"

#include <stddef.h>
#include <stdint.h>

/* What is compared, and how fast. */
struct wal_pack_check {
    struct wal_io *io;
    uint64_t number;                      /* of the segment */
    const char *packed_name;              /* of the file that is to take its place */
    int (*pace)(void *arg, size_t bytes); /* as in wal/background/pack.h */
    void *arg;
};

/*
 * Reads both files from the disk and compares them: the same blocks with records, each with the
 * same lsns and bytes; one seal with the same meaning; nothing behind it.
 * Returns 0; -EIO: they differ; what pace returned; or another negative errno value.
 */
int wal_pack_check_run(const struct wal_pack_check *check);

#endif
