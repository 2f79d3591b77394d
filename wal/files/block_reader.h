/* The block reader: the block at a place of a file, verified, or the reason why there is none. */
#ifndef TALLY_WAL_FILES_BLOCK_READER_H
#define TALLY_WAL_FILES_BLOCK_READER_H

#include "wal/disk/io.h"
#include "wal/disk/read_window.h"
#include "wal/format/block.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The only way to read a block; used by scan, snapshot, retention and pack check.
 *
 *   page ──▶ header: magic, checksum, sense ──▶ bounds ──▶ payload's checksum ──▶ unpacked, VALID
 *     │         │                                 │             │                   │
 *   ZEROS     BAD_HEADER, NEWER,                SHORT      BAD_CHECKSUM        BAD_CODE,
 *   SHORT     CONTRADICTS                                                      BAD_MEMBERS
 *
 * A reader reads one file at a time; window.fd is borrowed, wal_read_window_turn changes it.
 * Threads: one.
 */
struct wal_block_reader {
    struct wal_read_window window;
    unsigned char *raw; /* the last payload that was decompressed */
    size_t raw_capacity;
    int errnum; /* after IO_ERROR and NO_MEMORY: a negative errno value */
};

/* Where a block is expected. The file's header and the offset make the seed of the checksums. */
struct wal_block_place {
    const struct wal_segment_head *head; /* of the file */
    uint64_t size_bytes;                 /* of the file: no block reaches beyond */
    uint64_t offset;
};

void wal_block_reader_init(struct wal_block_reader *reader, struct wal_io *io);
void wal_block_reader_fini(struct wal_block_reader *reader);

/*
 * The header alone. Returns VALID, ZEROS, SHORT (no page is left at the place), BAD_HEADER, NEWER,
 * CONTRADICTS, NO_MEMORY or IO_ERROR; *header is set after VALID, NEWER and CONTRADICTS.
 */
enum wal_block_state wal_block_reader_header(struct wal_block_reader *reader,
                                             const struct wal_block_place *place,
                                             struct wal_block_header *header);

/*
 * The payload behind a header that was VALID at this place, checked and unpacked: header->raw_bytes
 * bytes at *raw, which live until the next call. Returns VALID, SHORT (the file ends before the
 * block), BAD_CHECKSUM, BAD_CODE, BAD_MEMBERS, NO_MEMORY or IO_ERROR.
 */
enum wal_block_state wal_block_reader_payload(struct wal_block_reader *reader,
                                              const struct wal_block_place *place,
                                              const struct wal_block_header *header,
                                              const unsigned char **raw);

/* Reads the header and, if that is VALID, the payload. */
enum wal_block_state wal_block_reader_get(struct wal_block_reader *reader,
                                          const struct wal_block_place *place,
                                          struct wal_block_header *header,
                                          const unsigned char **raw);

#endif
