/* The beginning of a log whose records up to a snapshot were removed. */
#include "wal/recover/log_begin.h"

#include "wal/write/append.h"

#include <string.h>

/* A reader takes a log whose first segment is number 1 for one that begins with record 1. */
enum { FIRST_NUMBER = 2 };

int wal_log_begin_behind(struct wal_io *io, const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn)
{
    struct wal_segment segment;
    struct wal_segment_head head = {
        .number = FIRST_NUMBER, .bytes = WAL_SEGMENT_BYTES_MIN, .epoch = 1};
    memcpy(head.uuid, uuid, WAL_UUID_BYTES);
    int err = wal_create_run(io, &head, &segment);
    if (err != 0) {
        return err;
    }
    struct wal_block_writer writer = wal_append_to(io, &segment, WAL_SEGMENT_FIRST_BLOCK);
    err = wal_append_seal(&writer, lsn + 1, 0);
    io->ops->close(io, segment.fd);
    return err;
}
