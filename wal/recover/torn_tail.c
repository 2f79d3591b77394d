/* The copy of a torn tail, which is kept before the tail is cleared. */
#include "wal/recover/torn_tail.h"

#include "wal/base/check.h"
#include "wal/disk/full_io.h"
#include "wal/disk/read_window.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define COPY_STEP_BYTES (1U << 20)

/* Several tails can be torn at the same lsn, one after the other: this many copies are kept. */
#define COPIES_MAX      9

/* Finds a name that no copy has; when every name is in use, the last one is used again. */
static int copy_name(struct wal_io *io, uint64_t lsn, char name[WAL_NAME_BYTES])
{
    snprintf(name, WAL_NAME_BYTES, "torn-%" PRIu64 ".bin", lsn);
    for (int i = 2; i <= COPIES_MAX; i++) {
        int fd = io->ops->open(io, name, WAL_OPEN_READ);
        if (fd < 0 && fd != -EMEDIUMTYPE) { /* a link uses the name, too */
            return fd == -ENOENT ? 0 : fd;
        }
        if (fd >= 0) {
            io->ops->close(io, fd);
        }
        snprintf(name, WAL_NAME_BYTES, "torn-%" PRIu64 ".%d.bin", lsn, i);
    }
    return 0;
}

static int copy_bytes(struct wal_read_window *from, const struct wal_log_end *end, int to)
{
    uint64_t at = end->offset;
    while (at < end->filled_end) {
        uint64_t left = end->filled_end - at;
        size_t step = left < COPY_STEP_BYTES ? (size_t)left : COPY_STEP_BYTES;
        const unsigned char *bytes;
        int err = wal_read_window_get(from, at, step, &bytes);
        if (err == 0) {
            err = wal_full_io_write(from->io, to, bytes, step, at - end->offset);
        }
        if (err != 0) {
            return err;
        }
        at += step;
    }
    return 0;
}

/* Writes the copy, and waits until it is on the disk. */
static int copy_write(struct wal_io *io, int fd, const struct wal_log_end *end, int to)
{
    struct wal_read_window from;
    wal_read_window_init(&from, io);
    wal_read_window_turn(&from, fd);
    int err = copy_bytes(&from, end, to);
    wal_read_window_fini(&from);
    return err != 0 ? err : io->ops->sync(io, to);
}

int wal_torn_tail_keep(struct wal_io *io, int fd, const struct wal_log_end *end,
                       char name[WAL_NAME_BYTES])
{
    char temp[WAL_NAME_BYTES];
    /* no bytes lead here: the tail scan begins at offset, and the caller has asked for a tail */
    CHECK(end->filled_end > end->offset && end->filled_end <= end->size_bytes + WAL_PAGE_BYTES);
    snprintf(temp, sizeof(temp), "torn-%" PRIu64 ".tmp", end->next_lsn);
    int err = copy_name(io, end->next_lsn, name);
    if (err != 0) {
        return err;
    }
    int to = io->ops->open(io, temp, WAL_OPEN_CREATE);
    if (to < 0) {
        return to;
    }
    err = copy_write(io, fd, end, to);
    io->ops->close(io, to);
    if (err == 0) {
        err = io->ops->rename(io, temp, name);
    }
    if (err != 0) {
        (void)io->ops->unlink(io, temp); /* else the next start does it */
        return err;
    }
    return io->ops->syncdir(io);
}
