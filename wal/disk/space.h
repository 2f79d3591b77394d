/* The space that is kept free on the disk. */
#ifndef TALLY_WAL_DISK_SPACE_H
#define TALLY_WAL_DISK_SPACE_H

#include "wal/disk/io.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether *reserve bytes stay free when so many bytes more are written. Also true when the file
 * system does not tell: then the write itself fails. Threads: any. */
bool wal_space_takes(struct wal_io *io, uint64_t bytes, const _Atomic uint64_t *reserve);

#endif
