/* The scrub: sealed segments and snapshots are read again from the disk, to find damage while
 * memory is whole. */
#ifndef TALLY_WAL_BACKGROUND_SCRUB_H
#define TALLY_WAL_BACKGROUND_SCRUB_H

#include "wal/disk/io.h"
#include "wal/read/scan.h"
#include "wal/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One pass over the sealed segments, one after the other. */
struct wal_scrub {
    struct wal_io *io;
    int (*pace)(void *arg, size_t bytes); /* as in wal/background/pack.h */
    void *arg;
    struct wal_scan scan; /* its cursor is behind the last block that was read */
    int errnum;           /* of pace */
    struct wal_report damage;
};

enum wal_scrubbed {
    WAL_SCRUBBED_WHOLE = 0,
    WAL_SCRUBBED_GONE = 1,   /* there is no such segment any more */
    WAL_SCRUBBED_DAMAGE = 2, /* the segment or snapshot is damaged: scrub->damage says where */
};

void wal_scrub_init(struct wal_scrub *scrub, struct wal_io *io,
                    int (*pace)(void *arg, size_t bytes), void *arg);
void wal_scrub_fini(struct wal_scrub *scrub);

/*
 * Reads a sealed segment past the page cache and checks every checksum, and that every block
 * follows the one before, across segments that are read one after the other. A segment that cannot
 * be read is damaged.
 * Returns enum wal_scrubbed; TALLY_NOMEM; or what pace returned. Threads: one; blocks for long.
 */
int wal_scrub_segment(struct wal_scrub *scrub, uint64_t number);

/*
 * Reads a snapshot past the page cache. Returns as wal_scrub_segment; a snapshot that cannot be
 * read, and so cannot be loaded, is damaged.
 */
int wal_scrub_snapshot(struct wal_scrub *scrub, uint64_t lsn);

#endif
