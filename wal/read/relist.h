/* Relisting: the segments are listed anew, and the cursor's segment is found in the new list. */
#ifndef TALLY_WAL_READ_RELIST_H
#define TALLY_WAL_READ_RELIST_H

#include "wal/read/scan_state.h"

#include <stdint.h>

/*
 * Lists the segments anew and finds the cursor's among them: older segments may have been removed,
 * newer ones created. If retention has removed the cursor's own, the scan goes on as
 * wal/read/retention.h decides: the cursor may then be before the beginning again (offset 0), or
 * resume_lsn be set. A segment that was lost otherwise is in the findings. Returns 0 or
 * TALLY_NOMEM.
 */
int wal_relist_run(struct wal_scan *scan);

/* Adds to the findings a segment that is lost: retention does not remove that one. */
void wal_relist_lost(struct wal_findings *findings, uint64_t number);

#endif
