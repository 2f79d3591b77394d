/* The names of the states of a build and of the modes of a poll. */
#include "engine/log/status.h"

const char *status_state_name(enum build_state state)
{
    static const char *const names[BUILD_STATES] = {
        [BUILD_NONE] = "none",         [BUILD_PENDING] = "pending",
        [BUILD_DELAYED] = "delayed",   [BUILD_ASSIGNED] = "assigned",
        [BUILD_BUILDING] = "building", [BUILD_COMPLETED] = "completed",
        [BUILD_FAILED] = "failed",     [BUILD_CANCELLED] = "cancelled",
    };
    return state < BUILD_STATES ? names[state] : names[BUILD_NONE];
}

const char *status_mode_name(uint32_t mode)
{
    static const char *const names[POLL_MODES] = {
        [POLL_FREE] = "free", [POLL_ONCE] = "once", [POLL_CHANGE] = "change"};
    return mode < POLL_MODES ? names[mode] : names[POLL_FREE];
}
