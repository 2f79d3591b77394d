/* Where a scan begins: with record 1, behind a snapshot, or with the oldest segment left. */
#ifndef TALLY_WAL_READ_SCAN_START_H
#define TALLY_WAL_READ_SCAN_START_H

#include "wal/read/scan_state.h"

/* Reads the newest snapshot's lsn before the log is listed: the log has to reach at least there. A
 * failure is in the findings. */
void wal_scan_start_witness(struct wal_scan *scan);

/* Puts the cursor at the listed segment to begin with. Without segments the cursor stays. A
 * failure, or a missing beginning of the log, is in the findings. */
void wal_scan_start_find(struct wal_scan *scan);

#endif
