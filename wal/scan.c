/* The reader of a log: walks its blocks in order, and where it must stop, finds out why. */
#include "wal/scan.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/members.h"
#include "wal/show.h"
#include "wal/snap.h"
#include "wal/tell.h"
#include "wal/whole.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void wal_scan_init(struct wal_scan *scan, struct wal_io *io, wal_visit_fn visit, void *arg)
{
    *scan = (struct wal_scan){.io = io, .visit = visit, .arg = arg, .fd = -1, .next_lsn = 1};
    wal_window_init(&scan->window, io);
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
    wal_window_fini(&scan->window);
    free(scan->raw);
    wal_numbers_fini(&scan->segments);
}

static bool failed(struct wal_scan *scan, uint64_t number, const char *doing, int err)
{
    scan->signs.read_error = true;
    scan->errnum = err;
    scan->no_memory = scan->no_memory || err == -ENOMEM;
    wal_tell_failure(scan, number, doing, err);
    return false;
}

/* Makes the page cache forget what a failed sync of a process before us has left in it. What it
 * had written in good order becomes durable first, so no record that we visit can be lost again. */
static bool refresh(struct wal_scan *scan, uint64_t number)
{
    int err = MUTANT(MUTANT_TAIL_NOT_SYNCED) ? 0 : scan->io->ops->datasync(scan->io, scan->fd);
    if (err != 0) {
        return failed(scan, number, "cannot sync", err);
    }
    err = scan->io->ops->drop_cache(scan->io, scan->fd);
    return err == 0 || failed(scan, number, "cannot read past the page cache", err);
}

/* Learns from a header what it says about the log as a whole. */
static void learn_head(struct wal_scan *scan, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    if (scan->head_state == WAL_HEAD_NEWER) {
        scan->signs.newer = true;
        wal_tell_note(scan, 2, "%s has a format that this version does not know", name);
    }
    if (scan->head_state != WAL_HEAD_OK) {
        return;
    }
    if (!scan->has_uuid) {
        memcpy(scan->uuid, scan->head.uuid, WAL_UUID_BYTES);
        scan->has_uuid = true;
    }
    if (memcmp(scan->uuid, scan->head.uuid, WAL_UUID_BYTES) != 0) {
        scan->signs.foreign = true;
        wal_tell_note(scan, 3, "%s belongs to another log", name);
    }
    if (scan->head.number != number) {
        scan->signs.misnumbered = true;
        wal_tell_note(scan, 3, "%s is segment %" PRIu64 " under a wrong name", name,
                      scan->head.number);
    }
    if (scan->head.epoch > scan->epoch_max) {
        scan->epoch_max = scan->head.epoch;
    }
    if (!wal_segment_is_length(scan->head.bytes)) {
        scan->signs.misshapen = true;
        wal_tell_note(scan, 3, "%s has a header with an impossible length", name);
    }
}

bool wal_scan_open(struct wal_scan *scan, size_t index)
{
    uint64_t number = scan->segments.at[index];
    char name[WAL_NAME_BYTES];
    const unsigned char *page;
    close_segment(scan);
    wal_segment_name(name, number);
    scan->index = index;
    scan->fd = scan->io->ops->open(scan->io, name, WAL_OPEN_READ);
    if (scan->fd < 0) {
        return failed(scan, number, "cannot open", scan->fd);
    }
    /* What is behind the last block seems empty: by what a start has cleared and not synced, too.
     */
    if (scan->is_recovery && number >= scan->active_number && !refresh(scan, number)) {
        return false;
    }
    int64_t size = scan->io->ops->size(scan->io, scan->fd);
    if (size < 0) {
        return failed(scan, number, "cannot tell its size", (int)size);
    }
    scan->size_bytes = (uint64_t)size;
    wal_window_turn(&scan->window, scan->fd);
    int err = wal_window_get(&scan->window, 0, WAL_PAGE_BYTES, &page);
    if (err != 0) {
        return failed(scan, number, "cannot read", err);
    }
    scan->head_state = wal_segment_head_get(page, &scan->head);
    learn_head(scan, number);
    return true;
}

/* The last segment whose first page of blocks shows a block header: the only one that may hold
 * a record that is not on the disk yet. 0: none. It is looked for on the disk. */
static uint64_t find_active(struct wal_scan *scan)
{
    for (size_t i = scan->segments.count; i-- > 0;) {
        const unsigned char *at;
        struct wal_block_header header;
        if (!wal_scan_open(scan, i)) {
            return 0;
        }
        int err = wal_window_get(&scan->window, WAL_SEGMENT_FIRST_BLOCK, WAL_PAGE_BYTES, &at);
        if (err != 0) {
            failed(scan, scan->segments.at[i], "cannot read", err);
            return 0;
        }
        if (scan->head_state == WAL_HEAD_OK &&
            wal_block_header_get(at, &header, &scan->head, WAL_SEGMENT_FIRST_BLOCK) !=
                WAL_BLOCK_BAD) {
            return scan->segments.at[i];
        }
    }
    return 0;
}

/* The lsn with which a segment begins; 0 when its first block does not say so. */
static uint64_t first_lsn_of(struct wal_scan *scan, size_t index)
{
    const unsigned char *at;
    struct wal_block_header header;
    if (!wal_scan_open(scan, index)) {
        return 0;
    }
    int err = wal_window_get(&scan->window, WAL_SEGMENT_FIRST_BLOCK, WAL_PAGE_BYTES, &at);
    if (err != 0) {
        failed(scan, scan->segments.at[index], "cannot read", err);
        return 0;
    }
    bool is_valid =
        scan->head_state == WAL_HEAD_OK &&
        wal_block_header_get(at, &header, &scan->head, WAL_SEGMENT_FIRST_BLOCK) == WAL_BLOCK_VALID;
    return is_valid ? header.first_lsn : 0;
}

/* The log has lost its beginning: what no snapshot holds is not there. */
static void note_no_beginning(struct wal_scan *scan)
{
    char name[WAL_NAME_BYTES];
    scan->signs.misnumbered = true;
    if (scan->snapshot_lsn > 0) {
        wal_tell_note(scan, 3,
                      "the log begins with segment %" PRIu64 ", behind record %" PRIu64
                      ", where the snapshot ends",
                      scan->segments.at[0], scan->snapshot_lsn);
        return;
    }
    wal_segment_name(name, 1);
    wal_tell_note(scan, 3,
                  "%s is missing: the log goes on with segment %" PRIu64
                  ", and no snapshot that can be read holds what was before it",
                  name, scan->segments.at[0]);
}

/*
 * Where the walk begins: without a snapshot with record 1 in segment 1; with one in the last
 * segment that begins at or before the record behind it. What is before that is not read: nothing
 * depends on it. A reader that loads no snapshot takes what is left, if there is one for the rest.
 */
static void find_begin(struct wal_scan *scan)
{
    uint64_t snapshot = scan->snapshot_lsn;
    scan->begin = 0;
    if (!scan->is_recovery && scan->segments.at[0] != 1) {
        int err = wal_snap_newest_name(scan->io, &snapshot);
        if (err != 0) {
            failed(scan, scan->segments.at[0], "cannot list the snapshots", err);
            return;
        }
    }
    size_t last = scan->is_recovery ? scan->segments.count : 1;
    for (size_t i = last; snapshot > 0 && i-- > 0 && !scan->signs.read_error;) {
        uint64_t lsn = first_lsn_of(scan, i);
        if (lsn > 0 && lsn <= snapshot + 1) {
            scan->begin = i;
            scan->next_lsn = lsn;
            return;
        }
    }
    if (scan->segments.at[0] != 1) {
        note_no_beginning(scan);
    }
}

/* Room for one raw block; a header with a good checksum has bounded raw_bytes before. */
static int raw_grow(struct wal_scan *scan, size_t raw_bytes)
{
    if (raw_bytes <= scan->raw_room) {
        return 0;
    }
    free(scan->raw);
    size_t room = raw_bytes < WAL_RAW_BYTES_MAX / 2 ? raw_bytes * 2 : WAL_RAW_BYTES_MAX;
    scan->raw = malloc(room);
    scan->raw_room = scan->raw == NULL ? 0 : room;
    return scan->raw == NULL ? TALLY_NOMEM : 0;
}

/* Notes a block that is valid in itself and yet cannot stand here. */
static void note_unchained(struct wal_scan *scan, const char *what)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, scan->segments.at[scan->index]);
    scan->signs.unchained = true;
    wal_tell_note(scan, 3,
                  "%s: the block at offset %" PRIu64 " %s (record %" PRIu64 " is expected)", name,
                  scan->offset, what, scan->next_lsn);
}

static void begin_at(struct wal_scan *scan, uint64_t lsn)
{
    scan->next_lsn = lsn;
    scan->begin_lsn = lsn;
    scan->shown_lsn = lsn;
}

/* The header at the place. Returns whether it is that of the next block. */
static bool read_header(struct wal_scan *scan, struct wal_block_header *header)
{
    const unsigned char *at;
    if (scan->head_state != WAL_HEAD_OK || scan->offset + WAL_PAGE_BYTES > scan->size_bytes) {
        return false;
    }
    int err = wal_window_get(&scan->window, scan->offset, WAL_PAGE_BYTES, &at);
    if (err != 0) {
        return failed(scan, scan->segments.at[scan->index], "cannot read", err);
    }
    enum wal_block_state state = wal_block_header_get(at, header, &scan->head, scan->offset);
    if (state == WAL_BLOCK_NEWER) {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, scan->segments.at[scan->index]);
        scan->signs.newer = true;
        wal_tell_note(scan, 2,
                      "%s: the block at offset %" PRIu64
                      " has a codec or flag that this version does not know",
                      name, scan->offset);
    } else if (state == WAL_BLOCK_WRONG) {
        note_unchained(scan, "contradicts itself");
    } else if (state == WAL_BLOCK_VALID && scan->next_lsn == 0) {
        begin_at(scan, header->first_lsn); /* one segment alone: it says where it begins */
    } else if (state == WAL_BLOCK_VALID && header->first_lsn != scan->next_lsn) {
        note_unchained(scan, "has records that are not next");
        state = WAL_BLOCK_WRONG;
    } else if (state == WAL_BLOCK_VALID &&
               (header->durable_lsn < scan->durable_lsn || scan->head.epoch < scan->epoch)) {
        note_unchained(scan, "is older than the one before");
        state = WAL_BLOCK_WRONG;
    }
    return state == WAL_BLOCK_VALID &&
           scan->offset + wal_block_bytes(header->stored_bytes) <= scan->size_bytes;
}

/* The block's contents at *raw. Returns 1: there they are; 0: they are not valid or cannot be read;
 * or TALLY_NOMEM. */
static int read_payload(struct wal_scan *scan, const struct wal_block_header *header,
                        const unsigned char **raw)
{
    const unsigned char *block;
    uint64_t bytes = wal_block_bytes(header->stored_bytes);
    int err = wal_window_get(&scan->window, scan->offset, (size_t)bytes, &block);
    if (err == -ENOMEM) {
        return TALLY_NOMEM;
    }
    if (err != 0) {
        failed(scan, scan->segments.at[scan->index], "cannot read", err);
        return 0;
    }
    const unsigned char *payload = block + WAL_BLOCK_HEADER_BYTES;
    uint64_t seed = wal_block_seed(&scan->head, scan->offset);
    if (wal_block_payload_check(header, payload, seed) != WAL_BLOCK_VALID) {
        return 0;
    }
    *raw = payload;
    if (header->codec == WAL_CODEC_LZ4) {
        if (raw_grow(scan, header->raw_bytes) != 0) {
            return TALLY_NOMEM;
        }
        if (wal_block_unpack(header, payload, scan->raw) != 0) {
            note_unchained(scan, "does not decompress");
            return 0;
        }
        *raw = scan->raw;
    }
    if (wal_block_has_members(header) &&
        !wal_members_are_whole(*raw, header->raw_bytes, header->count)) {
        note_unchained(scan, "is packed, and does not unpack");
        return 0;
    }
    return 1;
}

/* Begins with the segment that is open. */
static void begin_segment(struct wal_scan *scan)
{
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
    int err = wal_look_behind_seal(scan, &is_clear);
    if (err == 0 && is_clear && wal_scan_open(scan, scan->index + 1)) {
        begin_segment(scan);
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
        if (scan->signs.read_error || scan->ended || !read_header(scan, &header)) {
            return 0;
        }
        int got = read_payload(scan, &header, &raw);
        if (got <= 0) {
            return got;
        }
        err = wal_show(scan, &header, raw);
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
    scan->signs = (struct wal_signs){.read_error = false};
    scan->behind = (struct wal_behind){.filled_end = 0};
    scan->note_row = 0;
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
    if (!wal_scan_open(scan, index) || scan->head_state != WAL_HEAD_OK ||
        scan->head.bytes == bytes || scan->offset == WAL_SEGMENT_FIRST_BLOCK || scan->ended) {
        return;
    }
    scan->next_lsn = scan->begin_lsn;
    scan->durable_lsn = scan->begin_durable_lsn;
    scan->epoch = scan->begin_epoch;
    begin_segment(scan);
}

/* Lists the segments anew and finds the place among them: older ones may be gone, newer ones there.
 * Returns 0 or TALLY_NOMEM. */
static int list_from_place(struct wal_scan *scan)
{
    uint64_t number = scan->offset > 0 ? scan->segments.at[scan->index] : 0;
    int err = wal_scan_list(scan);
    if (err != 0 || number == 0) {
        return err;
    }
    for (scan->index = 0; scan->index < scan->segments.count; scan->index++) {
        if (scan->segments.at[scan->index] == number) {
            return 0;
        }
    }
    scan->index = 0;
    scan->signs.misnumbered = true;
    wal_tell_note(scan, 3, "segment %" PRIu64 " went away while it was read", number);
    return 0;
}

/*
 * A log may be written while it is read, so that the place is half written now and behind it stands
 * what came later. The writer goes strictly forward: whatever evidence was seen behind the place,
 * the place was complete by then. So a verdict to refuse counts only if the place is still not
 * valid when it is read once more after that. And behind a sealed segment another may have come.
 */
static bool is_final(struct wal_scan *scan, const struct wal_verdict *before, bool moved)
{
    if (scan->is_recovery || scan->signs.read_error) {
        return true; /* in a recovery nobody else writes */
    }
    if (scan->verdict.decision == WAL_DECIDE_CLEAN) {
        if (!scan->ended || list_from_place(scan) != 0) {
            return true;
        }
        scan->verdict = wal_decide(&scan->signs);
        return is_refusal(&scan->verdict) || scan->index + 1 >= scan->segments.count;
    }
    return !moved && before->row != 0 && (is_refusal(before) || !is_refusal(&scan->verdict));
}

static int follow(struct wal_scan *scan)
{
    struct wal_verdict before = {.row = 0};
    size_t index = scan->index;
    for (;;) {
        uint64_t offset = scan->offset;
        look_again(scan, index);
        int err = scan->signs.read_error ? 0 : walk(scan);
        bool moved = scan->index != index || scan->offset != offset;
        index = scan->index;
        if (err == 0 && !scan->signs.read_error) {
            err = wal_look(scan);
        }
        if (err != 0) {
            return err;
        }
        scan->index = index;
        scan->verdict = wal_decide(&scan->signs);
        if (is_final(scan, &before, moved)) {
            return 0;
        }
        index = scan->index;
        before = scan->verdict;
    }
}

/* Finds where to go on, or to begin. A failure is in the signs. Returns 0 or TALLY_NOMEM. */
static int find_place(struct wal_scan *scan)
{
    int err = list_from_place(scan);
    if (err != 0 || scan->offset > 0 || scan->signs.read_error || scan->signs.misnumbered) {
        return err;
    }
    if (scan->segments.count == 0) {
        if (scan->snapshot_lsn > 0) {
            scan->signs.misnumbered = true;
            wal_tell_note(scan, 3, "there is a snapshot at record %" PRIu64 ", and no log",
                          scan->snapshot_lsn);
        }
        return 0;
    }
    if (scan->is_recovery) {
        scan->active_number = find_active(scan);
    }
    if (!scan->signs.read_error) {
        find_begin(scan);
        scan->index = scan->begin;
        begin_segment(scan);
    }
    return 0;
}

static int scan_run(struct wal_scan *scan)
{
    forget(scan);
    int err = find_place(scan);
    if (err != 0) {
        return err;
    }
    if (scan->signs.read_error || scan->signs.misnumbered) {
        scan->verdict = wal_decide(&scan->signs);
        return 0;
    }
    return scan->segments.count > 0 ? follow(scan) : 0;
}

/* That there was no memory is not the disk's fault, although nothing could be read. */
int wal_scan_run(struct wal_scan *scan)
{
    int err = scan_run(scan);
    return err == 0 && scan->no_memory ? TALLY_NOMEM : err;
}

/* What a lone segment that does not end as it should is: later ones are there, so it was synced. */
static void judge_lone(struct wal_scan *scan, bool is_clear)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, scan->segments.at[0]);
    if (!scan->signs.read_error && !scan->ended) {
        scan->signs.sealed = true;
        wal_tell_note(scan, 4,
                      "%s: damaged at offset %" PRIu64 ": what stands there, from record %" PRIu64
                      " on, cannot be read, and the segment is sealed",
                      name, scan->offset, scan->next_lsn);
    } else if (!scan->signs.read_error && !is_clear) {
        scan->signs.ended = true;
    }
    scan->verdict = wal_decide(&scan->signs);
}

int wal_scan_sealed(struct wal_scan *scan, uint64_t number, bool *is_whole)
{
    bool is_clear = true;
    int err = 0;
    *is_whole = false;
    if (wal_numbers_reserve(&scan->segments, 1) != 0) {
        return TALLY_NOMEM;
    }
    scan->segments.at[0] = number;
    scan->segments.count = 1;
    forget(scan);
    begin_segment(scan);
    if (wal_scan_open(scan, 0)) {
        err = walk(scan);
    }
    if (err == 0 && scan->ended && !scan->signs.read_error) {
        err = wal_look_behind_seal(scan, &is_clear);
    }
    if (err != 0) {
        return err;
    }
    scan->signs.zeros = is_clear;
    judge_lone(scan, is_clear);
    *is_whole = scan->verdict.row == 7;
    return 0;
}

/* One round of wal_scan_more, with the segments that are there when it begins. */
static int walk_on(struct wal_scan *scan)
{
    scan->signs = (struct wal_signs){.read_error = false};
    int err = scan->ended || scan->segments.count == 0 ? find_place(scan) : 0;
    if (err != 0 || scan->offset == 0 || scan->signs.misnumbered || scan->signs.read_error) {
        return err;
    }
    look_again(scan, scan->index);
    return scan->signs.read_error ? 0 : walk(scan);
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
    *is_blank = scan->offset == 0; /* there is no log yet */
    if (err != 0 || *is_blank || scan->signs.misnumbered || scan->signs.read_error) {
        return err;
    }
    err = wal_window_get(&scan->window, scan->offset, WAL_PAGE_BYTES, &page);
    *is_blank = err == 0 && wal_is_zero(page, WAL_PAGE_BYTES);
    return err == -ENOMEM ? TALLY_NOMEM : 0;
}
