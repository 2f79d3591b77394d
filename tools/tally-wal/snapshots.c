/* The snapshots of a directory: each is loaded, and compared with the state of the log. */
#include "tools/tally-wal/snapshots.h"

#include "engine/apply/digest.h"
#include "engine/apply/snapshot_load.h"
#include "wal/base/err.h"
#include "wal/files/listing.h"
#include "wal/files/snapshot_read.h"
#include "wal/format/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void tell(struct snapshot_file *file, const char *what)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, file->lsn);
    snprintf(file->text, sizeof file->text, "%s: %s", name, what);
}

static uint64_t digest_of(const struct snapshot_file *file, const struct state *state)
{
    return digest_with(state, file->has_keys ? DIGEST_KEYS : 0);
}

/* Loads a snapshot into a state of its own, which is freed. Returns what wal_snapshot_read
 * returned. */
static int load(struct snapshot_file *file, struct wal_io *io)
{
    struct state state;
    struct snapshot_load load;
    struct wal_snapshot_info info = {.lsn = 0};
    int err = state_init(&state);
    snapshot_load_init(&load, &state);
    err = err != 0 ? err : wal_snapshot_read(io, file->lsn, snapshot_load_block, &load, &info);
    if (err == 0) {
        file->has_keys = load.proof.head.num[HEAD_HAS_KEYS] != 0;
        file->digest = digest_of(file, &state);
        file->is_whole = true;
        file->is_right = true;
    } else if (info.text[0] != '\0') {
        snprintf(file->text, sizeof file->text, "%s", info.text);
    } else {
        tell(file, load.proof.why != NULL ? load.proof.why : tally_err_text(err));
    }
    snapshot_load_fini(&load);
    state_fini(&state);
    return err;
}

bool snapshots_is_gone(struct wal_io *io, uint64_t lsn)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd >= 0) {
        io->ops->close(io, fd);
    }
    return fd == -ENOENT;
}

int snapshots_read(struct snapshots *snapshots, struct wal_io *io)
{
    struct wal_listing lsns = {.count = 0};
    int err = wal_listing_read(&lsns, io, wal_snapshot_is_name) == -ENOMEM ? TALLY_NOMEM : 0;
    size_t skip = lsns.count > SNAPSHOTS_MAX ? lsns.count - SNAPSHOTS_MAX : 0;
    snapshots->count = 0;
    for (size_t i = skip; i < lsns.count && err != TALLY_NOMEM; i++) {
        struct snapshot_file *file = &snapshots->at[snapshots->count];
        *file = (struct snapshot_file){.lsn = lsns.at[i]};
        err = load(file, io);
        snapshots->count += file->is_whole || !snapshots_is_gone(io, file->lsn);
    }
    wal_listing_fini(&lsns);
    return err == TALLY_NOMEM ? err : 0;
}

void snapshots_compare(struct snapshots *snapshots, uint64_t lsn, const struct state *state)
{
    for (size_t i = 0; i < snapshots->count; i++) {
        struct snapshot_file *file = &snapshots->at[i];
        if (file->is_whole && file->lsn == lsn && file->digest != digest_of(file, state)) {
            file->is_right = false;
            tell(file, "it is not the state that the log leads to at that record");
        }
    }
}

const struct snapshot_file *snapshots_wrong(const struct snapshots *snapshots)
{
    size_t i = 0;
    while (i < snapshots->count && snapshots->at[i].is_right) {
        i++;
    }
    return i < snapshots->count ? &snapshots->at[i] : NULL;
}

uint64_t snapshots_newest(const struct snapshots *snapshots)
{
    uint64_t lsn = 0;
    for (size_t i = 0; i < snapshots->count; i++) {
        lsn = snapshots->at[i].is_right ? snapshots->at[i].lsn : lsn; /* in ascending order */
    }
    return lsn;
}
