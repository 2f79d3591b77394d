/* The tail scan: the bytes behind the stop of a scan tell a crash from damage. */
#include "wal/read/tail_scan.h"

#include "wal/base/bytes.h"
#include "wal/base/err.h"

#include <inttypes.h>
#include <string.h>

#define STEP_BYTES       (256U * 1024)

/* How many epochs a block can be ahead of a segment header that the disk has given back in an older
 * version: one for each start in between, all of which wrote nothing. */
#define EPOCHS_LATER_MAX 1024

/* One pass over the pages of a segment. */
struct pass {
    struct wal_segment_file *file;
    const struct wal_cursor *cursor; /* the stop, if it is in this segment; NULL: it is in an
                                      * earlier one, and the pass ends with the first block */
    uint64_t filled_end;             /* of the last page that is not zero */
    bool has_block;                  /* a valid block header was seen */
    bool has_seal;                   /* one that seals the segment */
    uint64_t block_lsn;              /* of the first one */
};

/* Takes a valid block header as evidence. The payload does not matter: the header is tied to its
 * place, and its fields were true when it was written. */
static void pass_block(struct pass *pass, uint64_t offset, const struct wal_block_header *header)
{
    const struct wal_cursor *cursor = pass->cursor;
    if (!pass->has_block) {
        pass->has_block = true;
        pass->block_lsn = header->first_lsn;
    }
    pass->has_seal = pass->has_seal || (header->flags & WAL_BLOCK_SEAL) != 0;
    if (cursor == NULL || offset <= cursor->offset) {
        return;
    }
    if (header->durable_lsn >= cursor->next_lsn ||
        (uint64_t)header->durable_pages * WAL_PAGE_BYTES > cursor->offset) {
        wal_findings_witness(pass->file->findings, offset, header->durable_lsn);
    }
}

/*
 * Whether the page is a block of a later epoch than the segment's header. The header was synced
 * before its first block, so the disk has given back an older version of the header's page.
 */
static bool is_of_later_epoch(const struct wal_segment_head *head, const unsigned char *page,
                              uint64_t offset)
{
    struct wal_segment_head later = *head;
    struct wal_block_header header;
    for (unsigned i = 0; i < EPOCHS_LATER_MAX && wal_block_has_magic(page); i++) {
        later.epoch++;
        if (wal_block_header_get(page, &header, &later, offset) == WAL_BLOCK_VALID) {
            return true;
        }
    }
    return false;
}

static void note_later_epoch(struct wal_segment_file *file, uint64_t offset)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, file->number);
    wal_findings_add(file->findings, WAL_SIGN_UNCHAINED,
                     "%s: the block at offset %" PRIu64 " is newer than the segment's header", name,
                     offset);
}

static void pass_page(struct pass *pass, const unsigned char *page, uint64_t offset)
{
    struct wal_segment_file *file = pass->file;
    struct wal_block_header header;
    if (bytes_are_zero(page, WAL_PAGE_BYTES)) {
        return;
    }
    pass->filled_end = offset + WAL_PAGE_BYTES;
    if (file->head_state != WAL_HEAD_OK) {
        return;
    }
    if (wal_block_header_get(page, &header, &file->head, offset) == WAL_BLOCK_VALID) {
        pass_block(pass, offset, &header);
    } else if (is_of_later_epoch(&file->head, page, offset)) {
        note_later_epoch(file, offset);
    }
}

/* Where a pass ends. A file that is longer than its header promises, or than any segment, is
 * refused for its length (judge_size, judge_header), so that no terabyte of holes is read. */
static uint64_t pass_end(const struct wal_segment_file *file)
{
    if (file->size_bytes > WAL_SEGMENT_BYTES_MAX) {
        return 0;
    }
    bool is_cut = file->head_state == WAL_HEAD_OK && file->head.bytes < file->size_bytes;
    return is_cut ? file->head.bytes : file->size_bytes;
}

/* Reads page by page from `offset` to the end of the segment. Returns 0 or TALLY_NOMEM; a failed
 * read is in the findings. */
static int pass_run(struct pass *pass, uint64_t offset)
{
    uint64_t end = pass_end(pass->file);
    while (offset < end && (pass->cursor != NULL || !pass->has_block)) {
        uint64_t left = end - offset;
        size_t step = left < STEP_BYTES ? (size_t)left : STEP_BYTES;
        size_t pages = (step + WAL_PAGE_BYTES - 1) / WAL_PAGE_BYTES;
        const unsigned char *at;
        int err = wal_segment_file_bytes(pass->file, offset, pages * WAL_PAGE_BYTES, &at);
        if (err != 0 || at == NULL) {
            return err;
        }
        if (!bytes_are_zero(at, step)) {
            for (size_t i = 0; i < pages; i++) {
                pass_page(pass, at + i * WAL_PAGE_BYTES, offset + i * WAL_PAGE_BYTES);
            }
        }
        offset += pages * WAL_PAGE_BYTES;
    }
    return 0;
}

/*
 * Judges a segment whose header cannot be read. If the file has its full length and no blocks, a
 * crash has torn the header while it got a new epoch. With blocks it is damage, for the header was
 * synced before them; so it is with a short file, which has lost its end, too.
 */
static void judge_header(struct wal_segment_file *file, uint64_t filled_end)
{
    if (file->head_state != WAL_HEAD_BAD) {
        return;
    }
    if (filled_end == 0 && wal_segment_is_size(file->size_bytes)) {
        wal_findings_torn_header(file->findings);
        return;
    }
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, file->number);
    wal_findings_add(file->findings, WAL_SIGN_MISSHAPEN,
                     "%s has no readable header, and is not a segment that was never used", name);
}

/* Judges the file's length: it is full before the file gets its name, and the file is cut only
 * behind its seal. */
static void judge_size(struct wal_segment_file *file, bool is_sealed)
{
    if (file->head_state != WAL_HEAD_OK || file->size_bytes == file->head.bytes) {
        return;
    }
    if (!is_sealed || file->size_bytes > file->head.bytes) {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, file->number);
        wal_findings_add(file->findings, WAL_SIGN_MISSHAPEN,
                         "%s has %" PRIu64 " bytes, and was made with %" PRIu64, name,
                         file->size_bytes, file->head.bytes);
    }
}

/* Scans the rest of the cursor's segment. Returns 0 or TALLY_NOMEM. */
static int scan_rest(struct wal_segment_file *file, const struct wal_cursor *cursor)
{
    struct pass pass = {.file = file, .cursor = cursor};
    int err = pass_run(&pass, cursor->offset);
    wal_findings_stop(file->findings, pass.filled_end, cursor->is_sealed);
    judge_header(file, pass.filled_end);
    judge_size(file, cursor->is_sealed || pass.has_seal);
    return err;
}

/* Scans a later segment. Returns 0 or TALLY_NOMEM; *go_on is false when further segments would not
 * change the verdict. */
static int scan_later(struct wal_segment_file *later, bool *go_on)
{
    struct wal_findings *findings = later->findings;
    struct pass pass = {.file = later, .cursor = NULL};
    *go_on = false;
    int err = pass_run(&pass, WAL_SEGMENT_FIRST_BLOCK);
    if (err != 0 || findings->evidence.read_error) {
        return err;
    }
    judge_header(later, pass.filled_end);
    if (pass.has_block) {
        wal_findings_later(findings, later->number, pass.block_lsn);
        return 0;
    }
    judge_size(later, false);
    if (pass.filled_end != 0 && later->head_state == WAL_HEAD_OK) {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, later->number);
        wal_findings_add(findings, WAL_SIGN_LATER_FILLED,
                         "%s was made ahead and is not in use, and yet it is not empty", name);
    }
    *go_on = true;
    return 0;
}

/* Scans the segments behind the cursor's. Returns 0 or TALLY_NOMEM. */
static int scan_all_later(struct wal_scan *scan)
{
    struct wal_segment_file later;
    bool go_on = true;
    int err = 0;
    wal_segment_file_init(&later, scan->io, &scan->identity, &scan->findings);
    for (size_t i = scan->cursor.index + 1; err == 0 && go_on && i < scan->segments.count; i++) {
        uint64_t number = scan->segments.at[i];
        go_on = wal_segment_file_open(&later, number, wal_scan_state_is_unsynced(scan, number));
        err = go_on ? scan_later(&later, &go_on) : 0;
    }
    wal_segment_file_fini(&later);
    return err;
}

/* Judges a packed segment without a seal: it got its name when it was whole, so this is damage. */
static void judge_packed(const struct wal_cursor *cursor, struct wal_findings *findings)
{
    const struct wal_evidence *evidence = &findings->evidence;
    if (!cursor->is_packed || cursor->is_sealed || evidence->later_block ||
        evidence->acknowledged) {
        return;
    }
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, cursor->number);
    wal_findings_add(findings, WAL_SIGN_MISSHAPEN,
                     "%s was packed, and yet no seal stands at offset %" PRIu64, name,
                     cursor->offset);
}

/* Judges by the newest snapshot, of that lsn. A snapshot is made of durable records, so a log that
 * ends before it has lost some. */
static void judge_by_snapshot(const struct wal_cursor *cursor, uint64_t lsn,
                              struct wal_findings *findings)
{
    if (cursor->next_lsn > lsn) {
        return;
    }
    char name[WAL_NAME_BYTES];
    char range[64];
    bool is_one = cursor->next_lsn == lsn;
    wal_segment_name(name, cursor->number);
    wal_findings_range_text(range, sizeof(range), cursor->next_lsn, lsn);
    wal_findings_add(findings, WAL_SIGN_ACKNOWLEDGED,
                     "%s: damaged at offset %" PRIu64 ": %s cannot be read, and %s acknowledged: "
                     "there is a snapshot of %s",
                     name, cursor->offset, range, is_one ? "was" : "were", is_one ? "it" : "them");
}

/* Up to which record snapshots prove that the log was durable. */
static uint64_t proved_lsn(const struct wal_scan *scan)
{
    uint64_t known = scan->visitor.snapshot_lsn;
    bool is_ours = wal_identity_is_same(&scan->identity, scan->start.witness_uuid);
    return is_ours && scan->start.witness_lsn > known ? scan->start.witness_lsn : known;
}

int wal_tail_scan_seal(struct wal_segment_file *file, const struct wal_cursor *cursor,
                       uint64_t *filled_end)
{
    struct pass pass = {.file = file, .cursor = cursor};
    int err = pass_run(&pass, cursor->offset);
    *filled_end = pass.filled_end;
    return err;
}

int wal_tail_scan_run(struct wal_scan *scan)
{
    int err = scan_rest(&scan->file, &scan->cursor);
    /* bytes behind a seal are damage, whatever the later segments hold */
    if (err == 0 && !scan->cursor.is_sealed) {
        err = scan_all_later(scan);
    }
    judge_by_snapshot(&scan->cursor, proved_lsn(scan), &scan->findings);
    judge_packed(&scan->cursor, &scan->findings);
    return err;
}
