/* A listing: the numbers of a directory's segments, or of its snapshots. */
#ifndef TALLY_WAL_FILES_LISTING_H
#define TALLY_WAL_FILES_LISTING_H

#include "wal/disk/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is the empty list; its memory stays from one reading to the next. Written by listing.c
 * alone. Threads: one at a time. */
struct wal_listing {
    uint64_t *at; /* ascending */
    size_t count;
    size_t capacity;
};

/*
 * Fills the list anew with the numbers in the names that is_name takes (wal_segment_is_name,
 * wal_snapshot_is_name). Returns 0 or a negative errno value (-ENOMEM among them).
 */
int wal_listing_read(struct wal_listing *listing, struct wal_io *io,
                     bool (*is_name)(const char *name, uint64_t *number));
void wal_listing_fini(struct wal_listing *listing);

/* Makes it the list of that one number. Returns 0 or -ENOMEM. */
int wal_listing_set(struct wal_listing *listing, uint64_t number);

/* Puts a number in front of the others. REQUIRES: it is below them. Returns 0 or -ENOMEM. */
int wal_listing_prepend(struct wal_listing *listing, uint64_t number);

/* Whether the list has that number; *index is then its place. */
bool wal_listing_find(const struct wal_listing *listing, uint64_t number, size_t *index);

#endif
