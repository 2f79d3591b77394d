/* Retention: the oldest segments are removed once two snapshots hold their records. */
#include "wal/background/retain.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/files/block_reader.h"
#include "wal/files/listing.h"
#include "wal/format/member.h"

#include <errno.h>

/* The segments of the directory, from the oldest on. */
struct stock {
    struct wal_io *io;
    struct wal_listing segments;
    uint64_t bytes;
};

/* The first block of a segment. */
struct first {
    struct wal_block_reader reader; /* owns block.raw */
    struct wal_block block;
};

static int64_t segment_bytes(struct wal_io *io, uint64_t number)
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
        int64_t bytes = segment_bytes(stock->io, stock->segments.at[i]);
        err = bytes < 0 ? (int)bytes : 0;
        stock->bytes += bytes > 0 ? (uint64_t)bytes : 0;
    }
    return err;
}

/* Makes a packed block its first member. */
static void take_first_member(struct wal_block *block)
{
    const unsigned char *at = block->raw;
    struct wal_member member;
    /* in a VALID packed block there is at least one member, and all members are whole */
    CHECK(wal_member_get(&at, at + block->raw_bytes, &member) == 0);
    block->count = member.count;
    block->raw = member.raw;
    block->raw_bytes = member.raw_bytes;
}

/* Returns 1; 0: there is no valid header; or a negative errno value. */
static int first_head(struct first *first, int fd, struct wal_segment_head *head)
{
    const unsigned char *page;
    wal_read_window_turn(&first->reader.window, fd);
    int err = wal_read_window_get(&first->reader.window, 0, WAL_PAGE_BYTES, &page);
    return err != 0 ? err : wal_segment_head_get(page, head) == WAL_HEAD_OK;
}

static int first_read(struct first *first, struct wal_io *io, int fd)
{
    struct wal_segment_head head;
    struct wal_block_header header;
    const unsigned char *raw;
    int64_t size = io->ops->size(io, fd);
    int is = size < 0 ? (int)size : first_head(first, fd, &head);
    if (is <= 0) {
        return is;
    }
    const struct wal_block_place place = {
        .head = &head, .size_bytes = (uint64_t)size, .offset = WAL_SEGMENT_FIRST_BLOCK};
    enum wal_block_state state = wal_block_reader_get(&first->reader, &place, &header, &raw);
    if (state != WAL_BLOCK_VALID) {
        return wal_block_state_is_failure(state) ? first->reader.errnum : 0;
    }
    first->block = (struct wal_block){
        .first_lsn = header.first_lsn,
        .count = header.count,
        .flags = header.flags,
        .raw = raw,
        .raw_bytes = header.raw_bytes,
        .durable_lsn = header.durable_lsn,
        .segment = head.number,
        .offset = WAL_SEGMENT_FIRST_BLOCK,
        .epoch = head.epoch,
    };
    if (wal_block_has_members(&header)) {
        take_first_member(&first->block);
    }
    return 1;
}

/* Reads the first block of a segment. Returns 1; 0: the segment has none yet, or none that is
 * whole; or a negative errno value. */
static int first_open(struct first *first, struct wal_io *io, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    *first = (struct first){.block = {.raw = NULL}};
    wal_block_reader_init(&first->reader, io);
    wal_segment_name(name, number);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    int is = first_read(first, io, fd);
    io->ops->close(io, fd);
    return is;
}

static void first_close(struct first *first)
{
    wal_block_reader_fini(&first->reader);
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
    int64_t bytes = segment_bytes(stock->io, number);
    int err = bytes < 0 ? (int)bytes : stock->io->ops->unlink(stock->io, name);
    /* durable before the next removal, or a crash could keep an older segment and leave a hole */
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
        int64_t more = go > 0 ? segment_bytes(io, stock.segments.at[i]) : 0;
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
