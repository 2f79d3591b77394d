/* Writing a snapshot: blocks of images, a seal, the header last; then it is read back. */
#ifndef TALLY_WAL_FILES_SNAPSHOT_WRITER_H
#define TALLY_WAL_FILES_SNAPSHOT_WRITER_H

#include "wal/disk/io.h"
#include "wal/types.h"

#include <stddef.h>
#include <stdint.h>

struct wal_snapshot_writer;

/*
 * Begins snap-<lsn>.tmp; one that was left half made goes. uuid is that of the log. Errors:
 * TALLY_NOMEM; TALLY_NOSPC and TALLY_IO: then *out is there for its why, and only destroy is left.
 * Owns: *out is the caller's. Threads: one thread uses it, any; the file calls block.
 */
int wal_snapshot_writer_new(struct wal_snapshot_writer **out, struct wal_io *io,
                            const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn);

/* Appends a block of count images. Errors: TALLY_NOSPC, TALLY_NOMEM, TALLY_IO; then only destroy is
 * left. */
int wal_snapshot_writer_put(struct wal_snapshot_writer *writer, uint32_t count, const void *raw,
                            size_t raw_bytes);

/*
 * Ends the file, syncs it, reads all of it back from the disk and verifies it, shows what was read
 * to visit (NULL: nobody), gives it its name, and syncs the directory. When it returns 0 the
 * snapshot counts, and *bytes is its size. Errors: as wal_snapshot_writer_put; DAMAGE when what was
 * read back is not what was written; what visit returned.
 */
int wal_snapshot_writer_end(struct wal_snapshot_writer *writer, wal_visit_fn visit, void *arg,
                            uint64_t *bytes);

/* What failed, one sentence; empty while nothing did. Lives as long as the writer. */
const char *wal_snapshot_writer_why(const struct wal_snapshot_writer *writer);

/* Frees it; a snapshot that does not count is removed. */
void wal_snapshot_writer_destroy(struct wal_snapshot_writer *writer);

#endif
