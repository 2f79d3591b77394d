/* Comparing words of a request without regard to case. */
#ifndef TALLY_NET_PROTOCOL_WORD_H
#define TALLY_NET_PROTOCOL_WORD_H

#include "wal/base/span.h"

#include <stdbool.h>

/* Whether a word, in any case (ASCII), is `upper`, which is in upper case. */
bool word_equal(struct span word, const char *upper);

#endif
