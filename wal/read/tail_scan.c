/* The look behind the place where a scan had to stop: what stands there tells a crash from damage.
 */
#include "wal/base/err.h"
#include "wal/read/scan.h"
#include "wal/read/report.h"
#include "wal/disk/full_io.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LOOK_BYTES       (256U * 1024)

/* A header that has gone back is behind its blocks by the starts in between that wrote nothing. */
#define EPOCHS_LATER_MAX 1024

/* What one pass over the pages of a segment is after. */
struct tail_scan {
    uint64_t filled_end; /* of the last page that is not zero */
    bool has_block;      /* a valid block header was seen */
    bool has_seal;       /* one that seals the segment */
    uint64_t block_lsn;  /* of the first one */
    bool only_first;     /* stop at the first block */
};

/* A valid header is evidence enough: it is tied to its place, and what it says was true when it was
 * written, whatever became of its payload. */
static void look_at_block(struct wal_scan *scan, struct tail_scan *tail_scan, uint64_t offset,
                          const struct wal_block_header *header)
{
    if (!tail_scan->has_block) {
        tail_scan->has_block = true;
        tail_scan->block_lsn = header->first_lsn;
    }
    tail_scan->has_seal = tail_scan->has_seal || (header->flags & WAL_BLOCK_SEAL) != 0;
    bool is_behind = !tail_scan->only_first && offset > scan->offset;
    bool is_witness = header->durable_lsn >= scan->next_lsn ||
                      (uint64_t)header->durable_pages * WAL_PAGE_BYTES > scan->offset;
    if (is_behind && is_witness) {
        if (!scan->evidence.acknowledged) {
            scan->tail.witness_offset = offset;
        }
        scan->evidence.acknowledged = true;
        if (header->durable_lsn > scan->tail.witness_lsn) {
            scan->tail.witness_lsn = header->durable_lsn;
        }
    }
}

/*
 * Whether the page is a block of a later epoch than the segment's header. The header was synced
 * before its first block, so it is not the one that was: the disk has given an older page back.
 */
static bool is_of_later_epoch(const struct wal_scan *scan, const unsigned char *page,
                              uint64_t offset)
{
    struct wal_segment_head head = scan->head;
    struct wal_block_header header;
    for (unsigned i = 0; i < EPOCHS_LATER_MAX && wal_block_has_magic(page); i++) {
        head.epoch++;
        if (wal_block_header_get(page, &header, &head, offset) == WAL_BLOCK_VALID) {
            return true;
        }
    }
    return false;
}

static void note_later_epoch(struct wal_scan *scan, uint64_t offset)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, scan->segments.at[scan->index]);
    scan->evidence.unchained = true;
    wal_report_note(scan, 3,
                    "%s: the block at offset %" PRIu64 " is newer than the segment's header", name,
                    offset);
}

static void look_at_page(struct wal_scan *scan, struct tail_scan *tail_scan,
                         const unsigned char *page, uint64_t offset)
{
    struct wal_block_header header;
    if (wal_is_zero(page, WAL_PAGE_BYTES)) {
        return;
    }
    tail_scan->filled_end = offset + WAL_PAGE_BYTES;
    if (scan->head_state != WAL_HEAD_OK) {
        return;
    }
    if (wal_block_header_get(page, &header, &scan->head, offset) == WAL_BLOCK_VALID) {
        look_at_block(scan, tail_scan, offset, &header);
    } else if (is_of_later_epoch(scan, page, offset)) {
        note_later_epoch(scan, offset);
    }
}

/* Where a look ends. A file that is longer than its header promises, or than any segment, is
 * refused for that (judge_size, judge_headless), and nobody reads a terabyte of holes first. */
static uint64_t look_end(const struct wal_scan *scan)
{
    if (scan->size_bytes > WAL_SEGMENT_BYTES_MAX) {
        return 0;
    }
    bool is_headed = scan->head_state == WAL_HEAD_OK && scan->head.bytes < scan->size_bytes;
    return is_headed ? scan->head.bytes : scan->size_bytes;
}

/* One pass in steps of a page from `offset` to the end of the open segment. Returns 0 or
 * TALLY_NOMEM; a failed read is left in the evidence. */
static int look_through(struct wal_scan *scan, struct tail_scan *tail_scan, uint64_t offset)
{
    uint64_t end = look_end(scan);
    while (offset < end && !(tail_scan->only_first && tail_scan->has_block)) {
        uint64_t left = end - offset;
        size_t step = left < LOOK_BYTES ? (size_t)left : LOOK_BYTES;
        size_t pages = (step + WAL_PAGE_BYTES - 1) / WAL_PAGE_BYTES;
        const unsigned char *at;
        int err = wal_window_get(&scan->reader.window, offset, pages * WAL_PAGE_BYTES, &at);
        if (err == -ENOMEM) {
            return TALLY_NOMEM;
        }
        if (err != 0) {
            scan->evidence.read_error = true;
            wal_report_failure(scan, scan->segments.at[scan->index], "cannot read", err);
            return 0;
        }
        if (!wal_is_zero(at, step)) {
            for (size_t i = 0; i < pages; i++) {
                look_at_page(scan, tail_scan, at + i * WAL_PAGE_BYTES, offset + i * WAL_PAGE_BYTES);
            }
        }
        offset += pages * WAL_PAGE_BYTES;
    }
    return 0;
}

/*
 * A segment whose header cannot be read. Whole and empty: a crash took the header while it got a
 * new epoch. But with blocks the header had been synced before, and a file that is short has lost
 * its end together with its header: no crash does that.
 */
static void judge_headless(struct wal_scan *scan, const struct tail_scan *tail_scan)
{
    if (scan->head_state != WAL_HEAD_BAD) {
        return;
    }
    if (tail_scan->filled_end == 0 && wal_segment_is_size(scan->size_bytes)) {
        scan->evidence.torn_header = true;
        return;
    }
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, scan->segments.at[scan->index]);
    scan->evidence.misshapen = true;
    wal_report_note(scan, 3, "%s has no readable header, and is not a segment that was never used",
                    name);
}

/* A file has its full length before it gets its name, and is cut only behind the block that seals
 * it. */
static void judge_size(struct wal_scan *scan, bool is_sealed)
{
    if (scan->head_state != WAL_HEAD_OK || scan->size_bytes == scan->head.bytes) {
        return;
    }
    if (!is_sealed || scan->size_bytes > scan->head.bytes) {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, scan->segments.at[scan->index]);
        scan->evidence.misshapen = true;
        wal_report_note(scan, 3, "%s has %" PRIu64 " bytes, and was made with %" PRIu64, name,
                        scan->size_bytes, scan->head.bytes);
    }
}

static int look_behind_place(struct wal_scan *scan)
{
    struct tail_scan tail_scan = {.only_first = false};
    int err = look_through(scan, &tail_scan, scan->offset);
    scan->tail.filled_end = tail_scan.filled_end;
    scan->evidence.ended = scan->ended;
    scan->evidence.zeros = tail_scan.filled_end == 0;
    judge_headless(scan, &tail_scan);
    judge_size(scan, scan->ended || tail_scan.has_seal);
    return err;
}

/* A packed segment gets its name when it is whole, so whatever its seal is missing for is damage.
 */
static void judge_packed(struct wal_scan *scan)
{
    if (!scan->packed || scan->ended || scan->evidence.sealed || scan->evidence.acknowledged) {
        return;
    }
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, scan->segments.at[scan->index]);
    scan->evidence.misshapen = true;
    wal_report_note(scan, 3, "%s was packed, and yet no seal stands at offset %" PRIu64, name,
                    scan->offset);
}

/* A snapshot is made of records that are durable: a log that ends before it has lost some. */
static void judge_by_snapshot(struct wal_scan *scan)
{
    bool is_ours = !scan->has_uuid || memcmp(scan->uuid, scan->witness_uuid, WAL_UUID_BYTES) == 0;
    uint64_t lsn =
        is_ours && scan->witness_lsn > scan->snapshot_lsn ? scan->witness_lsn : scan->snapshot_lsn;
    if (scan->next_lsn > lsn) {
        return;
    }
    char name[WAL_NAME_BYTES];
    char range[64];
    bool is_one = scan->next_lsn == lsn;
    wal_segment_name(name, scan->segments.at[scan->index]);
    wal_report_range(range, sizeof(range), scan->next_lsn, lsn);
    scan->evidence.acknowledged = true;
    wal_report_note(scan, 5,
                    "%s: damaged at offset %" PRIu64 ": %s cannot be read, and %s acknowledged: "
                    "there is a snapshot of %s",
                    name, scan->offset, range, is_one ? "was" : "were", is_one ? "it" : "them");
}

/* Returns 0 or TALLY_NOMEM; *go_on is false when more would not change the verdict. */
static int look_at_later(struct wal_scan *scan, size_t index, bool *go_on)
{
    struct tail_scan tail_scan = {.only_first = true};
    *go_on = false;
    if (!wal_scan_open(scan, index)) {
        return 0;
    }
    int err = look_through(scan, &tail_scan, WAL_SEGMENT_FIRST_BLOCK);
    if (err != 0 || scan->evidence.read_error) {
        return err;
    }
    judge_headless(scan, &tail_scan);
    if (tail_scan.has_block) {
        scan->evidence.sealed = true;
        scan->tail.later_number = scan->segments.at[index];
        scan->tail.later_lsn = tail_scan.block_lsn;
        return 0;
    }
    judge_size(scan, false);
    if (tail_scan.filled_end != 0 && scan->head_state == WAL_HEAD_OK) {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, scan->segments.at[index]);
        scan->evidence.later_filled = true;
        wal_report_note(scan, 3, "%s was made ahead and is not in use, and yet it is not empty",
                        name);
    }
    *go_on = true;
    return 0;
}

int wal_tail_scan_seal(struct wal_scan *scan, bool *is_clear)
{
    struct tail_scan tail_scan = {.only_first = false};
    int err = look_through(scan, &tail_scan, scan->offset);
    *is_clear = tail_scan.filled_end == 0 && !scan->evidence.read_error;
    return err;
}

int wal_tail_scan(struct wal_scan *scan)
{
    /* the place's segment stays the scan's, the later ones are only looked at */
    uint64_t size_bytes = scan->size_bytes;
    enum wal_head_state head_state = scan->head_state;
    struct wal_segment_head head = scan->head;
    size_t index = scan->index;
    bool is_nameless = scan->is_nameless;
    int err = look_behind_place(scan);
    int fd = scan->fd; /* stays open: its name may be gone when it is wanted again */
    scan->fd = -1;
    /* what stands behind a seal is wrong whatever comes later, which is as it should be */
    bool go_on = !scan->ended;
    for (size_t i = index + 1; err == 0 && go_on && i < scan->segments.count; i++) {
        err = look_at_later(scan, i, &go_on);
    }
    scan->index = index;
    judge_by_snapshot(scan);
    judge_packed(scan);
    if (scan->fd >= 0) {
        scan->io->ops->close(scan->io, scan->fd);
    }
    scan->fd = fd;
    wal_window_turn(&scan->reader.window, fd);
    scan->is_nameless = is_nameless;
    scan->size_bytes = size_bytes;
    scan->head_state = head_state;
    scan->head = head;
    return err;
}
