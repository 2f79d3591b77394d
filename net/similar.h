/* Labels that are like a label: what OPTION answers to a clash. */
#ifndef TALLY_NET_SIMILAR_H
#define TALLY_NET_SIMILAR_H

#include "net/pending.h"
#include "wal/base/span.h"

enum { SIMILAR_MAX = 5 };

/* A reading that answers `ERR EXISTS` with up to SIMILAR_MAX labels of the poll. NULL: no memory.
 * Both spans are copied; poll is a name. */
struct reading *similar_new(struct span poll, struct span label);

/* Whether one of two labels contains the other, or both begin alike, without regard to the case of
 * ASCII letters; any two bytes beyond ASCII are taken as alike. */
bool similar_to(struct span a, struct span b);

#endif
