/* The space that is kept free on the disk. */
#include "wal/disk/space.h"

#include <stdatomic.h>

bool wal_space_takes(struct wal_io *io, uint64_t bytes, const _Atomic uint64_t *reserve)
{
    struct wal_space space;
    /* A7: relaxed: a number alone; the setter (W3) waits for nothing */
    uint64_t kept = atomic_load_explicit(reserve, memory_order_relaxed);
    if (kept == 0 || io->ops->space(io, &space) != 0) {
        return true;
    }
    return space.free_bytes >= bytes && space.free_bytes - bytes >= kept;
}
