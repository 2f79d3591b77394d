/* A segment that is open for reading: its header, and its blocks one by one. */
#ifndef TALLY_WAL_READ_SEGMENT_FILE_H
#define TALLY_WAL_READ_SEGMENT_FILE_H

#include "wal/disk/io.h"
#include "wal/files/block_reader.h"
#include "wal/format/block.h"
#include "wal/format/segment.h"
#include "wal/read/findings.h"
#include "wal/read/identity.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Written by segment_file.c alone. Failures go to the findings and headers to the identity; both
 * are borrowed and outlive the file. Threads: that of its scan.
 */
struct wal_segment_file {
    struct wal_io *io;
    struct wal_identity *identity;
    struct wal_findings *findings;
    int fd; /* -1: none is open */
    uint64_t number;
    uint64_t size_bytes;
    enum wal_head_state head_state;
    struct wal_segment_head head; /* after WAL_HEAD_OK */
    struct wal_block_reader reader;
};

void wal_segment_file_init(struct wal_segment_file *file, struct wal_io *io,
                           struct wal_identity *identity, struct wal_findings *findings);
void wal_segment_file_fini(struct wal_segment_file *file);

/*
 * Opens a segment in place of the one that is open, and reads its header. is_unsynced: pages that a
 * killed process has left in the page cache are synced first, and then read from the disk. Returns
 * whether it succeeded; the findings say why not. If no segment has that name the one before stays
 * open.
 */
bool wal_segment_file_open(struct wal_segment_file *file, uint64_t number, bool is_unsynced);

/* Reads the header and the length of the open segment once more. Returns as open. */
bool wal_segment_file_reopen(struct wal_segment_file *file);

void wal_segment_file_close(struct wal_segment_file *file);

/*
 * The block header at an offset, as wal_block_reader_header tells it; BAD_HEADER if the segment's
 * own header cannot be read. A failed call is in the findings.
 */
enum wal_block_state wal_segment_file_header(struct wal_segment_file *file, uint64_t offset,
                                             struct wal_block_header *header);

/* The payload behind a header that was VALID there, as wal_block_reader_payload tells it. A failed
 * call is in the findings. */
enum wal_block_state wal_segment_file_payload(struct wal_segment_file *file, uint64_t offset,
                                              const struct wal_block_header *header,
                                              const unsigned char **raw);

/* Bytes of the file, whatever they are; zeros behind its end. They live until the next call.
 * Returns 0 or TALLY_NOMEM; *at is NULL after a failed call, which is in the findings. */
int wal_segment_file_bytes(struct wal_segment_file *file, uint64_t offset, size_t len,
                           const unsigned char **at);

/* The lsn with which the segment begins; 0 when its first block does not say so. */
uint64_t wal_segment_file_first_lsn(struct wal_segment_file *file);

#endif
