/* Opening and closing the engine: lock, replay, committer. */
#include "engine/engine.h"

#include "engine/apply/apply.h"
#include "engine/apply/snapshot_load.h"
#include "engine/base/alarm.h"
#include "engine/base/machine.h"
#include "engine/base/rcu.h"
#include "engine/edge/reader.h"
#include "engine/edge/session.h"
#include "engine/start/replay.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SNAPSHOT_BYTES ((uint64_t)256 << 20)
#define SNAPSHOT_S     ((uint64_t)15 * 60)
#define RETAIN_BYTES   ((uint64_t)8 << 30)
#define RETAIN_S       ((uint64_t)7 * 24 * 60 * 60)

/* A start: it loads the snapshot, then replays the log behind it. */
struct opening {
    struct state *state;
    struct event_store *events;
    const struct tally_options *options;
    unsigned percent; /* of the progress that was reported last */
    struct snapshot_load load;
    struct snapshot_found found;
    struct replay replay;
};

static int load_recent(void *arg, uint64_t poll, struct span events)
{
    return event_store_load(arg, poll, events);
}

static void load_begin(struct opening *opening)
{
    snapshot_load_init(&opening->load, opening->state);
    opening->load.recent = load_recent;
    opening->load.arg = opening->events;
}

static int load_block(void *arg, const struct wal_block *block)
{
    struct opening *opening = arg;
    if (opening->events->position != block->segment) {
        event_store_begin(opening->events, block->segment); /* the snapshot's lsn */
    }
    if (block->count == 0) {
        opening->found.lsn = opening->load.proof.head.num[HEAD_LSN];
        opening->found.time_ms = opening->load.proof.head.num[HEAD_TIME_MS];
    }
    return snapshot_load_block(&opening->load, block);
}

/* The snapshot was found damaged: drops the images that were loaded and begins anew. */
static int unload_snapshot(void *arg)
{
    struct opening *opening = arg;
    uint64_t ceiling = opening->state->ledger.ceiling;
    snapshot_load_fini(&opening->load);
    event_store_fini(opening->events);
    state_fini(opening->state);
    int err = state_init(opening->state);
    err = err != 0 ? err : event_store_init(opening->events, opening->state);
    opening->state->ledger.ceiling = ceiling;
    opening->found = (struct snapshot_found){.lsn = 0};
    load_begin(opening);
    return err;
}

static int see_block(void *arg, const struct wal_block *block)
{
    struct opening *opening = arg;
    if (block->percent > opening->percent && opening->options->progress != NULL) {
        opening->percent = block->percent;
        opening->options->progress(opening->options->progress_arg, block->percent);
    }
    opening->found.log_bytes += block->stored_bytes;
    return replay_block(&opening->replay, block);
}

static int see_end(void *arg)
{
    struct opening *opening = arg;
    return replay_flush(&opening->replay);
}

/* Fills the report. A record that contradicts the state is damage that no checksum has found. */
static int report_fill(int err, const struct opening *opening, const struct wal_report *found,
                       struct tally_report *report)
{
    report->records = found->records;
    report->lsn = found->next_lsn > 0 ? found->next_lsn - 1 : 0;
    report->clean = found->end == WAL_END_EMPTY || found->clean_shutdown;
    report->torn = found->end == WAL_END_TORN;
    report->snapshot_lsn = opening->found.lsn;
    report->snapshot_passed = found->snapshot_passed;
    if (err == TALLY_CORRUPT && opening->load.proof.why != NULL) {
        snprintf(report->text, sizeof report->text, "the snapshot contradicts itself: %s",
                 opening->load.proof.why);
    } else if (err == TALLY_CORRUPT && opening->replay.bad_lsn != 0) {
        snprintf(report->text, sizeof report->text,
                 "the log contradicts itself: record %llu (%s) does not fit what is before it",
                 (unsigned long long)opening->replay.bad_lsn,
                 record_type_name(opening->replay.bad_type));
    } else if (err == TALLY_NOMEM && ledger_is_beyond(&opening->state->ledger)) {
        snprintf(report->text, sizeof report->text,
                 "what is stored takes more memory than this machine has");
    } else {
        snprintf(report->text, sizeof report->text, "%s",
                 found->text[0] != '\0' || err == 0 ? found->text : tally_err_text(err));
    }
    return err == TALLY_CORRUPT ? TALLY_DAMAGE : err;
}

static void on_damage(void *arg, const struct wal_report *damage)
{
    struct tally *tally = arg;
    alarm_warn(&tally->options, damage->text);
    /* the state in memory is whole: after a new snapshot no start needs the damaged file */
    snapshot_renew(&tally->shared);
}

static void on_trouble(void *arg, const char *what)
{
    const struct tally *tally = arg;
    alarm_trouble(&tally->options, what);
}

/* The bytes of the records that all lanes can hold, encoded. Texts in the committer's lane are of
 * requests that count in the lanes of their edges. */
static uint64_t lane_bytes_all(const struct tally_options *options)
{
    uint64_t slots_bytes = (uint64_t)LANE_SLOTS * LANE_SLOT_BYTES;
    return slots_bytes + options->edges * (slots_bytes + LANE_BYTES_MAX);
}

static int open_log(struct tally *tally, struct tally_report *report, struct committer_log *log)
{
    struct opening opening = {
        .state = &tally->state, .events = &tally->events, .options = &tally->options};
    load_begin(&opening);
    replay_init(&opening.replay, &tally->state, 0);
    opening.replay.events = &tally->events;
    struct wal_report found = {0};
    uint64_t bytes = tally->options.segment_bytes;
    log->io = tally->io;
    log->lane_bytes_all = lane_bytes_all(&tally->options);
    /* a segment holds the bytes that space_judge keeps free, and some to work with */
    while (bytes < 4 * log->lane_bytes_all) {
        bytes *= 2;
    }
    uint64_t start_bytes = 4 * log->lane_bytes_all;
    log->log_bytes_min = start_bytes + bytes;
    const struct wal_janitor_options janitor = {.on_damage = on_damage, .arg = tally};
    struct wal_options options = {
        .io = tally->io,
        .segment_bytes = bytes,
        .start_bytes = start_bytes,
        .janitor = &janitor,
        .on_trouble = on_trouble,
        .trouble_arg = tally,
        .load = load_block,
        .unload = unload_snapshot,
        .seen = see_end,
    };
    int err = wal_open(&tally->wal, &options, see_block, &opening, &found);
    replay_fini(&opening.replay);
    snapshot_load_fini(&opening.load);
    log->wal = tally->wal;
    log->found = opening.found;
    log->found.file_bytes = found.snapshot_bytes;
    return report_fill(err, &opening, &found, report);
}

static int engine_start(struct tally *tally, const struct committer_log *log)
{
    apply_replay_end(&tally->state);
    event_store_replayed(&tally->events);
    tally->shared.events = &tally->events;
    tally->state.retirer = rcu_retirer_new();
    if (tally->state.retirer == NULL) {
        return TALLY_NOMEM;
    }
    struct index *indexes[] = {&tally->state.polls,       &tally->state.labels,
                               &tally->state.queues,      &tally->state.workers,
                               &tally->state.uniqs,       &tally->state.beginnings,
                               &tally->state.keys.by_name};
    for (size_t i = 0; i < sizeof indexes / sizeof indexes[0]; i++) {
        indexes[i]->retirer = tally->state.retirer;
    }
    struct table *tables[] = {&tally->state.options, &tally->state.builds, &tally->state.poll_ids,
                              &tally->state.queue_ids, &tally->state.worker_ids};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        tables[i]->retirer = tally->state.retirer;
    }
    tally->shared.wal = tally->wal;
    tally->shared.retain_bytes = tally->options.retain_bytes;
    time_start(&tally->shared.time, tally->state.time_ms);
    int err = reader_new(&tally->shared.reader, &tally->shared);
    if (err == 0 && (err = committer_start(&tally->committer, log)) != 0) {
        reader_stop(tally->shared.reader);
    }
    if (err != 0) {
        free(tally->state.retirer); /* nothing was retired yet */
    }
    return err;
}

static void tally_free(struct tally *tally)
{
    edges_fini(&tally->edges);
    reader_free(tally->shared.reader);
    event_store_fini(&tally->events);
    state_fini(&tally->state);
    if (tally->io_is_ours) {
        tally->io->ops->destroy(tally->io);
    }
    free(tally);
}

static int dir_error(int err)
{
    switch (-err) {
    case ENOENT:
    case ENAMETOOLONG:
        return TALLY_NOTFOUND;
    case ENOTDIR:
    case ELOOP:
        return TALLY_EXISTS;
    default:
        return tally_err_of(err);
    }
}

static int open_io(struct tally *tally, struct tally_report *report)
{
    tally->io = tally->options.io;
    if (tally->io != NULL) {
        return 0;
    }
    int err = wal_file_io_new(&tally->io, tally->options.dir, tally->options.create);
    if (err != 0) {
        snprintf(report->text, sizeof report->text, "the directory: %s", strerrordesc_np(-err));
        tally->io = NULL;
        return dir_error(err);
    }
    tally->io_is_ours = true;
    return 0;
}

/* The defaults that depend on the disk: history takes no more than half of what the file system can
 * hold, and snapshots are made long before. */
static void set_by_disk(struct tally_options *set, struct wal_io *io)
{
    struct wal_space space = {.total_bytes = UINT64_MAX};
    (void)io->ops->space(io, &space); /* where the call fails, the file system counts as large */
    uint64_t half = space.total_bytes / 2;
    if (set->retain_bytes == 0) {
        set->retain_bytes = half < RETAIN_BYTES ? half : RETAIN_BYTES;
    }
    if (set->snapshot_bytes == 0) {
        set->snapshot_bytes = half / 4 < SNAPSHOT_BYTES ? half / 4 : SNAPSHOT_BYTES;
    }
}

static struct tally *tally_new(const struct tally_options *options)
{
    struct tally *tally = aligned_alloc(64, sizeof *tally);
    if (tally == NULL) {
        return NULL;
    }
    *tally = (struct tally){.options = *options};
    time_init(&tally->shared.time, options->clock);
    struct tally_options *set = &tally->options;
    set->edges = set->edges == 0 ? 4 : set->edges > EDGES_MAX ? EDGES_MAX : set->edges;
    set->segment_bytes = set->segment_bytes == 0 ? WAL_SEGMENT_BYTES_DEFAULT : set->segment_bytes;
    set->payload_bytes_max = set->payload_bytes_max == 0 ? 1U << 20 : set->payload_bytes_max;
    set->memory_bytes = set->memory_bytes == 0 ? machine_memory_bytes() / 2 : set->memory_bytes;
    set->snapshot_s = set->snapshot_s == 0 ? SNAPSHOT_S : set->snapshot_s;
    set->retain_s = set->retain_s == 0 ? RETAIN_S : set->retain_s;
    edges_init(&tally->edges, &tally->shared, set->edges);
    tally->shared.state = &tally->state;
    tally->shared.payload_bytes_max = set->payload_bytes_max;
    return tally;
}

int tally_open(struct tally **out, const struct tally_options *options, struct tally_report *report)
{
    *report = (struct tally_report){0};
    struct tally *tally = tally_new(options);
    if (tally == NULL) {
        return TALLY_NOMEM;
    }
    struct committer_log log = {.wal = NULL};
    int err = committer_init(&tally->committer, &tally->options, &tally->state, &tally->shared,
                             &tally->edges);
    err = err != 0 ? err : state_init(&tally->state);
    err = err != 0 ? err : event_store_init(&tally->events, &tally->state);
    tally->state.ledger.ceiling = tally->options.memory_bytes;
    err = err != 0 ? err : open_io(tally, report);
    if (err == 0) {
        set_by_disk(&tally->options, tally->io);
        err = open_log(tally, report, &log);
    }
    if (err == 0 && (err = engine_start(tally, &log)) != 0) {
        snprintf(report->text, sizeof report->text, "%s", tally_err_text(err));
    }
    if (err != 0) {
        committer_fini(&tally->committer);
        if (tally->wal != NULL) {
            (void)wal_close(tally->wal, false);
        }
        tally_free(tally);
        return err;
    }
    report->disk_needed_bytes = FIELD_GET(tally->shared.disk_needed_bytes);
    report->disk_free_bytes = FIELD_GET(tally->shared.disk_free_bytes);
    report->readonly = FIELD_GET(tally->shared.space) != SPACE_PLENTY;
    *out = tally;
    return 0;
}

void tally_drain(struct tally *tally)
{
    /* E10: release; pairs with E9 */
    atomic_store_explicit(&tally->shared.draining, true, memory_order_release);
}

int tally_close(struct tally *tally)
{
    tally_drain(tally); /* so that the committer does not wait for ever for a log it cannot write */
    reader_stop(tally->shared.reader);
    committer_stop(&tally->committer);
    /* the caller has ended its threads: tallyd calls server_stop before tally_close */
    CHECK(edges_are_idle(&tally->edges));
    bool is_lost = committer_log_is_lost(&tally->committer);
    committer_fini(&tally->committer);
    int err = wal_close(tally->wal, !is_lost);
    tally_free(tally);
    return err == 0 && is_lost ? TALLY_IO : err;
}

/* ---- handles ---- */

int edge_new(struct edge **out, struct tally *tally, void (*wake)(void *arg), void *arg)
{
    return edges_take(&tally->edges, out, wake, arg);
}

int tally_session_new(struct session **out, struct tally *tally)
{
    return session_new(out, &tally->edges);
}

struct ledger *tally_ledger(struct tally *tally)
{
    return &tally->state.ledger;
}
