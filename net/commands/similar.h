/* Labels that are like a label: what OPTION answers to a clash. */
#ifndef TALLY_NET_COMMANDS_SIMILAR_H
#define TALLY_NET_COMMANDS_SIMILAR_H

#include "engine/edge.h"
#include "net/pipeline/reading.h"
#include "wal/base/span.h"

/* A reading that answers `ERR EXISTS` with labels of the poll that are like this one; there is
 * nothing to wait for in it. NULL: no memory, or no label. Both spans are copied; poll is a name.
 */
struct reading *similar_new(struct edge *edge, struct span poll, struct span label);

/* Adds quoted labels, each behind a blank, as long as they fit whole. Returns the bytes written. */
size_t similar_list(char *to, size_t room, const struct span *labels, size_t count);

#endif
