/* Where a log without its beginning is taken up: the oldest snapshot that can be read. */
#include "tools/wal/beginning.h"

#include "engine/loader.h"
#include "wal/base/err.h"
#include "wal/list.h"
#include "wal/segment.h"
#include "wal/snap.h"

static int load(struct wal_io *io, struct state *state, uint64_t lsn)
{
    struct wal_snap_info info;
    struct loader loader;
    loader_init(&loader, state);
    int err = wal_snap_read(io, lsn, loader_block, &loader, &info);
    loader_fini(&loader);
    return err;
}

/* Tries one after the other, the oldest first. Returns 0 or TALLY_NOMEM. */
static int load_one(struct wal_io *io, struct state *state, const struct wal_numbers *lsns)
{
    int err = TALLY_DAMAGE;
    for (size_t i = 0; i < lsns->count && err != 0; i++) {
        err = load(io, state, lsns->at[i]);
        if (err != 0) {
            state_fini(state); /* what a damaged one has left */
            if (err == TALLY_NOMEM || state_init(state) != 0) {
                return TALLY_NOMEM;
            }
        }
    }
    return 0;
}

int beginning_load(struct wal_io *io, struct state *state)
{
    struct wal_numbers segments = {.count = 0};
    struct wal_numbers lsns = {.count = 0};
    /* what cannot be listed is told by the reading itself */
    bool is_cut = wal_numbers_list(&segments, io, wal_segment_is_name) == 0 &&
                  wal_numbers_list(&lsns, io, wal_snap_is_name) == 0 && segments.count > 0 &&
                  segments.at[0] > 1;
    int err = is_cut ? load_one(io, state, &lsns) : 0;
    wal_numbers_fini(&segments);
    wal_numbers_fini(&lsns);
    return err;
}
