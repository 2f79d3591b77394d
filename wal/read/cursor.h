/* The cursor of a scan: where the next block is expected, and what that block has to be. */
#ifndef TALLY_WAL_READ_CURSOR_H
#define TALLY_WAL_READ_CURSOR_H

#include "wal/format/block.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *         segment `number`
 *   header │ block │ block │ ....
 *          ▲               ▲
 *          begin           offset: next_lsn, not older than durable_lsn and epoch
 *
 * Written by cursor.c alone. Threads: that of its scan.
 */
struct wal_cursor {
    uint64_t number;      /* of the segment, which the list may have lost */
    size_t index;         /* where that segment is in the list */
    uint64_t offset;      /* 0: the log has not begun yet */
    uint64_t next_lsn;    /* 0: any; the next block says where it begins */
    uint64_t durable_lsn; /* up to here the last block called the log durable */
    uint32_t epoch;       /* of the last block */
    bool is_sealed;       /* the last block seals the segment */
    bool is_clean;        /* and says that the log was closed in order */
    bool is_packed;       /* the segment has a packed block */

    /* as of the segment's first block, for a reader that finds another file under its name */
    uint64_t begin_lsn;
    uint64_t begin_durable_lsn;
    uint32_t begin_epoch;
};

/* How a valid block continues the chain. */
enum wal_chain {
    WAL_CHAIN_NEXT,
    WAL_CHAIN_GAP,   /* its first record is not the next one */
    WAL_CHAIN_OLDER, /* its durable_lsn or its epoch is below that of the block before */
};

/* Puts the cursor before record 1, in no segment. */
void wal_cursor_init(struct wal_cursor *cursor);

/* Makes the next block the first one of a chain, whatever its lsn. */
void wal_cursor_detach(struct wal_cursor *cursor);

/* Begins the log anew, as after init: no removed record was shown. */
void wal_cursor_restart(struct wal_cursor *cursor);

/* Sets the segment's place in the list. */
void wal_cursor_set_index(struct wal_cursor *cursor, size_t index);

/* Makes that record the one with which the next block has to begin. */
void wal_cursor_set_lsn(struct wal_cursor *cursor, uint64_t lsn);

/* Goes to the first block of a segment; the chain goes on. */
void wal_cursor_enter(struct wal_cursor *cursor, size_t index, uint64_t number);

/* Goes back to the segment's begin, to read it once more. */
void wal_cursor_rewind(struct wal_cursor *cursor);

/* Whether the block with that header, of a segment of that epoch, is the next one. */
enum wal_chain wal_cursor_check(const struct wal_cursor *cursor,
                                const struct wal_block_header *header, uint32_t epoch);

/* Steps behind that block. REQUIRES: it is the next one. */
void wal_cursor_step(struct wal_cursor *cursor, const struct wal_block_header *header,
                     uint32_t epoch);

#endif
