/* What a visitor sees of a block: itself, or the blocks that are packed in it. */
#include "wal/read/visit.h"

#include "wal/base/check.h"
#include "wal/format/packed.h"

/* Shows a block to the visitor, unless the file it was in before has shown it already. */
static int show(struct wal_scan *scan, const struct wal_block *block)
{
    if (block->first_lsn < scan->shown_lsn) {
        return 0;
    }
    /* what the snapshot has already is read, as a part of the chain, but not shown */
    bool is_wanted = block->count == 0 || block->first_lsn + block->count > scan->snapshot_lsn + 1;
    int err = scan->visit != NULL && is_wanted ? scan->visit(scan->arg, block) : 0;
    if (err == 0) {
        scan->shown_lsn = block->first_lsn + block->count;
        scan->records += block->count;
        scan->blocks++;
        scan->stored_bytes += block->stored_bytes;
    }
    return err;
}

/* A packed block is shown as the blocks that it was made of; its room on the disk is shared out
 * among them by their raw bytes. */
static int show_members(struct wal_scan *scan, struct wal_block *block)
{
    const unsigned char *begin = block->raw;
    const unsigned char *end = begin + block->raw_bytes;
    const struct wal_block whole = *block;
    uint64_t stored = 0;
    uint64_t payload = 0;
    for (const unsigned char *at = begin; at < end; block->member++) {
        struct wal_member member;
        /* the scan shows no block whose members are not whole (scan.c: read_payload) */
        CHECK(wal_member_get(&at, end, &member) == 0);
        uint64_t seen = (uint64_t)(at - begin);
        block->count = member.count;
        block->raw = member.raw;
        block->raw_bytes = member.raw_bytes;
        block->stored_bytes = whole.stored_bytes * seen / whole.raw_bytes - stored;
        block->payload_bytes = whole.payload_bytes * seen / whole.raw_bytes - payload;
        int err = show(scan, block);
        if (err != 0) {
            return err;
        }
        block->first_lsn += member.count;
        stored += block->stored_bytes;
        payload += block->payload_bytes;
    }
    return 0;
}

static unsigned percent_of(const struct wal_scan *scan)
{
    uint64_t of_this = scan->size_bytes > 0 ? scan->offset * 100 / scan->size_bytes : 0;
    return (unsigned)((scan->index * 100 + of_this) / scan->segments.count);
}

int wal_visit_block(struct wal_scan *scan, const struct wal_block_header *header,
                    const unsigned char *raw)
{
    uint64_t bytes = wal_block_bytes(header->stored_bytes);
    bool has_members = wal_block_has_members(header);
    struct wal_block block = {
        .first_lsn = header->first_lsn,
        .count = header->count,
        .flags = header->flags,
        .raw = raw,
        .raw_bytes = header->raw_bytes,
        .stored_bytes = (size_t)bytes,
        .payload_bytes = header->stored_bytes,
        .durable_lsn = header->durable_lsn,
        .segment = scan->head.number,
        .offset = scan->offset,
        .epoch = scan->head.epoch,
        .percent = percent_of(scan),
    };
    int err = has_members ? show_members(scan, &block) : show(scan, &block);
    if (err != 0) {
        return err;
    }
    scan->offset += bytes;
    scan->next_lsn += header->count;
    scan->durable_lsn = header->durable_lsn;
    scan->epoch = scan->head.epoch;
    scan->packed = scan->packed || has_members;
    scan->ended = (header->flags & WAL_BLOCK_SEAL) != 0;
    scan->clean = (header->flags & WAL_BLOCK_CLEAN) != 0;
    return 0;
}
