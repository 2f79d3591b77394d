/* One number for all of a committed state. */
#ifndef TALLY_ENGINE_APPLY_DIGEST_H
#define TALLY_ENGINE_APPLY_DIGEST_H

#include "engine/state/state.h"

/*
 * A number for all that is in a state and that a record could ever depend on; equal states have
 * equal digests. Threads: the committer, or nobody else is there.
 */
uint64_t digest_state(const struct state *state);

#endif
