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
    uint32_t epoch;                     /* of the start that writes the segment's blocks */
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

/* Whether the name is that of a segment; *number is then its number. */
bool wal_segment_is_name(const char *name, uint64_t *number);

/* Whether the name is that of a temporary file, which a killed process may leave behind. */
bool wal_segment_is_temp(const char *name);

/* Fills the header page: both copies, zeros between and behind. */
void wal_segment_head_put(unsigned char page[WAL_PAGE_BYTES], const struct wal_segment_head *head);

/* Reads the header page. A torn rewrite can leave two good copies that differ: then the one with
 * the higher epoch counts. */
enum wal_head_state wal_segment_head_get(const unsigned char page[WAL_PAGE_BYTES],
                                         struct wal_segment_head *head);

/* Whether a segment can be created with that length. */
bool wal_segment_is_size(uint64_t bytes);

/* Whether the length in a header can be that of a segment. A packed segment may be shorter than one
 * that is created. */
bool wal_segment_is_length(uint64_t bytes);

#endif
