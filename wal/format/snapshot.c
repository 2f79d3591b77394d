/* The header of a snapshot, and the name of its file. */
#include "wal/format/snapshot.h"

#include "wal/base/bytes.h"
#include "wal/format/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const unsigned char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'S', 'N', 'P'};

#define VERSION 1U

enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_RESERVED = 12,
    AT_UUID = 16,
    AT_LSN = 32,
    AT_BYTES = 40,
    AT_IMAGES = 48,
    AT_CHECKSUM = 56,
};

_Static_assert(AT_VERSION == AT_MAGIC + sizeof(magic), "magic");
_Static_assert(AT_RESERVED == AT_VERSION + 4, "version: u32");
_Static_assert(AT_UUID == AT_RESERVED + 4, "reserved: 4 zeros");
_Static_assert(AT_LSN == AT_UUID + WAL_UUID_BYTES, "uuid");
_Static_assert(AT_BYTES == AT_LSN + 8, "lsn: u64");
_Static_assert(AT_IMAGES == AT_BYTES + 8, "bytes: u64");
_Static_assert(AT_CHECKSUM == AT_IMAGES + 8, "images: u64");
_Static_assert(WAL_SNAPSHOT_HEAD_BYTES == AT_CHECKSUM + 8, "checksum: u64");

void wal_snapshot_name(char name[WAL_NAME_BYTES], uint64_t lsn)
{
    snprintf(name, WAL_NAME_BYTES, "snap-%016" PRIx64 ".tally", lsn);
}

void wal_snapshot_temp_name(char name[WAL_NAME_BYTES], uint64_t lsn)
{
    snprintf(name, WAL_NAME_BYTES, "snap-%016" PRIx64 ".tmp", lsn);
}

bool wal_snapshot_is_name(const char *name, uint64_t *lsn)
{
    return wal_name_has_number(name, "snap-", ".tally", lsn);
}

void wal_snapshot_head_put(unsigned char page[WAL_PAGE_BYTES], const struct wal_snapshot_head *head)
{
    memset(page, 0, WAL_PAGE_BYTES);
    memcpy(page + AT_MAGIC, magic, sizeof(magic));
    put_le32(page + AT_VERSION, VERSION);
    memcpy(page + AT_UUID, head->uuid, WAL_UUID_BYTES);
    put_le64(page + AT_LSN, head->lsn);
    put_le64(page + AT_BYTES, head->bytes);
    put_le64(page + AT_IMAGES, head->images);
    put_le64(page + AT_CHECKSUM, wal_codec_checksum(page, AT_CHECKSUM, 0));
}

enum wal_head_state wal_snapshot_head_get(const unsigned char from[WAL_SNAPSHOT_HEAD_BYTES],
                                          struct wal_snapshot_head *head)
{
    if (memcmp(from + AT_MAGIC, magic, sizeof(magic)) != 0 ||
        get_le64(from + AT_CHECKSUM) != wal_codec_checksum(from, AT_CHECKSUM, 0)) {
        return WAL_HEAD_BAD;
    }
    if (get_le32(from + AT_VERSION) != VERSION || get_le32(from + AT_RESERVED) != 0) {
        return WAL_HEAD_NEWER;
    }
    memcpy(head->uuid, from + AT_UUID, WAL_UUID_BYTES);
    head->lsn = get_le64(from + AT_LSN);
    head->bytes = get_le64(from + AT_BYTES);
    head->images = get_le64(from + AT_IMAGES);
    return WAL_HEAD_OK;
}

struct wal_segment_head wal_snapshot_block_head(const struct wal_snapshot_head *head)
{
    struct wal_segment_head place = {.number = head->lsn, .bytes = head->bytes};
    memcpy(place.uuid, head->uuid, WAL_UUID_BYTES);
    return place;
}
