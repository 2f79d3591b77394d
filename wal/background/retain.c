/* Removing the oldest segments, once two snapshots hold what they say. */
#include "wal/background/retain.h"

#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/format/block.h"
#include "wal/files/listing.h"
#include "wal/format/packed.h"
#include "wal/disk/read_window.h"

#include <errno.h>
#include <stdlib.h>

/* What is there, from the oldest on. */
struct stock {
    struct wal_io *io;
    struct wal_listing segments;
    uint64_t bytes;
};

/* The first block of a segment. */
struct first {
    struct wal_window window;
    struct wal_block block;
    unsigned char *raw; /* owned */
};

static int64_t bytes_of(struct wal_io *io, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    int64_t bytes = io->ops->size(io, fd);
    io->ops->close(io, fd);
    return bytes;
}

static int stock_take(struct stock *stock)
{
    int err = wal_listing_read(&stock->segments, stock->io, wal_segment_is_name);
    for (size_t i = 0; err == 0 && i < stock->segments.count; i++) {
        int64_t bytes = bytes_of(stock->io, stock->segments.at[i]);
        err = bytes < 0 ? (int)bytes : 0;
        stock->bytes += bytes > 0 ? (uint64_t)bytes : 0;
    }
    return err;
}

/* Of a packed block its first member is looked at. Returns whether it is whole. */
static bool take_first_member(struct wal_block *block)
{
    const unsigned char *at = block->raw;
    struct wal_member member;
    if (wal_member_get(&at, at + block->raw_bytes, &member) != 0) {
        return false;
    }
    block->count = member.count;
    block->raw = member.raw;
    block->raw_bytes = member.raw_bytes;
    return true;
}

/* Reads the payload of a block whose header is valid. Returns 1, or 0 when it is not whole. */
static int read_payload(struct first *first, const struct wal_segment_head *head,
                        const struct wal_block_header *header)
{
    const unsigned char *at;
    uint64_t seed = wal_block_seed(head, WAL_SEGMENT_FIRST_BLOCK);
    int err = wal_window_get(&first->window, WAL_SEGMENT_FIRST_BLOCK,
                             (size_t)wal_block_bytes(header->stored_bytes), &at);
    if (err != 0) {
        return err;
    }
    const unsigned char *payload = at + WAL_BLOCK_HEADER_BYTES;
    if (wal_block_payload_check(header, payload, seed) != WAL_BLOCK_VALID) {
        return 0;
    }
    first->block.raw = payload;
    if (header->codec != WAL_CODEC_RAW) {
        first->raw = malloc(header->raw_bytes);
        if (first->raw == NULL) {
            return -ENOMEM;
        }
        first->block.raw = first->raw;
        if (wal_block_unpack(header, payload, first->raw) != 0) {
            return 0;
        }
    }
    return !wal_block_has_members(header) || take_first_member(&first->block);
}

static int read_first(struct first *first, int fd)
{
    struct wal_segment_head head;
    struct wal_block_header header;
    const unsigned char *at;
    wal_window_turn(&first->window, fd);
    int err = wal_window_get(&first->window, 0, 2 * WAL_PAGE_BYTES, &at);
    if (err != 0) {
        return err;
    }
    if (wal_segment_head_get(at, &head) != WAL_HEAD_OK ||
        wal_block_header_get(at + WAL_SEGMENT_FIRST_BLOCK, &header, &head,
                             WAL_SEGMENT_FIRST_BLOCK) != WAL_BLOCK_VALID) {
        return 0;
    }
    first->block = (struct wal_block){
        .first_lsn = header.first_lsn,
        .count = header.count,
        .flags = header.flags,
        .raw_bytes = header.raw_bytes,
        .durable_lsn = header.durable_lsn,
        .segment = head.number,
        .offset = WAL_SEGMENT_FIRST_BLOCK,
        .epoch = head.epoch,
    };
    return read_payload(first, &head, &header);
}

/* Returns 1: the first block of a segment is there; 0: it has none yet, or it is not whole; or a
 * negative errno value. */
static int first_open(struct first *first, struct wal_io *io, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    *first = (struct first){.raw = NULL};
    wal_window_init(&first->window, io);
    wal_segment_name(name, number);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    int is = read_first(first, fd);
    io->ops->close(io, fd);
    return is;
}

static void first_close(struct first *first)
{
    wal_window_fini(&first->window);
    free(first->raw);
}

/*
 * Whether the segment before `next` may go. A segment gets its first block only after the one
 * before is sealed and synced, so with that block the one before is complete, and ends where that
 * block begins.
 */
static int may_go(const struct stock *stock, const struct wal_retain *retain, uint64_t next)
{
    struct first first;
    int is = first_open(&first, stock->io, next);
    bool safe = is > 0 && (first.block.first_lsn <= retain->safe_lsn + 1 ||
                           MUTANT(MUTANT_SEGMENT_REMOVED_EARLY));
    bool old = safe && retain->is_old != NULL && first.block.count > 0 &&
               retain->is_old(retain->arg, &first.block);
    first_close(&first);
    return is < 0 ? is : safe && (old || stock->bytes > retain->bytes_max);
}

static int remove_one(struct stock *stock, pthread_mutex_t *files_lock, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    if (files_lock != NULL) {
        pthread_mutex_lock(files_lock);
    }
    int64_t bytes = bytes_of(stock->io, number);
    int err = bytes < 0 ? (int)bytes : stock->io->ops->unlink(stock->io, name);
    /* one durably before the next: else a crash could keep an older one and leave a hole */
    err = err != 0 ? err : stock->io->ops->syncdir(stock->io);
    if (files_lock != NULL) {
        pthread_mutex_unlock(files_lock);
    }
    stock->bytes -= err == 0 ? (uint64_t)bytes : 0;
    return err;
}

uint64_t wal_retain_bytes(struct wal_io *io, uint64_t safe_lsn)
{
    const struct wal_retain retain = {.safe_lsn = safe_lsn, .bytes_max = 0};
    struct stock stock = {.io = io};
    uint64_t bytes = 0;
    int go = safe_lsn > 0 && stock_take(&stock) == 0;
    for (size_t i = 0; go > 0 && i + 1 < stock.segments.count; i++) {
        go = may_go(&stock, &retain, stock.segments.at[i + 1]);
        int64_t more = go > 0 ? bytes_of(io, stock.segments.at[i]) : 0;
        bytes += more > 0 ? (uint64_t)more : 0;
    }
    wal_listing_fini(&stock.segments);
    return bytes;
}

int wal_retain(struct wal_io *io, const struct wal_retain *retain)
{
    struct stock stock = {.io = io};
    int removed = 0;
    int err = retain->safe_lsn > 0 ? stock_take(&stock) : 0;
    for (size_t i = 0; err == 0 && retain->safe_lsn > 0 && i + 1 < stock.segments.count; i++) {
        int go = may_go(&stock, retain, stock.segments.at[i + 1]);
        if (go <= 0) {
            err = go;
            break;
        }
        err = remove_one(&stock, retain->files_lock, stock.segments.at[i]);
        removed += err == 0;
    }
    wal_listing_fini(&stock.segments);
    if (err != 0) {
        return err == -ENOMEM ? TALLY_NOMEM : TALLY_IO;
    }
    return removed;
}
