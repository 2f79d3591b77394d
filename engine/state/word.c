/* The table of a build's legal transitions. */
#include "engine/state/word.h"

#include "engine/log/record.h"

#define BIT(state) (1U << BUILD_##state)
#define HELD       (BIT(ASSIGNED) | BIT(BUILDING))

struct transition {
    unsigned from; /* bits of states */
    unsigned to;
    bool same_token;
};

static const struct transition transitions[RECORD_TYPES] = {
    [RECORD_CLAIM] = {BIT(PENDING), BIT(ASSIGNED), false},
    [RECORD_BEAT] = {BIT(ASSIGNED), BIT(BUILDING), true},
    [RECORD_DONE] = {HELD, BIT(COMPLETED), false},
    [RECORD_FAIL] = {HELD, BIT(PENDING) | BIT(DELAYED) | BIT(FAILED), false},
    [RECORD_RELEASE] = {HELD, BIT(PENDING) | BIT(DELAYED) | BIT(FAILED), false},
    [RECORD_EXPIRE] = {HELD, BIT(PENDING) | BIT(FAILED), false},
    [RECORD_UNHOLD] = {HELD, BIT(PENDING) | BIT(FAILED), false},
    [RECORD_DUE] = {BIT(DELAYED), BIT(PENDING) | BIT(FAILED), false},
};

bool word_transition_is_legal(unsigned type, uint32_t before, uint32_t after)
{
    if (type >= RECORD_TYPES) {
        return false;
    }
    const struct transition *rule = &transitions[type];
    uint32_t token = status_token(before) + (rule->same_token ? 0 : 1);
    return (rule->from >> status_state(before) & 1) != 0 &&
           (rule->to >> status_state(after) & 1) != 0 && status_token(after) == token;
}
