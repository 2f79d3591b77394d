/* The end of a log as a recovery's scan has found it, for the repair. */
#ifndef TALLY_WAL_READ_LOG_END_H
#define TALLY_WAL_READ_LOG_END_H

#include "wal/format/segment.h"
#include "wal/read/identity.h"
#include "wal/read/scan_state.h"

#include <stdbool.h>
#include <stdint.h>

/*
 *   the last segment with blocks, or the first one without:
 *   header │ block │ block │ torn, or zeros ....... │ zeros │
 *                          offset: next_lsn         filled_end     size_bytes
 */
struct wal_log_end {
    bool has_segment;             /* else the log is empty, and only identity is set */
    uint64_t number;              /* of that segment */
    uint64_t last_number;         /* of the last segment of all */
    struct wal_segment_head head; /* of that segment, unless has_torn_header */
    uint64_t size_bytes;
    uint64_t offset;     /* where the next block would be */
    uint64_t next_lsn;   /* the first lsn that the next block would have */
    uint64_t filled_end; /* end of the torn tail that begins at offset; 0: there are only zeros */
    bool is_sealed;      /* the block before offset seals the segment */
    bool has_torn_header;
    struct wal_identity identity;
};

/* Fills *end from a recovery's scan. REQUIRES: the scan has run, and its verdict is to go on. */
void wal_log_end_get(const struct wal_scan *scan, struct wal_log_end *end);

#endif
