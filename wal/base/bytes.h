/* Little-endian fields, at any address, and variable-length integers. */
#ifndef TALLY_WAL_BASE_BYTES_H
#define TALLY_WAL_BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool bytes_are_zero(const void *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes;
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static inline void put_le16(void *to, uint16_t v)
{
    v = htole16(v);
    memcpy(to, &v, sizeof v);
}

static inline void put_le32(void *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof v);
}

static inline void put_le64(void *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof v);
}

static inline uint16_t get_le16(const void *from)
{
    uint16_t v;
    memcpy(&v, from, sizeof v);
    return le16toh(v);
}

static inline uint32_t get_le32(const void *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof v);
    return le32toh(v);
}

static inline uint64_t get_le64(const void *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return le64toh(v);
}

#define VARINT_BYTES_MAX 10

/* Writes v in 7-bit groups, low first, the top bit meaning "more follows". Returns the bytes
 * written, 1 to 10. */
static inline size_t put_varint(unsigned char *to, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        to[n++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    to[n++] = (unsigned char)v;
    return n;
}

/*
 * Reads one varint at *at, not beyond end, and moves *at behind it.
 * Returns 0, or -1 when the bytes end inside it or it holds more than 64 bits.
 */
static inline int get_varint(const unsigned char **at, const unsigned char *end, uint64_t *v)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;
        if (shift == 63 && byte > 1) {
            return -1;
        }
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *v = sum;
            return 0;
        }
    }
    return -1;
}

#endif
