/* A reader whose segment is gone: whether retention took it, and where to go on then. */
#ifndef TALLY_WAL_READ_RETENTION_H
#define TALLY_WAL_READ_RETENTION_H

#include "wal/read/scan.h"

/*
 * Lists the segments anew and finds the place among them: older ones may be gone, newer ones there.
 * If retention has taken the place's own, the scan goes on
 *   - at the new beginning, if nothing was shown yet (offset is then 0),
 *   - behind what has gone, if all of that was shown,
 *   - in the file itself, which is still open, if the segment behind it is there,
 * and else resume_lsn says where the rest begins. A segment that went otherwise is left in the
 * evidence. Returns 0 or TALLY_NOMEM.
 */
int wal_retention_relist(struct wal_scan *scan);

/* Leaves in the evidence that a segment went which retention does not take. */
void wal_retention_lost(struct wal_scan *scan, uint64_t number);

#endif
