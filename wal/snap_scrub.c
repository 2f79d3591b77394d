/* The scrub of snapshots: each is read again from the disk, at the janitor's pace. */
#include "wal/snap.h"

#include "wal/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SNAPSHOTS_MAX = 8 }; /* two are kept; a third may be there for a moment */

struct names {
    uint64_t lsn[SNAPSHOTS_MAX];
    size_t count;
};

struct paced {
    int (*pace)(void *arg, size_t bytes);
    void *arg;
};

static int names_add(void *arg, const char *name)
{
    struct names *names = arg;
    uint64_t lsn;
    if (wal_snap_is_name(name, &lsn) && names->count < SNAPSHOTS_MAX) {
        names->lsn[names->count++] = lsn;
    }
    return 0;
}

static int pace_block(void *arg, const struct wal_block *block)
{
    const struct paced *paced = arg;
    return paced->pace(paced->arg, block->stored_bytes) == 0 ? 0 : TALLY_TIMEOUT;
}

/* What is in the page cache is not what is asked for. Returns 0, or a negative errno value. */
static int forget(struct wal_io *io, uint64_t lsn)
{
    char name[WAL_NAME_BYTES];
    wal_snap_name(name, lsn);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    int err = io->ops->drop_cache(io, fd);
    io->ops->close(io, fd);
    return err;
}

int wal_snap_scrub(void *arg, struct wal_io *io, int (*pace)(void *arg, size_t bytes),
                   void *pace_arg, struct wal_report *damage)
{
    (void)arg;
    struct names names = {.count = 0};
    struct paced paced = {pace, pace_arg};
    int err = io->ops->list(io, names_add, &names) != 0 ? TALLY_IO : 0;
    for (size_t i = 0; err == 0 && i < names.count; i++) {
        struct wal_snap_info info;
        if (forget(io, names.lsn[i]) != 0) {
            continue; /* a newer one has taken its place, or it cannot be read this time */
        }
        err = wal_snap_read(io, names.lsn[i], pace_block, &paced, &info);
        if (err == TALLY_DAMAGE) {
            snprintf(damage->text, sizeof(damage->text), "%s", info.text);
        }
    }
    return err;
}
