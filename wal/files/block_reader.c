/* The block reader: the block at a place of a file, verified, or the reason why there is none. */
#include "wal/files/block_reader.h"

#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/format/member.h"

#include <errno.h>
#include <stdlib.h>

void wal_block_reader_init(struct wal_block_reader *reader, struct wal_io *io)
{
    *reader = (struct wal_block_reader){.raw = NULL};
    wal_read_window_init(&reader->window, io);
}

void wal_block_reader_fini(struct wal_block_reader *reader)
{
    wal_read_window_fini(&reader->window);
    free(reader->raw);
    reader->raw = NULL;
    reader->raw_capacity = 0;
}

static enum wal_block_state read_failed(struct wal_block_reader *reader, int err)
{
    reader->errnum = err;
    return err == -ENOMEM ? WAL_BLOCK_NO_MEMORY : WAL_BLOCK_IO_ERROR;
}

enum wal_block_state wal_block_reader_header(struct wal_block_reader *reader,
                                             const struct wal_block_place *place,
                                             struct wal_block_header *header)
{
    const unsigned char *page;
    /* every caller begins behind the header's page and steps by whole blocks */
    CHECK(place->offset >= WAL_PAGE_BYTES && place->offset % WAL_PAGE_BYTES == 0);
    if (place->offset + WAL_PAGE_BYTES > place->size_bytes) {
        return WAL_BLOCK_SHORT;
    }
    int err = wal_read_window_get(&reader->window, place->offset, WAL_PAGE_BYTES, &page);
    if (err != 0) {
        return read_failed(reader, err);
    }
    enum wal_block_state state = wal_block_header_get(page, header, place->head, place->offset);
    bool is_blank = state == WAL_BLOCK_BAD_HEADER && bytes_are_zero(page, WAL_PAGE_BYTES);
    return is_blank ? WAL_BLOCK_ZEROS : state;
}

/* Allocates more than is needed now: the blocks of a file are of similar size, and grow with the
 * load. */
static int raw_reserve(struct wal_block_reader *reader, size_t raw_bytes)
{
    if (raw_bytes <= reader->raw_capacity) {
        return 0;
    }
    size_t capacity = raw_bytes < WAL_RAW_BYTES_MAX / 2 ? raw_bytes * 2 : WAL_RAW_BYTES_MAX;
    free(reader->raw); /* no realloc: the old payload is not needed */
    reader->raw = malloc(capacity);
    reader->raw_capacity = reader->raw == NULL ? 0 : capacity;
    return reader->raw == NULL ? -ENOMEM : 0;
}

/* Decompresses a payload whose checksum is good, and checks its members. */
static enum wal_block_state unpack(struct wal_block_reader *reader,
                                   const struct wal_block_header *header,
                                   const unsigned char *payload, const unsigned char **raw)
{
    *raw = payload;
    if (header->codec == WAL_CODEC_LZ4) {
        int err = raw_reserve(reader, header->raw_bytes);
        if (err != 0) {
            return read_failed(reader, err);
        }
        if (wal_block_unpack(header, payload, reader->raw) != 0) {
            return WAL_BLOCK_BAD_CODE;
        }
        *raw = reader->raw;
    }
    bool is_whole = !wal_block_has_members(header) ||
                    wal_member_list_is_whole(*raw, header->raw_bytes, header->count);
    return is_whole ? WAL_BLOCK_VALID : WAL_BLOCK_BAD_MEMBERS;
}

enum wal_block_state wal_block_reader_payload(struct wal_block_reader *reader,
                                              const struct wal_block_place *place,
                                              const struct wal_block_header *header,
                                              const unsigned char **raw)
{
    const unsigned char *block;
    uint64_t bytes = wal_block_bytes(header->stored_bytes);
    /* the header was VALID, so block.c has bounded both lengths */
    CHECK(header->raw_bytes <= WAL_RAW_BYTES_MAX && header->stored_bytes <= header->raw_bytes);
    if (place->offset + bytes > place->size_bytes) {
        return WAL_BLOCK_SHORT;
    }
    int err = wal_read_window_get(&reader->window, place->offset, (size_t)bytes, &block);
    if (err != 0) {
        return read_failed(reader, err);
    }
    const unsigned char *payload = block + WAL_BLOCK_HEADER_BYTES;
    uint64_t seed = wal_block_seed(place->head, place->offset);
    enum wal_block_state state = wal_block_payload_check(header, payload, seed);
    return state == WAL_BLOCK_VALID ? unpack(reader, header, payload, raw) : state;
}

enum wal_block_state wal_block_reader_get(struct wal_block_reader *reader,
                                          const struct wal_block_place *place,
                                          struct wal_block_header *header,
                                          const unsigned char **raw)
{
    enum wal_block_state state = wal_block_reader_header(reader, place, header);
    return state == WAL_BLOCK_VALID ? wal_block_reader_payload(reader, place, header, raw) : state;
}
