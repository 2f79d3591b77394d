/* The check of a packed segment against the one it was made of, block by block. */
#ifndef TALLY_WAL_BACKGROUND_PACK_CHECK_H
#define TALLY_WAL_BACKGROUND_PACK_CHECK_H

#include "wal/background/pack.h"

/*
 * Reads both files from the disk and compares them: the same blocks with records, each with the
 * same lsns and bytes; one seal with the same meaning; nothing behind it.
 * Returns 0; -EIO: they differ; what pace returned; or another negative errno value.
 */
int wal_pack_check(struct wal_pack *pack, const char *packed_name);

#endif
