/* The walk of a scan: block after block, through sealed segments, until there is no valid next. */
#include "wal/read/walk.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/read/tail_scan.h"

#include <inttypes.h>

/* Notes a block that is valid in itself and yet cannot be at the cursor. */
static void note_unchained(const struct wal_cursor *cursor, const char *what,
                           struct wal_findings *findings)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, cursor->number);
    wal_findings_add(findings, WAL_SIGN_UNCHAINED,
                     "%s: the block at offset %" PRIu64 " %s (record %" PRIu64 " is expected)",
                     name, cursor->offset, what, cursor->next_lsn);
}

static void note_newer(const struct wal_cursor *cursor, struct wal_findings *findings)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, cursor->number);
    wal_findings_add(findings, WAL_SIGN_NEWER,
                     "%s: the block at offset %" PRIu64
                     " has a codec or flag that this version does not know",
                     name, cursor->offset);
}

/* Reads the header at the cursor. Returns whether it is that of the next block. */
static bool read_header(struct wal_segment_file *file, const struct wal_cursor *cursor,
                        struct wal_block_header *header)
{
    enum wal_block_state state = wal_segment_file_header(file, cursor->offset, header);
    if (state == WAL_BLOCK_NEWER) {
        note_newer(cursor, file->findings);
    } else if (state == WAL_BLOCK_CONTRADICTS) {
        note_unchained(cursor, "contradicts itself", file->findings);
    }
    if (state != WAL_BLOCK_VALID) {
        return false;
    }
    switch (wal_cursor_check(cursor, header, file->head.epoch)) {
    case WAL_CHAIN_NEXT:
        return true;
    case WAL_CHAIN_GAP:
        note_unchained(cursor, "has records that are not next", file->findings);
        return false;
    case WAL_CHAIN_OLDER:
        note_unchained(cursor, "is older than the one before", file->findings);
        return false;
    }
    return false;
}

/* Reads the block's payload to *raw. Returns 1; 0: it is not valid or cannot be read; or
 * TALLY_NOMEM. */
static int read_payload(struct wal_segment_file *file, const struct wal_cursor *cursor,
                        const struct wal_block_header *header, const unsigned char **raw)
{
    switch (wal_segment_file_payload(file, cursor->offset, header, raw)) {
    case WAL_BLOCK_VALID:
        return 1;
    case WAL_BLOCK_NO_MEMORY:
        return TALLY_NOMEM;
    case WAL_BLOCK_BAD_CODE:
        note_unchained(cursor, "does not decompress", file->findings);
        return 0;
    case WAL_BLOCK_BAD_MEMBERS:
        note_unchained(cursor, "is packed, and does not unpack", file->findings);
        return 0;
    default:
        return 0; /* a failed call, or torn or damaged: the tail scan finds out which */
    }
}

static unsigned percent_of(const struct wal_scan *scan)
{
    uint64_t bytes = scan->file.size_bytes;
    uint64_t of_this = bytes > 0 ? scan->cursor.offset * 100 / bytes : 0;
    return (unsigned)((scan->cursor.index * 100 + of_this) / scan->segments.count);
}

/* Shows the block at the cursor and steps behind it. Returns what visit returned. */
static int show_block(struct wal_scan *scan, const struct wal_block_header *header,
                      const unsigned char *raw)
{
    struct wal_cursor *cursor = &scan->cursor;
    const struct wal_segment_file *file = &scan->file;
    uint64_t bytes = wal_block_bytes(header->stored_bytes);
    /* no bytes lead here: a payload that runs over the end of its file is SHORT (block_reader.c),
     * and the walk is in a segment of the list */
    CHECK(cursor->offset + bytes <= file->size_bytes && cursor->index < scan->segments.count);
    struct wal_block block = {
        .first_lsn = header->first_lsn,
        .count = header->count,
        .flags = header->flags,
        .raw = raw,
        .raw_bytes = header->raw_bytes,
        .stored_bytes = (size_t)bytes,
        .payload_bytes = header->stored_bytes,
        .durable_lsn = header->durable_lsn,
        .segment = file->head.number,
        .offset = cursor->offset,
        .epoch = file->head.epoch,
        .percent = percent_of(scan),
    };
    int err = wal_visitor_show(&scan->visitor, &block, wal_block_has_members(header));
    if (err == 0) {
        wal_cursor_step(cursor, header, file->head.epoch);
    }
    return err;
}

/* Goes from a seal to the next segment. The cursor stays at the seal when there is no next segment,
 * or when a page behind the seal is not zero. Returns 0 or TALLY_NOMEM. */
static int step_over_seal(struct wal_scan *scan)
{
    struct wal_cursor *cursor = &scan->cursor;
    uint64_t filled_end = 0;
    size_t next = cursor->index + 1;
    if (!cursor->is_sealed || next >= scan->segments.count) {
        return 0;
    }
    int err = wal_tail_scan_seal(&scan->file, cursor, &filled_end);
    if (err != 0 || filled_end > 0 || scan->findings.evidence.read_error) {
        return err;
    }
    uint64_t number = scan->segments.at[next];
    if (wal_segment_file_open(&scan->file, number, wal_scan_state_is_unsynced(scan, number))) {
        wal_cursor_enter(cursor, next, number);
    } else if (scan->findings.missing_number == 0) {
        wal_cursor_set_index(cursor, next); /* the report names the segment that failed */
    }
    if (scan->findings.missing_number == 0) {
        wal_retention_set_nameless(&scan->retention, false);
    }
    return 0;
}

int wal_walk_run(struct wal_scan *scan)
{
    const struct wal_evidence *evidence = &scan->findings.evidence;
    for (;;) {
        struct wal_block_header header;
        const unsigned char *raw;
        int err = step_over_seal(scan);
        if (err != 0 || evidence->read_error || scan->cursor.is_sealed ||
            !read_header(&scan->file, &scan->cursor, &header)) {
            return err;
        }
        if (scan->cursor.next_lsn == 0) { /* a lone segment may begin with any record */
            wal_cursor_set_lsn(&scan->cursor, header.first_lsn);
            wal_visitor_begin_at(&scan->visitor, header.first_lsn);
        }
        int got = read_payload(&scan->file, &scan->cursor, &header, &raw);
        if (got <= 0) {
            return got;
        }
        err = show_block(scan, &header, raw);
        if (err != 0) {
            return err;
        }
    }
}
