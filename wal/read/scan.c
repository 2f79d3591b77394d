/* The reader of a log: walks its blocks in order, and where it must stop, finds out why. */
#include "wal/read/scan.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/read/retention.h"
#include "wal/read/scan_start.h"
#include "wal/read/visit.h"
#include "wal/files/snapshot_list.h"
#include "wal/read/report.h"
#include "wal/disk/full_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void wal_scan_init(struct wal_scan *scan, struct wal_io *io, wal_visit_fn visit, void *arg)
{
    *scan = (struct wal_scan){.io = io, .visit = visit, .arg = arg, .fd = -1, .next_lsn = 1};
    wal_block_reader_init(&scan->reader, io);
}

static void close_segment(struct wal_scan *scan)
{
    if (scan->fd >= 0) {
        scan->io->ops->close(scan->io, scan->fd);
        scan->fd = -1;
    }
}

void wal_scan_fini(struct wal_scan *scan)
{
    close_segment(scan);
    wal_block_reader_fini(&scan->reader);
    wal_listing_fini(&scan->segments);
}

bool wal_scan_failed(struct wal_scan *scan, uint64_t number, const char *doing, int err)
{
    scan->evidence.read_error = true;
    scan->errnum = err;
    scan->no_memory = scan->no_memory || err == -ENOMEM;
    wal_report_failure(scan, number, doing, err);
    return false;
}

/* Makes the page cache forget what a failed sync of a process before us has left in it. What it
 * had written in good order becomes durable first, so no record that we visit can be lost again. */
static bool refresh(struct wal_scan *scan, uint64_t number)
{
    int err = MUTANT(MUTANT_TAIL_NOT_SYNCED) ? 0 : scan->io->ops->datasync(scan->io, scan->fd);
    if (err != 0) {
        return wal_scan_failed(scan, number, "cannot sync", err);
    }
    err = scan->io->ops->drop_cache(scan->io, scan->fd);
    return err == 0 || wal_scan_failed(scan, number, "cannot read past the page cache", err);
}

/* Learns from a header what it says about the log as a whole. */
static void learn_head(struct wal_scan *scan, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    if (scan->head_state == WAL_HEAD_NEWER) {
        scan->evidence.newer = true;
        wal_report_note(scan, 2, "%s has a format that this version does not know", name);
    }
    if (scan->head_state != WAL_HEAD_OK) {
        return;
    }
    if (!scan->has_uuid) {
        memcpy(scan->uuid, scan->head.uuid, WAL_UUID_BYTES);
        scan->has_uuid = true;
    }
    if (memcmp(scan->uuid, scan->head.uuid, WAL_UUID_BYTES) != 0) {
        scan->evidence.foreign = true;
        wal_report_note(scan, 3, "%s belongs to another log", name);
    }
    if (scan->head.number != number) {
        scan->evidence.misnumbered = true;
        wal_report_note(scan, 3, "%s is segment %" PRIu64 " under a wrong name", name,
                        scan->head.number);
    }
    if (scan->head.epoch > scan->epoch_max) {
        scan->epoch_max = scan->head.epoch;
    }
    if (!wal_segment_is_length(scan->head.bytes) || scan->head.epoch > WAL_EPOCH_MAX) {
        scan->evidence.misshapen = true;
        wal_report_note(scan, 3, "%s has a header with an impossible %s", name,
                        scan->head.epoch > WAL_EPOCH_MAX ? "epoch" : "length");
    }
}

/* Looks at the open segment as if for the first time. */
static bool read_head(struct wal_scan *scan, uint64_t number)
{
    const unsigned char *page;
    int64_t size = scan->io->ops->size(scan->io, scan->fd);
    if (size < 0) {
        return wal_scan_failed(scan, number, "cannot tell its size", (int)size);
    }
    scan->size_bytes = (uint64_t)size;
    wal_window_turn(&scan->reader.window, scan->fd);
    int err = wal_window_get(&scan->reader.window, 0, WAL_PAGE_BYTES, &page);
    if (err != 0) {
        return wal_scan_failed(scan, number, "cannot read", err);
    }
    scan->head_state = wal_segment_head_get(page, &scan->head);
    learn_head(scan, number);
    return true;
}

bool wal_scan_open(struct wal_scan *scan, size_t index)
{
    uint64_t number = scan->segments.at[index];
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    int fd = scan->io->ops->open(scan->io, name, WAL_OPEN_READ);
    if (fd == -ENOENT && !scan->is_recovery) {
        scan->lost_number = number;
        return wal_scan_failed(scan, number, "cannot open", fd);
    }
    close_segment(scan);
    scan->index = index;
    scan->fd = fd;
    scan->is_nameless = false;
    if (fd < 0) {
        return wal_scan_failed(scan, number, "cannot open", fd);
    }
    /* What is behind the last block seems empty: by what a start has cleared and not synced, too.
     */
    if (scan->is_recovery && number >= scan->active_number && !refresh(scan, number)) {
        return false;
    }
    return read_head(scan, number);
}

/* Notes a block that is valid in itself and yet cannot stand here. */
static void note_unchained(struct wal_scan *scan, const char *what)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, scan->segments.at[scan->index]);
    scan->evidence.unchained = true;
    wal_report_note(scan, 3,
                    "%s: the block at offset %" PRIu64 " %s (record %" PRIu64 " is expected)", name,
                    scan->offset, what, scan->next_lsn);
}

static void begin_at(struct wal_scan *scan, uint64_t lsn)
{
    scan->next_lsn = lsn;
    scan->begin_lsn = lsn;
    scan->shown_lsn = lsn;
}

static struct wal_block_place place_at(const struct wal_scan *scan, uint64_t offset)
{
    return (struct wal_block_place){
        .head = &scan->head, .size_bytes = scan->size_bytes, .offset = offset};
}

enum wal_block_state wal_scan_header(struct wal_scan *scan, uint64_t offset,
                                     struct wal_block_header *header)
{
    const struct wal_block_place place = place_at(scan, offset);
    if (scan->head_state != WAL_HEAD_OK) {
        return WAL_BLOCK_BAD_HEADER;
    }
    enum wal_block_state state = wal_block_reader_header(&scan->reader, &place, header);
    if (wal_block_state_is_failure(state)) {
        wal_scan_failed(scan, scan->segments.at[scan->index], "cannot read", scan->reader.errnum);
    }
    return state;
}

/* The header at the place. Returns whether it is that of the next block. */
static bool read_header(struct wal_scan *scan, struct wal_block_header *header)
{
    enum wal_block_state state = wal_scan_header(scan, scan->offset, header);
    if (state == WAL_BLOCK_NEWER) {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, scan->segments.at[scan->index]);
        scan->evidence.newer = true;
        wal_report_note(scan, 2,
                        "%s: the block at offset %" PRIu64
                        " has a codec or flag that this version does not know",
                        name, scan->offset);
    } else if (state == WAL_BLOCK_CONTRADICTS) {
        note_unchained(scan, "contradicts itself");
    }
    if (state != WAL_BLOCK_VALID) {
        return false;
    }
    if (scan->next_lsn == 0) {
        begin_at(scan, header->first_lsn); /* one segment alone: it says where it begins */
    } else if (header->first_lsn != scan->next_lsn) {
        note_unchained(scan, "has records that are not next");
        return false;
    } else if (header->durable_lsn < scan->durable_lsn || scan->head.epoch < scan->epoch) {
        note_unchained(scan, "is older than the one before");
        return false;
    }
    return true;
}

/* The block's contents at *raw. Returns 1: there they are; 0: they are not valid or cannot be read;
 * or TALLY_NOMEM. */
static int read_payload(struct wal_scan *scan, const struct wal_block_header *header,
                        const unsigned char **raw)
{
    const struct wal_block_place place = place_at(scan, scan->offset);
    enum wal_block_state state = wal_block_reader_payload(&scan->reader, &place, header, raw);
    switch (state) {
    case WAL_BLOCK_VALID:
        return 1;
    case WAL_BLOCK_NO_MEMORY:
        return TALLY_NOMEM;
    case WAL_BLOCK_IO_ERROR:
        wal_scan_failed(scan, scan->segments.at[scan->index], "cannot read", scan->reader.errnum);
        return 0;
    case WAL_BLOCK_BAD_CODE:
        note_unchained(scan, "does not decompress");
        return 0;
    case WAL_BLOCK_BAD_MEMBERS:
        note_unchained(scan, "is packed, and does not unpack");
        return 0;
    default:
        return 0; /* torn, or damaged: what stands behind it says which */
    }
}

void wal_scan_begin(struct wal_scan *scan)
{
    scan->number = scan->segments.at[scan->index];
    scan->offset = WAL_SEGMENT_FIRST_BLOCK;
    scan->ended = false;
    scan->packed = false;
    scan->begin_lsn = scan->next_lsn;
    scan->begin_durable_lsn = scan->durable_lsn;
    scan->begin_epoch = scan->epoch;
}

/* From behind a seal to the next segment; stays where it is when there is none, or when something
 * stands behind the seal. */
static int step_over_seal(struct wal_scan *scan)
{
    bool is_clear = false;
    if (!scan->ended || scan->index + 1 >= scan->segments.count) {
        return 0;
    }
    int err = wal_tail_scan_seal(scan, &is_clear);
    if (err == 0 && is_clear && wal_scan_open(scan, scan->index + 1)) {
        wal_scan_begin(scan);
    }
    return err;
}

/* Goes on from the place, through sealed segments, until there is no valid next block. */
static int walk(struct wal_scan *scan)
{
    for (;;) {
        struct wal_block_header header;
        const unsigned char *raw;
        int err = step_over_seal(scan);
        if (err != 0) {
            return err;
        }
        if (scan->evidence.read_error || scan->ended || !read_header(scan, &header)) {
            return 0;
        }
        int got = read_payload(scan, &header, &raw);
        if (got <= 0) {
            return got;
        }
        err = wal_visit_block(scan, &header, raw);
        if (err != 0) {
            return err;
        }
    }
}

static bool is_refusal(const struct wal_verdict *verdict)
{
    return verdict->row > 0 && verdict->decision != WAL_DECIDE_CLEAN &&
           verdict->decision != WAL_DECIDE_TORN;
}

static void forget(struct wal_scan *scan)
{
    scan->evidence = (struct wal_evidence){.read_error = false};
    scan->tail = (struct wal_tail){.filled_end = 0};
    scan->note_row = 0;
    scan->lost_number = 0;
}

static bool open_again(struct wal_scan *scan, size_t index)
{
    return scan->is_nameless ? read_head(scan, scan->segments.at[index])
                             : wal_scan_open(scan, index);
}

/*
 * Forgets what was found at the place, and opens its segment again. That may be another file by
 * now, in which the place is elsewhere: the segment was sealed and packed meanwhile. Then it is
 * read from its begin, and what was shown is not shown twice. The packed file is shorter than the
 * other was made with, so their headers differ.
 */
static void look_again(struct wal_scan *scan, size_t index)
{
    uint64_t bytes = scan->head.bytes;
    forget(scan);
    if (!open_again(scan, index) || scan->head_state != WAL_HEAD_OK || scan->head.bytes == bytes ||
        scan->offset == WAL_SEGMENT_FIRST_BLOCK || scan->ended) {
        return;
    }
    scan->next_lsn = scan->begin_lsn;
    scan->durable_lsn = scan->begin_durable_lsn;
    scan->epoch = scan->begin_epoch;
    wal_scan_begin(scan);
}

/* Whether there is no place to read from. */
static bool is_stopped(const struct wal_scan *scan)
{
    return scan->evidence.read_error || scan->evidence.misnumbered || scan->resume_lsn != 0;
}

/*
 * A log may be written while it is read, so that the place is half written now and behind it stands
 * what came later. The writer goes strictly forward: whatever evidence was seen behind the place,
 * the place was complete by then. So a verdict to refuse counts only if the place is still not
 * valid when it is read once more after that. And behind a sealed segment another may have come.
 */
static bool is_final(struct wal_scan *scan, const struct wal_verdict *before, bool moved)
{
    if (scan->is_recovery || scan->evidence.read_error) {
        return true; /* in a recovery nobody else writes */
    }
    if (scan->verdict.decision == WAL_DECIDE_CLEAN) {
        bool is_starved = scan->ended && wal_retention_relist(scan) != 0;
        scan->no_memory = scan->no_memory || is_starved;
        if (!scan->ended || is_starved || is_stopped(scan)) {
            scan->verdict = wal_decide(&scan->evidence);
            return true;
        }
        return scan->ended && scan->index + 1 >= scan->segments.count;
    }
    return !moved && before->row != 0 && (is_refusal(before) || !is_refusal(&scan->verdict));
}

/* A segment that is listed and yet cannot be found, or one that went although an older one is
 * there, is nothing that retention does. */
static bool is_lost_for_good(struct wal_scan *scan, uint64_t lost)
{
    const struct wal_listing *segments = &scan->segments;
    if (lost == 0 || scan->is_nameless || segments->count == 0 || segments->at[0] > lost) {
        return false;
    }
    for (size_t i = 0; i < segments->count; i++) {
        if (segments->at[i] == lost) {
            return !wal_scan_failed(scan, lost, "cannot open", -ENOENT);
        }
    }
    wal_retention_lost(scan, lost);
    return true;
}

/*
 * Finds where to go on, or to begin, once more if a segment went meanwhile: retention only goes
 * forward, so that ends. A failure is in the evidence. Returns 0 or TALLY_NOMEM.
 */
static int find_place(struct wal_scan *scan)
{
    do {
        uint64_t lost = scan->lost_number;
        forget(scan);
        int err = scan->resume_lsn == 0 ? wal_retention_relist(scan) : 0;
        if (err != 0 || is_stopped(scan) || is_lost_for_good(scan, lost) || scan->offset > 0) {
            return err;
        }
        wal_scan_start_find(scan);
    } while (scan->lost_number != 0);
    return 0;
}

static int follow(struct wal_scan *scan)
{
    struct wal_verdict before = {.row = 0};
    size_t index = scan->index;
    for (;;) {
        uint64_t offset = scan->offset;
        look_again(scan, index);
        int err = scan->evidence.read_error ? 0 : walk(scan);
        bool moved = scan->index != index || scan->offset != offset;
        index = scan->index;
        if (err == 0 && !scan->evidence.read_error) {
            err = wal_tail_scan(scan);
        }
        bool is_lost = err == 0 && scan->lost_number != 0;
        err = is_lost ? find_place(scan) : err;
        if (err != 0) {
            return err;
        }
        if (is_lost && !is_stopped(scan)) {
            index = scan->index;
            before.row = 0;
            continue;
        }
        if (is_lost) {
            scan->verdict = wal_decide(&scan->evidence);
            return 0;
        }
        scan->index = index;
        scan->verdict = wal_decide(&scan->evidence);
        if (is_final(scan, &before, moved)) {
            return 0;
        }
        index = scan->index;
        before = scan->verdict;
    }
}

/* What snapshots prove: asked before the log is read, so that all of it has to be there. A failure
 * is left in the evidence. */
static void find_witness(struct wal_scan *scan)
{
    struct wal_snapshot_info info;
    forget(scan);
    int err = wal_snapshot_list_witness(scan->io, &info);
    if (err != 0) {
        scan->evidence.read_error = true;
        scan->errnum = err;
        scan->no_memory = scan->no_memory || err == -ENOMEM;
        wal_report_note(scan, 1, "cannot read the newest snapshot: %s", tally_err_reason(err));
    }
    scan->witness_lsn = info.lsn;
    memcpy(scan->witness_uuid, info.uuid, WAL_UUID_BYTES);
}

static int scan_run(struct wal_scan *scan)
{
    find_witness(scan);
    int err = scan->evidence.read_error ? 0 : find_place(scan);
    if (err != 0) {
        return err;
    }
    if (is_stopped(scan)) {
        scan->verdict = wal_decide(&scan->evidence);
        return 0;
    }
    return scan->segments.count > 0 ? follow(scan) : 0;
}

/* That there was no memory is not the disk's fault, although nothing could be read. */
int wal_scan_run(struct wal_scan *scan)
{
    int err = scan_run(scan);
    scan->has_run = true;
    return err == 0 && scan->no_memory ? TALLY_NOMEM : err;
}

/* What a lone segment that does not end as it should is: later ones are there, so it was synced. */
static void judge_lone(struct wal_scan *scan, bool is_clear)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, scan->segments.at[0]);
    if (!scan->evidence.read_error && !scan->ended) {
        scan->evidence.sealed = true;
        wal_report_note(scan, 4,
                        "%s: damaged at offset %" PRIu64 ": what stands there, from record %" PRIu64
                        " on, cannot be read, and the segment is sealed",
                        name, scan->offset, scan->next_lsn);
    } else if (!scan->evidence.read_error && !is_clear) {
        scan->evidence.ended = true;
    }
    scan->verdict = wal_decide(&scan->evidence);
}

int wal_scan_sealed(struct wal_scan *scan, uint64_t number, bool *is_whole)
{
    bool is_clear = true;
    int err = 0;
    *is_whole = false;
    if (wal_listing_reserve(&scan->segments, 1) != 0) {
        return TALLY_NOMEM;
    }
    scan->segments.at[0] = number;
    scan->segments.count = 1;
    forget(scan);
    close_segment(scan);
    wal_scan_begin(scan);
    if (wal_scan_open(scan, 0)) {
        err = walk(scan);
    }
    if (err == 0 && scan->ended && !scan->evidence.read_error) {
        err = wal_tail_scan_seal(scan, &is_clear);
    }
    if (err != 0) {
        return err;
    }
    scan->evidence.zeros = is_clear;
    judge_lone(scan, is_clear);
    *is_whole = scan->verdict.row == 7;
    return 0;
}

/* One round of wal_scan_more, with the segments that are there when it begins. */
static int walk_on(struct wal_scan *scan)
{
    scan->evidence = (struct wal_evidence){.read_error = false};
    int err = scan->ended || scan->segments.count == 0 ? find_place(scan) : 0;
    if (err != 0 || scan->offset == 0 || is_stopped(scan)) {
        return err;
    }
    look_again(scan, scan->index);
    return scan->evidence.read_error ? 0 : walk(scan);
}

int wal_scan_more(struct wal_scan *scan, bool *is_blank)
{
    const unsigned char *page;
    uint64_t blocks;
    int err;
    do { /* at a seal that is new, the next segment may be newer than the list */
        blocks = scan->blocks;
        err = walk_on(scan);
    } while (err == 0 && scan->ended && scan->blocks != blocks);
    scan->has_run = true;
    *is_blank = scan->offset == 0; /* there is no log yet */
    if (err != 0 || *is_blank || is_stopped(scan)) {
        return err;
    }
    err = wal_window_get(&scan->reader.window, scan->offset, WAL_PAGE_BYTES, &page);
    *is_blank = err == 0 && wal_is_zero(page, WAL_PAGE_BYTES);
    return err == -ENOMEM ? TALLY_NOMEM : 0;
}
