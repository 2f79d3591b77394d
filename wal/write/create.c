/* Creation of a segment: zeros, header, sync, rename, sync of the directory; or a new header on one
 * that was never used. */
#include "wal/write/create.h"

#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/mutant.h"
#include "wal/disk/full_io.h"

#include <errno.h>
#include <stdlib.h>

/* Bytes written and synced by one step: a commit waits for no more than these. */
#define STEP_BYTES (1U << 18)

void wal_create_init(struct wal_creation *creation, struct wal_io *io,
                     const struct wal_segment_head *head)
{
    /* the length is from wal_open's options; segments of earlier runs go to wal_create_reuse */
    CHECK(wal_segment_is_size(head->bytes));
    *creation = (struct wal_creation){.io = io, .head = *head, .fd = -1};
}

static int creation_temp_open(struct wal_creation *creation)
{
    char name[WAL_NAME_BYTES];
    wal_segment_temp_name(name, creation->head.number);
    int err = creation->io->ops->unlink(creation->io, name);
    if (err != 0 && err != -ENOENT) {
        return err;
    }
    int fd = creation->io->ops->open(creation->io, name, WAL_OPEN_CREATE);
    if (fd < 0) {
        return fd;
    }
    creation->fd = fd;
    creation->done_bytes = 0;
    return 0;
}

static int write_step(struct wal_creation *creation)
{
    int err = creation->fd < 0 ? creation_temp_open(creation) : 0;
    if (err != 0) {
        return err;
    }
    uint64_t left = creation->head.bytes - creation->done_bytes;
    uint64_t to = creation->done_bytes + (left < STEP_BYTES ? left : STEP_BYTES);
    err = wal_full_io_clear(creation->io, creation->fd, creation->done_bytes, to);
    if (err == 0) {
        creation->done_bytes = to;
    }
    return err;
}

static bool is_written(const struct wal_creation *creation)
{
    return creation->done_bytes == creation->head.bytes;
}

int wal_create_step(struct wal_creation *creation)
{
    int err = write_step(creation);
    if (err != 0) {
        return err;
    }
    err = creation->io->ops->datasync(creation->io, creation->fd);
    if (err != 0) {
        wal_create_fini(creation); /* nobody knows which of its bytes are on the disk */
        return err;
    }
    return !is_written(creation);
}

static int segment_head_write(struct wal_io *io, int fd, const struct wal_segment_head *head)
{
    unsigned char page[WAL_PAGE_BYTES];
    wal_segment_head_put(page, head);
    int err = wal_full_io_write(io, fd, page, sizeof(page), 0);
    return err != 0 ? err : io->ops->sync(io, fd);
}

/* Opens a finished segment for its blocks, and closes the descriptor that made it. */
static int open_pages(struct wal_io *io, int fd, const char *name)
{
    int err = io->ops->close(io, fd);
    return err < 0 ? err : io->ops->open(io, name, WAL_OPEN_PAGES);
}

int wal_create_finish(struct wal_creation *creation, struct wal_segment *segment)
{
    struct wal_io *io = creation->io;
    char temp[WAL_NAME_BYTES];
    char name[WAL_NAME_BYTES];
    /* every caller has just written the file's last bytes */
    CHECK(creation->fd >= 0 && is_written(creation));
    wal_segment_temp_name(temp, creation->head.number);
    wal_segment_name(name, creation->head.number);
    int err = segment_head_write(io, creation->fd, &creation->head);
    if (err == 0) {
        err = io->ops->rename(io, temp, name);
    }
    if (err == 0 && !MUTANT(MUTANT_NO_DIR_SYNC)) {
        err = io->ops->syncdir(io);
    }
    if (err != 0) {
        wal_create_fini(creation);
        return err;
    }
    int fd = open_pages(io, creation->fd, name);
    creation->fd = -1;
    *segment = (struct wal_segment){.head = creation->head, .fd = fd};
    return fd < 0 ? fd : 0;
}

void wal_create_fini(struct wal_creation *creation)
{
    if (creation->fd >= 0) {
        char name[WAL_NAME_BYTES];
        wal_segment_temp_name(name, creation->head.number);
        creation->io->ops->close(creation->io, creation->fd);
        creation->io->ops->unlink(creation->io, name);
        creation->fd = -1;
    }
}

int wal_create_run(struct wal_io *io, const struct wal_segment_head *head,
                   struct wal_segment *segment)
{
    struct wal_creation creation;
    int err;
    wal_create_init(&creation, io, head);
    do {
        err = write_step(&creation);
    } while (err == 0 && !is_written(&creation));
    if (err == 0) {
        err = wal_create_finish(&creation, segment);
    }
    wal_create_fini(&creation);
    return err;
}

int wal_create_reuse(struct wal_io *io, const struct wal_segment_head *head,
                     struct wal_segment *segment)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, head->number);
    int fd = io->ops->open(io, name, WAL_OPEN_WRITE);
    if (fd < 0) {
        return fd;
    }
    int err = segment_head_write(io, fd, head);
    if (err == 0) {
        /* The earlier run may have been killed right after the rename: the name is not durable. */
        err = io->ops->syncdir(io);
    }
    if (err != 0) {
        io->ops->close(io, fd);
        return err;
    }
    fd = open_pages(io, fd, name);
    *segment = (struct wal_segment){.head = *head, .fd = fd};
    return fd < 0 ? fd : 0;
}

static int is_file_blank(struct wal_io *io, int fd, unsigned char *buffer, uint64_t bytes)
{
    uint64_t at = WAL_PAGE_BYTES;
    while (at < bytes) {
        size_t step = bytes - at < STEP_BYTES ? (size_t)(bytes - at) : STEP_BYTES;
        int64_t n = wal_full_io_read(io, fd, buffer, step, at);
        if (n < 0) {
            return (int)n;
        }
        if ((size_t)n < step || !bytes_are_zero(buffer, step)) {
            return 0;
        }
        at += step;
    }
    return 1;
}

int wal_create_is_blank(struct wal_io *io, uint64_t number, uint64_t bytes)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd == -ENOENT ? 0 : fd;
    }
    unsigned char *buffer = malloc(STEP_BYTES);
    int64_t size = io->ops->size(io, fd);
    int result = 0;
    if (buffer == NULL) {
        result = -ENOMEM;
    } else if (size < 0) {
        result = (int)size;
    } else if ((uint64_t)size == bytes) {
        result = is_file_blank(io, fd, buffer, bytes);
    }
    free(buffer);
    io->ops->close(io, fd);
    return result;
}
