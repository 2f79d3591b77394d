/* The beginning of a reading: record 1, or the oldest whole snapshot if older records are gone. */
#include "tools/tally-wal/beginning.h"

#include "engine/apply/snapshot_load.h"
#include "tools/tally-wal/inspector.h"
#include "wal/base/err.h"
#include "wal/files/listing.h"
#include "wal/format/segment.h"
#include "wal/files/snapshot_read.h"
#include "wal/format/snapshot.h"

#include <errno.h>

static int load(struct wal_io *io, struct state *state, uint64_t lsn)
{
    struct wal_snapshot_info info;
    struct snapshot_load load;
    snapshot_load_init(&load, state);
    int err = wal_snapshot_read(io, lsn, snapshot_load_block, &load, &info);
    snapshot_load_fini(&load);
    return err;
}

/* Loads the oldest whole snapshot of those behind which no record is missing. Returns 0 or
 * TALLY_NOMEM. */
static int load_one(struct wal_io *io, struct state *state, const struct wal_listing *lsns,
                    uint64_t first_lsn)
{
    int err = TALLY_DAMAGE;
    for (size_t i = 0; i < lsns->count && err != 0; i++) {
        if (lsns->at[i] + 1 < first_lsn) {
            continue;
        }
        err = load(io, state, lsns->at[i]);
        if (err != 0) {
            state_fini(state); /* a damaged snapshot may have filled a part of it */
            if (err == TALLY_NOMEM || state_init(state) != 0) {
                return TALLY_NOMEM;
            }
        }
    }
    return 0;
}

static int see_first(void *arg, const struct wal_block *block)
{
    *(uint64_t *)arg = block->first_lsn;
    return INSPECT_ENOUGH;
}

/* Finds the first record's lsn. Failures are left to the reading, which reports them. */
static uint64_t find_first(struct wal_io *io)
{
    struct wal_report report;
    uint64_t first_lsn = 1;
    (void)wal_reader_once(io, see_first, &first_lsn, &report);
    return first_lsn;
}

/* Tries again when a running server has removed the oldest snapshots meanwhile: then there are
 * newer ones. */
int beginning_load(struct wal_io *io, struct state *state, uint64_t *first_lsn)
{
    struct wal_listing lsns = {.count = 0};
    uint64_t tried_first = 0;
    uint64_t tried_newest = 0;
    int err = 0;
    for (;;) {
        *first_lsn = find_first(io);
        int listed = *first_lsn > 1 ? wal_listing_read(&lsns, io, wal_snapshot_is_name) : 0;
        if (listed != 0 || lsns.count == 0) {
            err = listed == -ENOMEM ? TALLY_NOMEM : 0;
            break;
        }
        uint64_t newest = lsns.at[lsns.count - 1];
        if (*first_lsn == tried_first && newest == tried_newest) {
            break;
        }
        err = load_one(io, state, &lsns, *first_lsn);
        if (err != 0 || FIELD_OWN(state->lsn) > 0) {
            break;
        }
        tried_first = *first_lsn;
        tried_newest = newest;
    }
    wal_listing_fini(&lsns);
    return err;
}
