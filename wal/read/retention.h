/* A reader beside retention: its segment is gone. Was it retention, and where does it go on? */
#ifndef TALLY_WAL_READ_RETENTION_H
#define TALLY_WAL_READ_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The reader's state of that race. A recovery has none, for it holds the lock. Written by
 * retention.c alone. Threads: that of its scan.
 */
struct wal_retention {
    bool is_nameless;    /* the open segment has no name any more; it is sealed, and stays whole */
    bool has_run;        /* a run has ended, so the caller knows the reader's place */
    uint64_t resume_lsn; /* the log goes on here, records before were missed; 0: none were */
};

void wal_retention_set_nameless(struct wal_retention *retention, bool is_nameless);
void wal_retention_set_run(struct wal_retention *retention);
void wal_retention_set_missed(struct wal_retention *retention, uint64_t resume_lsn);

/* What the decision depends on, when the reader's segment and all before it are gone. */
struct wal_retention_gap {
    uint64_t rest_lsn;     /* first lsn of the first segment that is left; 0: not known */
    uint64_t snapshot_lsn; /* of the newest snapshot, by its name */
    uint64_t next_lsn;     /* the record that the reader has to show next */
    bool has_shown;        /* a record was shown, or the caller knows the reader's place */
    bool is_open;          /* the segment's file is open, and the first that is left is the next */
};

enum wal_retention_way {
    WAL_RETENTION_LOST,     /* it was not retention: the log has lost a file */
    WAL_RETENTION_RESTART,  /* nothing was shown yet: the log begins later now */
    WAL_RETENTION_BEHIND,   /* every removed record was shown: go on with the first that is left */
    WAL_RETENTION_NAMELESS, /* read the open file to its end */
    WAL_RETENTION_MISSED,   /* records were removed that were not shown */
};

/* The table of wal/README.md: the first row that matches. */
enum wal_retention_way wal_retention_decide(const struct wal_retention_gap *gap);

#endif
