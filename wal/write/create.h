/* Creation of a segment: zeros, header, sync, rename, sync of the directory; or a new header on one
 * that was never used. */
#ifndef TALLY_WAL_WRITE_CREATE_H
#define TALLY_WAL_WRITE_CREATE_H

#include "wal/disk/io.h"
#include "wal/format/segment.h"

#include <stdint.h>

/* A segment that is open for writing. */
struct wal_segment {
    struct wal_segment_head head;
    int fd;
};

/*
 * One segment that is being created. For lack of space it can stop after any step and go on later
 * from there; until finish nothing but a temporary file exists.
 */
struct wal_creation {
    struct wal_io *io;
    struct wal_segment_head head;
    int fd;              /* of the temporary file; -1: there is none */
    uint64_t done_bytes; /* of the temporary file, written so far */
};

void wal_create_init(struct wal_creation *creation, struct wal_io *io,
                     const struct wal_segment_head *head);

/*
 * Writes the next 256 KiB and syncs them, so that the sync of a commit never waits for the whole
 * segment. Returns 1: more is to be written, 0: all is written, or a negative errno value; then it
 * may be called again: it goes on, or begins anew if a sync has failed.
 */
int wal_create_step(struct wal_creation *creation);

/*
 * Gives the written file its header and its name, durably; it replaces a segment of that name.
 * Returns 0 or a negative errno value; then the temporary file is removed, and step begins anew.
 * Owns: segment->fd is the caller's.
 */
int wal_create_finish(struct wal_creation *creation, struct wal_segment *segment);

/* Removes the temporary file of an unfinished creation. */
void wal_create_fini(struct wal_creation *creation);

/* Creates a segment in one call, with one sync, for the start, when no commit waits. Returns 0 or a
 * negative errno value. */
int wal_create_run(struct wal_io *io, const struct wal_segment_head *head,
                   struct wal_segment *segment);

/*
 * Takes a segment that an earlier start preallocated and never used, and gives it a header with
 * this start's epoch. REQUIRES: all bytes behind its first page are zero (wal_create_is_blank).
 * Returns 0 or a negative errno value. Owns: segment->fd is the caller's.
 */
int wal_create_reuse(struct wal_io *io, const struct wal_segment_head *head,
                     struct wal_segment *segment);

/* Whether the file of that number is there, has that size, and is zero behind its first page.
 * Returns 1, 0, or a negative errno value. */
int wal_create_is_blank(struct wal_io *io, uint64_t number, uint64_t bytes);

#endif
