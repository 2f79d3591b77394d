/* Stuck detection: no head of a lane is next, although no earlier record can still come. */
#ifndef TALLY_ENGINE_COMMIT_STUCK_H
#define TALLY_ENGINE_COMMIT_STUCK_H

#include "engine/commit/grace.h"
#include "engine/commit/merge.h"

/*
 * A head may wait for a short time: the thread that made the step before it publishes that step
 * only at the end of its pass. So when a grace period has passed, no commit has come since, and the
 * merge still takes nothing, the record before does not exist: that is a bug, and the process ends
 * (70).
 *
 * Synchronization: the committer alone; the grace period is grace.h's.
 */
struct stuck {
    struct grace grace;
    uint64_t commits; /* when it began */
};

/* Called when the merge took nothing; `commits` counts the commits so far. May take from the lanes
 * itself. Threads, of both: the committer. */
void stuck_look(struct stuck *stuck, struct merge *merge, struct rcu_retirer *retirer,
                uint64_t commits);

/* Whether there is a grace period to wait for. */
bool stuck_is_busy(const struct stuck *stuck);

#endif
