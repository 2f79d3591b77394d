/* The visitor of a scan: it sees each block once, a packed one as the blocks it is made of. */
#ifndef TALLY_WAL_READ_VISITOR_H
#define TALLY_WAL_READ_VISITOR_H

#include "wal/types.h"

#include <stdbool.h>
#include <stdint.h>

/* Written by visitor.c alone. Threads: that of its scan. */
struct wal_visitor {
    wal_visit_fn visit;    /* NULL: no block is shown */
    void *arg;             /* of visit */
    uint64_t snapshot_lsn; /* records up to here are known from a snapshot, and not shown */
    uint64_t shown_lsn;    /* records before this one were shown, and are not shown again */
    uint64_t records;      /* number of records shown, or known from the snapshot */
    uint64_t blocks;
    uint64_t stored_bytes;
};

void wal_visitor_init(struct wal_visitor *visitor, wal_visit_fn visit, void *arg);

/* Tells that the visitor knows the records up to there from a snapshot. */
void wal_visitor_set_snapshot(struct wal_visitor *visitor, uint64_t lsn);

/* Lets the next block begin with this record, whatever was shown before. */
void wal_visitor_begin_at(struct wal_visitor *visitor, uint64_t lsn);

/*
 * Shows a block, unless it was shown already from the file that its segment had before.
 * REQUIRES: has_members: the members in its raw bytes are whole. Returns what visit returned.
 */
int wal_visitor_show(struct wal_visitor *visitor, struct wal_block *block, bool has_members);

#endif
