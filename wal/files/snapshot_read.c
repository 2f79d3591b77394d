/* Reading a snapshot: verified from the first to the last byte, its blocks shown on the way. */
#include "wal/files/snapshot_read.h"

#include "wal/base/bytes.h"
#include "wal/base/err.h"
#include "wal/files/block_reader.h"
#include "wal/format/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* One pass over a snapshot. */
struct snapshot_pass {
    struct wal_io *io;
    const char *name;
    struct wal_block_reader reader;
    struct wal_segment_head head; /* of its blocks; bytes is the file's size */
    uint64_t offset;
    uint64_t next; /* image */
    bool is_sealed;
    wal_visit_fn visit;
    void *arg;
    struct wal_snapshot_info *info;
};

static int snapshot_damaged(struct snapshot_pass *pass, const char *what)
{
    snprintf(pass->info->text, sizeof(pass->info->text), "%s: %s at offset %" PRIu64, pass->name,
             what, pass->offset);
    return TALLY_DAMAGE;
}

static int snapshot_newer(struct snapshot_pass *pass, const char *what)
{
    snapshot_damaged(pass, what);
    return TALLY_NEWER;
}

static int snapshot_unreadable(struct snapshot_pass *pass, int err)
{
    if (err == -ENOMEM) {
        return TALLY_NOMEM;
    }
    snprintf(pass->info->text, sizeof(pass->info->text), "%s: cannot read: %s", pass->name,
             tally_err_reason(err));
    return TALLY_IO;
}

static int snapshot_head_read(struct snapshot_pass *pass, uint64_t size_bytes, uint64_t lsn)
{
    struct wal_snapshot_head head;
    const unsigned char *page;
    int err = wal_read_window_get(&pass->reader.window, 0, WAL_PAGE_BYTES, &page);
    if (err != 0) {
        return snapshot_unreadable(pass, err);
    }
    enum wal_head_state state = wal_snapshot_head_get(page, &head);
    if (state != WAL_HEAD_OK) {
        return state == WAL_HEAD_NEWER ? snapshot_newer(pass, "a newer version's header")
                                       : snapshot_damaged(pass, "no valid header");
    }
    pass->head = wal_snapshot_block_head(&head);
    pass->info->images = head.images;
    pass->info->bytes = head.bytes;
    memcpy(pass->info->uuid, head.uuid, WAL_UUID_BYTES);
    if (head.lsn != lsn || head.bytes != size_bytes ||
        !bytes_are_zero(page + WAL_SNAPSHOT_HEAD_BYTES, WAL_PAGE_BYTES - WAL_SNAPSHOT_HEAD_BYTES)) {
        return snapshot_damaged(pass, "a header that is not this file's");
    }
    if (lsn > WAL_LSN_MAX || head.bytes < WAL_SNAPSHOT_BYTES_MIN ||
        head.bytes % WAL_PAGE_BYTES != 0 || head.images > WAL_LSN_MAX) {
        return snapshot_damaged(pass, "a header that no snapshot has");
    }
    return 0;
}

/* Writes the text for what the block reader found in place of a valid block. Returns the error. */
static int refused(struct snapshot_pass *pass, enum wal_block_state state)
{
    switch (state) {
    case WAL_BLOCK_IO_ERROR:
    case WAL_BLOCK_NO_MEMORY:
        return snapshot_unreadable(pass, pass->reader.errnum);
    case WAL_BLOCK_NEWER:
        return snapshot_newer(pass, "a newer version's block");
    case WAL_BLOCK_BAD_CHECKSUM:
        return snapshot_damaged(pass, "a block with a bad checksum");
    case WAL_BLOCK_BAD_CODE:
        return snapshot_damaged(pass, "a block that does not decompress");
    default:
        return snapshot_damaged(pass, "no valid next block");
    }
}

/* Reads the next block; its payload only when its header is that of the next one. */
static int read_block(struct snapshot_pass *pass, struct wal_block_header *header,
                      const unsigned char **raw)
{
    const struct wal_block_place place = {
        .head = &pass->head, .size_bytes = pass->head.bytes, .offset = pass->offset};
    enum wal_block_state state = wal_block_reader_header(&pass->reader, &place, header);
    if (state != WAL_BLOCK_VALID) {
        return refused(pass, state);
    }
    if (header->first_lsn != pass->next || header->durable_lsn != header->first_lsn - 1) {
        return snapshot_damaged(pass, "no valid next block");
    }
    /* Every block but the seal has images: a visitor takes a block without images for the end. */
    if (header->flags != (header->count > 0 ? 0 : WAL_BLOCK_SEAL | WAL_BLOCK_CLEAN)) {
        return snapshot_damaged(pass, "a block that no snapshot has");
    }
    state = wal_block_reader_payload(&pass->reader, &place, header, raw);
    return state == WAL_BLOCK_VALID ? 0 : refused(pass, state);
}

static int snapshot_block_show(struct snapshot_pass *pass)
{
    struct wal_block_header header;
    const unsigned char *raw;
    int err = read_block(pass, &header, &raw);
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
        .segment = pass->head.number,
        .offset = pass->offset,
    };
    err = pass->visit != NULL ? pass->visit(pass->arg, &block) : 0;
    pass->offset += bytes;
    pass->next += header.count;
    pass->is_sealed = (header.flags & WAL_BLOCK_SEAL) != 0;
    return err;
}

static int read_all(struct snapshot_pass *pass, int fd, uint64_t lsn)
{
    int64_t size = pass->io->ops->size(pass->io, fd);
    wal_read_window_turn(&pass->reader.window, fd);
    int err = size < 0 ? snapshot_unreadable(pass, (int)size)
                       : snapshot_head_read(pass, (uint64_t)size, lsn);
    pass->offset = WAL_SNAPSHOT_FIRST_BLOCK;
    while (err == 0 && !pass->is_sealed) {
        err = snapshot_block_show(pass);
    }
    if (err == 0 && (pass->offset != pass->head.bytes || pass->next != pass->info->images + 1)) {
        err = snapshot_damaged(pass, "its end is not where its header says");
    }
    return err;
}

int wal_snapshot_read_file(struct wal_io *io, const char *name, uint64_t lsn, wal_visit_fn visit,
                           void *arg, struct wal_snapshot_info *info)
{
    struct snapshot_pass pass = {
        .io = io, .name = name, .next = 1, .visit = visit, .arg = arg, .info = info};
    *info = (struct wal_snapshot_info){.lsn = lsn};
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return snapshot_unreadable(&pass, fd);
    }
    wal_block_reader_init(&pass.reader, io);
    int err = read_all(&pass, fd, lsn);
    wal_block_reader_fini(&pass.reader);
    io->ops->close(io, fd);
    return err;
}

int wal_snapshot_read(struct wal_io *io, uint64_t lsn, wal_visit_fn visit, void *arg,
                      struct wal_snapshot_info *info)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    return wal_snapshot_read_file(io, name, lsn, visit, arg, info);
}
