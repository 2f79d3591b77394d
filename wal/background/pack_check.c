/* The check of a packed segment against the one it was made of, block by block. */
#include "wal/background/pack_check.h"

#include "wal/base/err.h"
#include "wal/files/block_reader.h"
#include "wal/format/member.h"
#include "wal/read/scan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The place in the packed file, which is read beside a scan of the unpacked segment. */
struct checking {
    const struct wal_pack_check *check;
    struct wal_block_reader reader;
    struct wal_segment_head head;
    uint64_t size_bytes;
    uint64_t offset;
    struct wal_block_header header; /* of the block at hand */
    uint64_t next_lsn;              /* of the next record in that block */
    const unsigned char *at;        /* its bytes that are not compared yet; the reader's */
    const unsigned char *end;
    bool is_sealed;
    int errnum; /* the error that has ended the scan */
};

/* Makes the next block of the packed file the one at hand. Returns 0 or a negative errno value. */
static int block_turn(struct checking *checking)
{
    const struct wal_block_place place = {
        .head = &checking->head, .size_bytes = checking->size_bytes, .offset = checking->offset};
    const unsigned char *raw;
    enum wal_block_state state =
        wal_block_reader_get(&checking->reader, &place, &checking->header, &raw);
    if (state != WAL_BLOCK_VALID) {
        return wal_block_state_is_failure(state) ? checking->reader.errnum : -EIO;
    }
    size_t bytes = (size_t)wal_block_bytes(checking->header.stored_bytes);
    checking->at = raw;
    checking->end = raw + checking->header.raw_bytes;
    checking->next_lsn = checking->header.first_lsn;
    checking->offset += bytes;
    return checking->check->pace(checking->check->arg, bytes);
}

/* As block_turn, for a block with records. */
static int records_turn(struct checking *checking)
{
    int err = block_turn(checking);
    const struct wal_block_header *header = &checking->header;
    bool is_good = err == 0 && header->count > 0 && header->durable_lsn == header->first_lsn - 1;
    return err != 0 || is_good ? err : -EIO;
}

static int records_compare(struct checking *checking, const struct wal_block *block)
{
    struct wal_member member;
    int err = checking->at == checking->end ? records_turn(checking) : 0;
    if (err != 0) {
        return err;
    }
    if (wal_block_has_members(&checking->header)) {
        if (wal_member_get(&checking->at, checking->end, &member) != 0) {
            return -EIO;
        }
    } else {
        member = (struct wal_member){
            .count = checking->header.count,
            .raw = checking->at,
            .raw_bytes = checking->header.raw_bytes,
        };
        checking->at = checking->end;
    }
    bool same = checking->next_lsn == block->first_lsn && member.count == block->count &&
                member.raw_bytes == block->raw_bytes &&
                memcmp(member.raw, block->raw, member.raw_bytes) == 0;
    checking->next_lsn += member.count;
    return same ? 0 : -EIO;
}

static int seal_compare(struct checking *checking, const struct wal_block *block)
{
    if (checking->at != checking->end) {
        return -EIO;
    }
    int err = block_turn(checking);
    if (err != 0) {
        return err;
    }
    const struct wal_block_header *seal = &checking->header;
    bool same = seal->flags == (block->flags | WAL_BLOCK_PACKED) && seal->count == 0 &&
                seal->first_lsn == block->first_lsn && checking->offset == checking->size_bytes;
    checking->is_sealed = same;
    return same ? 0 : -EIO;
}

static int compare_block(void *arg, const struct wal_block *block)
{
    struct checking *checking = arg;
    int err = checking->check->pace(checking->check->arg, block->stored_bytes);
    if (err == 0 && block->count > 0) {
        err = records_compare(checking, block);
    } else if (err == 0 && (block->flags & WAL_BLOCK_SEAL) != 0) {
        err = seal_compare(checking, block);
    }
    checking->errnum = err;
    return err == 0 ? 0 : TALLY_IO;
}

static int head_check(struct checking *checking)
{
    const unsigned char *page;
    int err = wal_read_window_get(&checking->reader.window, 0, WAL_PAGE_BYTES, &page);
    if (err != 0) {
        return err;
    }
    bool good = wal_segment_head_get(page, &checking->head) == WAL_HEAD_OK &&
                checking->head.number == checking->check->number &&
                checking->head.bytes == checking->size_bytes;
    return good ? 0 : -EIO;
}

/* Walks over the segment and the packed file together. */
static int files_compare(struct checking *checking)
{
    struct wal_scan scan;
    bool is_whole = false;
    wal_scan_init(&scan, checking->check->io, compare_block, checking);
    wal_scan_detach(&scan);
    int err = wal_scan_sealed(&scan, checking->check->number, &is_whole);
    int result = checking->errnum;
    if (err == TALLY_NOMEM) {
        result = -ENOMEM;
    } else if (result == 0 && scan.findings.errnum != 0) {
        result = scan.findings.errnum;
    } else if (result == 0 &&
               (!is_whole || !checking->is_sealed || checking->head.epoch != scan.file.head.epoch ||
                memcmp(checking->head.uuid, scan.file.head.uuid, WAL_UUID_BYTES) != 0)) {
        result = -EIO;
    }
    wal_scan_fini(&scan);
    return result;
}

int wal_pack_check_run(const struct wal_pack_check *check)
{
    struct checking checking = {.check = check, .offset = WAL_SEGMENT_FIRST_BLOCK};
    int fd = check->io->ops->open(check->io, check->packed_name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    wal_block_reader_init(&checking.reader, check->io);
    wal_read_window_turn(&checking.reader.window, fd);
    int64_t size = check->io->ops->size(check->io, fd);
    checking.size_bytes = size < 0 ? 0 : (uint64_t)size;
    int err = size < 0 ? (int)size : check->io->ops->drop_cache(check->io, fd);
    if (err == 0) {
        err = head_check(&checking);
    }
    if (err == 0) {
        err = files_compare(&checking);
    }
    wal_block_reader_fini(&checking.reader);
    check->io->ops->close(check->io, fd);
    return err;
}
