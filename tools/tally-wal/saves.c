/* Snapshots, loaded and compared. */
#include "tools/tally-wal/saves.h"

#include "engine/apply/snapshot_load.h"
#include "wal/base/err.h"
#include "wal/files/listing.h"
#include "wal/files/snapshot_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void tell(struct save *save, const char *what)
{
    char name[WAL_NAME_BYTES];
    wal_snap_name(name, save->lsn);
    snprintf(save->text, sizeof save->text, "%s: %s", name, what);
}

/* Loads it into a state of its own, which goes again. Returns what wal_snap_read returned. */
static int load(struct save *save, struct wal_io *io)
{
    struct state state;
    struct loader loader;
    struct wal_snap_info info = {.lsn = 0};
    int err = state_init(&state);
    loader_init(&loader, &state);
    err = err != 0 ? err : wal_snap_read(io, save->lsn, loader_block, &loader, &info);
    if (err == 0) {
        save->digest = state_digest(&state);
        save->is_whole = true;
        save->is_right = true;
    } else if (info.text[0] != '\0') {
        snprintf(save->text, sizeof save->text, "%s", info.text);
    } else {
        tell(save, loader.proof.why != NULL ? loader.proof.why : tally_err_text(err));
    }
    loader_fini(&loader);
    state_fini(&state);
    return err;
}

bool saves_is_gone(struct wal_io *io, uint64_t lsn)
{
    char name[WAL_NAME_BYTES];
    wal_snap_name(name, lsn);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd >= 0) {
        io->ops->close(io, fd);
    }
    return fd == -ENOENT;
}

int saves_read(struct saves *saves, struct wal_io *io)
{
    struct wal_numbers lsns = {.count = 0};
    int err = wal_numbers_list(&lsns, io, wal_snap_is_name) == -ENOMEM ? TALLY_NOMEM : 0;
    size_t skip = lsns.count > SAVES_MAX ? lsns.count - SAVES_MAX : 0;
    saves->count = 0;
    for (size_t i = skip; i < lsns.count && err != TALLY_NOMEM; i++) {
        struct save *save = &saves->at[saves->count];
        *save = (struct save){.lsn = lsns.at[i]};
        err = load(save, io);
        saves->count += save->is_whole || !saves_is_gone(io, save->lsn);
    }
    wal_numbers_fini(&lsns);
    return err == TALLY_NOMEM ? err : 0;
}

void saves_compare(struct saves *saves, uint64_t lsn, const struct state *state)
{
    for (size_t i = 0; i < saves->count; i++) {
        struct save *save = &saves->at[i];
        if (save->is_whole && save->lsn == lsn && save->digest != state_digest(state)) {
            save->is_right = false;
            tell(save, "it is not the state that the log leads to at that record");
        }
    }
}

const struct save *saves_bad(const struct saves *saves)
{
    size_t i = 0;
    while (i < saves->count && saves->at[i].is_right) {
        i++;
    }
    return i < saves->count ? &saves->at[i] : NULL;
}

uint64_t saves_newest(const struct saves *saves)
{
    uint64_t lsn = 0;
    for (size_t i = 0; i < saves->count; i++) {
        lsn = saves->at[i].is_right ? saves->at[i].lsn : lsn; /* they rise */
    }
    return lsn;
}
