/* Writing a snapshot: blocks of images, a seal, the header last; then it is read back. */
#ifndef TALLY_WAL_FILES_SNAPSHOT_WRITER_H
#define TALLY_WAL_FILES_SNAPSHOT_WRITER_H

#include "wal/disk/io.h"
#include "wal/types.h"

#include <stddef.h>
#include <stdint.h>

struct wal_snapshot_writer;

/*
 * Begins snap-<lsn>.tmp, and removes one that a killed process has left. uuid is that of the log.
 * Errors: TALLY_NOMEM; TALLY_NOSPC and TALLY_IO: then *out is there for its why, and may only be
 * destroyed.
 * Owns: *out is the caller's. Threads: one thread uses it, any; the file calls block.
 */
int wal_snapshot_writer_new(struct wal_snapshot_writer **out, struct wal_io *io,
                            const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn);

/* Appends a block of count images. Errors: TALLY_NOSPC, TALLY_NOMEM, TALLY_IO; after one the writer
 * may only be destroyed. */
int wal_snapshot_writer_put(struct wal_snapshot_writer *writer, uint32_t count, const void *raw,
                            size_t raw_bytes);

/*
 * Ends the file, syncs it, reads all of it back from the disk and verifies it, shows the blocks to
 * visit (NULL: nobody), gives the file its name, and syncs the directory. When it returns 0 the
 * snapshot counts, and *bytes is its size. Errors: as wal_snapshot_writer_put; DAMAGE when the
 * bytes read back are not those written; what visit returned.
 */
int wal_snapshot_writer_end(struct wal_snapshot_writer *writer, wal_visit_fn visit, void *arg,
                            uint64_t *bytes);

/* The first failure in one sentence; empty while there was none. Lives as long as the writer. */
const char *wal_snapshot_writer_why(const struct wal_snapshot_writer *writer);

/* Frees the writer, and removes a snapshot that does not count. */
void wal_snapshot_writer_destroy(struct wal_snapshot_writer *writer);

#endif
