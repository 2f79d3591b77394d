/* The committer's own lane: appends steps and ordered records. */
#include "engine/commit/own_lane.h"

#include "engine/base/alarm.h"
#include "engine/edge/ordered_request.h"
#include "wal/base/check.h"

#include <string.h>

int own_lane_init(struct own_lane *own, struct ledger *ledger, const struct tally_options *options)
{
    *own = (struct own_lane){.lane = lane_new(), .ledger = ledger, .options = options};
    STAILQ_INIT(&own->waiting);
    return own->lane != NULL ? 0 : TALLY_NOMEM;
}

void own_lane_fini(struct own_lane *own)
{
    lane_destroy(own->lane);
}

bool own_lane_step(struct own_lane *own, struct build *build, uint64_t seen, enum record_type type,
                   enum build_state to)
{
    uint32_t before = word_status(seen);
    uint32_t after = status_next(before, to);
    CHECK(own_lane_has_slot(own)); /* each caller has asked for room */
    /* no input leads here: the callers look at the state first, and a loaded build has tokens left
     * for all steps that can follow (bounds.h: bounds_status_is_valid), so status_next stays within
     * the table */
    CHECK(word_transition_is_legal(type, before, after));
    if (!word_step(&build->word, &seen, build_word(after, 0))) {
        return false;
    }
    lane_append(own->lane)->step =
        (struct lane_step){.type = (uint8_t)type, .before = before, .after = after, .build = build};
    return true;
}

void own_lane_vote(struct own_lane *own, struct option *option, struct ordered_request *request,
                   uint64_t n)
{
    CHECK(own_lane_has_slot(own)); /* each caller has asked for room */
    uint64_t before = word_add(&option->word, option_step(n));
    lane_append(own->lane)->vote = (struct lane_vote){.type = LANE_BALLOT_VOTE,
                                                      .n = (uint32_t)n,
                                                      .before = before,
                                                      .option = option,
                                                      .request = request};
}

void own_lane_wait(struct own_lane *own, struct ordered_request *request)
{
    DCHECK(!request->is_own);
    STAILQ_INSERT_TAIL(&own->waiting, request, waiting);
    own->waits_begun++;
}

void own_lane_wait_ends(struct own_lane *own)
{
    CHECK(own->waits_ended < own->waits_begun); /* the judge has looked at the first one */
    STAILQ_REMOVE_HEAD(&own->waiting, waiting);
    own->waits_ended++;
}

void own_lane_append(struct own_lane *own, enum record_type type, const uint64_t num[OWN_LANE_NUMS])
{
    CHECK(own_lane_has_slot(own)); /* each caller has asked for room */
    struct ordered_request *request = ordered_request_new(own->ledger, type, NULL, 0, 0);
    if (request == NULL) {
        alarm_fatal(own->options, 71, "out of memory in the timers");
    }
    request->is_own = true;
    memcpy(request->record.num, num, OWN_LANE_NUMS * sizeof num[0]);
    lane_append(own->lane)->ordered =
        (struct lane_ordered){.type = (uint8_t)type, .request = request};
}

void own_lane_append_request(struct own_lane *own, struct ordered_request *request)
{
    CHECK(own_lane_has_slot(own)); /* each caller has asked for room */
    lane_append(own->lane)->ordered =
        (struct lane_ordered){.type = (uint8_t)request->record.type, .request = request};
}

uint64_t own_lane_tail(const struct own_lane *own)
{
    return own->lane->next;
}

void own_lane_publish(struct own_lane *own)
{
    CHECK(own->lane->next - own->lane->freed <= LANE_SLOTS); /* own_lane_has_slot was asked */
    (void)lane_publish(own->lane);
}
