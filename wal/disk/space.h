/* What is kept free on the disk, whoever writes there. */
#ifndef TALLY_WAL_DISK_SPACE_H
#define TALLY_WAL_DISK_SPACE_H

#include "wal/disk/io.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether so many bytes more leave what *reserve says at the moment. What cannot be asked is met
 * when it is written. Threads: any. */
bool wal_space_takes(struct wal_io *io, uint64_t bytes, const _Atomic uint64_t *reserve);

#endif
