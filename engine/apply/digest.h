/* The digest of a committed state: one number for all of it. */
#ifndef TALLY_ENGINE_APPLY_DIGEST_H
#define TALLY_ENGINE_APPLY_DIGEST_H

#include "engine/state/state.h"

/*
 * Returns a number made from everything in a state that a record could ever depend on; equal states
 * have equal digests. Threads: the committer, or the only one.
 */
uint64_t digest_state(const struct state *state);

/* What earlier tallies did not have: their snapshots have none of it, even where their logs do. */
enum digest_part { DIGEST_TRENDS = 1, DIGEST_KEYS = 2 };

/* The same with these parts alone, and with all that has always been there. */
uint64_t digest_with(const struct state *state, unsigned parts);

#endif
