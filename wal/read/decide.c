/* The decision table of recovery: a pure function from the evidence to the verdict. */
#include "wal/read/decide.h"

/*
 * The order matters. Rows 1 and 2 are signs that make all others untrustworthy, rows 3 to 6 are
 * shapes that no crash can leave, rows 7 and 8 are shapes that a crash does leave. So a shape that
 * nobody has thought of has to pass all rows that refuse before anything is cleared.
 */
struct wal_verdict wal_decide(const struct wal_evidence *evidence)
{
    /* No crash: the disk cannot read. An error is not zeros: there may be blocks. */
    if (evidence->read_error) {
        return (struct wal_verdict){1, WAL_DECIDE_REFUSE_IO};
    }
    /* No crash: a newer version wrote here, and its durable lsn cannot be read. */
    if (evidence->newer) {
        return (struct wal_verdict){2, WAL_DECIDE_REFUSE_VERSION};
    }
    /* No crash: files were lost, mixed or cut, or bytes stand where tally never writes. A segment
     * gets its name only when it is whole and synced, and its first block only when the segment
     * before is sealed and synced. */
    if (evidence->misnumbered || evidence->foreign || evidence->unchained || evidence->misshapen ||
        evidence->later_filled) {
        return (struct wal_verdict){3, WAL_DECIDE_REFUSE_DAMAGE};
    }
    /* No crash: the later block was written after all of this segment was synced. */
    if (evidence->later_block) {
        return (struct wal_verdict){4, WAL_DECIDE_REFUSE_DAMAGE};
    }
    /* No crash: the later block was written after the block at the stop was synced. */
    if (evidence->acknowledged) {
        return (struct wal_verdict){5, WAL_DECIDE_REFUSE_DAMAGE};
    }
    /* No crash: nothing is ever written behind the block that seals a segment. */
    if (evidence->after_seal && !evidence->zeros) {
        return (struct wal_verdict){6, WAL_DECIDE_REFUSE_DAMAGE};
    }
    /* No crash, or a crash between two commits, or in a write of which nothing reached the disk. */
    if (evidence->zeros && !evidence->torn_header) {
        return (struct wal_verdict){7, WAL_DECIDE_CLEAN};
    }
    /* A crash in the middle of a write has left parts of a block; or a later block that no block
     * calls durable, without the one before; or half a header, where an empty segment got a new
     * epoch. No answer depends on these bytes. */
    return (struct wal_verdict){8, WAL_DECIDE_TORN};
}
