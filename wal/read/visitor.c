/* The visitor of a scan: it sees each block once, a packed one as the blocks it is made of. */
#include "wal/read/visitor.h"

#include "wal/base/check.h"
#include "wal/format/member.h"

void wal_visitor_init(struct wal_visitor *visitor, wal_visit_fn visit, void *arg)
{
    *visitor = (struct wal_visitor){.visit = visit, .arg = arg};
}

void wal_visitor_set_snapshot(struct wal_visitor *visitor, uint64_t lsn)
{
    visitor->snapshot_lsn = lsn;
}

void wal_visitor_begin_at(struct wal_visitor *visitor, uint64_t lsn)
{
    visitor->shown_lsn = lsn;
}

static int show_one(struct wal_visitor *visitor, const struct wal_block *block)
{
    if (block->first_lsn < visitor->shown_lsn) {
        return 0;
    }
    /* records that the snapshot holds are read, as a part of the chain, but not shown */
    bool is_wanted =
        block->count == 0 || block->first_lsn + block->count > visitor->snapshot_lsn + 1;
    int err = visitor->visit != NULL && is_wanted ? visitor->visit(visitor->arg, block) : 0;
    if (err == 0) {
        visitor->shown_lsn = block->first_lsn + block->count;
        visitor->records += block->count;
        visitor->blocks++;
        visitor->stored_bytes += block->stored_bytes;
    }
    return err;
}

/* Shows the members. Of the packed block's bytes on disk each gets a share, by its raw bytes. */
static int show_members(struct wal_visitor *visitor, struct wal_block *block)
{
    const unsigned char *begin = block->raw;
    const unsigned char *end = begin + block->raw_bytes;
    const struct wal_block whole = *block;
    uint64_t stored = 0;
    uint64_t payload = 0;
    for (const unsigned char *at = begin; at < end; block->member++) {
        struct wal_member member;
        /* no bytes lead here: a block whose members are not whole is not VALID (block_reader.c) */
        CHECK(wal_member_get(&at, end, &member) == 0);
        uint64_t seen = (uint64_t)(at - begin);
        block->count = member.count;
        block->raw = member.raw;
        block->raw_bytes = member.raw_bytes;
        block->stored_bytes = whole.stored_bytes * seen / whole.raw_bytes - stored;
        block->payload_bytes = whole.payload_bytes * seen / whole.raw_bytes - payload;
        int err = show_one(visitor, block);
        if (err != 0) {
            return err;
        }
        block->first_lsn += member.count;
        stored += block->stored_bytes;
        payload += block->payload_bytes;
    }
    /* the counts of the members are the block's, by the same check */
    CHECK(block->first_lsn == whole.first_lsn + whole.count);
    return 0;
}

int wal_visitor_show(struct wal_visitor *visitor, struct wal_block *block, bool has_members)
{
    return has_members ? show_members(visitor, block) : show_one(visitor, block);
}
