/* What every part of the log and its users share: limits, a block and its visitor, a report. */
#ifndef TALLY_WAL_TYPES_H
#define TALLY_WAL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_PAGE_BYTES            4096U
#define WAL_UUID_BYTES            16
#define WAL_RAW_BYTES_MAX         (24U << 20) /* the largest raw block */

#define WAL_SEGMENT_BYTES_DEFAULT (64U << 20)
#define WAL_SEGMENT_BYTES_MIN     (64U << 10)

/* The longest segment; a server's are 64 MiB, and with its 64 threads not much above 1 GiB. */
#define WAL_SEGMENT_BYTES_MAX     ((uint64_t)4 << 30)

/*
 * Bounds of the numbers that count up, far below the maximum of their types. A log with a higher
 * number was not made by tally and is refused. A start also refuses a log in which one run of the
 * server could reach a bound: it keeps a margin of 2^56 records and 2^40 segments, more than any
 * run writes. Each start has an epoch of its own.
 */
#define WAL_LSN_MAX               ((uint64_t)1 << 62)
#define WAL_LSN_MARGIN            ((uint64_t)1 << 56)
#define WAL_NUMBER_MAX            ((uint64_t)1 << 48)
#define WAL_NUMBER_MARGIN         ((uint64_t)1 << 40)
#define WAL_EPOCH_MAX             ((uint32_t)1 << 31)

/* Flags of a block. A flag that is not listed here makes the block a newer version's. */
enum {
    WAL_BLOCK_CLEAN = 1,   /* the log was closed in order; always together with SEAL */
    WAL_BLOCK_SEAL = 2,    /* the last block of its segment */
    WAL_BLOCK_CONFIRM = 4, /* without records: only says that the block before is durable */
    WAL_BLOCK_PACKED = 8,  /* its payload is members (wal/format/member.h); on a SEAL: the segment
                            * was packed */
};
#define WAL_BLOCK_FLAGS_ALL                                                                        \
    (WAL_BLOCK_CLEAN | WAL_BLOCK_SEAL | WAL_BLOCK_CONFIRM | WAL_BLOCK_PACKED)

/* One block as a reader sees it. raw lives until the visitor returns. */
struct wal_block {
    uint64_t first_lsn;
    uint32_t count; /* records; 0 in a block that only marks something */
    uint32_t flags; /* WAL_BLOCK_* */
    const void *raw;
    size_t raw_bytes;
    size_t stored_bytes;  /* on disk, header and padding included */
    size_t payload_bytes; /* of those, the payload as it is stored; less than raw_bytes: packed */
    unsigned member;      /* of a packed block: 0 the first, 1, ...; these share its pages */
    uint64_t durable_lsn; /* records up to here were durable when this block was written */
    uint64_t segment;     /* of a snapshot: its lsn */
    uint64_t offset;
    uint32_t epoch;
    unsigned percent; /* the part of the log before this block, roughly; for people */
};

/* Called for each valid block in order, beginning with the first block that holds a record behind
 * the snapshot's lsn (that block may begin before it). Returns 0, or a negative error, which ends
 * the reading and is its result. */
typedef int (*wal_visit_fn)(void *arg, const struct wal_block *block);

enum wal_end {
    WAL_END_EMPTY,  /* no log was there */
    WAL_END_CLEAN,  /* the last process closed the log, or zeros follow the last block */
    WAL_END_TORN,   /* the tail is torn; an open has kept it in torn-<lsn>.bin and cleared it */
    WAL_END_MISSED, /* of a reader: retention has removed records that it had not read yet */
    WAL_END_DAMAGE, /* refused: acknowledged records are damaged or missing */
    WAL_END_FAILED, /* refused: a failed call, a newer version, the lock, what visit returned */
};

/* What an open, a reader or the scrub found, for people and for tests. */
struct wal_report {
    enum wal_end end;
    int row; /* of the decision table, 1 to 8; 0 when no table was needed */
    uint64_t records;
    uint64_t blocks;
    uint64_t stored_bytes;
    uint64_t next_lsn;
    uint64_t snapshot_lsn;   /* of the snapshot that was loaded; 0: none */
    uint64_t snapshot_bytes; /* of its file */
    uint64_t segment;        /* where the log ended, or the damaged one */
    uint64_t offset;
    bool clean_shutdown;
    bool snapshot_passed; /* a damaged snapshot was passed over for an older one, or for none */
    char text[512];       /* one sentence, with file, offset and lsn range where they matter */
};

/* The janitor's limits and its callback. All 0: the defaults, and no callback. */
struct wal_janitor_options {
    uint64_t pack_bytes_per_s;  /* read and written while packing; 0: 8 MiB */
    uint32_t retry_ms;          /* from a failure to the next try; 0: 30 seconds */
    uint64_t scrub_bytes_per_s; /* read while scrubbing; 0: 4 MiB */
    uint32_t scrub_every_ms;    /* from the begin of a pass to the next; 0: a day */
    /* Called for each damaged file of each pass, by the janitor's thread; it may not block. */
    void (*on_damage)(void *arg, const struct wal_report *damage);
    void *arg;
};

/* The janitor's counters since the open. */
struct wal_janitor_stats {
    uint64_t next;              /* the janitor has looked at every sealed segment below */
    uint64_t packed_segments;   /* packed files that took the place of a segment */
    uint64_t packed_from_bytes; /* sizes of those segments before */
    uint64_t packed_to_bytes;   /* and of the packed files */
    uint64_t pack_failures;     /* tries that ended with an error; each is tried again */
    uint64_t scrub_passes;      /* finished passes */
    uint64_t scrub_bytes;       /* read by the scrub */
};

#endif
