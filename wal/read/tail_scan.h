/* The tail scan: the bytes behind the stop of a scan tell a crash from damage. */
#ifndef TALLY_WAL_READ_TAIL_SCAN_H
#define TALLY_WAL_READ_TAIL_SCAN_H

#include "wal/read/scan_state.h"

#include <stdint.h>

/* Reads the pages behind the seal at the cursor: *filled_end is the end of the last page that is
 * not zero; 0: all are zero. A failed read is in the file's findings. Returns 0 or TALLY_NOMEM. */
int wal_tail_scan_seal(struct wal_segment_file *file, const struct wal_cursor *cursor,
                       uint64_t *filled_end);

/*
 * Reads all pages behind the cursor, in its segment and in the later ones, and adds their evidence
 * to the findings. REQUIRES: the cursor's segment is open; it stays so. Returns 0 or TALLY_NOMEM.
 */
int wal_tail_scan_run(struct wal_scan *scan);

#endif
