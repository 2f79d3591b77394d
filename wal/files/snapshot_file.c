/* The bytes of a snapshot: a header, blocks of images, a seal. */
#include "wal/files/snapshot_file.h"

#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/format/block.h"
#include "wal/format/codec.h"
#include "wal/files/listing.h"
#include "wal/disk/full_io.h"
#include "wal/disk/read_window.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'S', 'N', 'P'};

#define VERSION    1U

/* A header, a block, a seal. */
#define BYTES_MIN  (3 * WAL_PAGE_BYTES)

/* So many bytes are written between two syncs: a commit of the log beside us waits for no more. */
#define SYNC_BYTES (256U * 1024)

enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_RESERVED = 12,
    AT_UUID = 16,
    AT_LSN = 32,
    AT_BYTES = 40,
    AT_IMAGES = 48,
    AT_CHECKSUM = 56,
    HEAD_BYTES = 64,
};

_Static_assert(AT_VERSION == AT_MAGIC + sizeof(magic), "magic");
_Static_assert(AT_RESERVED == AT_VERSION + 4, "version: u32");
_Static_assert(AT_UUID == AT_RESERVED + 4, "reserved: 4 zeros");
_Static_assert(AT_LSN == AT_UUID + WAL_UUID_BYTES, "uuid");
_Static_assert(AT_BYTES == AT_LSN + 8, "lsn: u64");
_Static_assert(AT_IMAGES == AT_BYTES + 8, "bytes: u64");
_Static_assert(AT_CHECKSUM == AT_IMAGES + 8, "images: u64");
_Static_assert(HEAD_BYTES == AT_CHECKSUM + 8, "checksum: u64");

struct wal_snapshot {
    struct wal_io *io;
    int fd;
    /* The place of its blocks: the log's uuid, the lsn in place of the segment's number, and the
     * epoch 0, which no segment has. */
    struct wal_segment_head place;
    uint64_t offset;
    uint64_t synced;
    uint64_t images;
    unsigned char *buffer;
    size_t room;
    bool counts;
    char temp[WAL_NAME_BYTES];
    char why[224];
};

void wal_snapshot_name(char name[WAL_NAME_BYTES], uint64_t lsn)
{
    snprintf(name, WAL_NAME_BYTES, "snap-%016" PRIx64 ".tally", lsn);
}

bool wal_snapshot_is_name(const char *name, uint64_t *lsn)
{
    return wal_name_has_number(name, "snap-", ".tally", lsn);
}

static int failed(struct wal_snapshot *snapshot, const char *doing, int err)
{
    snprintf(snapshot->why, sizeof(snapshot->why), "%s: %s: %s", snapshot->temp, doing,
             tally_err_reason(err));
    return err == -ENOSPC || err == -EDQUOT ? TALLY_NOSPC : err == -ENOMEM ? TALLY_NOMEM : TALLY_IO;
}

int wal_snapshot_new(struct wal_snapshot **out, struct wal_io *io,
                     const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn)
{
    struct wal_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) {
        return TALLY_NOMEM;
    }
    snapshot->io = io;
    snapshot->place.number = lsn;
    snapshot->offset = WAL_PAGE_BYTES;
    memcpy(snapshot->place.uuid, uuid, WAL_UUID_BYTES);
    snprintf(snapshot->temp, sizeof(snapshot->temp), "snap-%016" PRIx64 ".tmp", lsn);
    (void)io->ops->unlink(io, snapshot->temp); /* most times there is none */
    snapshot->fd = io->ops->open(io, snapshot->temp, WAL_OPEN_CREATE);
    *out = snapshot;
    return snapshot->fd >= 0 ? 0 : failed(snapshot, "cannot make it", snapshot->fd);
}

const char *wal_snapshot_why(const struct wal_snapshot *snapshot)
{
    return snapshot->why;
}

void wal_snapshot_destroy(struct wal_snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    if (snapshot->fd >= 0) {
        snapshot->io->ops->close(snapshot->io, snapshot->fd);
        if (!snapshot->counts) {
            (void)snapshot->io->ops->unlink(snapshot->io,
                                            snapshot->temp); /* else the next start does it */
        }
    }
    free(snapshot->buffer);
    free(snapshot);
}

static int put_block(struct wal_snapshot *snapshot, struct wal_block_header *header,
                     const void *raw, size_t raw_bytes)
{
    size_t need = (size_t)wal_block_bytes(raw_bytes);
    if (need > snapshot->room) {
        free(snapshot->buffer);
        snapshot->buffer = malloc(need);
        snapshot->room = snapshot->buffer != NULL ? need : 0;
    }
    if (snapshot->buffer == NULL) {
        return failed(snapshot, "cannot pack a block", -ENOMEM);
    }
    size_t bytes = wal_block_pack(snapshot->buffer, header, raw, raw_bytes);
    header->first_lsn = snapshot->images + 1;
    header->durable_lsn = snapshot->images;
    header->durable_pages = 1;
    wal_block_sign(snapshot->buffer, header, wal_block_seed(&snapshot->place, snapshot->offset));
    int err = wal_full_write(snapshot->io, snapshot->fd, snapshot->buffer, bytes, snapshot->offset);
    if (err != 0) {
        return failed(snapshot, "cannot write", err);
    }
    snapshot->offset += bytes;
    snapshot->images += header->count;
    if (snapshot->offset - snapshot->synced >= SYNC_BYTES) {
        err = snapshot->io->ops->datasync(snapshot->io, snapshot->fd);
        snapshot->synced = snapshot->offset;
    }
    return err == 0 ? 0 : failed(snapshot, "cannot sync", err);
}

int wal_snapshot_put(struct wal_snapshot *snapshot, uint32_t count, const void *raw,
                     size_t raw_bytes)
{
    struct wal_block_header header = {.count = count};
    /* the saver hands over a buffer when it has images in it */
    CHECK(count > 0 && raw_bytes > 0);
    if (raw_bytes > WAL_RAW_BYTES_MAX) {
        return failed(snapshot, "a block is too large", -EFBIG);
    }
    return put_block(snapshot, &header, raw, raw_bytes);
}

static int put_head(struct wal_snapshot *snapshot)
{
    unsigned char page[WAL_PAGE_BYTES] = {0};
    memcpy(page + AT_MAGIC, magic, sizeof(magic));
    put_le32(page + AT_VERSION, VERSION);
    memcpy(page + AT_UUID, snapshot->place.uuid, WAL_UUID_BYTES);
    put_le64(page + AT_LSN, snapshot->place.number);
    put_le64(page + AT_BYTES, snapshot->offset);
    put_le64(page + AT_IMAGES, snapshot->images);
    put_le64(page + AT_CHECKSUM, wal_codec_checksum(page, AT_CHECKSUM, 0));
    return wal_full_write(snapshot->io, snapshot->fd, page, sizeof(page), 0);
}

static int verify(struct wal_io *io, const char *name, uint64_t lsn, wal_visit_fn visit, void *arg,
                  struct wal_snapshot_info *info);

int wal_snapshot_end(struct wal_snapshot *snapshot, wal_visit_fn visit, void *arg, uint64_t *bytes)
{
    struct wal_block_header header = {.flags = WAL_BLOCK_SEAL | WAL_BLOCK_CLEAN};
    struct wal_snapshot_info info = {.lsn = 0};
    char name[WAL_NAME_BYTES];
    struct wal_io *io = snapshot->io;
    int err = put_block(snapshot, &header, NULL, 0);
    if (err != 0) {
        return err;
    }
    err = put_head(snapshot);
    err = err != 0 ? err : io->ops->sync(io, snapshot->fd);
    err = err != 0 ? err : io->ops->drop_cache(io, snapshot->fd);
    if (err != 0) {
        return failed(snapshot, "cannot write and sync", err);
    }
    err = verify(io, snapshot->temp, snapshot->place.number, visit, arg, &info);
    if (err == 0 && info.images != snapshot->images) {
        err = TALLY_DAMAGE;
    }
    if (err != 0) {
        snprintf(snapshot->why, sizeof(snapshot->why), "read back: %s", info.text);
        return err;
    }
    wal_snapshot_name(name, snapshot->place.number);
    err = io->ops->rename(io, snapshot->temp, name);
    if (err == 0) {
        snapshot->counts = true; /* the name is there, so it is not ours to remove any more */
        err = io->ops->syncdir(io);
    }
    *bytes = snapshot->offset;
    return err == 0 ? 0 : failed(snapshot, "cannot give it its name", err);
}

/* ---- reading ---- */

/* One pass over a snapshot. */
struct pass {
    struct wal_io *io;
    const char *name;
    int fd;
    struct wal_window window;
    struct wal_segment_head place;
    uint64_t offset;
    uint64_t next; /* image */
    bool sealed;
    unsigned char *raw;
    size_t room;
    wal_visit_fn visit;
    void *arg;
    struct wal_snapshot_info *info;
};

static int damaged(struct pass *pass, const char *what)
{
    snprintf(pass->info->text, sizeof(pass->info->text), "%s: %s at offset %" PRIu64, pass->name,
             what, pass->offset);
    return TALLY_DAMAGE;
}

static int unreadable(struct pass *pass, int err)
{
    if (err == -ENOMEM) {
        return TALLY_NOMEM;
    }
    snprintf(pass->info->text, sizeof(pass->info->text), "%s: cannot read: %s", pass->name,
             tally_err_reason(err));
    return TALLY_IO;
}

static bool is_head(const unsigned char *at)
{
    return memcmp(at + AT_MAGIC, magic, sizeof(magic)) == 0 &&
           get_le64(at + AT_CHECKSUM) == wal_codec_checksum(at, AT_CHECKSUM, 0);
}

static int read_head(struct pass *pass, uint64_t lsn)
{
    const unsigned char *at;
    int64_t size = pass->io->ops->size(pass->io, pass->fd);
    int err = size < 0 ? (int)size : wal_window_get(&pass->window, 0, WAL_PAGE_BYTES, &at);
    if (err != 0) {
        return unreadable(pass, err);
    }
    if (!is_head(at)) {
        return damaged(pass, "no valid header");
    }
    if (get_le32(at + AT_VERSION) != VERSION || get_le32(at + AT_RESERVED) != 0) {
        damaged(pass, "a newer version's header");
        return TALLY_NEWER;
    }
    memcpy(pass->place.uuid, at + AT_UUID, WAL_UUID_BYTES);
    pass->place.number = get_le64(at + AT_LSN);
    pass->place.bytes = get_le64(at + AT_BYTES);
    pass->info->images = get_le64(at + AT_IMAGES);
    if (pass->place.number != lsn || pass->place.bytes != (uint64_t)size ||
        !wal_is_zero(at + HEAD_BYTES, WAL_PAGE_BYTES - HEAD_BYTES)) {
        return damaged(pass, "a header that is not this file's");
    }
    if (lsn > WAL_LSN_MAX || pass->place.bytes < BYTES_MIN ||
        pass->place.bytes % WAL_PAGE_BYTES != 0 || pass->info->images > WAL_LSN_MAX) {
        return damaged(pass, "a header that no snapshot has");
    }
    return 0;
}

/* The block's contents, unpacked, at *raw. */
static int read_payload(struct pass *pass, const struct wal_block_header *header,
                        const unsigned char **raw)
{
    const unsigned char *block;
    size_t bytes = (size_t)wal_block_bytes(header->stored_bytes);
    int err = wal_window_get(&pass->window, pass->offset, bytes, &block);
    if (err != 0) {
        return unreadable(pass, err);
    }
    *raw = block + WAL_BLOCK_HEADER_BYTES;
    if (wal_block_payload_check(header, *raw, wal_block_seed(&pass->place, pass->offset)) !=
        WAL_BLOCK_VALID) {
        return damaged(pass, "a block with a bad checksum");
    }
    if (header->codec == WAL_CODEC_RAW) {
        return 0;
    }
    if (header->raw_bytes > pass->room) {
        free(pass->raw);
        pass->raw = malloc(header->raw_bytes);
        pass->room = pass->raw != NULL ? header->raw_bytes : 0;
    }
    if (pass->raw == NULL) {
        return TALLY_NOMEM;
    }
    if (wal_block_unpack(header, *raw, pass->raw) != 0) {
        return damaged(pass, "a block that does not decompress");
    }
    *raw = pass->raw;
    return 0;
}

static int read_block(struct pass *pass)
{
    struct wal_block_header header;
    const unsigned char *at;
    const unsigned char *raw;
    int err = wal_window_get(&pass->window, pass->offset, WAL_PAGE_BYTES, &at);
    if (err != 0) {
        return unreadable(pass, err);
    }
    enum wal_block_state state = wal_block_header_get(at, &header, &pass->place, pass->offset);
    if (state == WAL_BLOCK_NEWER) {
        damaged(pass, "a newer version's block");
        return TALLY_NEWER;
    }
    if (state != WAL_BLOCK_VALID || header.first_lsn != pass->next ||
        header.durable_lsn != header.first_lsn - 1) {
        return damaged(pass, "no valid next block");
    }
    /* Images are in all blocks but the seal: who visits takes the one without for the end. */
    if (header.flags != (header.count > 0 ? 0 : WAL_BLOCK_SEAL | WAL_BLOCK_CLEAN)) {
        return damaged(pass, "a block that no snapshot has");
    }
    err = read_payload(pass, &header, &raw);
    if (err != 0) {
        return err;
    }
    size_t bytes = (size_t)wal_block_bytes(header.stored_bytes);
    const struct wal_block block = {
        .first_lsn = header.first_lsn,
        .count = header.count,
        .flags = header.flags,
        .raw = raw,
        .raw_bytes = header.raw_bytes,
        .stored_bytes = bytes,
        .segment = pass->place.number,
        .offset = pass->offset,
    };
    err = pass->visit != NULL ? pass->visit(pass->arg, &block) : 0;
    pass->offset += bytes;
    pass->next += header.count;
    pass->sealed = (header.flags & WAL_BLOCK_SEAL) != 0;
    return err;
}

static int read_all(struct pass *pass, uint64_t lsn)
{
    int err = read_head(pass, lsn);
    pass->offset = WAL_PAGE_BYTES;
    while (err == 0 && !pass->sealed) {
        err = read_block(pass);
    }
    if (err == 0 && (pass->offset != pass->place.bytes || pass->next != pass->info->images + 1)) {
        err = damaged(pass, "its end is not where its header says");
    }
    return err;
}

static int verify(struct wal_io *io, const char *name, uint64_t lsn, wal_visit_fn visit, void *arg,
                  struct wal_snapshot_info *info)
{
    struct pass pass = {
        .io = io, .name = name, .next = 1, .visit = visit, .arg = arg, .info = info};
    *info = (struct wal_snapshot_info){.lsn = lsn};
    wal_window_init(&pass.window, io);
    pass.fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (pass.fd < 0) {
        return unreadable(&pass, pass.fd);
    }
    wal_window_turn(&pass.window, pass.fd);
    int err = read_all(&pass, lsn);
    info->bytes = pass.place.bytes;
    memcpy(info->uuid, pass.place.uuid, WAL_UUID_BYTES);
    io->ops->close(io, pass.fd);
    wal_window_fini(&pass.window);
    free(pass.raw);
    return err;
}

int wal_snapshot_read(struct wal_io *io, uint64_t lsn, wal_visit_fn visit, void *arg,
                      struct wal_snapshot_info *info)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    return verify(io, name, lsn, visit, arg, info);
}

/* ---- which there are ---- */

int wal_snapshot_before(struct wal_io *io, uint64_t below, uint64_t *lsn)
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

int wal_snapshot_newest_name(struct wal_io *io, uint64_t *lsn)
{
    return wal_snapshot_before(io, UINT64_MAX, lsn);
}

uint64_t wal_snapshot_bytes(struct wal_io *io, uint64_t lsn)
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

/* Returns 1: the file is headed by what names this lsn; 0: it is not, or has gone meanwhile; or a
 * negative errno value. */
static int is_witness(struct wal_io *io, uint64_t lsn, struct wal_snapshot_info *info)
{
    unsigned char head[HEAD_BYTES];
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd == -ENOENT || fd == -EMEDIUMTYPE ? 0 : fd;
    }
    int64_t n = wal_full_read(io, fd, head, sizeof(head), 0);
    io->ops->close(io, fd);
    if (n < 0) {
        return (int)n;
    }
    if (n != (int64_t)sizeof(head) || !is_head(head) || get_le32(head + AT_VERSION) != VERSION ||
        get_le64(head + AT_LSN) != lsn || lsn > WAL_LSN_MAX) {
        return 0;
    }
    info->lsn = lsn;
    memcpy(info->uuid, head + AT_UUID, WAL_UUID_BYTES);
    return 1;
}

int wal_snapshot_witness(struct wal_io *io, struct wal_snapshot_info *info)
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

static int unlisted(struct wal_snapshot_info *info, int err)
{
    snprintf(info->text, sizeof(info->text), "cannot list the directory: %s",
             tally_err_reason(err));
    return err == -ENOMEM ? TALLY_NOMEM : TALLY_IO;
}

/* Whether a newer version made that file: its header is whole and says so. What cannot be read is
 * for others to tell. */
static bool is_newer(struct wal_io *io, uint64_t lsn)
{
    unsigned char head[HEAD_BYTES];
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return false;
    }
    int64_t n = wal_full_read(io, fd, head, sizeof(head), 0);
    io->ops->close(io, fd);
    return n == (int64_t)sizeof(head) && is_head(head) && get_le32(head + AT_VERSION) > VERSION;
}

/* Nothing that a newer version wrote is passed over: it would be removed as an old one is. */
static int refuse_newer(struct wal_io *io, const struct wal_listing *lsns,
                        struct wal_snapshot_info *info)
{
    for (size_t i = 0; i < lsns->count; i++) {
        if (is_newer(io, lsns->at[i])) {
            char name[WAL_NAME_BYTES];
            wal_snapshot_name(name, lsns->at[i]);
            snprintf(info->text, sizeof(info->text), "%s: a newer version's snapshot", name);
            return TALLY_NEWER;
        }
    }
    return 0;
}

/* The newest of these that is whole; info->text then says what is wrong with the newest of all, if
 * anything is. Returns 0, TALLY_NEWER or TALLY_NOMEM. */
static int choose(struct wal_io *io, const struct wal_listing *lsns, struct wal_snapshot_info *info)
{
    char text[sizeof(info->text)] = "";
    int err = refuse_newer(io, lsns, info);
    if (err != 0) {
        return err;
    }
    err = TALLY_DAMAGE;
    for (size_t i = lsns->count; i-- > 0 && err != 0;) {
        err = wal_snapshot_read(io, lsns->at[i], NULL, NULL, info);
        if (err == TALLY_NOMEM || err == TALLY_NEWER) {
            return err;
        }
        if (err != 0 && text[0] == '\0') {
            memcpy(text, info->text, sizeof(text));
        }
    }
    if (err != 0) {
        *info = (struct wal_snapshot_info){.lsn = 0};
    }
    memcpy(info->text, text, sizeof(text));
    return 0;
}

int wal_snapshot_check_versions(struct wal_io *io, struct wal_snapshot_info *info)
{
    struct wal_listing lsns = {.count = 0};
    int err = wal_listing_read(&lsns, io, wal_snapshot_is_name);
    *info = (struct wal_snapshot_info){.lsn = 0};
    if (err == 0) {
        err = refuse_newer(io, &lsns, info);
    } else {
        err = unlisted(info, err);
    }
    wal_listing_fini(&lsns);
    return err;
}

int wal_snapshot_choose(struct wal_io *io, struct wal_snapshot_info *info)
{
    struct wal_listing lsns = {.count = 0};
    int err = wal_listing_read(&lsns, io, wal_snapshot_is_name);
    *info = (struct wal_snapshot_info){.lsn = 0};
    if (err == 0) {
        err = choose(io, &lsns, info);
    } else {
        err = unlisted(info, err);
    }
    wal_listing_fini(&lsns);
    return err;
}

struct keep {
    struct wal_io *io;
    uint64_t newest;
    uint64_t older;
};

static int keep_these(void *arg, const char *name)
{
    struct keep *keep = arg;
    uint64_t lsn;
    if (!wal_snapshot_is_name(name, &lsn) || lsn == keep->newest || lsn == keep->older) {
        return 0;
    }
    return keep->io->ops->unlink(keep->io, name);
}

int wal_snapshot_keep(struct wal_io *io, uint64_t newest, uint64_t older)
{
    struct keep keep = {io, newest, older};
    return io->ops->list(io, keep_these, &keep) == 0 ? 0 : TALLY_IO;
}
