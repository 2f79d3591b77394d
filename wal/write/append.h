/* Appending: a block at the end of the log says that everything before it is durable. */
#ifndef TALLY_WAL_WRITE_APPEND_H
#define TALLY_WAL_WRITE_APPEND_H

#include "wal/files/block_writer.h"
#include "wal/write/create.h"

#include <stdint.h>

/* Returns a writer for the blocks of a segment, from an offset on. Owns: the descriptor stays the
 * caller's. */
struct wal_block_writer wal_append_to(struct wal_io *io, const struct wal_segment *segment,
                                      uint64_t offset);

/*
 * Puts a packed block whose records begin at next_lsn. REQUIRES: everything before it is synced,
 * for the block says so. As wal_block_writer_put: the caller syncs.
 */
int wal_append_block(struct wal_block_writer *writer, uint64_t next_lsn, unsigned char *block,
                     struct wal_block_header *header);

/* Puts the block that seals the segment, with further flags, and syncs. REQUIRES: as
 * wal_append_block. Returns 0 or a negative errno value. */
int wal_append_seal(struct wal_block_writer *writer, uint64_t next_lsn, uint16_t flags);

#endif
