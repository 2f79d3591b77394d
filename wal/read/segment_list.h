/* The list of a log's segments: the names in its directory, in order and without a hole. */
#ifndef TALLY_WAL_READ_SEGMENT_LIST_H
#define TALLY_WAL_READ_SEGMENT_LIST_H

#include "wal/disk/io.h"
#include "wal/files/listing.h"
#include "wal/read/findings.h"

/*
 * Lists the segments anew. A hole in their numbers, a number that no log reaches and a failed call
 * are left in the findings. It waits for no lock: the log may be written, and retention may remove
 * segments, meanwhile. Returns 0 or TALLY_NOMEM.
 */
int wal_segment_list_read(struct wal_listing *segments, struct wal_io *io,
                          struct wal_findings *findings);

#endif
