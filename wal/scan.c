/* The reader of a log: walks its blocks in order, and where it must stop, finds out why. */
#include "wal/scan.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/tell.h"
#include "wal/whole.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A directory may be listed while a live log makes a new segment: the list can miss one and show
 * the next. So a hole counts only when it is seen so often. */
#define LISTS_MAX 3

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
    free(scan->numbers);
}

static int list_add(void *arg, const char *name)
{
    struct wal_scan *scan = arg;
    uint64_t number;
    if (!wal_segment_is_name(name, &number)) {
        return 0;
    }
    if (scan->count == scan->room) {
        size_t room = scan->room == 0 ? 64 : scan->room * 2;
        uint64_t *numbers = realloc(scan->numbers, room * sizeof(*numbers));
        if (numbers == NULL) {
            return -ENOMEM;
        }
        scan->numbers = numbers;
        scan->room = room;
    }
    scan->numbers[scan->count++] = number;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Segments are numbered from 1 without a hole. Returns whether they are. */
static bool check_numbers(struct wal_scan *scan, bool is_last_try)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->numbers[i] == i + 1) {
            continue;
        }
        if (is_last_try) {
            char name[WAL_NAME_BYTES];
            wal_segment_name(name, i + 1);
            scan->signs.misnumbered = true;
            wal_tell_note(scan, 3, "%s is missing: the log goes on with segment %" PRIu64, name,
                          scan->numbers[i]);
        }
        return false;
    }
    return true;
}

/* Returns 0 or TALLY_NOMEM; the rest is in the signs. */
static int list_segments(struct wal_scan *scan)
{
    for (int try = 1; try <= LISTS_MAX; try++) {
        scan->count = 0;
        int err = scan->io->ops->list(scan->io, list_add, scan);
        if (err == -ENOMEM) {
            return TALLY_NOMEM;
        }
        if (err != 0) {
            scan->signs.read_error = true;
            wal_tell_note(scan, 1, "cannot list the directory: %s", strerrordesc_np(-err));
            return 0;
        }
        if (scan->count > 0) {
            qsort(scan->numbers, scan->count, sizeof(*scan->numbers), by_number);
        }
        if (check_numbers(scan, try == LISTS_MAX)) {
            break;
        }
    }
    return 0;
}

static bool failed(struct wal_scan *scan, uint64_t number, const char *doing, int err)
{
    scan->signs.read_error = true;
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
    if (!wal_segment_is_size(scan->head.bytes)) {
        scan->signs.misshapen = true;
        wal_tell_note(scan, 3, "%s has a header with an impossible length", name);
    }
}

bool wal_scan_open(struct wal_scan *scan, size_t index)
{
    uint64_t number = scan->numbers[index];
    char name[WAL_NAME_BYTES];
    const unsigned char *page;
    close_segment(scan);
    wal_segment_name(name, number);
    scan->index = index;
    scan->fd = scan->io->ops->open(scan->io, name, WAL_OPEN_READ);
    if (scan->fd < 0) {
        return failed(scan, number, "cannot open", scan->fd);
    }
    if (number == scan->active_number && !refresh(scan, number)) {
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
 * what is not on the disk yet. 0: none. */
static uint64_t find_active(struct wal_scan *scan)
{
    for (size_t i = scan->count; i-- > 0;) {
        const unsigned char *at;
        struct wal_block_header header;
        if (!wal_scan_open(scan, i)) {
            return 0;
        }
        int err = wal_window_get(&scan->window, WAL_SEGMENT_FIRST_BLOCK, WAL_PAGE_BYTES, &at);
        if (err != 0) {
            failed(scan, scan->numbers[i], "cannot read", err);
            return 0;
        }
        if (scan->head_state == WAL_HEAD_OK &&
            wal_block_header_get(at, &header, &scan->head, WAL_SEGMENT_FIRST_BLOCK) !=
                WAL_BLOCK_BAD) {
            return scan->numbers[i];
        }
    }
    return 0;
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
    wal_segment_name(name, scan->numbers[scan->index]);
    scan->signs.unchained = true;
    wal_tell_note(scan, 3,
                  "%s: the block at offset %" PRIu64 " %s (record %" PRIu64 " is expected)", name,
                  scan->offset, what, scan->next_lsn);
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
        return failed(scan, scan->numbers[scan->index], "cannot read", err);
    }
    enum wal_block_state state = wal_block_header_get(at, header, &scan->head, scan->offset);
    if (state == WAL_BLOCK_NEWER) {
        char name[WAL_NAME_BYTES];
        wal_segment_name(name, scan->numbers[scan->index]);
        scan->signs.newer = true;
        wal_tell_note(scan, 2,
                      "%s: the block at offset %" PRIu64
                      " has a codec or flag that this version does not know",
                      name, scan->offset);
    } else if (state == WAL_BLOCK_WRONG) {
        note_unchained(scan, "contradicts itself");
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
        failed(scan, scan->numbers[scan->index], "cannot read", err);
        return 0;
    }
    const unsigned char *payload = block + WAL_BLOCK_HEADER_BYTES;
    uint64_t seed = wal_block_seed(&scan->head, scan->offset);
    if (wal_block_payload_check(header, payload, seed) != WAL_BLOCK_VALID) {
        return 0;
    }
    *raw = payload;
    if (header->codec == WAL_CODEC_RAW) {
        return 1;
    }
    if (raw_grow(scan, header->raw_bytes) != 0) {
        return TALLY_NOMEM;
    }
    if (wal_block_unpack(header, payload, scan->raw) != 0) {
        note_unchained(scan, "does not decompress");
        return 0;
    }
    *raw = scan->raw;
    return 1;
}

/* Shows the block to the visitor and steps behind it. Returns what the visitor returned. */
static int deliver(struct wal_scan *scan, const struct wal_block_header *header,
                   const unsigned char *raw)
{
    uint64_t bytes = wal_block_bytes(header->stored_bytes);
    struct wal_block block = {
        .first_lsn = header->first_lsn,
        .count = header->count,
        .flags = header->flags,
        .raw = raw,
        .raw_bytes = header->raw_bytes,
        .stored_bytes = (size_t)bytes,
        .durable_lsn = header->durable_lsn,
        .segment = scan->head.number,
        .offset = scan->offset,
        .epoch = scan->head.epoch,
    };
    int err = scan->visit != NULL ? scan->visit(scan->arg, &block) : 0;
    if (err != 0) {
        return err;
    }
    scan->offset += bytes;
    scan->next_lsn += header->count;
    scan->durable_lsn = header->durable_lsn;
    scan->epoch = scan->head.epoch;
    scan->ended = (header->flags & WAL_BLOCK_SEAL) != 0;
    scan->clean = (header->flags & WAL_BLOCK_CLEAN) != 0;
    scan->records += header->count;
    scan->blocks++;
    scan->stored_bytes += bytes;
    return 0;
}

/* From behind a seal to the next segment; stays where it is when there is none, or when something
 * stands behind the seal. */
static int step_over_seal(struct wal_scan *scan)
{
    bool is_clear = false;
    if (!scan->ended || scan->index + 1 >= scan->count) {
        return 0;
    }
    int err = wal_look_behind_seal(scan, &is_clear);
    if (err == 0 && is_clear && wal_scan_open(scan, scan->index + 1)) {
        scan->offset = WAL_SEGMENT_FIRST_BLOCK;
        scan->ended = false;
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
        err = deliver(scan, &header, raw);
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

/* Forgets what was found at the place, and opens its segment again. */
static void look_again(struct wal_scan *scan, size_t index)
{
    scan->signs = (struct wal_signs){.read_error = false};
    scan->behind = (struct wal_behind){.filled_end = 0};
    scan->note_row = 0;
    wal_scan_open(scan, index);
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
        size_t count = scan->count;
        return !scan->ended || list_segments(scan) != 0 || scan->count <= count;
    }
    return !moved && before->row != 0 && (is_refusal(before) || !is_refusal(&scan->verdict));
}

static int follow(struct wal_scan *scan)
{
    struct wal_verdict before = {.row = 0};
    size_t index = 0;
    scan->offset = WAL_SEGMENT_FIRST_BLOCK;
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
        before = scan->verdict;
    }
}

static int scan_run(struct wal_scan *scan)
{
    int err = list_segments(scan);
    if (err != 0) {
        return err;
    }
    if (scan->signs.read_error || scan->signs.misnumbered) {
        scan->verdict = wal_decide(&scan->signs);
        return 0;
    }
    if (scan->count == 0) {
        return 0;
    }
    if (scan->is_recovery) {
        scan->active_number = find_active(scan);
        if (scan->signs.read_error) {
            scan->verdict = wal_decide(&scan->signs);
            return 0;
        }
    }
    return follow(scan);
}

/* That there was no memory is not the disk's fault, although nothing could be read. */
int wal_scan_run(struct wal_scan *scan)
{
    int err = scan_run(scan);
    return err == 0 && scan->no_memory ? TALLY_NOMEM : err;
}
