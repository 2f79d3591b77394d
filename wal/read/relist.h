/* A scan's list of segments is made anew, and its cursor found in it: segments come and go. */
#ifndef TALLY_WAL_READ_RELIST_H
#define TALLY_WAL_READ_RELIST_H

#include "wal/read/scan_state.h"

#include <stdint.h>

/*
 * Lists the segments anew and finds the cursor's among them: older ones may be gone, newer ones
 * there. If retention has taken the cursor's own, the scan goes on as wal/read/retention.h decides:
 * the cursor may then be before the beginning again (offset 0), or resume_lsn be set. A segment
 * that went otherwise is in the findings. Returns 0 or TALLY_NOMEM.
 */
int wal_relist_run(struct wal_scan *scan);

/* Leaves in the findings that a segment went which retention does not take. */
void wal_relist_lost(struct wal_findings *findings, uint64_t number);

#endif
