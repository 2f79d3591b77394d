/* The states of builds and workers and the modes of polls, in the numbers that records and images
 * carry. */
#ifndef TALLY_ENGINE_LOG_STATUS_H
#define TALLY_ENGINE_LOG_STATUS_H

#include "engine/limits.h"
#include "wal/base/check.h"

#include <stdbool.h>

/*
 * A status is the state of a build and its token in one number: { state:4 | token:28 }. A record of
 * a step carries the status before and the status after, which form a chain in the log. The
 * deadline beside it in a build's word is in no record: engine/state/word.h.
 */
enum build_state {
    BUILD_NONE,
    BUILD_PENDING,
    BUILD_DELAYED,
    BUILD_ASSIGNED,
    BUILD_BUILDING,
    BUILD_COMPLETED,
    BUILD_FAILED,
    BUILD_CANCELLED,
    BUILD_STATES
};

/* Returns "pending" ...; "none" for a number that is no state. Static storage. */
const char *status_state_name(enum build_state state);

/* How often a voter may vote in a poll: as often as it likes, and no voter has to be named; once;
 * or once, but it may change its vote. */
enum poll_mode { POLL_FREE, POLL_ONCE, POLL_CHANGE, POLL_MODES };

/* Returns "free", "once" or "change"; "free" for a number that is no mode. Static storage. */
const char *status_mode_name(uint32_t mode);

enum worker_state { WORKER_ONLINE, WORKER_OFFLINE, WORKER_GONE };

/*
 * The token with which a build begins: in the lower half, so that each has 2^27 of them to go, and
 * far from those of its neighbours (by the golden ratio: of any thousand builds in a row, no two
 * begin within 50,000 of each other). So a token of another build is stale, however many steps the
 * two builds have made.
 */
#define BUILD_TOKEN_FIRST(id) ((uint32_t)(1 + (((uint32_t)(id)-1) * UINT32_C(2654435769) >> 5)))

static inline uint32_t status_make(enum build_state state, uint32_t token)
{
    DCHECK((uint32_t)state < 16 && token <= BUILD_TOKEN_MAX); /* 4 bits, 28 bits */
    return (uint32_t)state << 28 | token;
}

static inline enum build_state status_state(uint32_t status)
{
    return (enum build_state)(status >> 28);
}

static inline uint32_t status_token(uint32_t status)
{
    return status & BUILD_TOKEN_MAX;
}

static inline bool status_is_held(uint32_t status)
{
    return status_state(status) == BUILD_ASSIGNED || status_state(status) == BUILD_BUILDING;
}

static inline bool status_is_ended(uint32_t status)
{
    return status_state(status) >= BUILD_COMPLETED;
}

/*
 * Returns the status after a step that takes a new token. Where the tokens run out, a build that
 * would be offered again fails instead.
 */
static inline uint32_t status_next(uint32_t before, enum build_state to)
{
    DCHECK(status_token(before) < BUILD_TOKEN_MAX); /* bounds_status_is_valid leaves tokens */
    uint32_t token = status_token(before) + 1;
    bool offered = to == BUILD_PENDING || to == BUILD_DELAYED;
    return status_make(offered && token > BUILD_TOKEN_MAX - 4 ? BUILD_FAILED : to, token);
}

/* How the last claim of a build ended: by a request of its holder, or otherwise. */
enum build_how {
    HOW_NONE,
    HOW_DONE,
    HOW_FAIL,      /* FAIL, and the build is offered again */
    HOW_FAIL_LAST, /* FAIL of the last attempt */
    HOW_FAIL_DEAD, /* FAIL, and no further attempt was wanted */
    HOW_RELEASE,
    HOW_OTHER, /* the lease has expired, or the worker has left */
};

/*
 * The ending of a claim in one word: how it ended, its token and the requested delay, { how:4 |
 * token:28 | delay:32 }; 0 while a claim runs and before the first. A repeated request is known by
 * all three, until the next claim, even if the build has changed its state by time since then.
 *
 * Apply writes the ending at the end of a claim before `applied`, and clears it at the next claim
 * before it writes anything else. So a thread that reads `applied` and then the ending sees the end
 * of the token that `applied` has left; and a thread that reads the ending, then `attempts` or
 * `error`, and then the same ending again, has read the values of that claim.
 */
static inline uint64_t ending_word(enum build_how how, uint32_t token, uint32_t delay_ms)
{
    DCHECK(how <= HOW_OTHER);
    return (uint64_t)status_make((enum build_state)how, token) << 32 | delay_ms;
}

static inline enum build_how ending_how(uint64_t ending)
{
    return (enum build_how)(ending >> 60);
}

static inline uint32_t ending_token(uint64_t ending)
{
    return status_token((uint32_t)(ending >> 32));
}

#endif
