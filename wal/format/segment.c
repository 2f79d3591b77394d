/* Segments: the files of the log, their names and their headers. */
#include "wal/format/segment.h"

#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/format/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const unsigned char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'S', 'E', 'G'};

#define VERSION 1U

/* Offsets of a header copy's fields. Magic, version, length and checksum have the same offsets in
 * every version, so that a newer header can be told from a damaged one. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_EPOCH = 12,
    AT_UUID = 16,
    AT_NUMBER = 32,
    AT_BYTES = 40,
    AT_RESERVED = 48,
    AT_CHECKSUM = 56,
    COPY_BYTES = 64,
    COPY_APART = 512,
};

_Static_assert(AT_VERSION == AT_MAGIC + sizeof(magic), "magic");
_Static_assert(AT_EPOCH == AT_VERSION + 4, "version: u32");
_Static_assert(AT_UUID == AT_EPOCH + 4, "epoch: u32");
_Static_assert(AT_NUMBER == AT_UUID + WAL_UUID_BYTES, "uuid");
_Static_assert(AT_BYTES == AT_NUMBER + 8, "number: u64");
_Static_assert(AT_RESERVED == AT_BYTES + 8, "bytes: u64");
_Static_assert(AT_CHECKSUM == AT_RESERVED + 8, "reserved: 8 zeros");
_Static_assert(COPY_BYTES == AT_CHECKSUM + 8, "checksum: u64");
_Static_assert(COPY_APART + COPY_BYTES <= WAL_PAGE_BYTES, "both copies lie in the first page");

void wal_segment_name(char name[WAL_NAME_BYTES], uint64_t number)
{
    snprintf(name, WAL_NAME_BYTES, "wal-%016" PRIx64 ".seg", number);
}

void wal_segment_temp_name(char name[WAL_NAME_BYTES], uint64_t number)
{
    snprintf(name, WAL_NAME_BYTES, "wal-%016" PRIx64 ".tmp", number);
}

void wal_segment_pack_name(char name[WAL_NAME_BYTES], uint64_t number)
{
    snprintf(name, WAL_NAME_BYTES, "wal-%016" PRIx64 ".pack", number);
}

bool wal_segment_is_name(const char *name, uint64_t *number)
{
    return wal_name_has_number(name, "wal-", ".seg", number);
}

/* Whether the name is "torn-<lsn>.tmp", the lsn in digits without leading zeros. */
static bool is_torn_temp(const char *name)
{
    size_t len = strlen(name);
    if (len < 10 || strncmp(name, "torn-", 5) != 0 || strcmp(name + len - 4, ".tmp") != 0) {
        return false;
    }
    size_t digits = strspn(name + 5, "0123456789");
    return digits == len - 9 && digits <= 20 && name[5] != '0';
}

bool wal_segment_is_temp(const char *name)
{
    uint64_t number;
    return wal_name_has_number(name, "wal-", ".tmp", &number) ||
           wal_name_has_number(name, "wal-", ".pack", &number) ||
           wal_name_has_number(name, "snap-", ".tmp", &number) || is_torn_temp(name);
}

void wal_segment_head_put(unsigned char page[WAL_PAGE_BYTES], const struct wal_segment_head *head)
{
    memset(page, 0, WAL_PAGE_BYTES);
    for (unsigned at = 0; at <= COPY_APART; at += COPY_APART) {
        unsigned char *copy = page + at;
        memcpy(copy + AT_MAGIC, magic, sizeof(magic));
        put_le32(copy + AT_VERSION, VERSION);
        put_le32(copy + AT_EPOCH, head->epoch);
        memcpy(copy + AT_UUID, head->uuid, WAL_UUID_BYTES);
        put_le64(copy + AT_NUMBER, head->number);
        put_le64(copy + AT_BYTES, head->bytes);
        put_le64(copy + AT_CHECKSUM, wal_codec_checksum(copy, AT_CHECKSUM, at));
    }
}

static enum wal_head_state copy_get(const unsigned char *page, unsigned at,
                                    struct wal_segment_head *head)
{
    const unsigned char *copy = page + at;
    if (memcmp(copy + AT_MAGIC, magic, sizeof(magic)) != 0 ||
        get_le64(copy + AT_CHECKSUM) != wal_codec_checksum(copy, AT_CHECKSUM, at)) {
        return WAL_HEAD_BAD;
    }
    if (get_le32(copy + AT_VERSION) != VERSION || get_le64(copy + AT_RESERVED) != 0) {
        return WAL_HEAD_NEWER;
    }
    memcpy(head->uuid, copy + AT_UUID, WAL_UUID_BYTES);
    head->number = get_le64(copy + AT_NUMBER);
    head->bytes = get_le64(copy + AT_BYTES);
    head->epoch = get_le32(copy + AT_EPOCH);
    return WAL_HEAD_OK;
}

enum wal_head_state wal_segment_head_get(const unsigned char page[WAL_PAGE_BYTES],
                                         struct wal_segment_head *head)
{
    struct wal_segment_head first = {.epoch = 0};
    struct wal_segment_head second = {.epoch = 0};
    enum wal_head_state a = copy_get(page, 0, &first);
    enum wal_head_state b = copy_get(page, COPY_APART, &second);
    if (a == WAL_HEAD_NEWER || b == WAL_HEAD_NEWER) {
        return WAL_HEAD_NEWER;
    }
    if (a != WAL_HEAD_OK && b != WAL_HEAD_OK) {
        return WAL_HEAD_BAD;
    }
    bool take_second = a != WAL_HEAD_OK || (b == WAL_HEAD_OK && second.epoch > first.epoch);
    *head = take_second ? second : first;
    return WAL_HEAD_OK;
}

bool wal_segment_is_size(uint64_t bytes)
{
    return bytes >= WAL_SEGMENT_BYTES_MIN && bytes <= WAL_SEGMENT_BYTES_MAX &&
           bytes % WAL_PAGE_BYTES == 0;
}

bool wal_segment_is_length(uint64_t bytes)
{
    /* header and seal alone: a segment that was too short for its first block */
    return bytes >= 2 * WAL_PAGE_BYTES && bytes <= WAL_SEGMENT_BYTES_MAX &&
           bytes % WAL_PAGE_BYTES == 0;
}
