/* What a visitor sees of a block: itself, or the blocks that are packed in it. */
#ifndef TALLY_WAL_READ_VISIT_H
#define TALLY_WAL_READ_VISIT_H

#include "wal/read/scan.h"

/* Shows the block at the place to the visitor and steps behind it. REQUIRES: it is the next one; if
 * it is packed, its members are whole. Returns what the visitor returned. */
int wal_visit_block(struct wal_scan *scan, const struct wal_block_header *header,
                    const unsigned char *raw);

#endif
