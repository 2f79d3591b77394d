/* The header of a snapshot, and the name of its file. */
#ifndef TALLY_WAL_FORMAT_SNAPSHOT_H
#define TALLY_WAL_FORMAT_SNAPSHOT_H

#include "wal/format/name.h"
#include "wal/format/segment.h"
#include "wal/types.h"

#include <stdbool.h>
#include <stdint.h>

#define WAL_SNAPSHOT_HEAD_BYTES  64U

/* Offset of the first block; the header has the page before. */
#define WAL_SNAPSHOT_FIRST_BLOCK WAL_PAGE_BYTES

/* A header, a block, a seal. */
#define WAL_SNAPSHOT_BYTES_MIN   (3 * WAL_PAGE_BYTES)

struct wal_snapshot_head {
    unsigned char uuid[WAL_UUID_BYTES]; /* of the log */
    uint64_t lsn;                       /* as in the file's name */
    uint64_t bytes;                     /* of the file */
    uint64_t images;                    /* in all blocks */
};

/* "snap-<lsn>.tally". */
void wal_snapshot_name(char name[WAL_NAME_BYTES], uint64_t lsn);

/* "snap-<lsn>.tmp": a snapshot while it is being made. */
void wal_snapshot_temp_name(char name[WAL_NAME_BYTES], uint64_t lsn);

/* Whether the name is that of a snapshot; *lsn is then its lsn. */
bool wal_snapshot_is_name(const char *name, uint64_t *lsn);

/* Fills the header page. */
void wal_snapshot_head_put(unsigned char page[WAL_PAGE_BYTES],
                           const struct wal_snapshot_head *head);

/* Reads a header; *head is set after OK. The bounds of its fields are not checked here. */
enum wal_head_state wal_snapshot_head_get(const unsigned char from[WAL_SNAPSHOT_HEAD_BYTES],
                                          struct wal_snapshot_head *head);

/* The seed's parts for the blocks of a snapshot: the log's uuid, the lsn in place of the segment's
 * number, and the epoch 0, which no segment has. */
struct wal_segment_head wal_snapshot_block_head(const struct wal_snapshot_head *head);

#endif
