/* The snapshots of a directory: which is loaded, which is the witness, which are removed. */
#include "wal/files/snapshot_list.h"

#include "wal/base/err.h"
#include "wal/disk/full_io.h"
#include "wal/files/listing.h"
#include "wal/format/snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int wal_snapshot_list_before(struct wal_io *io, uint64_t below, uint64_t *lsn)
{
    struct wal_listing lsns = {.count = 0};
    int err = wal_listing_read(&lsns, io, wal_snapshot_is_name);
    *lsn = 0;
    for (size_t i = 0; err == 0 && i < lsns.count && lsns.at[i] < below; i++) {
        *lsn = lsns.at[i];
    }
    wal_listing_fini(&lsns);
    return err;
}

int wal_snapshot_list_newest(struct wal_io *io, uint64_t *lsn)
{
    return wal_snapshot_list_before(io, UINT64_MAX, lsn);
}

uint64_t wal_snapshot_list_bytes(struct wal_io *io, uint64_t lsn)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return 0;
    }
    int64_t bytes = io->ops->size(io, fd);
    io->ops->close(io, fd);
    return bytes > 0 ? (uint64_t)bytes : 0;
}

/* Reads the header of the snapshot file of this lsn. Returns enum wal_head_state or a negative
 * errno value. */
static int named_head_read(struct wal_io *io, uint64_t lsn, struct wal_snapshot_head *head)
{
    unsigned char bytes[WAL_SNAPSHOT_HEAD_BYTES];
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    int64_t n = wal_full_io_read(io, fd, bytes, sizeof(bytes), 0);
    io->ops->close(io, fd);
    if (n < (int64_t)sizeof(bytes)) {
        return n < 0 ? (int)n : WAL_HEAD_BAD;
    }
    return (int)wal_snapshot_head_get(bytes, head);
}

/* Returns 1: the file's header has this lsn; 0: it has not, or the file was removed meanwhile; or a
 * negative errno value. */
static int is_witness(struct wal_io *io, uint64_t lsn, struct wal_snapshot_info *info)
{
    struct wal_snapshot_head head;
    int state = named_head_read(io, lsn, &head);
    if (state < 0) {
        return state == -ENOENT || state == -EMEDIUMTYPE ? 0 : state;
    }
    if (state != WAL_HEAD_OK || head.lsn != lsn || lsn > WAL_LSN_MAX) {
        return 0;
    }
    info->lsn = lsn;
    memcpy(info->uuid, head.uuid, WAL_UUID_BYTES);
    return 1;
}

int wal_snapshot_list_witness(struct wal_io *io, struct wal_snapshot_info *info)
{
    struct wal_listing lsns = {.count = 0};
    int err = wal_listing_read(&lsns, io, wal_snapshot_is_name);
    *info = (struct wal_snapshot_info){.lsn = 0};
    for (size_t i = lsns.count; err == 0 && i-- > 0;) {
        err = is_witness(io, lsns.at[i], info);
    }
    wal_listing_fini(&lsns);
    return err < 0 ? err : 0;
}

/* Refuses snapshots of a newer version: if they were passed over, they would be removed later as
 * old ones are. A file that cannot be read is left to the loading to report. */
static int refuse_newer(struct wal_io *io, const struct wal_listing *lsns,
                        struct wal_snapshot_info *info)
{
    for (size_t i = 0; i < lsns->count; i++) {
        struct wal_snapshot_head head;
        if (named_head_read(io, lsns->at[i], &head) == WAL_HEAD_NEWER) {
            char name[WAL_NAME_BYTES];
            wal_snapshot_name(name, lsns->at[i]);
            snprintf(info->text, sizeof(info->text), "%s: a newer version's snapshot", name);
            return TALLY_NEWER;
        }
    }
    return 0;
}

/* The loading of one snapshot. */
struct loading {
    const struct wal_snapshot_loader *loader;
    bool has_begun; /* load was called */
    int err;        /* what it returned */
};

/* Verifies the rest of the file after an error of load, too: damage of the file comes first. */
static int load_while_whole(void *arg, const struct wal_block *block)
{
    struct loading *loading = arg;
    if (loading->err == 0) {
        loading->has_begun = true;
        loading->err = loading->loader->load(loading->loader->arg, block);
    }
    return 0;
}

static int loading_undo(const struct loading *loading)
{
    const struct wal_snapshot_loader *loader = loading->loader;
    return loading->has_begun && loader->unload != NULL ? loader->unload(loader->arg) : 0;
}

static int load_newest(struct wal_io *io, const struct wal_listing *lsns,
                       const struct wal_snapshot_loader *loader, struct wal_snapshot_info *info)
{
    char text[sizeof(info->text)] = "";
    for (size_t i = lsns->count; i-- > 0;) {
        struct loading loading = {.loader = loader};
        int err = wal_snapshot_read(io, lsns->at[i], load_while_whole, &loading, info);
        if (err == 0 && loading.err == 0) {
            memcpy(info->text, text, sizeof(text));
        }
        if (err == 0) {
            return loading.err;
        }
        if (err == TALLY_NOMEM || err == TALLY_NEWER) {
            return err;
        }
        if (text[0] == '\0') {
            memcpy(text, info->text, sizeof(text));
        }
        err = loading_undo(&loading);
        if (err != 0) {
            return err;
        }
    }
    *info = (struct wal_snapshot_info){.lsn = 0};
    memcpy(info->text, text, sizeof(text));
    return 0;
}

/* Lists the snapshots. Returns 0, TALLY_NOMEM or TALLY_IO, with a text. */
static int list_read(struct wal_listing *lsns, struct wal_io *io, struct wal_snapshot_info *info)
{
    int err = wal_listing_read(lsns, io, wal_snapshot_is_name);
    *info = (struct wal_snapshot_info){.lsn = 0};
    if (err == 0) {
        return 0;
    }
    snprintf(info->text, sizeof(info->text), "cannot list the directory: %s",
             tally_err_reason(err));
    return err == -ENOMEM ? TALLY_NOMEM : TALLY_IO;
}

int wal_snapshot_list_check_versions(struct wal_io *io, struct wal_snapshot_info *info)
{
    struct wal_listing lsns = {.count = 0};
    int err = list_read(&lsns, io, info);
    err = err != 0 ? err : refuse_newer(io, &lsns, info);
    wal_listing_fini(&lsns);
    return err;
}

int wal_snapshot_list_load(struct wal_io *io, const struct wal_snapshot_loader *loader,
                           struct wal_snapshot_info *info)
{
    struct wal_listing lsns = {.count = 0};
    int err = list_read(&lsns, io, info);
    err = err != 0 ? err : refuse_newer(io, &lsns, info);
    err = err != 0 ? err : load_newest(io, &lsns, loader, info);
    wal_listing_fini(&lsns);
    return err;
}

struct keep {
    struct wal_io *io;
    uint64_t newest;
    uint64_t older;
};

static int remove_other(void *arg, const char *name)
{
    struct keep *keep = arg;
    uint64_t lsn;
    if (!wal_snapshot_is_name(name, &lsn) || lsn == keep->newest || lsn == keep->older) {
        return 0;
    }
    return keep->io->ops->unlink(keep->io, name);
}

int wal_snapshot_list_keep(struct wal_io *io, uint64_t newest, uint64_t older)
{
    struct keep keep = {io, newest, older};
    return io->ops->list(io, remove_other, &keep) == 0 ? 0 : TALLY_IO;
}
