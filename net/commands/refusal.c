/* The ERR of a refusal: the code, and what the client can do about it. */
#include "net/commands/refusal.h"

#include "wal/base/check.h"

/* Returns the text that says what the client can do. */
static const char *advice(int err)
{
    switch (err) {
    case TALLY_STALE:
        return "this token does not hold the build any more";
    case TALLY_OFFLINE:
        return "the worker is offline: send WORKER first";
    case TALLY_CLOSED:
        return "the poll is closed";
    case TALLY_READONLY:
        return "the log cannot grow: if the disk is full, free space, and it heals by itself; the "
               "server's stderr says if it is something else";
    case TALLY_DRAINING:
        return "the server is going down: try again in a moment";
    case TALLY_MEMORY:
        return "the memory for clients is used up: finish builds, or start with a larger --memory; "
               "INFO memory says what takes it";
    case TALLY_BUSY:
        return "retry_ms=1000 the server is busy";
    case TALLY_NOMEM:
        return "retry_ms=1000 out of memory";
    default:
        return tally_err_text(err);
    }
}

void refusal_put(struct reply *reply, int err, const char *what)
{
    CHECK(err < 0); /* callers pass refusals only */
    if (err == TALLY_NOTFOUND) {
        reply_err(reply, err, "no such %s", what);
    } else {
        int code = err == TALLY_NOMEM ? TALLY_BUSY : err == TALLY_MEMORY ? TALLY_FULL : err;
        reply_err(reply, code, "%s", advice(err));
    }
}

void refusal_put_retry(struct reply *reply, int err, uint64_t retry_ms)
{
    reply_err(reply, err, "retry_ms=%llu %s", (unsigned long long)retry_ms, tally_err_text(err));
}
