/* The copy of a torn tail, which is kept before the tail is cleared. */
#ifndef TALLY_WAL_RECOVER_TORN_TAIL_H
#define TALLY_WAL_RECOVER_TORN_TAIL_H

#include "wal/disk/io.h"
#include "wal/format/segment.h"
#include "wal/read/log_end.h"

/*
 * Writes a durable copy of the torn tail as torn-<lsn>.bin; *name is the name of the copy, which is
 * longer if an older copy has that one. fd: of the log's last segment. Returns 0 or a negative
 * errno value; then there is no copy, and the segment is as it was.
 */
int wal_torn_tail_keep(struct wal_io *io, int fd, const struct wal_log_end *end,
                       char name[WAL_NAME_BYTES]);

#endif
