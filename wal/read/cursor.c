/* The cursor of a scan: where the next block is expected, and what that block has to be. */
#include "wal/read/cursor.h"

#include "wal/base/check.h"

void wal_cursor_init(struct wal_cursor *cursor)
{
    *cursor = (struct wal_cursor){.next_lsn = 1};
}

void wal_cursor_detach(struct wal_cursor *cursor)
{
    cursor->next_lsn = 0;
    cursor->durable_lsn = 0;
    cursor->epoch = 0;
}

void wal_cursor_restart(struct wal_cursor *cursor)
{
    cursor->offset = 0;
    cursor->next_lsn = 1;
}

void wal_cursor_set_index(struct wal_cursor *cursor, size_t index)
{
    cursor->index = index;
}

void wal_cursor_set_lsn(struct wal_cursor *cursor, uint64_t lsn)
{
    cursor->next_lsn = lsn;
    cursor->begin_lsn = lsn;
}

void wal_cursor_enter(struct wal_cursor *cursor, size_t index, uint64_t number)
{
    cursor->index = index;
    cursor->number = number;
    cursor->offset = WAL_SEGMENT_FIRST_BLOCK;
    cursor->is_sealed = false;
    cursor->is_packed = false;
    cursor->begin_lsn = cursor->next_lsn;
    cursor->begin_durable_lsn = cursor->durable_lsn;
    cursor->begin_epoch = cursor->epoch;
}

void wal_cursor_rewind(struct wal_cursor *cursor)
{
    cursor->next_lsn = cursor->begin_lsn;
    cursor->durable_lsn = cursor->begin_durable_lsn;
    cursor->epoch = cursor->begin_epoch;
    wal_cursor_enter(cursor, cursor->index, cursor->number);
}

enum wal_chain wal_cursor_check(const struct wal_cursor *cursor,
                                const struct wal_block_header *header, uint32_t epoch)
{
    if (cursor->next_lsn != 0 && header->first_lsn != cursor->next_lsn) {
        return WAL_CHAIN_GAP;
    }
    bool is_older = header->durable_lsn < cursor->durable_lsn || epoch < cursor->epoch;
    return is_older && cursor->next_lsn != 0 ? WAL_CHAIN_OLDER : WAL_CHAIN_NEXT;
}

void wal_cursor_step(struct wal_cursor *cursor, const struct wal_block_header *header,
                     uint32_t epoch)
{
    /* no bytes lead here: the caller has checked the block at this place against this cursor, and
     * wal_block_header_get bounds its lsns and its length (block.c: is_sane) */
    CHECK(cursor->offset >= WAL_SEGMENT_FIRST_BLOCK && cursor->offset % WAL_PAGE_BYTES == 0);
    /* nor here: no block is read behind a seal, and wal_cursor_check has compared the lsns */
    CHECK(!cursor->is_sealed && header->first_lsn == cursor->next_lsn);
    cursor->offset += wal_block_bytes(header->stored_bytes);
    cursor->next_lsn += header->count;
    cursor->durable_lsn = header->durable_lsn;
    cursor->epoch = epoch;
    cursor->is_packed = cursor->is_packed || wal_block_has_members(header);
    cursor->is_sealed = (header->flags & WAL_BLOCK_SEAL) != 0;
    cursor->is_clean = (header->flags & WAL_BLOCK_CLEAN) != 0;
}
