/* Members: blocks of a segment, one behind another in the payload of a packed block. */
#include "wal/format/member.h"

#include "wal/base/bytes.h"
#include "wal/base/check.h"

size_t wal_member_head_put(unsigned char *to, uint32_t count, size_t raw_bytes)
{
    /* the member is a block with records that a scan has shown: it has bytes, 24 MiB at most */
    CHECK(count > 0 && raw_bytes > 0 && raw_bytes <= UINT32_MAX);
    size_t len = put_varint(to, count);
    return len + put_varint(to + len, raw_bytes);
}

int wal_member_get(const unsigned char **at, const unsigned char *end, struct wal_member *member)
{
    uint64_t count;
    uint64_t raw_bytes;
    if (get_varint(at, end, &count) != 0 || get_varint(at, end, &raw_bytes) != 0 || count == 0 ||
        count > UINT32_MAX || raw_bytes == 0 || raw_bytes > (uint64_t)(end - *at)) {
        return -1;
    }
    *member = (struct wal_member){
        .count = (uint32_t)count,
        .raw = *at,
        .raw_bytes = (size_t)raw_bytes,
    };
    *at += raw_bytes;
    return 0;
}

bool wal_member_list_is_whole(const unsigned char *raw, size_t raw_bytes, uint32_t count)
{
    const unsigned char *at = raw;
    const unsigned char *end = raw + raw_bytes;
    uint64_t sum = 0;
    while (at < end) {
        struct wal_member member;
        if (wal_member_get(&at, end, &member) != 0) {
            return false;
        }
        sum += member.count;
    }
    return sum == count;
}
