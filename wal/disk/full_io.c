/* Whole reads and writes: goes on after short counts and interrupted calls. */
#include "wal/disk/full_io.h"

#include "wal/base/mutant.h"

#include <errno.h>
#include <string.h>

int wal_full_io_write(struct wal_io *io, int fd, const void *from, size_t len, uint64_t offset)
{
    const unsigned char *at = from;
    while (len > 0) {
        int64_t n = io->ops->pwrite(io, fd, at, len, offset);
        if (n == -EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? (int)n : -EIO; /* a write that takes nothing would never end */
        }
        if (MUTANT(MUTANT_SHORT_WRITE)) {
            return 0;
        }
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int64_t wal_full_io_read(struct wal_io *io, int fd, void *into, size_t len, uint64_t offset)
{
    unsigned char *at = into;
    size_t left = len;
    while (left > 0) {
        int64_t n = io->ops->pread(io, fd, at, left, offset);
        if (n == -EINTR) {
            continue;
        }
        if (n < 0) {
            return n;
        }
        if (n == 0) {
            break;
        }
        at += n;
        left -= (size_t)n;
        offset += (uint64_t)n;
    }
    return (int64_t)(len - left);
}

int wal_full_io_clear(struct wal_io *io, int fd, uint64_t from, uint64_t to)
{
    static unsigned char zeros[1U << 20]; /* not const: const data would enlarge the binary */
    while (from < to) {
        size_t len = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
        int err = wal_full_io_write(io, fd, zeros, len, from);
        if (err != 0) {
            return err;
        }
        from += len;
    }
    return 0;
}
