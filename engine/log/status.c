/* The names of the states of a build. */
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
