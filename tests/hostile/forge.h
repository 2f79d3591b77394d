/* A forger of logs and snapshots: any contents, under checksums that are valid. */
#ifndef TALLY_TESTS_HOSTILE_FORGE_H
#define TALLY_TESTS_HOSTILE_FORGE_H

#include "wal/format/block.h"

#include <stddef.h>
#include <stdint.h>

/* One file that is being forged. */
struct forge {
    int fd;
    struct wal_segment_head head; /* of a snapshot: the fields to which its blocks are tied */
    uint64_t offset;              /* where the next block goes */
    uint64_t next;                /* the lsn, or number of the image, of the next block */
};

/* The uuid of all forged files. */
extern const unsigned char forge_uuid[WAL_UUID_BYTES];

/* Begins a segment of that number: its header, and zeros up to its length. The next block of it has
 * the records from first_lsn on. */
void forge_segment(struct forge *forge, const char *dir, const struct wal_segment_head *head,
                   uint64_t first_lsn);

/* As forge_segment, with 64 KiB and epoch 1. */
void forge_small_segment(struct forge *forge, const char *dir, uint64_t number, uint64_t first_lsn);

/* Begins a snapshot of that lsn. */
void forge_snapshot(struct forge *forge, const char *dir, uint64_t lsn);

/* Appends a block of count records or images, with these flags, as a writer would. */
void forge_block(struct forge *forge, uint16_t flags, uint32_t count, const void *raw,
                 size_t raw_bytes);

/* As forge_block; fields of *header that are not 0 are written as they are. */
void forge_any_block(struct forge *forge, const struct wal_block_header *header, const void *raw,
                     size_t raw_bytes);

/* Ends a segment: a seal, behind which the file is cut off. */
void forge_seal(struct forge *forge);

/* Ends a snapshot, with a seal or without, and writes a header with this number of images. */
void forge_snapshot_end(struct forge *forge, bool seals, uint64_t images);

/* Closes the file. */
void forge_close(struct forge *forge);

/* Writes the header of a snapshot whose file is `bytes` long. */
void forge_snapshot_head(const struct forge *forge, uint64_t bytes, uint64_t images);

#endif
