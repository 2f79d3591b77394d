/* The repair of a log after a scan, and the segment with which it goes on. */
#include "wal/recover/recover.h"

#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/read/report.h"
#include "wal/disk/full_io.h"
#include "wal/recover/torn_tail.h"
#include "wal/write/append.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A file call of the repair has failed. Returns the error of the open. */
static int report_failure(struct wal_report *report, const char *doing, int err)
{
    report->end = WAL_END_FAILED;
    snprintf(report->text, sizeof(report->text), "%s: %s", doing, tally_err_reason(err));
    /* not DENIED, which is for the lock's file alone, and that could be written */
    return tally_err_of(err) == TALLY_DENIED ? TALLY_IO : tally_err_of(err);
}

/* The removal of temporary files. */
struct sweep {
    struct wal_io *io;
    char name[WAL_NAME_BYTES];
};

/* Removes a temporary file: only a regular file under a name that tally gives. */
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
    return err == 0 ? 0 : report_failure(report, doing, err);
}

/* Keeps a copy of the torn tail, and then clears the tail. */
static int clear_tail(struct wal_recovery *recovery, int fd, struct wal_report *report)
{
    struct wal_io *io = recovery->io;
    const struct wal_log_end *end = &recovery->end;
    char name[WAL_NAME_BYTES];
    int err = wal_torn_tail_keep(io, fd, end, name);
    recovery->is_touched = recovery->is_touched || err == 0;
    if (err == 0 && !MUTANT(MUTANT_TAIL_NOT_CLEARED)) {
        err = wal_full_io_clear(io, fd, end->offset, end->filled_end);
    }
    if (err == 0) {
        err = io->ops->datasync(io, fd);
    }
    if (err == 0) {
        wal_report_append(report, "; cut off and kept in %s", name);
    }
    return err;
}

/*
 * Brings the last segment in order. Everything before the log's end was synced when the scan opened
 * the segment, so the seal may say so. The unused end is cut off only behind a durable seal: that
 * is the one shape in which a reader accepts a short file.
 */
static int settle_segment(struct wal_recovery *recovery, int fd, struct wal_report *report)
{
    struct wal_io *io = recovery->io;
    const struct wal_log_end *end = &recovery->end;
    const struct wal_segment segment = {.head = end->head, .fd = fd};
    struct wal_block_writer writer = wal_append_to(io, &segment, end->offset);
    int err = end->filled_end > 0 ? clear_tail(recovery, fd, report) : 0;
    if (err != 0 || end->offset == WAL_SEGMENT_FIRST_BLOCK) {
        return err;
    }
    recovery->is_touched = true;
    if (!end->is_sealed) {
        err = wal_append_seal(&writer, end->next_lsn, 0);
    }
    if (err == 0 && end->size_bytes > writer.offset) {
        err = io->ops->truncate(io, fd, writer.offset);
        if (err == 0) {
            err = io->ops->sync(io, fd);
        }
    }
    return err;
}

/* Calls a step with the last segment, open for writing. */
static int with_segment(struct wal_recovery *recovery, struct wal_report *report,
                        int (*fn)(struct wal_recovery *recovery, int fd, struct wal_report *report))
{
    struct wal_io *io = recovery->io;
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, recovery->end.number);
    int fd = io->ops->open(io, name, WAL_OPEN_WRITE);
    if (fd < 0) {
        return fd;
    }
    int err = fn(recovery, fd, report);
    io->ops->close(io, fd);
    return err;
}

/* The length of a preallocated segment, in which the scan has found nothing but zeros; 0: there is
 * none of that number. */
static int64_t made_bytes(struct wal_io *io, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd == -ENOENT ? 0 : fd;
    }
    int64_t size = io->ops->size(io, fd);
    io->ops->close(io, fd);
    return size;
}

/* The next length to try: the free space less the file system's own need, or half of the last
 * length. */
static uint64_t shorter_bytes(struct wal_io *io, uint64_t bytes)
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
 * Creates the segment, shorter where space is short. If keep_bytes are not free beside it, it gets
 * little more than half its length, which is enough for the ends of builds; if even that does not
 * fit, it gets all free space.
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
    while (tally_err_of(err) == TALLY_NOSPC && head->bytes > WAL_SEGMENT_BYTES_MIN) {
        uint64_t bytes = shorter_bytes(io, head->bytes);
        head->bytes = bytes < WAL_SEGMENT_BYTES_MIN ? WAL_SEGMENT_BYTES_MIN : bytes;
        err = wal_create_run(io, head, active);
    }
    return err;
}

/* Opens the segment with which the log goes on: an unused one that is there, or a new one. */
static int begin_segment(const struct wal_recovery *recovery, uint64_t start_bytes,
                         uint64_t keep_bytes, struct wal_segment *active)
{
    struct wal_io *io = recovery->io;
    const struct wal_log_end *end = &recovery->end;
    struct wal_segment_head head = {
        .number = 1,
        .bytes = start_bytes,
        .epoch = end->identity.epoch_max + 1,
    };
    memcpy(head.uuid, end->identity.uuid, WAL_UUID_BYTES);
    if (!end->identity.has_uuid) {
        io->ops->random(io, head.uuid, WAL_UUID_BYTES);
    }
    if (end->has_segment) {
        bool is_used = end->offset > WAL_SEGMENT_FIRST_BLOCK;
        head.number = end->number + is_used;
    }
    int64_t made = made_bytes(io, head.number);
    if (made < 0) {
        return (int)made;
    }
    if (made > 0) {
        head.bytes = (uint64_t)made;
        return wal_create_reuse(io, &head, active);
    }
    return make_first(io, &head, keep_bytes, active);
}

/* Removes the temporary files and brings the end of the last segment in order. */
static int settle_end(struct wal_recovery *recovery, struct wal_report *report)
{
    int err = recovery->is_swept ? 0 : remove_temps(recovery->io, report);
    if (err != 0) {
        return err;
    }
    recovery->is_swept = true; /* a temporary file that appears from now on is in use */
    if (recovery->end.has_segment) {
        err = with_segment(recovery, report, settle_segment);
    }
    if (err != 0) {
        err = report_failure(report, "cannot bring the end of the log in order", err);
        return err == TALLY_NOSPC && recovery->is_touched ? TALLY_IO : err;
    }
    recovery->is_settled = true;
    return 0;
}

void wal_recover_init(struct wal_recovery *recovery, struct wal_io *io, const struct wal_scan *scan)
{
    *recovery = (struct wal_recovery){.io = io};
    wal_log_end_get(scan, &recovery->end);
}

int wal_recover_run(struct wal_recovery *recovery, uint64_t start_bytes, uint64_t keep_bytes,
                    struct wal_segment *active, struct wal_report *report)
{
    int err = recovery->is_settled ? 0 : settle_end(recovery, report);
    if (err != 0) {
        return err;
    }
    err = begin_segment(recovery, start_bytes, keep_bytes, active);
    return err == 0 ? 0 : report_failure(report, "cannot begin a segment", err);
}

/* Writes the header of an empty segment anew. */
static int mend_header(struct wal_recovery *recovery, struct wal_report *report)
{
    struct wal_segment segment;
    int err = begin_segment(recovery, 0, 0, &segment);
    if (err != 0) {
        return err;
    }
    wal_report_append(report, "; written anew");
    return recovery->io->ops->close(recovery->io, segment.fd);
}

int wal_recover_tail(struct wal_recovery *recovery, struct wal_report *report)
{
    int err = remove_temps(recovery->io, report);
    if (err != 0) {
        return err;
    }
    if (recovery->end.filled_end > 0) {
        err = with_segment(recovery, report, clear_tail);
    }
    if (err == 0 && recovery->end.has_torn_header) {
        err = mend_header(recovery, report);
    }
    return err == 0 ? 0 : report_failure(report, "cannot bring the end of the log in order", err);
}
