/* Blocks: one group commit each; the bytes on disk, written and checked. */
#include "wal/format/block.h"

#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/mutant.h"
#include "wal/format/codec.h"

#include <string.h>

static const unsigned char magic[4] = {'T', 'B', 'L', 'K'};

enum {
    AT_MAGIC = 0,
    AT_FLAGS = 4,
    AT_CODEC = 6,
    AT_RESERVED = 7,
    AT_FIRST_LSN = 8,
    AT_DURABLE_LSN = 16,
    AT_COUNT = 24,
    AT_RAW_BYTES = 28,
    AT_STORED_BYTES = 32,
    AT_DURABLE_PAGES = 36,
    AT_PAYLOAD_CHECKSUM = 40,
    AT_RESERVED_TOO = 48,
    AT_HEADER_CHECKSUM = 56,
};

_Static_assert(AT_FLAGS == AT_MAGIC + sizeof(magic), "magic");
_Static_assert(AT_CODEC == AT_FLAGS + 2, "flags: u16");
_Static_assert(AT_RESERVED == AT_CODEC + 1, "codec: u8");
_Static_assert(AT_FIRST_LSN == AT_RESERVED + 1, "reserved: 1 zero");
_Static_assert(AT_DURABLE_LSN == AT_FIRST_LSN + 8, "first lsn: u64");
_Static_assert(AT_COUNT == AT_DURABLE_LSN + 8, "durable lsn: u64");
_Static_assert(AT_RAW_BYTES == AT_COUNT + 4, "count: u32");
_Static_assert(AT_STORED_BYTES == AT_RAW_BYTES + 4, "raw bytes: u32");
_Static_assert(AT_DURABLE_PAGES == AT_STORED_BYTES + 4, "stored bytes: u32");
_Static_assert(AT_PAYLOAD_CHECKSUM == AT_DURABLE_PAGES + 4, "durable pages: u32");
_Static_assert(AT_RESERVED_TOO == AT_PAYLOAD_CHECKSUM + 8, "payload checksum: u64");
_Static_assert(AT_HEADER_CHECKSUM == AT_RESERVED_TOO + 8, "reserved: 8 zeros");
_Static_assert(WAL_BLOCK_HEADER_BYTES == AT_HEADER_CHECKSUM + 8, "header checksum: u64");

uint64_t wal_block_seed(const struct wal_segment_head *head, uint64_t offset)
{
    unsigned char place[WAL_UUID_BYTES + 20];
    memcpy(place, head->uuid, WAL_UUID_BYTES);
    put_le64(place + WAL_UUID_BYTES, head->number);
    put_le64(place + WAL_UUID_BYTES + 8, MUTANT(MUTANT_NO_OFFSET) ? 0 : offset);
    put_le32(place + WAL_UUID_BYTES + 16, head->epoch);
    return wal_codec_checksum(place, sizeof(place), 0);
}

static void header_put(unsigned char *to, const struct wal_block_header *header, uint64_t seed)
{
    memcpy(to + AT_MAGIC, magic, sizeof(magic));
    put_le16(to + AT_FLAGS, header->flags);
    to[AT_CODEC] = header->codec;
    to[AT_RESERVED] = 0;
    put_le64(to + AT_FIRST_LSN, header->first_lsn);
    put_le64(to + AT_DURABLE_LSN, header->durable_lsn);
    put_le32(to + AT_COUNT, header->count);
    put_le32(to + AT_RAW_BYTES, header->raw_bytes);
    put_le32(to + AT_STORED_BYTES, header->stored_bytes);
    put_le32(to + AT_DURABLE_PAGES, header->durable_pages);
    put_le64(to + AT_PAYLOAD_CHECKSUM, header->payload_checksum);
    put_le64(to + AT_RESERVED_TOO, 0);
    put_le64(to + AT_HEADER_CHECKSUM, wal_codec_checksum(to, AT_HEADER_CHECKSUM, seed));
}

/*
 * Makes [used, bytes) zero where it is not. The codec may have written up to `written`, also when
 * it was in vain.
 */
static void pad(unsigned char *into, size_t used, size_t bytes, size_t written,
                struct wal_block_zeros *zeros)
{
    size_t from = zeros->from > written ? zeros->from : written;
    if (from > used) {
        memset(into + used, 0, (from < bytes ? from : bytes) - used);
    }
    if (zeros->until < bytes) {
        size_t rest = zeros->until > used ? zeros->until : used;
        memset(into + rest, 0, bytes - rest);
        zeros->until = bytes;
    }
    zeros->from = from > bytes ? from : used;
}

/*
 * Compresses when that saves a page: a block is padded to whole pages, so a smaller gain only costs
 * time. A block that fits one page as it is (all under 512 bytes do, and more) is not compressed.
 */
static size_t pack_with(size_t (*codec)(const void *, size_t, void *, size_t), unsigned char *into,
                        struct wal_block_header *header, const void *raw, size_t raw_bytes,
                        struct wal_block_zeros *zeros)
{
    /* wal_append and wal_snapshot_writer_put have refused more; the packer gathers up to 1 MiB, or
     * takes one block of a scan, which is never longer */
    CHECK(raw_bytes <= WAL_RAW_BYTES_MAX);
    unsigned char *payload = into + WAL_BLOCK_HEADER_BYTES;
    size_t less = (size_t)wal_block_bytes(raw_bytes) - WAL_PAGE_BYTES;
    size_t stored = 0;
    if (less > 0) {
        stored = codec(raw, raw_bytes, payload, less - WAL_BLOCK_HEADER_BYTES);
    }
    header->codec = stored > 0 ? WAL_CODEC_LZ4 : WAL_CODEC_RAW;
    if (stored == 0 && raw_bytes > 0) {
        memcpy(payload, raw, raw_bytes);
        stored = raw_bytes;
    }
    header->raw_bytes = (uint32_t)raw_bytes;
    header->stored_bytes = (uint32_t)stored;
    size_t bytes = (size_t)wal_block_bytes(stored);
    pad(into, WAL_BLOCK_HEADER_BYTES + stored, bytes, less, zeros);
    return bytes;
}

size_t wal_block_pack(unsigned char *into, struct wal_block_header *header, const void *raw,
                      size_t raw_bytes)
{
    struct wal_block_zeros none = {0};
    return pack_with(wal_codec_pack, into, header, raw, raw_bytes, &none);
}

size_t wal_block_pack_again(unsigned char *into, struct wal_block_header *header, const void *raw,
                            size_t raw_bytes, struct wal_block_zeros *zeros)
{
    return pack_with(wal_codec_pack, into, header, raw, raw_bytes, zeros);
}

size_t wal_block_pack_hard(unsigned char *into, struct wal_block_header *header, const void *raw,
                           size_t raw_bytes)
{
    struct wal_block_zeros none = {0};
    return pack_with(wal_codec_pack_hard, into, header, raw, raw_bytes, &none);
}

void wal_block_sign(unsigned char *into, struct wal_block_header *header, uint64_t seed)
{
    /* wal_append and wal_snapshot_writer_put have checked it; the packer has both from valid blocks
     */
    CHECK((header->count == 0) == (header->raw_bytes == 0));
    header->payload_checksum =
        wal_codec_checksum(into + WAL_BLOCK_HEADER_BYTES, header->stored_bytes, seed);
    header_put(into, header, seed);
}

/* The rules that every writer keeps. A header that breaks one under a good checksum was made by a
 * bug. */
static bool is_sane(const struct wal_block_header *header, const struct wal_segment_head *head,
                    uint64_t offset)
{
    /* A segment always keeps a page for the block that seals it. */
    bool seals = (header->flags & WAL_BLOCK_SEAL) != 0;
    uint64_t end = head->bytes - (seals ? 0 : WAL_PAGE_BYTES);
    bool packs = header->codec == WAL_CODEC_LZ4;
    bool members = (header->flags & WAL_BLOCK_PACKED) != 0 && !seals;
    bool marks = seals || (header->flags & WAL_BLOCK_CONFIRM) != 0; /* and holds no records */
    return header->raw_bytes <= WAL_RAW_BYTES_MAX &&
           (packs ? header->stored_bytes < header->raw_bytes
                  : header->stored_bytes == header->raw_bytes) &&
           (header->count == 0) == (header->raw_bytes == 0) &&
           offset + wal_block_bytes(header->stored_bytes) <= end &&
           (seals || (header->flags & WAL_BLOCK_CLEAN) == 0) && header->first_lsn > 0 &&
           (!members || header->count > 0) && (!marks || header->count == 0) &&
           header->first_lsn <= WAL_LSN_MAX && header->count <= WAL_LSN_MAX - header->first_lsn &&
           header->durable_lsn < header->first_lsn && header->durable_pages > 0 &&
           (uint64_t)header->durable_pages * WAL_PAGE_BYTES <= offset;
}

bool wal_block_has_magic(const unsigned char from[WAL_BLOCK_HEADER_BYTES])
{
    return memcmp(from + AT_MAGIC, magic, sizeof(magic)) == 0;
}

enum wal_block_state wal_block_header_get(const unsigned char from[WAL_BLOCK_HEADER_BYTES],
                                          struct wal_block_header *header,
                                          const struct wal_segment_head *head, uint64_t offset)
{
    if (!wal_block_has_magic(from)) {
        return WAL_BLOCK_BAD_HEADER; /* saves the checksum where there is no block */
    }
    uint64_t seed = wal_block_seed(head, offset);
    if (get_le64(from + AT_HEADER_CHECKSUM) != wal_codec_checksum(from, AT_HEADER_CHECKSUM, seed)) {
        return WAL_BLOCK_BAD_HEADER;
    }
    *header = (struct wal_block_header){
        .first_lsn = get_le64(from + AT_FIRST_LSN),
        .durable_lsn = get_le64(from + AT_DURABLE_LSN),
        .durable_pages = get_le32(from + AT_DURABLE_PAGES),
        .count = get_le32(from + AT_COUNT),
        .raw_bytes = get_le32(from + AT_RAW_BYTES),
        .stored_bytes = get_le32(from + AT_STORED_BYTES),
        .flags = get_le16(from + AT_FLAGS),
        .codec = from[AT_CODEC],
        .payload_checksum = get_le64(from + AT_PAYLOAD_CHECKSUM),
    };
    if (header->codec > WAL_CODEC_LZ4 || (header->flags & ~WAL_BLOCK_FLAGS_ALL) != 0 ||
        from[AT_RESERVED] != 0 || get_le64(from + AT_RESERVED_TOO) != 0) {
        return WAL_BLOCK_NEWER;
    }
    return is_sane(header, head, offset) ? WAL_BLOCK_VALID : WAL_BLOCK_CONTRADICTS;
}

enum wal_block_state wal_block_payload_check(const struct wal_block_header *header,
                                             const unsigned char *payload, uint64_t seed)
{
    uint64_t checksum = wal_codec_checksum(payload, header->stored_bytes, seed);
    return checksum == header->payload_checksum ? WAL_BLOCK_VALID : WAL_BLOCK_BAD_CHECKSUM;
}

int wal_block_unpack(const struct wal_block_header *header, const unsigned char *payload, void *raw)
{
    CHECK(header->codec == WAL_CODEC_LZ4); /* every caller asks for the codec first */
    return wal_codec_unpack(payload, header->stored_bytes, raw, header->raw_bytes);
}
