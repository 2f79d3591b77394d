/* A segment that is open for reading: its header, and its blocks one by one. */
#include "wal/read/segment_file.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"

#include <errno.h>

void wal_segment_file_init(struct wal_segment_file *file, struct wal_io *io,
                           struct wal_identity *identity, struct wal_findings *findings)
{
    *file =
        (struct wal_segment_file){.io = io, .identity = identity, .findings = findings, .fd = -1};
    wal_block_reader_init(&file->reader, io);
}

void wal_segment_file_fini(struct wal_segment_file *file)
{
    wal_segment_file_close(file);
    wal_block_reader_fini(&file->reader);
}

void wal_segment_file_close(struct wal_segment_file *file)
{
    if (file->fd >= 0) {
        file->io->ops->close(file->io, file->fd);
        file->fd = -1;
    }
}

static bool call_failed(struct wal_segment_file *file, const char *doing, int err)
{
    wal_findings_segment_failed(file->findings, file->number, doing, err);
    return false;
}

/* Drops the pages that a failed sync of an earlier process has left in the page cache. Good pages
 * of that process are synced first, so no record that is shown can be lost again. */
static bool refresh_cache(struct wal_segment_file *file)
{
    const struct wal_io_ops *ops = file->io->ops;
    int err = MUTANT(MUTANT_TAIL_NOT_SYNCED) ? 0 : ops->datasync(file->io, file->fd);
    if (err != 0) {
        return call_failed(file, "cannot sync", err);
    }
    err = ops->drop_cache(file->io, file->fd);
    return err == 0 || call_failed(file, "cannot read past the page cache", err);
}

bool wal_segment_file_reopen(struct wal_segment_file *file)
{
    const unsigned char *page;
    int64_t size = file->io->ops->size(file->io, file->fd);
    if (size < 0) {
        return call_failed(file, "cannot tell its size", (int)size);
    }
    file->size_bytes = (uint64_t)size;
    wal_read_window_turn(&file->reader.window, file->fd);
    int err = wal_read_window_get(&file->reader.window, 0, WAL_PAGE_BYTES, &page);
    if (err != 0) {
        return call_failed(file, "cannot read", err);
    }
    file->head_state = wal_segment_head_get(page, &file->head);
    wal_identity_learn(file->identity, file->number, file->head_state, &file->head, file->findings);
    return true;
}

bool wal_segment_file_open(struct wal_segment_file *file, uint64_t number, bool is_unsynced)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    int fd = file->io->ops->open(file->io, name, WAL_OPEN_READ);
    if (fd == -ENOENT) {
        wal_findings_missing(file->findings, number);
        return false;
    }
    wal_segment_file_close(file);
    file->fd = fd;
    file->number = number;
    if (fd < 0) {
        return call_failed(file, "cannot open", fd);
    }
    return (!is_unsynced || refresh_cache(file)) && wal_segment_file_reopen(file);
}

static struct wal_block_place place_at(const struct wal_segment_file *file, uint64_t offset)
{
    return (struct wal_block_place){
        .head = &file->head, .size_bytes = file->size_bytes, .offset = offset};
}

/* Adds a failed call to the findings. */
static enum wal_block_state state_noted(struct wal_segment_file *file, enum wal_block_state state)
{
    if (state == WAL_BLOCK_IO_ERROR || state == WAL_BLOCK_NO_MEMORY) {
        call_failed(file, "cannot read", file->reader.errnum);
    }
    return state;
}

enum wal_block_state wal_segment_file_header(struct wal_segment_file *file, uint64_t offset,
                                             struct wal_block_header *header)
{
    const struct wal_block_place place = place_at(file, offset);
    if (file->head_state != WAL_HEAD_OK) {
        return WAL_BLOCK_BAD_HEADER;
    }
    return state_noted(file, wal_block_reader_header(&file->reader, &place, header));
}

enum wal_block_state wal_segment_file_payload(struct wal_segment_file *file, uint64_t offset,
                                              const struct wal_block_header *header,
                                              const unsigned char **raw)
{
    const struct wal_block_place place = place_at(file, offset);
    /* a header is VALID only in a segment whose own header could be read */
    CHECK(file->head_state == WAL_HEAD_OK);
    return state_noted(file, wal_block_reader_payload(&file->reader, &place, header, raw));
}

int wal_segment_file_bytes(struct wal_segment_file *file, uint64_t offset, size_t len,
                           const unsigned char **at)
{
    int err = wal_read_window_get(&file->reader.window, offset, len, at);
    if (err == 0) {
        return 0;
    }
    *at = NULL;
    call_failed(file, "cannot read", err);
    return err == -ENOMEM ? TALLY_NOMEM : 0;
}

uint64_t wal_segment_file_first_lsn(struct wal_segment_file *file)
{
    struct wal_block_header header;
    enum wal_block_state state = wal_segment_file_header(file, WAL_SEGMENT_FIRST_BLOCK, &header);
    return state == WAL_BLOCK_VALID ? header.first_lsn : 0;
}
