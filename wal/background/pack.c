/* Packing: a sealed segment is written anew as few large blocks, checked, and replaced by them. */
#include "wal/background/pack.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/files/block_writer.h"
#include "wal/format/member.h"
#include "wal/background/pack_check.h"
#include "wal/read/scan.h"
#include "wal/read/report.h"
#include "wal/disk/full_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The raw bytes of a packed block. LZ4 looks back 64 KiB, so larger blocks would not be smaller on
 * the disk; and a parallel replay needs several blocks to share out. */
#define GATHER_BYTES ((size_t)1 << 20)

/* Bytes written between two syncs: a commit waits for no more than these. */
#define PIECE_BYTES  ((size_t)256 << 10)

/* After so many packed blocks the packer judges whether the rest is worth the time. */
#define TRIAL_BLOCKS 4

/* One segment being packed. */
struct packer {
    struct wal_pack *pack;
    struct wal_io *io;
    char temp[WAL_NAME_BYTES];
    struct wal_block_writer out; /* to the temporary file; fd -1: there is none */

    /* gathered: members that are not written yet */
    unsigned char *raw;
    size_t raw_capacity;
    size_t raw_bytes;
    size_t head_bytes; /* of the first member's head */
    uint64_t first_lsn;
    uint64_t count;
    uint32_t members;

    unsigned char *block; /* the packed block, as it is written */
    size_t block_capacity;
    uint64_t old_bytes; /* of the blocks read so far */
    uint32_t blocks;    /* written */
    bool is_sealed;
    int errnum; /* the error that has ended the scan; LEFT: 1 */
};

static int buffer_grow(unsigned char **at, size_t *capacity, size_t bytes, size_t keep)
{
    if (bytes <= *capacity) {
        return 0;
    }
    unsigned char *more = aligned_alloc(WAL_PAGE_BYTES, (size_t)wal_block_bytes(bytes));
    if (more == NULL) {
        return -ENOMEM;
    }
    if (keep > 0) {
        memcpy(more, *at, keep);
    }
    free(*at);
    *at = more;
    *capacity = (size_t)wal_block_bytes(bytes);
    return 0;
}

static bool is_worth_it(const struct packer *packer, uint64_t old_bytes)
{
    return packer->out.offset <= old_bytes - old_bytes / 4;
}

/* Writes a packed block in pieces, so that a commit waits for one piece at most. */
static int block_write(struct packer *packer, struct wal_block_header *header, uint64_t first_lsn)
{
    const struct wal_block_pieces pieces = {
        .bytes = PIECE_BYTES, .pace = packer->pack->pace, .arg = packer->pack->arg};
    uint32_t durable_pages = (uint32_t)(packer->out.offset / WAL_PAGE_BYTES);
    wal_block_follow(header, first_lsn, durable_pages);
    return wal_block_writer_put_pieces(&packer->out, packer->block, header, &pieces);
}

/* Writes the gathered members as one packed block; a single member as the block that it was. */
static int gathered_write(struct packer *packer)
{
    if (packer->members == 0) {
        return 0;
    }
    bool alone = packer->members == 1;
    size_t skip = alone ? packer->head_bytes : 0;
    struct wal_block_header header = {
        .count = (uint32_t)packer->count,
        .flags = alone ? 0 : WAL_BLOCK_PACKED,
    };
    size_t raw_bytes = packer->raw_bytes - skip;
    int err = buffer_grow(&packer->block, &packer->block_capacity, raw_bytes, 0);
    if (err != 0) {
        return err;
    }
    wal_block_pack_hard(packer->block, &header, packer->raw + skip, raw_bytes);
    err = block_write(packer, &header, packer->first_lsn);
    packer->raw_bytes = 0;
    packer->members = 0;
    packer->count = 0;
    packer->blocks++;
    if (err == 0 && packer->blocks == TRIAL_BLOCKS && !is_worth_it(packer, packer->old_bytes)) {
        return WAL_PACKED_LEFT;
    }
    return err;
}

static int gather(struct packer *packer, const struct wal_block *block)
{
    size_t most = block->raw_bytes + WAL_MEMBER_HEAD_BYTES_MAX;
    int err = 0;
    if (packer->raw_bytes + most > GATHER_BYTES || packer->count + block->count > UINT32_MAX) {
        err = gathered_write(packer);
    }
    if (err == 0) {
        size_t need = packer->raw_bytes + most;
        need = need < GATHER_BYTES ? GATHER_BYTES : need;
        err = buffer_grow(&packer->raw, &packer->raw_capacity, need, packer->raw_bytes);
    }
    if (err != 0) {
        return err;
    }
    unsigned char *to = packer->raw + packer->raw_bytes;
    size_t head_bytes = wal_member_head_put(to, block->count, block->raw_bytes);
    memcpy(to + head_bytes, block->raw, block->raw_bytes);
    if (packer->members == 0) {
        packer->first_lsn = block->first_lsn;
        packer->head_bytes = head_bytes;
    }
    packer->raw_bytes += head_bytes + block->raw_bytes;
    packer->count += block->count;
    packer->members++;
    return 0;
}

static int seal_write(struct packer *packer, const struct wal_block *block)
{
    int err = gathered_write(packer);
    if (err == 0) {
        err = buffer_grow(&packer->block, &packer->block_capacity, 1, 0);
    }
    if (err != 0) {
        return err;
    }
    struct wal_block_header header = {.flags = (uint16_t)(block->flags | WAL_BLOCK_PACKED)};
    packer->is_sealed = true;
    wal_block_pack(packer->block, &header, NULL, 0);
    return block_write(packer, &header, block->first_lsn);
}

static int pack_block(void *arg, const struct wal_block *block)
{
    struct packer *packer = arg;
    int err = packer->pack->pace(packer->pack->arg, block->stored_bytes);
    packer->old_bytes += block->stored_bytes;
    if (err == 0 && block->count > 0) {
        err = gather(packer, block);
    } else if (err == 0 && (block->flags & WAL_BLOCK_SEAL) != 0) {
        err = seal_write(packer, block);
    }
    packer->errnum = err;
    return err == 0 ? 0 : TALLY_IO;
}

/* Reads the segment and writes the blocks. */
static int blocks_write(struct packer *packer)
{
    struct wal_pack *pack = packer->pack;
    struct wal_scan scan;
    bool is_whole = false;
    wal_scan_init(&scan, pack->io, pack_block, packer);
    wal_scan_detach(&scan);
    int err = wal_scan_sealed(&scan, pack->number, &is_whole);
    int result = packer->errnum;
    if (err == TALLY_NOMEM) {
        result = -ENOMEM;
    } else if (result == 0 && scan.findings.errnum != 0) {
        result = scan.findings.errnum;
    } else if (result == 0 && !is_whole) {
        pack->is_damaged = true;
        wal_report_fill(&scan, &pack->damage);
        result = -EBADMSG;
    }
    wal_scan_fini(&scan);
    return result;
}

/* Writes the header last, when the length is known, and syncs the file. */
static int packed_head_write(struct packer *packer)
{
    _Alignas(WAL_PAGE_BYTES) unsigned char page[WAL_PAGE_BYTES];
    packer->out.head.bytes = packer->out.offset;
    wal_segment_head_put(page, &packer->out.head);
    int err = wal_full_io_write(packer->io, packer->out.fd, page, sizeof(page), 0);
    if (err != 0 || MUTANT(MUTANT_PACK_NOT_SYNCED)) {
        return err;
    }
    return packer->io->ops->sync(packer->io, packer->out.fd);
}

/* Renames the packed file over the segment, unless the segment was removed meanwhile. */
static int segment_replace(struct packer *packer)
{
    struct wal_io *io = packer->io;
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, packer->pack->number);
    pthread_mutex_lock(packer->pack->replaces);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    int err = fd < 0 ? fd : 0;
    if (err == 0) {
        io->ops->close(io, fd);
        err = io->ops->rename(io, packer->temp, name);
    }
    if (err == 0) {
        /* If this fails, a crash may bring back the unpacked segment, which is as good. */
        io->ops->syncdir(io);
    }
    pthread_mutex_unlock(packer->pack->replaces);
    return err;
}

static int pack_file(struct packer *packer)
{
    struct wal_pack *pack = packer->pack;
    struct wal_io *io = packer->io;
    int err = blocks_write(packer);
    if (err != 0) {
        return err;
    }
    /* a whole segment ends with a seal, which has no records, so seal_write was called for it */
    CHECK(packer->is_sealed);
    if (!is_worth_it(packer, pack->from_bytes)) {
        return WAL_PACKED_LEFT;
    }
    err = packed_head_write(packer);
    if (err == 0) {
        const struct wal_pack_check check = {
            .io = io,
            .number = pack->number,
            .packed_name = packer->temp,
            .pace = pack->pace,
            .arg = pack->arg,
        };
        err = wal_pack_check_run(&check);
    }
    if (err == 0) {
        err = segment_replace(packer);
    }
    if (err == 0) {
        pack->to_bytes = packer->out.offset;
        io->ops->close(io, packer->out.fd);
        packer->out.fd = -1;
    }
    return err;
}

/* Whether the segment open at fd, size_bytes long, was packed. Returns 1, 0 or a negative errno
 * value. */
static int is_packed(struct wal_io *io, int fd, uint64_t size_bytes)
{
    _Alignas(WAL_PAGE_BYTES) unsigned char page[WAL_PAGE_BYTES];
    struct wal_segment_head head;
    struct wal_block_header header;
    int64_t n = wal_full_io_read(io, fd, page, sizeof(page), 0);
    if (n < 0) {
        return (int)n;
    }
    if (n < (int64_t)sizeof(page) || wal_segment_head_get(page, &head) != WAL_HEAD_OK ||
        head.bytes != size_bytes || !wal_segment_is_length(size_bytes)) {
        return 0;
    }
    uint64_t offset = size_bytes - WAL_PAGE_BYTES;
    n = wal_full_io_read(io, fd, page, sizeof(page), offset);
    if (n < 0) {
        return (int)n;
    }
    const uint16_t flags = WAL_BLOCK_SEAL | WAL_BLOCK_PACKED;
    return n == (int64_t)sizeof(page) &&
           wal_block_header_get(page, &header, &head, offset) == WAL_BLOCK_VALID &&
           (header.flags & flags) == flags;
}

/* Whether the segment can be packed. Returns 0: it can; LEFT; or a negative errno value. */
static int check_packable(struct packer *packer)
{
    struct wal_io *io = packer->io;
    unsigned char page[WAL_PAGE_BYTES];
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, packer->pack->number);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    int64_t size = io->ops->size(io, fd);
    int64_t n = size < 0 ? size : wal_full_io_read(io, fd, page, sizeof(page), 0);
    int result = n < 0 ? (int)n : 0;
    if (result == 0) {
        packer->pack->from_bytes = (uint64_t)size;
        result = is_packed(io, fd, (uint64_t)size);
    }
    io->ops->close(io, fd);
    if (result == 0 && wal_segment_head_get(page, &packer->out.head) != WAL_HEAD_OK) {
        packer->out.head = (struct wal_segment_head){.epoch = 0}; /* the scan finds the fault */
    }
    return result == 1 || (result == 0 && size <= 3 * (int64_t)WAL_PAGE_BYTES) ? WAL_PACKED_LEFT
                                                                               : result;
}

static int pack_temp_open(struct packer *packer)
{
    struct wal_io *io = packer->io;
    wal_segment_pack_name(packer->temp, packer->pack->number);
    int err = io->ops->unlink(io, packer->temp);
    if (err != 0 && err != -ENOENT) {
        return err;
    }
    packer->out.fd = io->ops->open(io, packer->temp, WAL_OPEN_CREATE);
    return packer->out.fd < 0 ? packer->out.fd : 0;
}

int wal_pack_run(struct wal_pack *pack)
{
    struct packer packer = {
        .pack = pack,
        .io = pack->io,
        .out = {.io = pack->io, .fd = -1, .end = UINT64_MAX, .offset = WAL_SEGMENT_FIRST_BLOCK},
    };
    int err = check_packable(&packer);
    if (err == 0) {
        err = pack_temp_open(&packer);
    }
    if (err == 0) {
        err = pack_file(&packer);
    }
    if (packer.out.fd >= 0) {
        pack->io->ops->close(pack->io, packer.out.fd);
        pack->io->ops->unlink(pack->io, packer.temp);
    }
    free(packer.raw);
    free(packer.block);
    return err;
}
