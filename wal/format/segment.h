/* Segments: the files of the log, their names and their headers. */
#ifndef TALLY_WAL_FORMAT_SEGMENT_H
#define TALLY_WAL_FORMAT_SEGMENT_H

#include "wal/disk/io.h"

#include <stdbool.h>
#include <stdint.h>

#define WAL_PAGE_BYTES          4096U
#define WAL_SEGMENT_FIRST_BLOCK WAL_PAGE_BYTES
#define WAL_UUID_BYTES          16
#define WAL_NAME_BYTES          48

/*
 * What counts up ends long before its type does. A log that says more than this was not made by us:
 * it is refused. A start refuses, too, where a run of the server could reach it: it leaves room for
 * 2^56 records and 2^40 segments, which no run writes. An epoch is one start.
 */
#define WAL_LSN_MAX             ((uint64_t)1 << 62)
#define WAL_LSN_MARGIN          ((uint64_t)1 << 56)
#define WAL_NUMBER_MAX          ((uint64_t)1 << 48)
#define WAL_NUMBER_MARGIN       ((uint64_t)1 << 40)
#define WAL_EPOCH_MAX           ((uint32_t)1 << 31)

/* The longest segment; a server's are 64 MiB, and with its 64 threads not much above 1 GiB. */
#define WAL_SEGMENT_BYTES_MAX   ((uint64_t)4 << 30)

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

/* Whether a name is prefix, 16 hex digits (not all 0), suffix; *number is then their value. */
bool wal_name_has_number(const char *name, const char *prefix, const char *suffix,
                         uint64_t *number);

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
