/* Writing a snapshot: blocks of images, a seal, the header last; then it is read back. */
#include "wal/files/snapshot_writer.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/disk/full_io.h"
#include "wal/files/block_writer.h"
#include "wal/files/snapshot_read.h"
#include "wal/format/snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes between two syncs: a commit of the log waits for no more than this. */
#define SYNC_BYTES (256U * 1024)

struct wal_snapshot_writer {
    struct wal_snapshot_head head;
    struct wal_block_writer out; /* to the temporary file; fd negative: there is none */
    uint64_t synced;             /* so far, by offset */
    unsigned char *buffer;
    size_t capacity;
    bool counts;
    char temp[WAL_NAME_BYTES];
    char why[224];
};

static int writer_failed(struct wal_snapshot_writer *writer, const char *doing, int err)
{
    snprintf(writer->why, sizeof(writer->why), "%s: %s: %s", writer->temp, doing,
             tally_err_reason(err));
    return tally_err_of(err);
}

int wal_snapshot_writer_new(struct wal_snapshot_writer **out, struct wal_io *io,
                            const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn)
{
    struct wal_snapshot_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return TALLY_NOMEM;
    }
    writer->head.lsn = lsn;
    memcpy(writer->head.uuid, uuid, WAL_UUID_BYTES);
    wal_snapshot_temp_name(writer->temp, lsn);
    (void)io->ops->unlink(io, writer->temp); /* a killed process may have left one */
    writer->out = (struct wal_block_writer){
        .io = io,
        .fd = io->ops->open(io, writer->temp, WAL_OPEN_CREATE),
        .head = wal_snapshot_block_head(&writer->head),
        .end = UINT64_MAX,
        .offset = WAL_SNAPSHOT_FIRST_BLOCK,
    };
    *out = writer;
    return writer->out.fd >= 0 ? 0 : writer_failed(writer, "cannot make it", writer->out.fd);
}

const char *wal_snapshot_writer_why(const struct wal_snapshot_writer *writer)
{
    return writer->why;
}

void wal_snapshot_writer_destroy(struct wal_snapshot_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    struct wal_io *io = writer->out.io;
    if (writer->out.fd >= 0) {
        io->ops->close(io, writer->out.fd);
        if (!writer->counts) {
            (void)io->ops->unlink(io, writer->temp); /* if this fails the next start removes it */
        }
    }
    free(writer->buffer);
    free(writer);
}

static int put_block(struct wal_snapshot_writer *writer, struct wal_block_header *header,
                     const void *raw, size_t raw_bytes)
{
    size_t need = (size_t)wal_block_bytes(raw_bytes);
    if (need > writer->capacity) {
        free(writer->buffer);
        writer->buffer = malloc(need);
        writer->capacity = writer->buffer != NULL ? need : 0;
    }
    if (writer->buffer == NULL) {
        return writer_failed(writer, "cannot pack a block", -ENOMEM);
    }
    wal_block_pack(writer->buffer, header, raw, raw_bytes);
    wal_block_follow(header, writer->head.images + 1, 1); /* images count here, and no pages */
    int err = wal_block_writer_put(&writer->out, writer->buffer, header);
    if (err != 0) {
        return writer_failed(writer, "cannot write", err);
    }
    writer->head.images += header->count;
    if (writer->out.offset - writer->synced >= SYNC_BYTES) {
        err = wal_block_writer_sync(&writer->out);
        writer->synced = writer->out.offset;
    }
    return err == 0 ? 0 : writer_failed(writer, "cannot sync", err);
}

int wal_snapshot_writer_put(struct wal_snapshot_writer *writer, uint32_t count, const void *raw,
                            size_t raw_bytes)
{
    struct wal_block_header header = {.count = count};
    /* the capture hands over no empty buffer */
    CHECK(count > 0 && raw_bytes > 0);
    if (raw_bytes > WAL_RAW_BYTES_MAX) {
        return writer_failed(writer, "a block is too large", -EMSGSIZE);
    }
    return put_block(writer, &header, raw, raw_bytes);
}

/* Writes the header last, when the number of images and bytes is known, and syncs the file. */
static int end_file(struct wal_snapshot_writer *writer)
{
    unsigned char page[WAL_PAGE_BYTES];
    struct wal_io *io = writer->out.io;
    writer->head.bytes = writer->out.offset;
    wal_snapshot_head_put(page, &writer->head);
    int err = wal_full_io_write(io, writer->out.fd, page, sizeof(page), 0);
    err = err != 0 ? err : io->ops->sync(io, writer->out.fd);
    err = err != 0 ? err : io->ops->drop_cache(io, writer->out.fd);
    return err == 0 ? 0 : writer_failed(writer, "cannot write and sync", err);
}

static int read_back(struct wal_snapshot_writer *writer, wal_visit_fn visit, void *arg)
{
    struct wal_snapshot_info info;
    int err =
        wal_snapshot_read_file(writer->out.io, writer->temp, writer->head.lsn, visit, arg, &info);
    if (err == 0 && info.images != writer->head.images) {
        err = TALLY_DAMAGE;
    }
    if (err != 0) {
        snprintf(writer->why, sizeof(writer->why), "read back: %s", info.text);
    }
    return err;
}

int wal_snapshot_writer_end(struct wal_snapshot_writer *writer, wal_visit_fn visit, void *arg,
                            uint64_t *bytes)
{
    struct wal_block_header seal = {.flags = WAL_BLOCK_SEAL | WAL_BLOCK_CLEAN};
    struct wal_io *io = writer->out.io;
    char name[WAL_NAME_BYTES];
    int err = put_block(writer, &seal, NULL, 0);
    err = err != 0 ? err : end_file(writer);
    err = err != 0 ? err : read_back(writer, visit, arg);
    if (err != 0) {
        return err;
    }
    wal_snapshot_name(name, writer->head.lsn);
    err = io->ops->rename(io, writer->temp, name);
    if (err == 0) {
        writer->counts = true; /* the file has its name, so destroy must not remove it */
        err = io->ops->syncdir(io);
    }
    *bytes = writer->head.bytes;
    return err == 0 ? 0 : writer_failed(writer, "cannot give it its name", err);
}
