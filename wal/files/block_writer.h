/* The block writer: a packed block is signed for its place, written there, and synced. */
#ifndef TALLY_WAL_FILES_BLOCK_WRITER_H
#define TALLY_WAL_FILES_BLOCK_WRITER_H

#include "wal/disk/io.h"
#include "wal/format/block.h"

#include <stddef.h>
#include <stdint.h>

/*
 * All that write blocks write them here: append, seal, snapshot, pack.
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

/* A long block in pieces, so that the syncs of others beside it wait for no more than a piece. */
struct wal_block_pieces {
    size_t bytes;                         /* of a piece; each is synced */
    int (*pace)(void *arg, size_t bytes); /* called behind each; not 0 ends the block with that */
    void *arg;
};

/*
 * Signs a packed block for the writer's offset, writes it in one piece, and moves the offset behind
 * it. Nothing is synced. REQUIRES: it fits (a block that is no seal leaves a page for the seal).
 * Returns 0 or a negative errno value; then any part may be written, and the offset stays.
 */
int wal_block_writer_put(struct wal_block_writer *writer, unsigned char *block,
                         struct wal_block_header *header);

/* The same in pieces, each of them synced. Returns 0, a negative errno value, or what pace did. */
int wal_block_writer_put_pieces(struct wal_block_writer *writer, unsigned char *block,
                                struct wal_block_header *header,
                                const struct wal_block_pieces *pieces);

/* Waits until all that was put is on the disk. Returns 0 or a negative errno value: then it is not
 * known what is there, and no second sync tells. */
int wal_block_writer_sync(struct wal_block_writer *writer);

#endif
