/* A log whose beginning retention has removed, with the state's digest at each record. */
#ifndef TALLY_TESTS_INSPECT_RETENTION_H
#define TALLY_TESTS_INSPECT_RETENTION_H

#include "tests/inspect/made.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Block 0 has the records 1 POLL p and 2 OPTION p/A; block i, i seconds later, three votes of one,
 * the records 3i to 3i + 2. A block takes a page, a segment 14 of them.
 */
enum {
    CUT_BLOCKS = 60,
    CUT_LAST_LSN = 3 * CUT_BLOCKS + 2,
    CUT_FAR_LSN = 10,           /* a snapshot that the log no longer reaches back to */
    CUT_OLDER_LSN = 3 * 20 + 1, /* one in the middle of a block */
    CUT_NEWEST_LSN = 3 * 40 + 2 /* one at the end of a block */
};

struct cut {
    struct log_dir disk; /* closed in order */
    uint64_t digests[CUT_LAST_LSN + 1];
};

/* Makes the whole log, with three snapshots. */
void cut_init(struct cut *cut);
void cut_fini(struct cut *cut);

/* Removes the segments that have only records up to safe_lsn. A segment has 14 blocks: the first
 * ends with record 41, the second with 83, the third with 125. */
void cut_retain(const struct cut *cut, uint64_t safe_lsn);

/* Damages a snapshot. */
void cut_spoil(const struct cut *cut, uint64_t lsn);

static inline uint64_t cut_time_ms(unsigned block)
{
    return MADE_MS + (uint64_t)block * 1000;
}

/* Opens a directory as a server does, and closes it in order. Returns the digest of the state. */
uint64_t cut_start(const char *dir, struct wal_report *report);

#endif
