/* Similar labels: a poll's labels that resemble a label, for OPTION's answer to a clash. */
#ifndef TALLY_NET_COMMANDS_SIMILAR_H
#define TALLY_NET_COMMANDS_SIMILAR_H

#include "engine/edge.h"
#include "engine/read.h"
#include "net/pipeline/reading.h"
#include "wal/base/span.h"

/* A reading that answers `ERR EXISTS` with the poll's labels that resemble this one; its piece is
 * ready at once. NULL: no memory, or no label. Both spans are copied; poll is a name.
 */
struct reading *similar_new(struct edge *edge, struct span poll, struct span label);

/* Adds quoted labels, each behind a blank, as long as they fit whole. Returns the bytes written. */
size_t similar_list(char *to, size_t room, const struct found_label *labels, size_t count);

#endif
