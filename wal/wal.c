/* The open log: how it is opened, appended to, and closed by its one writer. */
#include "wal/wal.h"

#include "wal/write/append.h"
#include "wal/write/preallocate.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/format/block.h"
#include "wal/background/janitor.h"
#include "wal/recover/lock.h"
#include "wal/recover/recover.h"
#include "wal/read/scan.h"
#include "wal/files/snapshot_list.h"
#include "wal/read/report.h"
#include "wal/disk/full_io.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A start that finds no preallocated segment waits for a short one, and the preallocation thread
 * makes one of full length. */
#define START_BYTES    ((uint64_t)8 << 20)

/* The time between two tries of a log that waits for space for its first segment. */
#define BEGIN_AGAIN_NS (250 * NS_PER_MS)

struct wal {
    /* the writer's */
    struct wal_io *io;
    struct wal_block_writer active; /* of the active segment */
    uint64_t next_lsn;
    bool is_confirmed;            /* a later block calls every record durable */
    uint64_t segment_bytes;       /* of the segments that the preallocation thread makes */
    unsigned char *buffer;        /* one block of any size that a segment can hold */
    struct wal_block_zeros zeros; /* of the buffer */
    struct wal_stats stats;
    int err; /* TALLY_IO once a write or sync has failed; then it stays */
    char why[256];
    pthread_mutex_t files; /* see wal_files_lock; never held by the writer */

    /* the open's, kept while the log waits for its first segment */
    struct wal_options options;
    struct wal_janitor_options janitor_options;
    struct wal_recovery recovery;
    uint64_t tried_ns;

    /* written once, before has_begun is set */
    struct wal_preallocation *preallocation;
    struct wal_janitor *janitor; /* NULL: none */

    /* written by the writer, read by anybody */
    _Atomic bool has_begun;
    _Atomic uint64_t reserve_bytes;
    _Atomic uint64_t left_bytes; /* in the active segment, the seal's page not counted */
};

/* The largest block that fits a segment beside its header and its seal. */
static uint64_t block_bytes_max(const struct wal *wal)
{
    uint64_t fits = wal->segment_bytes - WAL_SEGMENT_FIRST_BLOCK - WAL_PAGE_BYTES;
    uint64_t largest = wal_block_bytes(WAL_RAW_BYTES_MAX);
    return fits < largest ? fits : largest;
}

static uint64_t active_left_bytes(const struct wal *wal)
{
    uint64_t end = wal->active.end - WAL_PAGE_BYTES; /* the seal's page is kept */
    return end > wal->active.offset ? end - wal->active.offset : 0;
}

static void left_publish(struct wal *wal)
{
    /* W1: relaxed: a count publishes nothing */
    atomic_store_explicit(&wal->left_bytes, active_left_bytes(wal), memory_order_relaxed);
}

/* Makes a failed write or sync final: nobody knows what is on the disk, and a second sync would
 * succeed without writing the pages that the first one has lost. */
static int fail_for_good(struct wal *wal, const char *doing, int err)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, wal->active.head.number);
    snprintf(wal->why, sizeof(wal->why), "%s: %s: %s", name, doing, tally_err_reason(err));
    wal->err = TALLY_IO;
    return TALLY_IO;
}

static int active_seal(struct wal *wal, uint16_t flags)
{
    uint64_t begin_ns = clock_mono_ns();
    int err = wal_append_seal(&wal->active, wal->next_lsn, flags);
    if (err != 0) {
        return fail_for_good(wal, "cannot seal the segment", err);
    }
    wal->is_confirmed = true;
    wal->stats.blocks++;
    wal->stats.stored_bytes += WAL_PAGE_BYTES;
    wal->stats.sync_ns += clock_mono_ns() - begin_ns;
    return 0;
}

/* Goes on to the next segment. That one is taken before the old one is sealed, so that a full disk
 * changes nothing. */
static int rotate(struct wal *wal)
{
    struct wal_segment next;
    int errnum = 0;
    int err = wal_preallocate_take(wal->preallocation, &next, &errnum);
    if (err == TALLY_IO) {
        return fail_for_good(wal, "cannot make the next segment", -errnum);
    }
    if (err != 0) {
        return err;
    }
    err = active_seal(wal, 0);
    if (err != 0) {
        wal->io->ops->close(wal->io, next.fd);
        return err;
    }
    wal->io->ops->close(wal->io, wal->active.fd);
    wal->active = wal_append_to(wal->io, &next, WAL_SEGMENT_FIRST_BLOCK);
    wal->stats.segments++;
    left_publish(wal);
    if (wal->janitor != NULL) {
        wal_janitor_wake(wal->janitor, wal->active.head.number);
    }
    return 0;
}

/* Writes the packed block at its place, and waits until it is on the disk. */
static int commit(struct wal *wal, struct wal_block_header *header, size_t bytes)
{
    while (bytes > active_left_bytes(wal)) {
        int err = rotate(wal);
        if (err != 0) {
            return err;
        }
    }
    uint64_t begin_ns = clock_mono_ns();
    int err = wal_append_block(&wal->active, wal->next_lsn, wal->buffer, header);
    if (err != 0) {
        return fail_for_good(wal, "cannot write", err);
    }
    err = MUTANT(MUTANT_ACK_BEFORE_SYNC) ? 0 : wal_block_writer_sync(&wal->active);
    if (err != 0 && MUTANT(MUTANT_SYNC_AGAIN)) {
        err = wal_block_writer_sync(&wal->active);
    }
    if (err != 0) {
        return fail_for_good(wal, "cannot sync", err);
    }
    wal->next_lsn += header->count;
    wal->stats.blocks++;
    wal->stats.raw_bytes += header->raw_bytes;
    wal->stats.stored_bytes += bytes;
    wal->stats.sync_ns += clock_mono_ns() - begin_ns;
    left_publish(wal);
    return 0;
}

static bool has_begun(const struct wal *wal)
{
    /* W5: acquire; pairs with W6: the fields written before are visible */
    return atomic_load_explicit(&wal->has_begun, memory_order_acquire);
}

static int begin_again(struct wal *wal);

int wal_append(struct wal *wal, uint32_t count, const void *raw, size_t raw_bytes)
{
    struct wal_block_header header = {.count = count};
    /* the committer appends only when it has taken records, and each record has bytes */
    CHECK((count == 0) == (raw_bytes == 0));
    if (wal->err != 0 || (!has_begun(wal) && begin_again(wal) != 0)) {
        return wal->err != 0 ? wal->err : TALLY_NOSPC;
    }
    if (raw_bytes > WAL_RAW_BYTES_MAX || wal_block_bytes(raw_bytes) > block_bytes_max(wal)) {
        return TALLY_TOOBIG;
    }
    size_t bytes = wal_block_pack_again(wal->buffer, &header, raw, raw_bytes, &wal->zeros);
    int err = commit(wal, &header, bytes);
    if (err == 0) {
        wal->is_confirmed = false;
    }
    return err;
}

int wal_confirm(struct wal *wal)
{
    struct wal_block_header header = {.flags = WAL_BLOCK_CONFIRM};
    if (wal->err == 0 && !has_begun(wal)) {
        return begin_again(wal);
    }
    if (wal->err != 0 || wal->is_confirmed) {
        return wal->err;
    }
    if (active_left_bytes(wal) < WAL_PAGE_BYTES) {
        return rotate(wal); /* the seal confirms, too */
    }
    size_t bytes = wal_block_pack_again(wal->buffer, &header, NULL, 0, &wal->zeros);
    int err = commit(wal, &header, bytes);
    if (err == 0) {
        wal->is_confirmed = true;
    }
    return err;
}

uint64_t wal_room_bytes(const struct wal *wal)
{
    uint64_t ready = has_begun(wal) ? wal_preallocate_ready_bytes(wal->preallocation) : 0;
    uint64_t next = ready > 0 ? ready - WAL_SEGMENT_FIRST_BLOCK - WAL_PAGE_BYTES : 0;
    /* W2: relaxed: a count, as W1 */
    return atomic_load_explicit(&wal->left_bytes, memory_order_relaxed) + next;
}

bool wal_disk_full(const struct wal *wal)
{
    return !has_begun(wal) || wal_preallocate_is_waiting(wal->preallocation);
}

bool wal_is_lost(const struct wal *wal)
{
    char name[WAL_NAME_BYTES];
    if (!has_begun(wal)) {
        return false;
    }
    wal_segment_name(name, wal->active.head.number);
    return wal->io->ops->named(wal->io, wal->active.fd, name) == -ENOENT;
}

uint64_t wal_segment_failures(const struct wal *wal)
{
    return has_begun(wal) ? wal_preallocate_failures(wal->preallocation) : 1;
}

void wal_reserve(struct wal *wal, uint64_t bytes)
{
    /* W3: relaxed: a number alone; it is read by the preallocation thread (A7) */
    atomic_store_explicit(&wal->reserve_bytes, bytes, memory_order_relaxed);
}

uint64_t wal_next_lsn(const struct wal *wal)
{
    return wal->next_lsn;
}

const unsigned char *wal_uuid(const struct wal *wal)
{
    return has_begun(wal) ? wal->active.head.uuid : wal->recovery.end.identity.uuid;
}

const char *wal_why(const struct wal *wal)
{
    return wal->why;
}

void wal_stats(const struct wal *wal, struct wal_stats *stats)
{
    *stats = wal->stats;
}

void wal_janitor_stats(const struct wal *wal, struct wal_janitor_stats *stats)
{
    *stats = (struct wal_janitor_stats){0};
    if (has_begun(wal) && wal->janitor != NULL) {
        wal_janitor_counts(wal->janitor, stats);
    }
}

uint64_t wal_damage(const struct wal *wal, struct wal_report *report)
{
    *report = (struct wal_report){.end = WAL_END_CLEAN};
    return has_begun(wal) && wal->janitor != NULL ? wal_janitor_damage(wal->janitor, report) : 0;
}

pthread_mutex_t *wal_files_lock(struct wal *wal)
{
    return &wal->files;
}

/* Writes the clean-shutdown block, and gives the unused end of the segment back to the file system.
 */
static int end_clean(struct wal *wal)
{
    int err = active_seal(wal, WAL_BLOCK_CLEAN);
    if (err != 0) {
        return err;
    }
    err = wal->io->ops->truncate(wal->io, wal->active.fd, wal->active.offset);
    if (err == 0) {
        err = wal->io->ops->sync(wal->io, wal->active.fd);
    }
    return err == 0 ? 0 : fail_for_good(wal, "cannot cut off the unused end", err);
}

static void log_free(struct wal *wal)
{
    pthread_mutex_destroy(&wal->files);
    free(wal->buffer);
    free(wal);
}

int wal_close(struct wal *wal, bool clean)
{
    int err = wal->err;
    if (!has_begun(wal)) {
        log_free(wal); /* nothing was written */
        return err;
    }
    if (wal->janitor != NULL) {
        wal_janitor_destroy(wal->janitor);
    }
    if (clean && err == 0) {
        err = end_clean(wal);
    }
    wal_preallocate_destroy(wal->preallocation);
    wal->io->ops->close(wal->io, wal->active.fd);
    log_free(wal);
    return err;
}

/* Shows the newest whole snapshot to the caller, and lets the scan begin behind it. */
static int load_snapshot(const struct wal_options *options, struct wal_scan *scan,
                         struct wal_snapshot_info *info, struct wal_report *report)
{
    const struct wal_snapshot_loader loader = {
        .load = options->load, .unload = options->unload, .arg = scan->visitor.arg};
    if (options->load == NULL) {
        return 0;
    }
    int err = wal_snapshot_list_load(options->io, &loader, info);
    if (err != 0) {
        return wal_report_refuse(report, err, info->text);
    }
    if (info->lsn > 0) {
        wal_scan_set_snapshot(scan, info->uuid, info->lsn);
    }
    return 0;
}

/* Adds the loaded snapshot to the report of the log, and the fault of one that was passed over. */
static void report_snapshot(struct wal_report *report, const struct wal_snapshot_info *info)
{
    report->snapshot_lsn = info->lsn;
    report->snapshot_bytes = info->bytes;
    report->snapshot_passed = info->text[0] != '\0';
    if (report->snapshot_passed) {
        wal_report_append(report, "; %s", info->text);
    }
}

/* Checks that this run of the server cannot reach the bounds of lsns, segments and epochs. */
static int check_margins(const struct wal_log_end *end, struct wal_report *report)
{
    const char *what = NULL;
    if (end->next_lsn > WAL_LSN_MAX - WAL_LSN_MARGIN) {
        what = "the log has no numbers left for more records";
    } else if (end->last_number > WAL_NUMBER_MAX - WAL_NUMBER_MARGIN) {
        what = "the log has no numbers left for more segments";
    } else if (end->identity.epoch_max >= WAL_EPOCH_MAX) {
        what = "the log was started too often: there is no epoch left";
    }
    return what == NULL ? 0 : wal_report_refuse(report, TALLY_DAMAGE, what);
}

/* Reads the log, and judges whether the open may go on. */
static int read_log(struct wal *wal, struct wal_scan *scan, struct wal_report *report)
{
    struct wal_snapshot_info info = {.lsn = 0};
    int err = load_snapshot(&wal->options, scan, &info, report);
    if (err != 0) {
        return err;
    }
    err = wal_scan_run(scan);
    if (err == 0 && wal->options.seen != NULL) {
        err = wal->options.seen(scan->visitor.arg);
    }
    wal_report_fill(scan, report);
    report_snapshot(report, &info);
    if (err != 0) {
        return wal_report_refuse(report, err, tally_err_text(err));
    }
    err = wal_report_error(scan);
    if (err != 0) {
        return err;
    }
    wal_recover_init(&wal->recovery, wal->io, scan);
    wal->next_lsn = wal->recovery.end.next_lsn;
    /* a snapshot of the state is never larger than the one loaded and the log read behind it */
    wal_reserve(wal, info.bytes + scan->visitor.stored_bytes);
    return check_margins(&wal->recovery.end, report);
}

static int start_preallocation(struct wal *wal, struct wal_report *report)
{
    const struct wal_preallocation_trouble trouble = {wal->options.on_trouble,
                                                      wal->options.trouble_arg};
    struct wal_segment_head head = wal->active.head;
    head.number++;
    head.bytes = wal->segment_bytes;
    int err =
        wal_preallocate_new(&wal->preallocation, wal->io, &head, &trouble, &wal->reserve_bytes);
    return err == 0 ? 0 : wal_report_refuse(report, err, tally_err_text(err));
}

static int start_janitor(struct wal *wal, struct wal_report *report)
{
    if (wal->options.janitor == NULL) {
        return 0;
    }
    int err = wal_janitor_new(&wal->janitor, wal->io, wal->options.janitor, &wal->files,
                              &wal->reserve_bytes, wal->active.head.number);
    return err == 0 ? 0 : wal_report_refuse(report, err, tally_err_text(err));
}

/* Brings the end of the log in order, and begins a segment. After an error it may be called again:
 * only the steps that wal_recover_run has done remain. */
static int begin(struct wal *wal, struct wal_report *report)
{
    struct wal_segment segment;
    uint64_t start_bytes = wal->options.start_bytes != 0 ? wal->options.start_bytes : START_BYTES;
    start_bytes = start_bytes < wal->segment_bytes ? start_bytes : wal->segment_bytes;
    /* W4: relaxed: as W3, by the same thread */
    uint64_t keep_bytes = atomic_load_explicit(&wal->reserve_bytes, memory_order_relaxed);
    int err = wal_recover_run(&wal->recovery, start_bytes, keep_bytes, &segment, report);
    if (err != 0) {
        return err;
    }
    wal->active = wal_append_to(wal->io, &segment, WAL_SEGMENT_FIRST_BLOCK);
    wal->is_confirmed = true; /* by the seal of the segment before */
    wal->stats.segments = 1;
    left_publish(wal);
    err = start_preallocation(wal, report);
    if (err != 0) {
        goto close_active;
    }
    err = start_janitor(wal, report);
    if (err != 0) {
        goto stop_preallocation;
    }
    /* W6: release; pairs with W5 */
    atomic_store_explicit(&wal->has_begun, true, memory_order_release);
    return 0;

stop_preallocation:
    wal_preallocate_destroy(wal->preallocation);
close_active:
    wal->io->ops->close(wal->io, wal->active.fd);
    return err;
}

/* Begins the log, or lets it wait when the disk is full: the records are served all the same. */
static int begin_or_wait(struct wal *wal, struct wal_report *report)
{
    struct wal_report before = *report;
    int err = begin(wal, report);
    if (err != TALLY_NOSPC || !wal->recovery.end.has_segment ||
        !wal->recovery.end.identity.has_uuid) {
        return err;
    }
    wal_report_append(&before, "; no room to go on with it: it is read only until there is");
    *report = before;
    return 0;
}

static int begin_again(struct wal *wal)
{
    struct wal_report report = {.end = WAL_END_FAILED};
    uint64_t now_ns = clock_mono_ns();
    if (now_ns - wal->tried_ns < BEGIN_AGAIN_NS) {
        return TALLY_NOSPC;
    }
    wal->tried_ns = now_ns;
    int err = begin(wal, &report);
    if (err == TALLY_IO) {
        snprintf(wal->why, sizeof(wal->why), "%.200s", report.text);
        wal->err = TALLY_IO;
    }
    return err == 0 || err == TALLY_IO ? err : TALLY_NOSPC;
}

static struct wal *wal_alloc(const struct wal_options *options)
{
    struct wal *wal = calloc(1, sizeof(*wal));
    if (wal == NULL) {
        return NULL;
    }
    wal->segment_bytes =
        options->segment_bytes != 0 ? options->segment_bytes : WAL_SEGMENT_BYTES_DEFAULT;
    wal->io = options->io;
    wal->options = *options;
    if (options->janitor != NULL) {
        wal->janitor_options = *options->janitor;
        wal->options.janitor = &wal->janitor_options;
    }
    atomic_init(&wal->left_bytes, 0);
    atomic_init(&wal->has_begun, false);
    atomic_init(&wal->reserve_bytes, 0);
    /* Pages that no block has needed yet take no memory. */
    wal->buffer = aligned_alloc(WAL_PAGE_BYTES, (size_t)block_bytes_max(wal));
    if (wal->buffer == NULL) {
        free(wal);
        return NULL;
    }
    pthread_mutex_init(&wal->files, NULL);
    return wal;
}

int wal_open(struct wal **out, const struct wal_options *options, wal_visit_fn visit, void *arg,
             struct wal_report *report)
{
    *report = (struct wal_report){.end = WAL_END_FAILED};
    if (options->segment_bytes != 0 && !wal_segment_is_size(options->segment_bytes)) {
        return wal_report_refuse(report, TALLY_INVAL, "the segment size is not valid");
    }
    int err = wal_lock(options->io, report);
    if (err != 0) {
        return err;
    }
    struct wal *wal = wal_alloc(options);
    if (wal == NULL) {
        return wal_report_refuse(report, TALLY_NOMEM, tally_err_text(TALLY_NOMEM));
    }
    struct wal_scan scan;
    wal_scan_init(&scan, options->io, visit, arg);
    wal_scan_set_recovery(&scan, true);
    err = read_log(wal, &scan, report);
    wal_scan_fini(&scan);
    err = err != 0 ? err : begin_or_wait(wal, report);
    if (err != 0) {
        log_free(wal);
        return err;
    }
    *out = wal;
    return 0;
}
