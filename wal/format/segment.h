/* Segments: the files of the log, their names and their headers. */
#ifndef TALLY_WAL_FORMAT_SEGMENT_H
#define TALLY_WAL_FORMAT_SEGMENT_H

#include "wal/format/name.h"
#include "wal/types.h"

#include <stdbool.h>
#include <stdint.h>

#define WAL_SEGMENT_FIRST_BLOCK WAL_PAGE_BYTES

struct wal_segment_head {
    unsigned char uuid[WAL_UUID_BYTES]; /* of the log; the same in all its segments */
    uint64_t number;                    /* 1, 2, 3, ... */
    uint64_t bytes;                     /* of the file, as it was made */
    uint32_t epoch;                     /* of the start that writes its blocks */
};

enum wal_head_state {
    WAL_HEAD_OK,
    WAL_HEAD_BAD,   /* neither copy passes its checksum */
    WAL_HEAD_NEWER, /* a copy passes and has a version that is not ours */
};

/* "wal-<number>.seg". */
void wal_segment_name(char name[WAL_NAME_BYTES], uint64_t number);

/* "wal-<number>.tmp": a segment while it is being made. */
void wal_segment_temp_name(char name[WAL_NAME_BYTES], uint64_t number);

/* "wal-<number>.pack": a segment while it is being packed. */
void wal_segment_pack_name(char name[WAL_NAME_BYTES], uint64_t number);

/* Whether it is the name of a segment; then *number is its number. */
bool wal_segment_is_name(const char *name, uint64_t *number);

/* Whether it is the name of a file that an interrupted process left half made. */
bool wal_segment_is_temp(const char *name);

/* Fills the header page: both copies, zeros between and behind. */
void wal_segment_head_put(unsigned char page[WAL_PAGE_BYTES], const struct wal_segment_head *head);

/* Reads the header page. Of two good copies that differ, which a torn rewrite leaves, the one with
 * the higher epoch counts. */
enum wal_head_state wal_segment_head_get(const unsigned char page[WAL_PAGE_BYTES],
                                         struct wal_segment_head *head);

/* Whether a segment can be made with that length. */
bool wal_segment_is_size(uint64_t bytes);

/* Whether the length in a header can be that of a segment: one that was packed is as short as its
 * blocks. */
bool wal_segment_is_length(uint64_t bytes);

#endif
