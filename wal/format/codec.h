/* Compression and checksums: the only door to lz4 and xxhash. */
#ifndef TALLY_WAL_FORMAT_CODEC_H
#define TALLY_WAL_FORMAT_CODEC_H

#include <stddef.h>
#include <stdint.h>

/* The seeded 64-bit checksum of len bytes. */
uint64_t wal_codec_checksum(const void *bytes, size_t len, uint64_t seed);

/* Compresses raw into at most room bytes. Returns the bytes used, or 0 when room is too small. */
size_t wal_codec_pack(const void *raw, size_t raw_bytes, void *into, size_t room);

/* The same, in the same format, with harder compression: many times slower, and smaller. */
size_t wal_codec_pack_hard(const void *raw, size_t raw_bytes, void *into, size_t room);

/* Decompresses into exactly raw_bytes bytes, never beyond, whatever the input is. Returns 0, or -1
 * when the input is not the compressed form of exactly raw_bytes bytes. */
int wal_codec_unpack(const void *packed, size_t packed_bytes, void *raw, size_t raw_bytes);

#endif
