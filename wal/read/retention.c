/* A reader beside retention: its segment is gone. Was it retention, and where does it go on? */
#include "wal/read/retention.h"

void wal_retention_set_nameless(struct wal_retention *retention, bool is_nameless)
{
    retention->is_nameless = is_nameless;
}

void wal_retention_set_run(struct wal_retention *retention)
{
    retention->has_run = true;
}

void wal_retention_set_missed(struct wal_retention *retention, uint64_t resume_lsn)
{
    retention->resume_lsn = resume_lsn;
}

enum wal_retention_way wal_retention_decide(const struct wal_retention_gap *gap)
{
    /* Retention removes only records that a snapshot holds, and lsns only grow. */
    if (gap->rest_lsn == 0 || gap->rest_lsn > gap->snapshot_lsn + 1 ||
        gap->rest_lsn < gap->next_lsn) {
        return WAL_RETENTION_LOST;
    }
    if (!gap->has_shown) {
        return WAL_RETENTION_RESTART;
    }
    if (gap->rest_lsn == gap->next_lsn) {
        return WAL_RETENTION_BEHIND;
    }
    return gap->is_open ? WAL_RETENTION_NAMELESS : WAL_RETENTION_MISSED;
}
