/* Whole reads and writes: goes on after short counts and interrupted calls. */
#ifndef TALLY_WAL_DISK_FULL_IO_H
#define TALLY_WAL_DISK_FULL_IO_H

#include "wal/disk/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes all len bytes. Returns 0 or a negative errno value; then any part may be written. */
int wal_full_io_write(struct wal_io *io, int fd, const void *from, size_t len, uint64_t offset);

/* Reads until len bytes or the end of the file. Returns the bytes read or a negative errno value.
 */
int64_t wal_full_io_read(struct wal_io *io, int fd, void *into, size_t len, uint64_t offset);

/* Overwrites [from, to) with zeros. Returns 0 or a negative errno value. */
int wal_full_io_clear(struct wal_io *io, int fd, uint64_t from, uint64_t to);

#endif
