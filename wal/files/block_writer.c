/* The block writer: a packed block is signed for its place, written there, and synced. */
#include "wal/files/block_writer.h"

#include "wal/base/check.h"
#include "wal/disk/full_io.h"

/* Signs the block for the writer's offset. Returns its bytes. */
static size_t sign_here(const struct wal_block_writer *writer, unsigned char *block,
                        struct wal_block_header *header)
{
    uint64_t bytes = wal_block_bytes(header->stored_bytes);
    uint64_t kept = (header->flags & WAL_BLOCK_SEAL) != 0 ? 0 : WAL_PAGE_BYTES;
    /* every writer begins behind the header's page and steps by whole blocks */
    CHECK(writer->offset >= WAL_PAGE_BYTES && writer->offset % WAL_PAGE_BYTES == 0);
    /* append rotates first, and always leaves the seal's page; a start seals behind a block that is
     * no seal, and block.c accepts only those that leave that page; all other files grow */
    CHECK(writer->offset <= writer->end && bytes + kept <= writer->end - writer->offset);
    /* lsns begin with 1, and only pages before the block are called durable */
    CHECK(header->durable_lsn < header->first_lsn && header->durable_pages > 0 &&
          (uint64_t)header->durable_pages * WAL_PAGE_BYTES <= writer->offset);
    wal_block_sign(block, header, wal_block_seed(&writer->head, writer->offset));
    return (size_t)bytes;
}

int wal_block_writer_put(struct wal_block_writer *writer, unsigned char *block,
                         struct wal_block_header *header)
{
    size_t bytes = sign_here(writer, block, header);
    int err = wal_full_io_write(writer->io, writer->fd, block, bytes, writer->offset);
    writer->offset += err == 0 ? bytes : 0;
    return err;
}

int wal_block_writer_put_pieces(struct wal_block_writer *writer, unsigned char *block,
                                struct wal_block_header *header,
                                const struct wal_block_pieces *pieces)
{
    size_t bytes = sign_here(writer, block, header);
    int err = 0;
    for (size_t at = 0; err == 0 && at < bytes;) {
        size_t piece = bytes - at < pieces->bytes ? bytes - at : pieces->bytes;
        err = wal_full_io_write(writer->io, writer->fd, block + at, piece, writer->offset + at);
        err = err != 0 ? err : wal_block_writer_sync(writer);
        err = err != 0 ? err : pieces->pace(pieces->arg, piece);
        at += piece;
    }
    writer->offset += err == 0 ? bytes : 0;
    return err;
}

int wal_block_writer_sync(struct wal_block_writer *writer)
{
    return writer->io->ops->datasync(writer->io, writer->fd);
}
