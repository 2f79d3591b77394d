/* build.told: a claim is either told again or taken back, never both. */
#ifndef TALLY_ENGINE_EDGE_TOLD_H
#define TALLY_ENGINE_EDGE_TOLD_H

#include "engine/state/state.h"

/*
 * When the reply to a claim is lost, the worker may ask again on a new connection while the end of
 * the old connection takes the claim back. build.told decides: one CAS sets for a token which of
 * the two it is, before the reply or before the step back. A thread that takes back and then cannot
 * step unsays it; no other thread does. A worker that asks again meanwhile waits.
 */

/* Says that the claim of this word is told again. False: it is being taken back, or was, or another
 * claim holds the build by now. Threads: any, in a read section, as the rest. */
bool told_again(struct build *build, uint64_t word);

/* Says that the claim of this token is taken back. False: it was told again. */
bool told_take_back(struct build *build, uint32_t token);

/* Undoes told_take_back. REQUIRES: it has just returned true, and no step was made. */
void told_unsay(struct build *build, uint32_t token);

#endif
