/* The decision table of recovery: a pure function from the evidence to the verdict. */
#ifndef TALLY_WAL_READ_DECIDE_H
#define TALLY_WAL_READ_DECIDE_H

#include <stdbool.h>

/*
 * The evidence of a scan at its stop, which is the first place that holds no valid next block. The
 * stop's segment is the first one that is not sealed.
 */
struct wal_evidence {
    bool read_error;   /* a file call failed */
    bool newer;        /* a version, codec or flag we do not know, under a good checksum */
    bool misnumbered;  /* a segment is missing, doubled, or not the one its name says */
    bool foreign;      /* a segment with the uuid of another log */
    bool unchained;    /* a valid block that does not follow from the one before */
    bool misshapen;    /* blocks behind a bad segment header, or a file shorter than it was made */
    bool later_filled; /* bytes, but no valid block, in a later segment */
    bool later_block;  /* a valid block in a later segment: the stop's segment was sealed */
    bool acknowledged; /* a valid later block says that the block at the stop was durable */
    bool after_seal;   /* the block before the stop seals the segment */
    bool zeros;        /* nothing but zeros from the stop to the end of the segment */
    bool torn_header;  /* an empty segment whose header cannot be read */
};

enum wal_decision {
    WAL_DECIDE_CLEAN,          /* go on */
    WAL_DECIDE_TORN,           /* keep the tail and clear it, go on */
    WAL_DECIDE_REFUSE_IO,      /* exit 74 */
    WAL_DECIDE_REFUSE_VERSION, /* exit 65 */
    WAL_DECIDE_REFUSE_DAMAGE,  /* exit 65 */
};

struct wal_verdict {
    int row; /* of the table, 1 to 8 */
    enum wal_decision decision;
};

/* Applies the table of wal/FORMAT.md: the first row that matches. */
struct wal_verdict wal_decide(const struct wal_evidence *evidence);

#endif
