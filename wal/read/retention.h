/* A reader beside retention: the segment it wants is gone. Was it retention, and where to go on? */
#ifndef TALLY_WAL_READ_RETENTION_H
#define TALLY_WAL_READ_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What a reader keeps of that race. A recovery has none: it holds the lock. Written by retention.c
 * alone. Threads: that of its scan.
 */
struct wal_retention {
    bool is_nameless;    /* the open segment has no name any more; it is sealed, and stays whole */
    bool has_run;        /* a run has ended, so somebody knows how far it has come */
    uint64_t resume_lsn; /* the log goes on here, records before it were missed; 0: none were */
};

void wal_retention_set_nameless(struct wal_retention *retention, bool is_nameless);
void wal_retention_set_run(struct wal_retention *retention);
void wal_retention_set_missed(struct wal_retention *retention, uint64_t resume_lsn);

/* What is known when the segment that is read, and all before it, are gone. */
struct wal_retention_gap {
    uint64_t rest_lsn;     /* with which the first segment that is left begins; 0: not known */
    uint64_t snapshot_lsn; /* of the newest snapshot, by its name */
    uint64_t next_lsn;     /* what the reader wants next */
    bool has_shown;        /* something was shown, or the caller knows the reader's place */
    bool is_open;          /* the segment's file is open, and the first that is left is the next */
};

enum wal_retention_way {
    WAL_RETENTION_LOST,     /* it was not retention: the log has lost a file */
    WAL_RETENTION_RESTART,  /* nothing was shown yet: the log begins later now */
    WAL_RETENTION_BEHIND,   /* all of what has gone was shown: go on with what is left */
    WAL_RETENTION_NAMELESS, /* read the open file to its end */
    WAL_RETENTION_MISSED,   /* records went that were not shown */
};

/* The table of wal/README.md: the first row that matches. */
enum wal_retention_way wal_retention_decide(const struct wal_retention_gap *gap);

#endif
