/* When a snapshot is made, and its walk between the commits. */
#include "engine/commit/snapshot.h"

#include "engine/engine.h"
#include "wal/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SLICE_NS = 300 * 1000, /* of the walk, between two commits */
    SLICE_ENTITIES = 64,   /* between two looks at the clock */
    RETRY_S = 10,          /* after one that failed */
    SWEEP_S = 1,           /* between two looks at what may go, on a full disk */
};

static void wake_committer(void *arg)
{
    wake_up(&((struct tally *)arg)->shared.wake);
}

/* Says what is told from now on. Errors: NOMEM, and it stays as it was. */
static int tell(struct tally *tally, const struct snapshot_made *made)
{
    struct snapshot_made *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        return TALLY_NOMEM;
    }
    *copy = *made;
    const struct snapshot_made *old = FIELD_OWN(tally->shared.snapshot_made);
    FIELD_PUT(tally->shared.snapshot_made, copy);
    if (old != NULL) {
        state_retire(&tally->state, (void *)(uintptr_t)old, free);
    }
    return 0;
}

static uint64_t newest_lsn(const struct tally *tally)
{
    return ((const struct snapshot_made *)FIELD_OWN(tally->shared.snapshot_made))->lsn;
}

int snapshot_start(struct tally *tally, const struct snapshot_found *found)
{
    struct snapshot *s = &tally->snapshot;
    const struct tally_options *options = &tally->options;
    s->log_bytes = found->log_bytes;
    s->quiet_ns = clock_mono_ns();
    const struct snapshot_made made = {
        .lsn = found->lsn, .bytes = found->file_bytes, .time_ms = found->time_ms};
    if (tell(tally, &made) != 0) {
        return TALLY_NOMEM;
    }
    struct snapshot_writer *writer = &s->writer;
    *writer = (struct snapshot_writer){
        .io = tally->io,
        .retain_bytes = options->retain_bytes,
        .retain_ms = options->retain_s < UINT64_MAX / 1000 ? options->retain_s * 1000 : UINT64_MAX,
        .time = &tally->shared.time,
        .wake = wake_committer,
        .arg = tally,
        .newest_lsn = found->lsn,
        .wal = tally->wal,
        .ledger = &tally->state.ledger,
    };
    memcpy(writer->uuid, wal_uuid(tally->wal), sizeof writer->uuid);
    int err = snapshot_writer_init(writer);
    s->has_writer = err == 0;
    return err;
}

void snapshot_stop(struct tally *tally)
{
    struct snapshot *s = &tally->snapshot;
    if (s->walking) {
        capture_end(&s->capture);
    }
    if (s->has_writer) {
        snapshot_writer_fini(&s->writer);
    }
    free((void *)(uintptr_t)FIELD_OWN(tally->shared.snapshot_made)); /* nobody reads any more */
}

/* Lets those who wait for it ask again: edge_snapshot. */
static void answer(struct tally *tally, bool is_good)
{
    struct snapshot *s = &tally->snapshot;
    if (is_good) {
        FIELD_PUT(tally->shared.snapshot_good, s->serves);
    }
    FIELD_PUT(tally->shared.snapshot_served, s->serves);
    /* E12: release; pairs with E11 */
    atomic_store_explicit(&tally->shared.nudged, true, memory_order_release);
}

/* Two snapshots are of two records, and on a full disk there may come no other: one that forgets
 * nothing. */
static void step_on(struct tally *tally)
{
    bool is_same = FIELD_OWN(tally->state.lsn) == newest_lsn(tally);
    if (is_same && FIELD_OWN(tally->shared.space) < SPACE_NONE && timers_have_room(tally)) {
        timers_append(tally, RECORD_FORGET, (const uint64_t[TIMERS_NUMS]){0});
    }
}

/* Nothing went: would more than it takes, behind one more snapshot, or two? */
static void end_sweep(struct tally *tally, const struct snapshot_result *result)
{
    struct snapshot *s = &tally->snapshot;
    uint64_t takes_bytes = FIELD_OWN(tally->shared.disk_snapshot_bytes);
    s->running = false;
    s->sweeping = false;
    FIELD_ADD(tally->shared.segments_removed, result->segments_removed);
    s->makes_room = result->segments_removed == 0 &&
                    (result->gain_bytes > takes_bytes || result->gain2_bytes > 2 * takes_bytes);
    s->sweep_ns = clock_mono_ns() + SWEEP_S * NS_PER_S;
    if (s->makes_room) {
        step_on(tally);
    }
    if (result->why[0] != '\0') {
        fprintf(stderr, "tally: the disk is full: %s\n", result->why);
    }
}

/* A snapshot without its log is refused by a start, so it saves nothing. Looked at anew, as what is
 * told next is an answer. */
static bool is_lost(struct tally *tally)
{
    space_look_soon(tally);
    return space_is_lost(tally);
}

static void end(struct tally *tally, const struct snapshot_result *result)
{
    struct snapshot *s = &tally->snapshot;
    uint64_t now_ns = clock_mono_ns();
    if (s->walking) {
        capture_end(&s->capture);
        s->walking = false;
    }
    s->running = false;
    const struct snapshot_made made = {.lsn = result->lsn,
                                       .bytes = result->bytes,
                                       .time_ms = tally->shared.time.log_ms,
                                       .took_ms = (now_ns - s->began_ns) / NS_PER_MS};
    bool is_good = result->err == 0 && !is_lost(tally) && tell(tally, &made) == 0;
    if (is_good) {
        FIELD_ADD(tally->shared.snapshots, 1);
        FIELD_ADD(tally->shared.segments_removed, result->segments_removed);
        /* E17: relaxed: what was found damaged while this one was made is not what it wrote */
        atomic_store_explicit(&tally->shared.snapshot_renew, false, memory_order_relaxed);
    } else {
        FIELD_ADD(tally->shared.snapshot_failures, 1);
        s->retry_ns = now_ns + RETRY_S * NS_PER_S;
    }
    if (result->why[0] != '\0') {
        fprintf(stderr, "tally: snapshot at record %llu: %s\n", (unsigned long long)result->lsn,
                result->why);
    }
    FIELD_PUT(tally->shared.snapshot_running, false);
    answer(tally, is_good);
}

/* New changes are refused, or soon will be. */
static bool is_full(const struct tally *tally)
{
    return FIELD_OWN(tally->shared.space) != SPACE_PLENTY || wal_disk_full(tally->wal);
}

/* One is due and would leave no room for another: old log does not go meanwhile, so it is said. */
static void hold_back(struct tally *tally)
{
    if (!tally->snapshot.is_held_back) {
        tally->snapshot.is_held_back = true;
        engine_trouble(tally,
                       "a snapshot is due, and is not made before it has to: the disk has no "
                       "room for another one beside it");
    }
}

/* Whether one is to begin; what was asked for is served at once when there is nothing to save. */
static bool is_wanted(struct tally *tally, uint64_t now_ns)
{
    struct snapshot *s = &tally->snapshot;
    const struct tally_options *options = &tally->options;
    uint64_t lsn = FIELD_OWN(tally->state.lsn);
    /* E14: acquire; pairs with E15 */
    s->serves = atomic_load_explicit(&tally->shared.snapshot_asked, memory_order_acquire);
    bool is_asked = s->serves != FIELD_OWN(tally->shared.snapshot_served);
    if (tally->disk.is_lost || (is_asked && is_lost(tally))) {
        if (is_asked) {
            answer(tally, false);
        }
        return false;
    }
    /* E16: acquire; pairs with E18 */
    bool is_damaged = atomic_load_explicit(&tally->shared.snapshot_renew, memory_order_acquire);
    if (lsn == newest_lsn(tally) && !is_damaged) {
        if (is_asked) {
            answer(tally, true);
        }
        return false;
    }
    uint64_t bytes = s->log_bytes + FIELD_OWN(tally->shared.stored_bytes);
    uint64_t quiet_s = (now_ns - s->quiet_ns) / NS_PER_S;
    bool is_due = bytes - s->bytes_at >= options->snapshot_bytes || quiet_s >= options->snapshot_s;
    bool is_wanted = s->makes_room || ((is_due || is_damaged) && space_for_snapshot(tally));
    if ((is_due || is_damaged) && !is_wanted && !is_full(tally)) {
        hold_back(tally);
    }
    return is_asked || (is_wanted && now_ns >= s->retry_ns);
}

static void begin(struct tally *tally, uint64_t now_ns)
{
    struct snapshot *s = &tally->snapshot;
    s->running = true;
    s->walking = true;
    s->began_ns = now_ns;
    s->quiet_ns = now_ns;
    s->bytes_at = s->log_bytes + FIELD_OWN(tally->shared.stored_bytes);
    s->makes_room = false;
    s->is_held_back = false;
    space_snapshot_begins(tally);
    FIELD_PUT(tally->shared.snapshot_running, true);
    snapshot_writer_begin(&s->writer, FIELD_OWN(tally->state.lsn), is_full(tally));
    capture_begin(&s->capture, &tally->state, snapshot_writer_put, &s->writer);
}

static void end_walk(struct tally *tally, bool is_whole)
{
    struct snapshot *s = &tally->snapshot;
    snapshot_writer_close(&s->writer, is_whole);
    capture_end(&s->capture);
    s->walking = false;
}

/* Returns true when there is more to walk now. */
static bool walk(struct tally *tally)
{
    struct snapshot *s = &tally->snapshot;
    uint64_t slice = tally->options.snapshot_slice;
    uint64_t until_ns = slice > 0 ? 0 : clock_mono_ns() + SLICE_NS;
    do {
        if (s->capture.err == 0 && snapshot_writer_is_full(&s->writer)) {
            return false;
        }
        if (capture_walk(&s->capture, slice > 0 ? slice : SLICE_ENTITIES)) {
            end_walk(tally, s->capture.err == 0);
            return false;
        }
    } while (clock_mono_ns() < until_ns);
    return true;
}

bool snapshot_run(struct tally *tally)
{
    struct snapshot *s = &tally->snapshot;
    struct snapshot_result result;
    if (s->running && snapshot_writer_result(&s->writer, &result)) {
        if (s->sweeping) {
            end_sweep(tally, &result);
        } else {
            end(tally, &result);
        }
        return true;
    }
    uint64_t now_ns = clock_mono_ns();
    if (!s->running && now_ns >= s->sweep_ns && is_full(tally) && !tally->disk.is_lost) {
        s->running = true;
        s->sweeping = true;
        snapshot_writer_sweep(&s->writer);
    }
    if (!s->running && is_wanted(tally, now_ns)) {
        begin(tally, now_ns);
    }
    if (s->walking && tally->disk.is_lost) {
        end_walk(tally, false);
    }
    return s->walking && walk(tally);
}

/* ---- what others ask ---- */

void snapshot_renew(struct tally *tally)
{
    /* E18: release; pairs with E16 */
    atomic_store_explicit(&tally->shared.snapshot_renew, true, memory_order_release);
    wake_up(&tally->shared.wake);
}
