/* The repair of a log after a scan, and the segment with which it goes on. */
#include "wal/recover/recover.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/read/report.h"
#include "wal/disk/full_io.h"
#include "wal/write/append.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COPY_BYTES (1U << 20)

/* Several tails can be torn at the same lsn, one after the other. So many copies are kept. */
#define COPIES_MAX 9

int wal_refuse(struct wal_report *report, int err, const char *text)
{
    report->end = WAL_END_FAILED;
    snprintf(report->text, sizeof(report->text), "%s", text);
    return err;
}

int wal_lock(struct wal_io *io, struct wal_report *report)
{
    int err = io->ops->lock(io, "LOCK");
    if (err == -EWOULDBLOCK) {
        return wal_refuse(report, TALLY_LOCKED, tally_err_text(TALLY_LOCKED));
    }
    if (err != 0) {
        /* the directory is open: where its file is "not there", none can be made (/proc) */
        bool is_denied = err == -EACCES || err == -EPERM || err == -EROFS || err == -ENOENT;
        snprintf(report->text, sizeof(report->text), "LOCK: %s",
                 err == -ENOENT ? "no file can be made there" : tally_err_reason(err));
        return is_denied ? TALLY_DENIED
                         : (err == -ENOSPC || err == -EDQUOT ? TALLY_NOSPC : TALLY_IO);
    }
    return 0;
}

static bool is_no_space(int err)
{
    return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

static int translate(struct wal_report *report, const char *doing, int err)
{
    report->end = WAL_END_FAILED;
    snprintf(report->text, sizeof(report->text), "%s: %s", doing, tally_err_reason(err));
    if (err == -ENOMEM) {
        return TALLY_NOMEM;
    }
    return is_no_space(err) ? TALLY_NOSPC : TALLY_IO;
}

/* What is to be removed, and what could not be. */
struct sweep {
    struct wal_io *io;
    char name[WAL_NAME_BYTES];
};

/* Only what we can have made goes: a file of ours, under a name of ours. */
static int remove_temp(void *arg, const char *name)
{
    struct sweep *sweep = arg;
    if (!wal_segment_is_temp(name)) {
        return 0;
    }
    int fd = sweep->io->ops->open(sweep->io, name, WAL_OPEN_READ);
    int err = fd < 0 ? fd : 0;
    if (err == 0) {
        sweep->io->ops->close(sweep->io, fd);
        err = sweep->io->ops->unlink(sweep->io, name);
    }
    if (err == 0 || err == -ENOENT) {
        return 0;
    }
    snprintf(sweep->name, sizeof(sweep->name), "%s", name);
    return err;
}

static int remove_temps(struct wal_io *io, struct wal_report *report)
{
    struct sweep sweep = {.io = io};
    char doing[WAL_NAME_BYTES + 64] = "cannot list the directory";
    int err = io->ops->list(io, remove_temp, &sweep);
    if (err != 0 && sweep.name[0] != '\0') {
        snprintf(doing, sizeof(doing), "%s: cannot remove what was left half made", sweep.name);
    }
    return err == 0 ? 0 : translate(report, doing, err);
}

/* Finds a name that is not taken; the last one is taken again when all are. */
static int copy_name(struct wal_io *io, uint64_t lsn, char name[WAL_NAME_BYTES])
{
    snprintf(name, WAL_NAME_BYTES, "torn-%" PRIu64 ".bin", lsn);
    for (int i = 2; i <= COPIES_MAX; i++) {
        int fd = io->ops->open(io, name, WAL_OPEN_READ);
        if (fd < 0 && fd != -EMEDIUMTYPE) { /* a link is a name that is taken, too */
            return fd == -ENOENT ? 0 : fd;
        }
        if (fd >= 0) {
            io->ops->close(io, fd);
        }
        snprintf(name, WAL_NAME_BYTES, "torn-%" PRIu64 ".%d.bin", lsn, i);
    }
    return 0;
}

static int copy_bytes(struct wal_scan *scan, int from, int to)
{
    uint64_t at = scan->offset;
    wal_window_turn(&scan->reader.window, from);
    while (at < scan->tail.filled_end) {
        uint64_t left = scan->tail.filled_end - at;
        size_t step = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        const unsigned char *bytes;
        int err = wal_window_get(&scan->reader.window, at, step, &bytes);
        if (err == 0) {
            err = wal_full_write(scan->io, to, bytes, step, at - scan->offset);
        }
        if (err != 0) {
            return err;
        }
        at += step;
    }
    return 0;
}

/* Keeps what a torn tail held, whole and durable under its name before anything is cleared. */
static int copy_keep(struct wal_scan *scan, int from, char name[WAL_NAME_BYTES])
{
    struct wal_io *io = scan->io;
    char temp[WAL_NAME_BYTES];
    snprintf(temp, sizeof(temp), "torn-%" PRIu64 ".tmp", scan->next_lsn);
    int err = copy_name(io, scan->next_lsn, name);
    if (err != 0) {
        return err;
    }
    int to = io->ops->open(io, temp, WAL_OPEN_CREATE);
    if (to < 0) {
        return to;
    }
    err = copy_bytes(scan, from, to);
    if (err == 0) {
        err = io->ops->sync(io, to);
    }
    io->ops->close(io, to);
    if (err == 0) {
        err = io->ops->rename(io, temp, name);
    }
    if (err != 0) {
        (void)io->ops->unlink(io, temp); /* else the next start does it */
        return err;
    }
    return io->ops->syncdir(io);
}

static int clear_tail(struct wal_scan *scan, int fd, struct wal_report *report)
{
    char name[WAL_NAME_BYTES];
    int err = copy_keep(scan, fd, name);
    scan->is_touched = scan->is_touched || err == 0;
    if (err == 0 && !MUTANT(MUTANT_TAIL_NOT_CLEARED)) {
        err = wal_full_clear(scan->io, fd, scan->offset, scan->tail.filled_end);
    }
    if (err == 0) {
        err = scan->io->ops->datasync(scan->io, fd);
    }
    if (err == 0) {
        wal_report_append(report, "; cut off and kept in %s", name);
    }
    return err;
}

/*
 * Brings the segment of the place in order. Everything before the place was synced when the scan
 * opened it, so the seal may say so. The unused end is cut off only behind a durable seal: that is
 * the one shape in which a reader accepts a short file.
 */
static int settle_segment(struct wal_scan *scan, int fd, struct wal_report *report)
{
    struct wal_io *io = scan->io;
    const struct wal_segment segment = {.head = scan->head, .fd = fd};
    struct wal_block_writer writer = wal_append_to(io, &segment, scan->offset);
    int err = scan->tail.filled_end > 0 ? clear_tail(scan, fd, report) : 0;
    if (err != 0 || scan->offset == WAL_SEGMENT_FIRST_BLOCK) {
        return err;
    }
    scan->is_touched = true;
    if (!scan->ended) {
        err = wal_append_seal(&writer, scan->next_lsn, 0);
    }
    if (err == 0 && scan->size_bytes > writer.offset) {
        err = io->ops->truncate(io, fd, writer.offset);
        if (err == 0) {
            err = io->ops->sync(io, fd);
        }
    }
    return err;
}

/* Does something with the segment of the place, open for writing. */
static int with_segment(struct wal_scan *scan, struct wal_report *report,
                        int (*fn)(struct wal_scan *scan, int fd, struct wal_report *report))
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, scan->segments.at[scan->index]);
    int fd = scan->io->ops->open(scan->io, name, WAL_OPEN_WRITE);
    if (fd < 0) {
        return fd;
    }
    int err = fn(scan, fd, report);
    wal_window_turn(&scan->reader.window, -1);
    scan->io->ops->close(scan->io, fd);
    return err;
}

/* The length of a segment that is there already; 0: there is none of that number. The scan has
 * found nothing but zeros in it. */
static int64_t left_bytes(struct wal_scan *scan, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    int fd = scan->io->ops->open(scan->io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd == -ENOENT ? 0 : fd;
    }
    int64_t size = scan->io->ops->size(scan->io, fd);
    scan->io->ops->close(scan->io, fd);
    return size;
}

/* The next length to try: what the disk says that it has, less what it needs for itself, or half.
 */
static uint64_t shorter(struct wal_io *io, uint64_t bytes)
{
    struct wal_space space;
    uint64_t half = bytes / 2;
    uint64_t next = half;
    if (io->ops->space(io, &space) == 0) {
        uint64_t fits = space.free_bytes - space.free_bytes / 64;
        next = fits > half && fits < bytes ? fits : half;
    }
    return next / WAL_PAGE_BYTES * WAL_PAGE_BYTES;
}

/*
 * Where the disk has not keep_bytes beside the segment, little more than half of it has to do: so
 * much takes the ends of builds. Where it has not even that, what there is.
 */
static int make_first(struct wal_io *io, struct wal_segment_head *head, uint64_t keep_bytes,
                      struct wal_segment *active)
{
    struct wal_space space;
    if (io->ops->space(io, &space) == 0 && space.free_bytes < head->bytes + keep_bytes) {
        uint64_t little = (head->bytes / 2 + head->bytes / 16) / WAL_PAGE_BYTES * WAL_PAGE_BYTES;
        head->bytes = little < WAL_SEGMENT_BYTES_MIN ? WAL_SEGMENT_BYTES_MIN : little;
    }
    int err = wal_create_run(io, head, active);
    while (is_no_space(err) && head->bytes > WAL_SEGMENT_BYTES_MIN) {
        uint64_t bytes = shorter(io, head->bytes);
        head->bytes = bytes < WAL_SEGMENT_BYTES_MIN ? WAL_SEGMENT_BYTES_MIN : bytes;
        err = wal_create_run(io, head, active);
    }
    return err;
}

static int begin_segment(struct wal_scan *scan, uint64_t start_bytes, uint64_t keep_bytes,
                         struct wal_segment *active)
{
    struct wal_segment_head head = {
        .number = 1,
        .bytes = start_bytes,
        .epoch = scan->epoch_max + 1,
    };
    memcpy(head.uuid, scan->uuid, WAL_UUID_BYTES);
    if (!scan->has_uuid) {
        scan->io->ops->random(scan->io, head.uuid, WAL_UUID_BYTES);
    }
    if (scan->segments.count > 0) {
        bool is_used = scan->offset > WAL_SEGMENT_FIRST_BLOCK;
        head.number = scan->segments.at[scan->index] + is_used;
    }
    int64_t left = left_bytes(scan, head.number);
    if (left < 0) {
        return (int)left;
    }
    if (left > 0) {
        head.bytes = (uint64_t)left;
        return wal_create_reuse(scan->io, &head, active);
    }
    return make_first(scan->io, &head, keep_bytes, active);
}

/* What was there before: the temporary files, the end of the last segment. */
static int settle(struct wal_scan *scan, struct wal_report *report)
{
    int err = scan->is_swept ? 0 : remove_temps(scan->io, report);
    if (err != 0) {
        return err;
    }
    scan->is_swept = true; /* what comes under such a name from now on is in use */
    if (scan->segments.count > 0) {
        err = with_segment(scan, report, settle_segment);
    }
    if (err != 0) {
        err = translate(report, "cannot bring the end of the log in order", err);
        return err == TALLY_NOSPC && scan->is_touched ? TALLY_IO : err;
    }
    scan->is_settled = true;
    return 0;
}

int wal_recover(struct wal_scan *scan, uint64_t start_bytes, uint64_t keep_bytes,
                struct wal_segment *active, struct wal_report *report)
{
    int err = scan->is_settled ? 0 : settle(scan, report);
    if (err != 0) {
        return err;
    }
    err = begin_segment(scan, start_bytes, keep_bytes, active);
    return err == 0 ? 0 : translate(report, "cannot begin a segment", err);
}

static int mend_header(struct wal_scan *scan, struct wal_report *report)
{
    struct wal_segment segment;
    int err = begin_segment(scan, 0, 0, &segment);
    if (err != 0) {
        return err;
    }
    wal_report_append(report, "; written anew");
    return scan->io->ops->close(scan->io, segment.fd);
}

int wal_recover_tail(struct wal_scan *scan, struct wal_report *report)
{
    int err = remove_temps(scan->io, report);
    if (err != 0) {
        return err;
    }
    if (scan->tail.filled_end > 0) {
        err = with_segment(scan, report, clear_tail);
    }
    if (err == 0 && scan->evidence.torn_header) {
        err = mend_header(scan, report);
    }
    return err == 0 ? 0 : translate(report, "cannot bring the end of the log in order", err);
}
