/* The scan of a log: walks its blocks in order and, at the stop, finds out why it ends there. */
#ifndef TALLY_WAL_READ_SCAN_H
#define TALLY_WAL_READ_SCAN_H

#include "wal/read/scan_state.h"

#include <stdbool.h>
#include <stdint.h>

/* Owns: io is borrowed and outlives the scan; the scan may not be copied. visit: NULL: nobody. */
void wal_scan_init(struct wal_scan *scan, struct wal_io *io, wal_visit_fn visit, void *arg);
void wal_scan_fini(struct wal_scan *scan);

/* Makes it a recovery's scan. REQUIRES: the caller holds the lock. needs_beginning: as in the
 * struct. */
void wal_scan_set_recovery(struct wal_scan *scan, bool needs_beginning);

/* Lets the scan begin behind the snapshot of that log and lsn, which the visitor has loaded. */
void wal_scan_set_snapshot(struct wal_scan *scan, const unsigned char uuid[WAL_UUID_BYTES],
                           uint64_t lsn);

/*
 * Reads the log from the cursor, at first from its beginning, and leaves cursor, verdict and
 * findings in the scan. Changes nothing on disk but, in a recovery, syncs what a killed process has
 * written to the active segment.
 * Returns 0 (also when the verdict is to refuse), TALLY_NOMEM, or what visit returned.
 */
int wal_scan_run(struct wal_scan *scan);

/* Goes on from the cursor, through valid blocks only, and judges nothing. *is_blank: there are
 * zeros, or no bytes, at the cursor. Returns 0, TALLY_NOMEM, or what visit returned. */
int wal_scan_more(struct wal_scan *scan, bool *is_blank);

/* The next segment that wal_scan_sealed reads may begin with any record. */
void wal_scan_detach(struct wal_scan *scan);

/*
 * Reads one sealed segment alone, shows its blocks, and tells whether it is whole. Its first block
 * must be the next one for the cursor, or any block after wal_scan_detach. Faults are in the
 * findings, as after wal_scan_run. Returns 0, TALLY_NOMEM, or what visit returned.
 */
int wal_scan_sealed(struct wal_scan *scan, uint64_t number, bool *is_whole);

#endif
