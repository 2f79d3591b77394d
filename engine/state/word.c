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

/* one transition for each build step; a step without one does not compile */
#define TRANSITION_CLAIM                                                                           \
    {                                                                                              \
        BIT(PENDING), BIT(ASSIGNED), false                                                         \
    }
#define TRANSITION_BEAT                                                                            \
    {                                                                                              \
        BIT(ASSIGNED), BIT(BUILDING), true                                                         \
    }
#define TRANSITION_DONE                                                                            \
    {                                                                                              \
        HELD, BIT(COMPLETED), false                                                                \
    }
#define TRANSITION_FAIL                                                                            \
    {                                                                                              \
        HELD, BIT(PENDING) | BIT(DELAYED) | BIT(FAILED), false                                     \
    }
#define TRANSITION_RELEASE                                                                         \
    {                                                                                              \
        HELD, BIT(PENDING) | BIT(DELAYED) | BIT(FAILED), false                                     \
    }
#define TRANSITION_EXPIRE                                                                          \
    {                                                                                              \
        HELD, BIT(PENDING) | BIT(FAILED), false                                                    \
    }
#define TRANSITION_UNHOLD                                                                          \
    {                                                                                              \
        HELD, BIT(PENDING) | BIT(FAILED), false                                                    \
    }
#define TRANSITION_DUE                                                                             \
    {                                                                                              \
        BIT(DELAYED), BIT(PENDING) | BIT(FAILED), false                                            \
    }

static const struct transition transitions[RECORD_TYPES] = {
#define X(name, ...) [RECORD_##name] = TRANSITION_##name,
    RECORD_BUILD_STEPS(X)
#undef X
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
