/* Where a log without its beginning is taken up: the oldest snapshot that can be read. */
#include "tools/wal/beginning.h"

#include "engine/loader.h"
#include "wal/base/err.h"
#include "wal/segment.h"
#include "wal/snap.h"

enum { SNAPSHOTS_MAX = 8 }; /* two are kept; a third may be there for a moment */

struct files {
    uint64_t first_segment; /* 0: none */
    uint64_t snapshots[SNAPSHOTS_MAX];
    unsigned count;
};

static int add_file(void *arg, const char *name)
{
    struct files *files = arg;
    uint64_t number;
    if (wal_segment_is_name(name, &number)) {
        bool is_first = files->first_segment == 0 || number < files->first_segment;
        files->first_segment = is_first ? number : files->first_segment;
    } else if (wal_snap_is_name(name, &number) && files->count < SNAPSHOTS_MAX) {
        files->snapshots[files->count++] = number;
    }
    return 0;
}

/* Takes the lowest out of the list. */
static uint64_t take_oldest(struct files *files)
{
    unsigned oldest = 0;
    for (unsigned i = 1; i < files->count; i++) {
        oldest = files->snapshots[i] < files->snapshots[oldest] ? i : oldest;
    }
    uint64_t lsn = files->snapshots[oldest];
    files->snapshots[oldest] = files->snapshots[--files->count];
    return lsn;
}

static int load(struct wal_io *io, struct state *state, uint64_t lsn)
{
    struct wal_snap_info info;
    struct loader loader;
    loader_init(&loader, state);
    int err = wal_snap_read(io, lsn, loader_block, &loader, &info);
    loader_fini(&loader);
    return err;
}

int beginning_load(struct wal_io *io, struct state *state)
{
    struct files files = {.first_segment = 0};
    int err = io->ops->list(io, add_file, &files) == 0 ? 0 : TALLY_IO;
    while (err == 0 && files.first_segment > 1 && files.count > 0) {
        err = load(io, state, take_oldest(&files));
        if (err == 0) {
            return 0;
        }
        state_fini(state); /* what a damaged one has left */
        err = state_init(state);
    }
    /* what cannot be listed is told by the reading itself */
    return err == TALLY_NOMEM ? TALLY_NOMEM : 0;
}
