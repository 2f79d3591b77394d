/* The beginning of a log whose records up to a snapshot were removed. */
#ifndef TALLY_WAL_RECOVER_LOG_BEGIN_H
#define TALLY_WAL_RECOVER_LOG_BEGIN_H

#include "wal/disk/io.h"
#include "wal/format/segment.h"

#include <stdint.h>

/*
 * Makes a directory look as retention leaves one: its only segment is not number 1, begins behind
 * record lsn, and holds nothing but its seal. With the snapshot of that lsn and uuid beside it,
 * wal_open with `load` goes on with record lsn + 1; without it the log is refused.
 * REQUIRES: the directory has no segment, and nobody else uses it. Returns 0 or a negative errno
 * value.
 */
int wal_log_begin_behind(struct wal_io *io, const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn);

#endif
