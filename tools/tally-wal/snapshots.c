/* Snapshots, loaded and compared. */
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

static void tell(struct snapshot_file *save, const char *what)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, save->lsn);
    snprintf(save->text, sizeof save->text, "%s: %s", name, what);
}

/* Loads it into a state of its own, which goes again. Returns what wal_snapshot_read returned. */
static int load(struct snapshot_file *save, struct wal_io *io)
{
    struct state state;
    struct snapshot_load load;
    struct wal_snapshot_info info = {.lsn = 0};
    int err = state_init(&state);
    snapshot_load_init(&load, &state);
    err = err != 0 ? err : wal_snapshot_read(io, save->lsn, snapshot_load_block, &load, &info);
    if (err == 0) {
        save->digest = state_digest(&state);
        save->is_whole = true;
        save->is_right = true;
    } else if (info.text[0] != '\0') {
        snprintf(save->text, sizeof save->text, "%s", info.text);
    } else {
        tell(save, load.proof.why != NULL ? load.proof.why : tally_err_text(err));
    }
    snapshot_load_fini(&load);
    state_fini(&state);
    return err;
}

bool saves_is_gone(struct wal_io *io, uint64_t lsn)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd >= 0) {
        io->ops->close(io, fd);
    }
    return fd == -ENOENT;
}

int saves_read(struct snapshots *saves, struct wal_io *io)
{
    struct wal_listing lsns = {.count = 0};
    int err = wal_listing_read(&lsns, io, wal_snapshot_is_name) == -ENOMEM ? TALLY_NOMEM : 0;
    size_t skip = lsns.count > SAVES_MAX ? lsns.count - SAVES_MAX : 0;
    saves->count = 0;
    for (size_t i = skip; i < lsns.count && err != TALLY_NOMEM; i++) {
        struct snapshot_file *save = &saves->at[saves->count];
        *save = (struct snapshot_file){.lsn = lsns.at[i]};
        err = load(save, io);
        saves->count += save->is_whole || !saves_is_gone(io, save->lsn);
    }
    wal_listing_fini(&lsns);
    return err == TALLY_NOMEM ? err : 0;
}

void saves_compare(struct snapshots *saves, uint64_t lsn, const struct state *state)
{
    for (size_t i = 0; i < saves->count; i++) {
        struct snapshot_file *save = &saves->at[i];
        if (save->is_whole && save->lsn == lsn && save->digest != state_digest(state)) {
            save->is_right = false;
            tell(save, "it is not the state that the log leads to at that record");
        }
    }
}

const struct snapshot_file *saves_bad(const struct snapshots *saves)
{
    size_t i = 0;
    while (i < saves->count && saves->at[i].is_right) {
        i++;
    }
    return i < saves->count ? &saves->at[i] : NULL;
}

uint64_t saves_newest(const struct snapshots *saves)
{
    uint64_t lsn = 0;
    for (size_t i = 0; i < saves->count; i++) {
        lsn = saves->at[i].is_right ? saves->at[i].lsn : lsn; /* they rise */
    }
    return lsn;
}
