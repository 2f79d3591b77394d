/* Blocks: one group commit each; the bytes on disk, written and checked. */
#ifndef TALLY_WAL_FORMAT_BLOCK_H
#define TALLY_WAL_FORMAT_BLOCK_H

#include "wal/format/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wal_codec {
    WAL_CODEC_RAW = 0,
    WAL_CODEC_LZ4 = 1,
};

#define WAL_BLOCK_HEADER_BYTES 64U

/* The fields of a block's header. */
struct wal_block_header {
    uint64_t first_lsn;
    uint64_t durable_lsn;   /* records up to here were synced when this block was written */
    uint32_t durable_pages; /* pages of this segment that were synced, its header included */
    uint32_t count;
    uint32_t raw_bytes;
    uint32_t stored_bytes; /* of the payload, without header and padding */
    uint16_t flags;
    uint8_t codec;
    uint64_t payload_checksum;
};

/* The states of a place where a block is expected. The block reader returns all of them
 * (wal/files/block_reader.h), the functions below, which see bytes and no file, some. */
enum wal_block_state {
    WAL_BLOCK_VALID,        /* the part that was asked for, header or payload, is whole */
    WAL_BLOCK_ZEROS,        /* a page of zeros: nothing was written here */
    WAL_BLOCK_SHORT,        /* the file ends before the block does */
    WAL_BLOCK_BAD_HEADER,   /* no magic or a bad checksum: no header was written to this place */
    WAL_BLOCK_NEWER,        /* a good header, with a codec or flag that we do not know */
    WAL_BLOCK_CONTRADICTS,  /* a good header, and yet it contradicts itself or its place */
    WAL_BLOCK_BAD_CHECKSUM, /* of the payload */
    WAL_BLOCK_BAD_CODE,     /* a payload with a good checksum that does not decompress */
    WAL_BLOCK_BAD_MEMBERS,  /* a packed payload with a good checksum whose members are not whole */
    WAL_BLOCK_NO_MEMORY,
    WAL_BLOCK_IO_ERROR,
};

/* Whether a header was written to this place, valid or not. */
static inline bool wal_block_state_has_header(enum wal_block_state state)
{
    return state == WAL_BLOCK_VALID || state == WAL_BLOCK_NEWER || state == WAL_BLOCK_CONTRADICTS;
}

/* Whether a call has failed, so that nothing is known of the place. */
static inline bool wal_block_state_is_failure(enum wal_block_state state)
{
    return state == WAL_BLOCK_NO_MEMORY || state == WAL_BLOCK_IO_ERROR;
}

/* The seed that ties a block to its place: uuid, segment, epoch and offset. */
uint64_t wal_block_seed(const struct wal_segment_head *head, uint64_t offset);

/* Whether the payload is members, and not the records of one block. */
static inline bool wal_block_has_members(const struct wal_block_header *header)
{
    return (header->flags & WAL_BLOCK_PACKED) != 0 && (header->flags & WAL_BLOCK_SEAL) == 0;
}

/* Header, payload and padding together. */
static inline uint64_t wal_block_bytes(uint64_t stored_bytes)
{
    return (WAL_BLOCK_HEADER_BYTES + stored_bytes + WAL_PAGE_BYTES - 1) / WAL_PAGE_BYTES *
           WAL_PAGE_BYTES;
}

/*
 * Makes a block, except for its checksums, in `into`, which has room for
 * wal_block_bytes(raw_bytes): chooses the codec, fills codec and lengths of *header, and pads with
 * zeros. Returns the bytes of the block. The caller sets the other fields, and the block writer
 * signs the block for its place.
 */
size_t wal_block_pack(unsigned char *into, struct wal_block_header *header, const void *raw,
                      size_t raw_bytes);

/* Where a buffer is known to hold zeros, if from is below until. {0}: nothing is known. */
struct wal_block_zeros {
    size_t from;
    size_t until;
};

/* The same in a buffer that is used again and again, so that only what the block before has left
 * there has to be cleared. Nobody else may write to the buffer but into the block's header. */
size_t wal_block_pack_again(unsigned char *into, struct wal_block_header *header, const void *raw,
                            size_t raw_bytes, struct wal_block_zeros *zeros);

/* The same with harder compression, for a background thread. */
size_t wal_block_pack_hard(unsigned char *into, struct wal_block_header *header, const void *raw,
                           size_t raw_bytes);

/* Makes the header say that everything before its block is durable: the records before its first,
 * and so many pages. */
static inline void wal_block_follow(struct wal_block_header *header, uint64_t first_lsn,
                                    uint32_t durable_pages)
{
    header->first_lsn = first_lsn;
    header->durable_lsn = first_lsn - 1;
    header->durable_pages = durable_pages;
}

/* Writes the header with the checksums, which tie the packed block to its place. Called by
 * wal/files/block_writer.h alone. */
void wal_block_sign(unsigned char *into, struct wal_block_header *header, uint64_t seed);

/* Whether the bytes begin as a block does. */
bool wal_block_has_magic(const unsigned char from[WAL_BLOCK_HEADER_BYTES]);

/*
 * Checks the header alone, for a block at offset of a segment. The lengths may be used only after
 * VALID: then they are within the segment. Returns VALID, BAD_HEADER, NEWER or CONTRADICTS; *header
 * is set unless it returns BAD_HEADER.
 */
enum wal_block_state wal_block_header_get(const unsigned char from[WAL_BLOCK_HEADER_BYTES],
                                          struct wal_block_header *header,
                                          const struct wal_segment_head *head, uint64_t offset);

/* Checks the payload's checksum against a valid header. A payload is not read before this says
 * VALID. Returns VALID or BAD_CHECKSUM. */
enum wal_block_state wal_block_payload_check(const struct wal_block_header *header,
                                             const unsigned char *payload, uint64_t seed);

/* Decompresses a checked LZ4 payload into raw, which has room for header->raw_bytes. Returns 0 or
 * -1. */
int wal_block_unpack(const struct wal_block_header *header, const unsigned char *payload,
                     void *raw);

#endif
