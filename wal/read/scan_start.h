/* Where a scan begins: with record 1, behind a snapshot, or with what is left of the log. */
#ifndef TALLY_WAL_READ_SCAN_START_H
#define TALLY_WAL_READ_SCAN_START_H

#include "wal/read/scan.h"

#include <stddef.h>
#include <stdint.h>

/* Finds the segment to begin with among those that are listed. A failure is in the evidence. */
void wal_scan_start_find(struct wal_scan *scan);

/* The lsn with which a segment begins; 0 when its first block does not say so. Opens it. */
uint64_t wal_scan_start_lsn(struct wal_scan *scan, size_t index);

#endif
