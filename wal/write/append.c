/* Appending: a block at the end of the log says that everything before it is durable. */
#include "wal/write/append.h"

#include "wal/base/mutant.h"

struct wal_block_writer wal_append_to(struct wal_io *io, const struct wal_segment *segment,
                                      uint64_t offset)
{
    return (struct wal_block_writer){
        .io = io,
        .fd = segment->fd,
        .head = segment->head,
        .end = segment->head.bytes,
        .offset = offset,
    };
}

int wal_append_block(struct wal_block_writer *writer, uint64_t next_lsn, unsigned char *block,
                     struct wal_block_header *header)
{
    wal_block_follow(header, next_lsn, (uint32_t)(writer->offset / WAL_PAGE_BYTES));
    if (MUTANT(MUTANT_NOTHING_DURABLE)) {
        header->durable_lsn = 0;
        header->durable_pages = 1;
    }
    return wal_block_writer_put(writer, block, header);
}

int wal_append_seal(struct wal_block_writer *writer, uint64_t next_lsn, uint16_t flags)
{
    _Alignas(WAL_PAGE_BYTES) unsigned char page[WAL_PAGE_BYTES];
    struct wal_block_header header = {.flags = (uint16_t)(WAL_BLOCK_SEAL | flags)};
    wal_block_pack(page, &header, NULL, 0);
    int err = wal_append_block(writer, next_lsn, page, &header);
    return err != 0 ? err : wal_block_writer_sync(writer);
}
