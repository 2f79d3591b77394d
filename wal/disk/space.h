/* The space that is kept free on the disk. */
#ifndef TALLY_WAL_DISK_SPACE_H
#define TALLY_WAL_DISK_SPACE_H

#include "wal/disk/io.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether so many bytes more on the disk leave *reserve bytes free. Also true when the disk cannot
 * be asked: then the write itself tells. Threads: any. */
bool wal_space_takes(struct wal_io *io, uint64_t bytes, const _Atomic uint64_t *reserve);

#endif
