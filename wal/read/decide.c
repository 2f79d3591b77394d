/* How a log may end: the decision table of recovery, a pure function of what was seen. */
#include "wal/read/decide.h"

/*
 * The order carries the meaning. First what makes all other signs untrustworthy (1, 2), then what
 * no crash can leave (3 to 6), and only then the shapes that a crash does leave (7, 8). So a shape
 * that nobody has thought of has to pass all rows that refuse before anything is cleared.
 */
struct wal_verdict wal_decide(const struct wal_evidence *evidence)
{
    /* No crash: the disk says that it does not know. An error is not zeros: there may be blocks. */
    if (evidence->read_error) {
        return (struct wal_verdict){1, WAL_DECIDE_REFUSE_IO};
    }
    /* No crash: a newer program wrote here, and we cannot read what it calls durable. */
    if (evidence->newer) {
        return (struct wal_verdict){2, WAL_DECIDE_REFUSE_VERSION};
    }
    /* No crash: files were lost, mixed or cut, or something wrote where we never write. A segment
     * gets its name only when it is whole and synced, and its first block only when the one before
     * is sealed and synced. */
    if (evidence->misnumbered || evidence->foreign || evidence->unchained || evidence->misshapen ||
        evidence->later_filled) {
        return (struct wal_verdict){3, WAL_DECIDE_REFUSE_DAMAGE};
    }
    /* No crash: the later block was written after all of this segment was synced. */
    if (evidence->later_block) {
        return (struct wal_verdict){4, WAL_DECIDE_REFUSE_DAMAGE};
    }
    /* No crash: the later block was written after the sync of the stop had returned. */
    if (evidence->acknowledged) {
        return (struct wal_verdict){5, WAL_DECIDE_REFUSE_DAMAGE};
    }
    /* No crash: nothing is ever written behind the block that seals a segment. */
    if (evidence->after_seal && !evidence->zeros) {
        return (struct wal_verdict){6, WAL_DECIDE_REFUSE_DAMAGE};
    }
    /* A crash between two commits, or none at all; or in the middle of a write of which nothing has
     * reached the disk. */
    if (evidence->zeros && !evidence->torn_header) {
        return (struct wal_verdict){7, WAL_DECIDE_CLEAN};
    }
    /* A crash in the middle of a write: parts of a block; a later block without the one before,
     * which nothing calls durable; the header of an empty segment while it got a new epoch. No
     * answer depends on it. */
    return (struct wal_verdict){8, WAL_DECIDE_TORN};
}
