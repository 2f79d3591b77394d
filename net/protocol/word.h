/* Words of a request: compared without regard to case. */
#ifndef TALLY_NET_PROTOCOL_WORD_H
#define TALLY_NET_PROTOCOL_WORD_H

#include "wal/base/span.h"

#include <stdbool.h>

/* Whether a word is `upper`, which is in upper case, without regard to its own case (ASCII). */
bool word_equal(struct span word, const char *upper);

#endif
