/* Stuck detection: decides whether a merge that takes nothing will ever go on. */
#include "engine/commit/stuck.h"

#include "engine/base/alarm.h"
#include "engine/log/record.h"

#include <inttypes.h>
#include <stdio.h>

static _Noreturn void stuck_for_good(const struct merge *merge, const struct lane *lane)
{
    const struct lane_slot *slot = lane_at(lane, lane->taken);
    uint64_t before = slot->type == RECORD_VOTE ? slot->vote.before : slot->step.before;
    char why[160];
    snprintf(why, sizeof why,
             "bug: no lane's head is next: %s at position %" PRIu64
             " of a lane, before it %" PRIx64,
             record_type_name(slot->type), lane->taken, before);
    alarm_fatal(merge->options, 70, why);
}

void stuck_look(struct stuck *stuck, struct merge *merge, struct rcu_retirer *retirer,
                uint64_t commits)
{
    const struct lane *lane = merge_waiting_lane(merge);
    if (!stuck->grace.is_asked) {
        if (lane != NULL) {
            stuck->commits = commits;
            grace_begin(&stuck->grace, retirer);
        }
        return;
    }
    /* after a grace period the record before that head is published; if the merge still takes
     * nothing, there is no such record */
    if (grace_has_passed(&stuck->grace) && lane != NULL && stuck->commits == commits &&
        merge_take(merge) == 0 && merge->alone_count == 0) {
        stuck_for_good(merge, lane);
    }
}

bool stuck_is_busy(const struct stuck *stuck)
{
    return stuck->grace.is_asked;
}
