/* The findings of a scan at its stop: the evidence, a sentence for people, the verdict. */
#ifndef TALLY_WAL_READ_FINDINGS_H
#define TALLY_WAL_READ_FINDINGS_H

#include "wal/read/decide.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Signs for which a log is refused, in the order of their rows in wal/FORMAT.md (2 to 5). */
enum wal_sign {
    WAL_SIGN_NEWER,
    WAL_SIGN_MISNUMBERED,
    WAL_SIGN_FOREIGN,
    WAL_SIGN_UNCHAINED,
    WAL_SIGN_MISSHAPEN,
    WAL_SIGN_LATER_FILLED,
    WAL_SIGN_LATER_BLOCK,
    WAL_SIGN_ACKNOWLEDGED,
};

/* Offsets and lsns behind the stop, beyond the yes and no of the evidence. */
struct wal_tail {
    uint64_t filled_end;     /* end of the last page that is not zero; 0: all pages are zero */
    uint64_t witness_offset; /* of the block that calls the stop durable */
    uint64_t witness_lsn;    /* the highest lsn such a block calls durable */
    uint64_t later_number;   /* of the first later segment that holds a valid block */
    uint64_t later_lsn;      /* first lsn of that block */
};

/* Written by findings.c alone. All zero: nothing was seen yet. Threads: that of its scan. */
struct wal_findings {
    struct wal_evidence evidence;
    struct wal_tail tail;
    struct wal_verdict verdict; /* row 0: nothing was judged, there is no segment */
    uint64_t missing_number;    /* of a segment that was listed and is not there; 0: none */
    int errnum;                 /* of the last failed file call, negative; 0: none failed */
    bool no_memory;             /* a call has failed for lack of memory: not the disk's fault */
    int note_row;               /* the row that note speaks of; 0: there is no note */
    char note[256];
};

/* Forgets everything, at the begin of a run. */
void wal_findings_reset(struct wal_findings *findings);

/* Forgets the evidence before the stop is looked at again; keeps the verdict and no_memory. */
void wal_findings_clear(struct wal_findings *findings);

/*
 * Adds a sign, and a note: the sentence that tells it. Of several notes the one of the first row
 * stays, and of that row the first one.
 */
void wal_findings_add(struct wal_findings *findings, enum wal_sign sign, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a failed file call: row 1. doing: "cannot list the directory". */
void wal_findings_failed(struct wal_findings *findings, const char *doing, int err);

/* The same for a call on a segment. doing: "cannot read". */
void wal_findings_segment_failed(struct wal_findings *findings, uint64_t number, const char *doing,
                                 int err);

/* Adds that a listed segment was not there when it was opened. */
void wal_findings_missing(struct wal_findings *findings, uint64_t number);

/* Adds that memory was short, where no other finding tells it. */
void wal_findings_no_memory(struct wal_findings *findings);

/* Adds what the bytes from the stop to the end of its segment are: filled_end is as in wal_tail.
 * is_sealed: the block before the stop seals the segment. */
void wal_findings_stop(struct wal_findings *findings, uint64_t filled_end, bool is_sealed);

/* Adds that a valid block behind the stop, at that offset, calls the stop durable. */
void wal_findings_witness(struct wal_findings *findings, uint64_t offset, uint64_t durable_lsn);

/* Adds that a later segment has a valid block: the stop's segment was sealed. */
void wal_findings_later(struct wal_findings *findings, uint64_t number, uint64_t first_lsn);

/* Adds that an empty segment has a header that cannot be read. */
void wal_findings_torn_header(struct wal_findings *findings);

/* Judges the evidence by the decision table. */
void wal_findings_decide(struct wal_findings *findings);

/* Whether the scan cannot read on: a call has failed, or a segment is lost. */
bool wal_findings_is_stopped(const struct wal_findings *findings);

/* "records 11 to 20", "record 11", or, where until is before from, words for a block without
 * records. */
void wal_findings_range_text(char *to, size_t capacity, uint64_t from, uint64_t until);

#endif
