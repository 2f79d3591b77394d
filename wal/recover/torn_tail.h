/* The copy of a torn tail, which is kept before the tail is cleared. */
#ifndef TALLY_WAL_RECOVER_TORN_TAIL_H
#define TALLY_WAL_RECOVER_TORN_TAIL_H

#include "wal/disk/io.h"
#include "wal/format/segment.h"
#include "wal/read/log_end.h"

/*
 * Keeps what the torn tail holds, whole and durable, as torn-<lsn>.bin; *name is then that name,
 * which is a longer one if it was taken. fd: of the log's last segment. Returns 0 or a negative
 * errno value; then no copy is there, and the segment is as it was.
 */
int wal_torn_tail_keep(struct wal_io *io, int fd, const struct wal_log_end *end,
                       char name[WAL_NAME_BYTES]);

#endif
