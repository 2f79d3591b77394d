/* The block writer: a packed block is signed for its place, written there, and synced. */
#ifndef TALLY_WAL_FILES_BLOCK_WRITER_H
#define TALLY_WAL_FILES_BLOCK_WRITER_H

#include "wal/disk/io.h"
#include "wal/format/block.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The only way to write a block; used by append, seal, snapshot and pack.
 *
 *   wal_block_pack ──▶ the caller fills the header ──▶ put: sign for the offset, write ──▶ sync
 *
 * Every file of blocks goes strictly forward: a block is written behind the one before, once.
 * Threads: one.
 */
struct wal_block_writer {
    struct wal_io *io;
    int fd;                       /* borrowed */
    struct wal_segment_head head; /* of the file: with the offset it is the checksums' seed */
    uint64_t end;                 /* of the file, the seal's page included; UINT64_MAX: it grows */
    uint64_t offset;              /* where the next block goes */
};

/* How a long block is written in pieces, so that a sync of another file waits for one piece at
 * most. */
struct wal_block_pieces {
    size_t bytes;                         /* of a piece; each piece is synced */
    int (*pace)(void *arg, size_t bytes); /* called after each piece; nonzero ends the writing */
    void *arg;
};

/*
 * Signs a packed block for the writer's offset, writes it in one piece, and moves the offset behind
 * it. Nothing is synced. REQUIRES: the block fits (one that is no seal leaves a page for the seal).
 * Returns 0 or a negative errno value; then any part may be written, and the offset stays.
 */
int wal_block_writer_put(struct wal_block_writer *writer, unsigned char *block,
                         struct wal_block_header *header);

/* The same in pieces, each of them synced. Returns 0, a negative errno value, or what pace
 * returned. */
int wal_block_writer_put_pieces(struct wal_block_writer *writer, unsigned char *block,
                                struct wal_block_header *header,
                                const struct wal_block_pieces *pieces);

/* Waits until every block that was put is on the disk. Returns 0 or a negative errno value: then
 * nobody knows what is on the disk, and a second sync would not tell. */
int wal_block_writer_sync(struct wal_block_writer *writer);

#endif
