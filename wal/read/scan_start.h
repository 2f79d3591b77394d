/* Where a scan begins: with record 1, behind a snapshot, or with what is left of the log. */
#ifndef TALLY_WAL_READ_SCAN_START_H
#define TALLY_WAL_READ_SCAN_START_H

#include "wal/read/scan_state.h"

/* What the snapshots prove is read first, so that all of the log has to be there. A failure is in
 * the findings. */
void wal_scan_start_witness(struct wal_scan *scan);

/* Puts the cursor at the segment to begin with, among those that are listed. Without any it stays
 * where it is. A failure, or that the log has no beginning, is in the findings. */
void wal_scan_start_find(struct wal_scan *scan);

#endif
