/* Whether a claim was told again or is taken back: of one token only one of the two comes about. */
#ifndef TALLY_ENGINE_EDGE_TOLD_H
#define TALLY_ENGINE_EDGE_TOLD_H

#include "engine/state/state.h"

/*
 * A claim whose reply was lost may be asked for again on one connection, while the other one's end
 * takes it back. build.told decides: one CAS says for a token which of the two it is, and it is
 * said before the reply, or before the step back. Who takes back and then cannot step unsays it;
 * nobody else does, and whoever is told again meanwhile waits.
 */

/* Says that the claim of this word is told again. False: it is being taken back, or was, or the
 * build is another's by now. Threads: any, in a read section, as the rest. */
bool told_again(struct build *build, uint64_t word);

/* Says that the claim of this token is taken back. False: it was told again. */
bool told_take_back(struct build *build, uint32_t token);

/* Nothing was taken back. REQUIRES: told_take_back has just said so, and no step was made. */
void told_unsay(struct build *build, uint32_t token);

#endif
