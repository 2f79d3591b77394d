/* Members: blocks of a segment, one behind another in the payload of a packed block. */
#ifndef TALLY_WAL_FORMAT_MEMBER_H
#define TALLY_WAL_FORMAT_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One block as it was before it was packed: its count of records (a varint), the length of its
 * payload (a varint), its raw payload. */
struct wal_member {
    uint32_t count;
    const unsigned char *raw;
    size_t raw_bytes;
};

#define WAL_MEMBER_HEAD_BYTES_MAX 10U

/* Writes the head of a member, its count and its length. Returns the bytes of the head. */
size_t wal_member_head_put(unsigned char *to, uint32_t count, size_t raw_bytes);

/* Reads the member at *at, not beyond end, and moves *at behind it. Returns 0, or -1 when the bytes
 * are no whole member. member->raw points into the bytes. */
int wal_member_get(const unsigned char **at, const unsigned char *end, struct wal_member *member);

/* Whether the bytes are whole members that have count records together. */
bool wal_member_list_is_whole(const unsigned char *raw, size_t raw_bytes, uint32_t count);

#endif
