/* When a snapshot is made, and how the committer captures the state between its commits. */
#include "engine/commit/snapshot.h"

#include "engine/base/alarm.h"
#include "engine/edge/reader.h"
#include "engine/events/event_store.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SLICE_NS = 300 * 1000, /* of the capture, between two commits */
    SLICE_ENTITIES = 64,   /* between two looks at the clock */
    RETRY_S = 10,          /* after a failed snapshot */
    SWEEP_S = 1,           /* between two sweeps, on a full disk */
};

static void wake_committer(void *arg)
{
    wake_up(&((struct shared *)arg)->wake);
}

/* Publishes the last snapshot for INFO and SNAPSHOT. Errors: NOMEM; they keep the one before. */
static int snapshot_tell(struct snapshot *snapshot, const struct snapshot_made *made)
{
    struct snapshot_made *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        return TALLY_NOMEM;
    }
    *copy = *made;
    const struct snapshot_made *old = FIELD_OWN(snapshot->shared->snapshot_made);
    FIELD_PUT(snapshot->shared->snapshot_made, copy);
    if (old != NULL) {
        state_retire(snapshot->state, (void *)(uintptr_t)old, free);
    }
    return 0;
}

static uint64_t newest_lsn(const struct snapshot *snapshot)
{
    return ((const struct snapshot_made *)FIELD_OWN(snapshot->shared->snapshot_made))->lsn;
}

int snapshot_start(struct snapshot *snapshot, struct wal_io *io, const struct snapshot_found *found)
{
    const struct tally_options *options = snapshot->options;
    snapshot->log_bytes = found->log_bytes;
    snapshot->quiet_ns = clock_mono_ns();
    const struct snapshot_made made = {
        .lsn = found->lsn, .bytes = found->file_bytes, .time_ms = found->time_ms};
    if (snapshot_tell(snapshot, &made) != 0) {
        return TALLY_NOMEM;
    }
    struct snapshot_writer *writer = &snapshot->writer;
    *writer = (struct snapshot_writer){
        .io = io,
        .retain_bytes = options->retain_bytes,
        .retain_ms = options->retain_s < UINT64_MAX / 1000 ? options->retain_s * 1000 : UINT64_MAX,
        .time = &snapshot->shared->time,
        .wake = wake_committer,
        .arg = snapshot->shared,
        .newest_lsn = found->lsn,
        .wal = snapshot->wal,
        .ledger = &snapshot->state->ledger,
    };
    memcpy(writer->uuid, wal_uuid(snapshot->wal), sizeof writer->uuid);
    int err = snapshot_writer_init(writer);
    snapshot->has_writer = err == 0;
    return err;
}

void snapshot_stop(struct snapshot *snapshot)
{
    if (snapshot->walking) {
        snapshot_capture_end(&snapshot->capture);
    }
    if (snapshot->has_writer) {
        snapshot_writer_fini(&snapshot->writer);
    }
    event_buf_fini(&snapshot->recent_events);
    if (snapshot->shared != NULL) {
        /* no edge is left that could read it */
        free((void *)(uintptr_t)FIELD_OWN(snapshot->shared->snapshot_made));
    }
}

/* Answers all tickets that this snapshot serves, and wakes the edges, which ask again
 * (edge_snapshot). */
static void answer_tickets(struct snapshot *snapshot, bool is_good)
{
    CHECK(snapshot->serves >= FIELD_OWN(snapshot->shared->snapshot_served)); /* tickets only grow */
    if (is_good) {
        FIELD_PUT(snapshot->shared->snapshot_good, snapshot->serves);
    }
    FIELD_PUT(snapshot->shared->snapshot_served, snapshot->serves);
    /* E12: release; pairs with E11 */
    atomic_store_explicit(&snapshot->shared->nudged, true, memory_order_release);
}

/* Appends a FORGET that forgets nothing: two snapshots need two lsns, and on a full disk no
 * client's record moves the lsn. */
static void append_nothing(struct snapshot *snapshot)
{
    bool is_same = FIELD_OWN(snapshot->state->lsn) == newest_lsn(snapshot);
    if (is_same && FIELD_OWN(snapshot->shared->space) < SPACE_NONE &&
        own_lane_has_room(snapshot->own)) {
        own_lane_append(snapshot->own, RECORD_FORGET, (const uint64_t[OWN_LANE_NUMS]){0});
    }
}

/* Ends a sweep. When it removed nothing, one more snapshot is worth its space if after it, or after
 * two of them, more bytes of log can be removed. */
static void end_sweep(struct snapshot *snapshot, const struct snapshot_result *result)
{
    uint64_t takes_bytes = FIELD_OWN(snapshot->shared->disk_snapshot_bytes);
    snapshot->running = false;
    snapshot->sweeping = false;
    FIELD_ADD(snapshot->shared->segments_removed, result->segments_removed);
    snapshot->makes_room = result->segments_removed == 0 && (result->gain_bytes > takes_bytes ||
                                                             result->gain2_bytes > 2 * takes_bytes);
    snapshot->sweep_ns = clock_mono_ns() + SWEEP_S * NS_PER_S;
    if (snapshot->makes_room) {
        append_nothing(snapshot);
    }
    if (result->why[0] != '\0') {
        fprintf(stderr, "tally: the disk is full: %s\n", result->why);
    }
}

/* Whether the log is missing: a start refuses a snapshot without its log, so none is made. Looks at
 * the disk anew, since the answer goes to a client. */
static bool log_is_lost(struct snapshot *snapshot)
{
    space_look_soon(snapshot->space);
    return space_is_lost(snapshot->space);
}

static void snapshot_end(struct snapshot *snapshot, const struct snapshot_result *result)
{
    uint64_t now_ns = clock_mono_ns();
    CHECK(snapshot->running && !snapshot->sweeping); /* snapshot_run has looked */
    if (snapshot->walking) {
        snapshot_capture_fail(&snapshot->capture, result->err);
    }
    snapshot->running = false;
    const struct snapshot_made made = {.lsn = result->lsn,
                                       .bytes = result->bytes,
                                       .time_ms = snapshot->shared->time.log_ms,
                                       .took_ms = (now_ns - snapshot->began_ns) / NS_PER_MS};
    bool is_good =
        result->err == 0 && !log_is_lost(snapshot) && snapshot_tell(snapshot, &made) == 0;
    if (is_good) {
        FIELD_ADD(snapshot->shared->snapshots, 1);
        FIELD_ADD(snapshot->shared->segments_removed, result->segments_removed);
        /* E17: relaxed: damage found while this snapshot was made is not in its own file */
        atomic_store_explicit(&snapshot->shared->snapshot_renew, false, memory_order_relaxed);
    } else {
        FIELD_ADD(snapshot->shared->snapshot_failures, 1);
        snapshot->retry_ns = now_ns + RETRY_S * NS_PER_S;
    }
    if (result->why[0] != '\0') {
        fprintf(stderr, "tally: snapshot at record %llu: %s\n", (unsigned long long)result->lsn,
                result->why);
    }
    FIELD_PUT(snapshot->shared->snapshot_running, false);
    answer_tickets(snapshot, is_good);
}

/* Whether new changes are refused, or soon will be. */
static bool disk_is_full(const struct snapshot *snapshot)
{
    return FIELD_OWN(snapshot->shared->space) != SPACE_PLENTY || wal_disk_full(snapshot->wal);
}

/* Tells the operator that a snapshot is due but would leave no space for the next one: until it is
 * made, retention removes no segment. */
static void snapshot_hold_back(struct snapshot *snapshot)
{
    if (!snapshot->is_held_back) {
        snapshot->is_held_back = true;
        alarm_trouble(snapshot->options,
                      "a snapshot is due, and is not made before it has to: the disk has no "
                      "room for another one beside it");
    }
}

/* Whether a snapshot must begin. When nothing has changed since the last one, tickets are answered
 * at once. */
static bool snapshot_is_wanted(struct snapshot *snapshot, uint64_t now_ns)
{
    const struct tally_options *options = snapshot->options;
    uint64_t lsn = FIELD_OWN(snapshot->state->lsn);
    /* E14: acquire; pairs with E15 */
    snapshot->serves =
        atomic_load_explicit(&snapshot->shared->snapshot_asked, memory_order_acquire);
    bool is_asked = snapshot->serves != FIELD_OWN(snapshot->shared->snapshot_served);
    if (snapshot->space->is_lost || (is_asked && log_is_lost(snapshot))) {
        if (is_asked) {
            answer_tickets(snapshot, false);
        }
        return false;
    }
    /* E16: acquire; pairs with E18 */
    bool is_damaged = atomic_load_explicit(&snapshot->shared->snapshot_renew, memory_order_acquire);
    if (lsn == newest_lsn(snapshot) && !is_damaged) {
        if (is_asked) {
            answer_tickets(snapshot, true);
        }
        return false;
    }
    uint64_t bytes = snapshot->log_bytes + FIELD_OWN(snapshot->shared->stored_bytes);
    uint64_t quiet_s = (now_ns - snapshot->quiet_ns) / NS_PER_S;
    bool is_due =
        bytes - snapshot->bytes_at >= options->snapshot_bytes || quiet_s >= options->snapshot_s;
    bool is_useful =
        snapshot->makes_room || ((is_due || is_damaged) && space_for_snapshot(snapshot->space));
    if ((is_due || is_damaged) && !is_useful && !disk_is_full(snapshot)) {
        snapshot_hold_back(snapshot);
    }
    return is_asked || (is_useful && now_ns >= snapshot->retry_ns);
}

/* Makes the image of the next poll's newest events (CAPTURE_NO_MORE; PARK). Those behind the
 * snapshot are left out: a start has them from the log. */
static int next_recent(void *arg, struct image *image)
{
    struct snapshot *snapshot = arg;
    struct event_buf *events = &snapshot->recent_events;
    int err = 0;
    for (events->len = 0; err == 0 && events->len == 0;) {
        uint64_t poll = snapshot->recent_poll + 1;
        err = event_store_recent(snapshot->shared->events, snapshot->capture.lsn, &poll, events);
        snapshot->recent_poll = err == 0 ? poll : snapshot->recent_poll;
    }
    if (err == TALLY_PARK) {
        snapshot->is_parked = true;
        reader_wake(snapshot->shared->reader); /* it wakes the committer when it has come up */
    }
    *image = (struct image){
        .kind = IMAGE_RECENT,
        .num = {[IRECENT_POLL] = snapshot->recent_poll},
        .text = {[IRECENT_EVENTS] = {(const char *)events->at, events->len}},
    };
    return events->is_cut ? TALLY_NOMEM : err == EVENTS_RECENT_NONE ? CAPTURE_NO_MORE : err;
}

static void snapshot_begin(struct snapshot *snapshot, uint64_t now_ns)
{
    CHECK(!snapshot->running && !snapshot->walking); /* snapshot_run has looked */
    snapshot->running = true;
    snapshot->walking = true;
    snapshot->began_ns = now_ns;
    snapshot->quiet_ns = now_ns;
    snapshot->bytes_at = snapshot->log_bytes + FIELD_OWN(snapshot->shared->stored_bytes);
    snapshot->makes_room = false;
    snapshot->is_held_back = false;
    space_snapshot_begins(snapshot->space);
    FIELD_PUT(snapshot->shared->snapshot_running, true);
    snapshot_writer_begin(&snapshot->writer, FIELD_OWN(snapshot->state->lsn),
                          disk_is_full(snapshot));
    snapshot_capture_begin(&snapshot->capture, snapshot->state, snapshot_writer_put,
                           &snapshot->writer);
    snapshot->recent_poll = 0;
    snapshot->capture.more = next_recent;
    snapshot->capture.more_arg = snapshot;
}

/* Captures a slice. Returns true when the capture can go on at once. */
static bool snapshot_walk(struct snapshot *snapshot)
{
    uint64_t slice = snapshot->options->snapshot_slice;
    uint64_t until_ns = slice > 0 ? 0 : clock_mono_ns() + SLICE_NS;
    snapshot->is_parked = false;
    do {
        if (snapshot->capture.err == 0 && snapshot_writer_is_full(&snapshot->writer)) {
            return false;
        }
        if (snapshot_capture_walk(&snapshot->capture, slice > 0 ? slice : SLICE_ENTITIES)) {
            snapshot_writer_close(&snapshot->writer, snapshot->capture.err == 0);
            snapshot_capture_end(&snapshot->capture);
            snapshot->walking = false;
            return false;
        }
    } while (!snapshot->is_parked && clock_mono_ns() < until_ns);
    return !snapshot->is_parked;
}

bool snapshot_run(struct snapshot *snapshot)
{
    struct snapshot_result result;
    if (snapshot->running && snapshot_writer_result(&snapshot->writer, &result)) {
        if (snapshot->sweeping) {
            end_sweep(snapshot, &result);
        } else {
            snapshot_end(snapshot, &result);
        }
        return true;
    }
    uint64_t now_ns = clock_mono_ns();
    if (!snapshot->running && now_ns >= snapshot->sweep_ns && disk_is_full(snapshot) &&
        !snapshot->space->is_lost) {
        snapshot->running = true;
        snapshot->sweeping = true;
        snapshot_writer_sweep(&snapshot->writer);
    }
    if (!snapshot->running && !snapshot->walking && snapshot_is_wanted(snapshot, now_ns)) {
        snapshot_begin(snapshot, now_ns);
    }
    if (snapshot->walking && snapshot->space->is_lost) {
        snapshot_capture_fail(&snapshot->capture, TALLY_NOSPC);
    }
    if (snapshot->walking && snapshot->capture.err != 0) {
        /* the walk goes on for the marks of voters alone: engine/apply/snapshot_capture.h */
        snapshot_writer_close(&snapshot->writer, false);
    }
    return snapshot->walking && snapshot_walk(snapshot);
}

/* ---- called by other threads ---- */

void snapshot_renew(struct shared *shared)
{
    /* E18: release; pairs with E16 */
    atomic_store_explicit(&shared->snapshot_renew, true, memory_order_release);
    wake_up(&shared->wake);
}
