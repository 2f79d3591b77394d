/* The digest of a committed state: one number for all of it. */
#ifndef TALLY_ENGINE_APPLY_DIGEST_H
#define TALLY_ENGINE_APPLY_DIGEST_H

#include "engine/state/state.h"

/*
 * Returns a number made from everything in a state that a record could ever depend on; equal states
 * have equal digests. Threads: the committer, or the only one.
 */
uint64_t digest_state(const struct state *state);

/* The same without the trends: a snapshot of an earlier tally has none, and its log has. */
uint64_t digest_but_trends(const struct state *state);

#endif
