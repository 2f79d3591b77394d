/* The walk of a scan: block after block, through sealed segments, until there is no valid next. */
#ifndef TALLY_WAL_READ_WALK_H
#define TALLY_WAL_READ_WALK_H

#include "wal/read/scan_state.h"

/*
 * Shows the blocks from the cursor on, in the open segment and in those behind its seal. Stops
 * where no valid next block is; breaks of the chain and failed calls are in the findings.
 * REQUIRES: the cursor's segment is open. Returns 0, TALLY_NOMEM, or what visit returned.
 */
int wal_walk_run(struct wal_scan *scan);

#endif
