/* The beginning of a log that has no records up to a snapshot any more. */
#ifndef TALLY_WAL_RECOVER_LOG_BEGIN_H
#define TALLY_WAL_RECOVER_LOG_BEGIN_H

#include "wal/disk/io.h"
#include "wal/format/segment.h"

#include <stdint.h>

/*
 * Makes a directory look as retention leaves one: the first segment is not number 1, and it begins
 * behind record lsn; there is nothing in it but its seal. With the snapshot of that lsn and uuid
 * beside it, wal_open with `load` goes on with record lsn + 1; without it the log is refused.
 * REQUIRES: no segment is there, and nobody else is at the directory. Returns 0 or a negative errno
 * value.
 */
int wal_log_begin_behind(struct wal_io *io, const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn);

#endif
