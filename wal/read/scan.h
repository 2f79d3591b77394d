/* The reader of a log: walks its blocks in order, and where it must stop, finds out why. */
#ifndef TALLY_WAL_READ_SCAN_H
#define TALLY_WAL_READ_SCAN_H

#include "wal/disk/io.h"
#include "wal/format/block.h"
#include "wal/read/decide.h"
#include "wal/files/block_reader.h"
#include "wal/files/listing.h"
#include "wal/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands behind the stop, beyond the yes and no of the evidence. */
struct wal_tail {
    uint64_t filled_end;     /* of the last page that is not zero; 0: all are */
    uint64_t witness_offset; /* of the block that says that the stop was durable */
    uint64_t witness_lsn;    /* the highest lsn such a block calls durable */
    uint64_t later_number;   /* of the first later segment that holds a valid block */
    uint64_t later_lsn;      /* where that block begins */
};

/* One scan, its place, and at the end its findings. Everything is written by
 * scan.c, scan_start.c, retention.c and tail_scan.c, and what is marked so by repair.c. */
struct wal_scan {
    struct wal_io *io;
    wal_visit_fn visit; /* may be NULL */
    void *arg;
    bool is_recovery;     /* we hold the lock; the end of the log is read past the page cache */
    bool needs_beginning; /* record 1, or the one behind the snapshot, has to be there */

    struct wal_listing segments;
    uint64_t active_number; /* recovery: the last segment that shows a block */
    uint64_t snapshot_lsn;  /* recovery: records up to here are not wanted */
    size_t begin;           /* the segment to begin with */

    /* the newest snapshot that has a header: records up to there were durable before the run */
    uint64_t witness_lsn; /* 0: there is none */
    unsigned char witness_uuid[WAL_UUID_BYTES];

    /* the segment that is being read */
    size_t index;
    int fd;
    uint64_t size_bytes;
    enum wal_head_state head_state;
    struct wal_segment_head head;
    struct wal_block_reader reader;

    /* the place: where the next block is expected */
    uint64_t number; /* of its segment, which the list may have lost */
    uint64_t offset;
    uint64_t next_lsn;
    uint64_t durable_lsn; /* what the last block said */
    uint32_t epoch;       /* of the last block */
    bool ended;           /* the last block seals this segment */
    bool clean;           /* and says that the log was closed in order */
    bool packed;          /* this segment has a packed block */
    bool is_nameless;     /* the segment is open, and its file was removed by retention */

    /* where this segment began, for a reader that finds another file under its name */
    uint64_t begin_lsn;
    uint64_t begin_durable_lsn;
    uint32_t begin_epoch;
    uint64_t shown_lsn; /* what is below was shown to the visitor */

    /* beside retention; never in a recovery */
    uint64_t lost_number; /* of a segment that was listed and is not there; 0: none */
    uint64_t resume_lsn;  /* the log goes on here, and records before it were missed; 0: not so */
    bool has_run;         /* a run has ended, so somebody knows the place */

    /* of the whole log */
    bool has_uuid;
    unsigned char uuid[WAL_UUID_BYTES];
    uint32_t epoch_max;
    uint64_t records;
    uint64_t blocks;
    uint64_t stored_bytes;

    struct wal_evidence evidence;
    bool no_memory; /* why a read has failed */
    struct wal_tail tail;
    struct wal_verdict verdict; /* row 0: there is no segment */
    int errnum;                 /* of the last failed file call, negative */
    int note_row;               /* the row that note speaks of; 0: none yet */
    bool is_swept;              /* of the repair behind it: it has removed what was half made, */
    bool is_touched;            /* has changed the segment, */
    bool is_settled;            /* and has done all it has to do there */
    char note[256];
};

void wal_scan_init(struct wal_scan *scan, struct wal_io *io, wal_visit_fn visit, void *arg);
void wal_scan_fini(struct wal_scan *scan);

/*
 * Reads the log from the scan's place, at first its beginning, and leaves verdict, place and
 * findings in the scan. Changes nothing on disk but, in a recovery, syncs what a killed process has
 * written to the active segment.
 * Returns 0 (also when the verdict is to refuse), TALLY_NOMEM, or what visit returned.
 */
int wal_scan_run(struct wal_scan *scan);

/* For scan.c, in listing.c: fills numbers. Returns 0 or TALLY_NOMEM; the rest is in the evidence.
 */
int wal_scan_list(struct wal_scan *scan);
/* Goes on from the place, through valid blocks only, and judges nothing. *is_blank: there are
 * zeros, or nothing, at the place. Returns 0, TALLY_NOMEM, or what visit returned. */
int wal_scan_more(struct wal_scan *scan, bool *is_blank);

/*
 * For tail_scan.c: opens segment `index` in place of the one that is open, and reads its header. A
 * failure is left in the evidence; if the segment is not there, the one before stays open. Returns
 * whether it succeeded.
 */
bool wal_scan_open(struct wal_scan *scan, size_t index);

/* The header at an offset of the segment that is open; a failed file call is left in the evidence.
 * Without a readable segment header there is none. */
enum wal_block_state wal_scan_header(struct wal_scan *scan, uint64_t offset,
                                     struct wal_block_header *header);

/* For scan_start.c: leaves a failed file call in the evidence. Returns false. */
bool wal_scan_failed(struct wal_scan *scan, uint64_t number, const char *doing, int err);

/* For scan_start.c and retention.c: the place is the beginning of the segment at scan->index. */
void wal_scan_begin(struct wal_scan *scan);

/*
 * For the janitor: reads one sealed segment alone, shows its blocks, and tells whether it is whole.
 * It must go on where the scan stands; with next_lsn 0 it begins anywhere. What is wrong is in
 * verdict and notes, as after wal_scan_run; errnum is that of a failed file call.
 * Returns 0, TALLY_NOMEM, or what visit returned.
 */
int wal_scan_sealed(struct wal_scan *scan, uint64_t number, bool *is_whole);

/* Whether there is nothing but zeros behind the seal at which the scan stands. Returns 0 or
 * TALLY_NOMEM. */
int wal_tail_scan_seal(struct wal_scan *scan, bool *is_clear);

/* What stands behind the place; fills the evidence and scan->tail. Returns 0 or
 * TALLY_NOMEM. */
int wal_tail_scan(struct wal_scan *scan);

#endif
