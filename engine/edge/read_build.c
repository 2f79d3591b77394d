/* Reads of builds, their payloads and results, and the engine's counters. */
#include "engine/read.h"

#include "engine/edge/edge_internal.h"
#include "engine/edge/slice.h"
#include "engine/base/rcu.h"
#include "engine/state/wheel.h"
#include "wal/base/check.h"
#include "wal/wal.h"

#include <stdlib.h>

/* ---- BUILD, BUILDS ---- */

static bool is_wanted(const struct read_builds *r, const struct build *build)
{
    enum build_state state = status_state(FIELD_GET(build->applied));
    struct span by = blob_span(FIELD_GET(build->by));
    if (r->state_mask != 0 && (r->state_mask >> state & 1) == 0) {
        return false;
    }
    if (r->queue.at != NULL && !span_equal(r->queue, blob_span(build->queue->name))) {
        return false;
    }
    return r->worker.at == NULL || span_equal(r->worker, by);
}

/* The progress that the running claim, or the last one, has reported; 0 without a report. */
static uint32_t progress_of(const struct build *build)
{
    uint32_t status = FIELD_GET(build->applied);
    uint32_t token =
        status_is_held(status) ? status_token(status) : ending_token(FIELD_GET(build->ending));
    uint64_t progress = FIELD_GET(build->progress);
    DCHECK((uint32_t)progress <= 100);
    return progress >> 32 == token ? (uint32_t)progress : 0;
}

static int add_build(struct read *read, const struct build *build)
{
    const struct blob *by = FIELD_GET(build->by);
    struct parcel *error = FIELD_GET(build->error);
    DCHECK(status_state(FIELD_GET(build->applied)) > BUILD_NONE);
    struct build_row *row = slice_row(read);
    if (row == NULL) {
        return TALLY_NOMEM;
    }
    *row = (struct build_row){
        .id = build->id,
        .queue = slice_text(read, blob_span(build->queue->name)),
        .state = status_state(FIELD_GET(build->applied)),
        .pri = build->pri,
        .attempt = FIELD_GET(build->attempts),
        .prog = progress_of(build),
        .submitted_ms = build->submitted_ms,
        .started_ms = FIELD_GET(build->started_ms),
        .ended_ms = FIELD_GET(build->ended_ms),
    };
    if (by != NULL) {
        row->worker = slice_text(read, blob_span(by));
    }
    if (error != NULL) {
        row->error = slice_parcel(read, error);
    }
    bool whole = row->queue.at != NULL && (by == NULL || row->worker.at != NULL) &&
                 (error == NULL || row->error.at != NULL);
    return whole ? 0 : TALLY_NOMEM;
}

/* read->next is the id to look at next; 0 at the beginning of the read. */
static int list_builds(struct read_builds *r, const struct state *state)
{
    uint64_t newest = FIELD_GET(state->build_next) - 1;
    uint64_t id = r->read.next;
    int err = 0;
    if (id == 0 && r->reverse) {
        id = r->after == 0 || r->after > newest ? newest : r->after - 1;
    } else if (id == 0) {
        id = r->after < newest ? r->after + 1 : newest + 1;
    }
    for (int i = 0; err == 0 && r->read.rows.count < r->count; i++) {
        const struct build *build =
            r->reverse ? table_prev(&state->builds, &id) : table_next(&state->builds, &id);
        if (build == NULL || id > newest) {
            return 0;
        }
        if (i == READ_SLICE) {
            r->read.next = id;
            return READ_MORE;
        }
        if (is_wanted(r, build)) {
            err = add_build(&r->read, build);
        }
        id = r->reverse ? id - 1 : id + 1;
    }
    return err;
}

static int run_builds(struct read *read, const struct state *state)
{
    struct read_builds *r = (struct read_builds *)read;
    if (r->id != 0) {
        const struct build *build = state_build(state, r->id);
        return build != NULL ? add_build(read, build) : TALLY_NOTFOUND;
    }
    if (r->queue.at != NULL && read->next == 0 && state_queue(state, r->queue) == NULL) {
        return TALLY_NOTFOUND;
    }
    return list_builds(r, state);
}

static void end_builds(struct read *read)
{
    struct read_builds *r = (struct read_builds *)read;
    r->rows = read->rows.at;
    r->row_count = read->rows.count;
}

void read_builds_init(struct read_builds *r)
{
    *r = (struct read_builds){.read = {.run = run_builds,
                                       .end = end_builds,
                                       .wanted = SIZE_MAX,
                                       .rows.size = sizeof(struct build_row)}};
}

void read_builds_fini(struct read_builds *r)
{
    slice_fini(&r->read);
}

int edge_payload(struct edge *edge, uint64_t id, struct parcel **parcel)
{
    const struct build *build = state_build(edge->state, id);
    struct parcel *payload = build != NULL ? FIELD_GET(build->payload) : NULL;
    if (payload == NULL) {
        return TALLY_NOTFOUND;
    }
    *parcel = parcel_hold(payload);
    return 0;
}

int edge_result(struct edge *edge, uint64_t id, struct parcel **parcel)
{
    const struct build *build = state_build(edge->state, id);
    if (build == NULL) {
        return TALLY_NOTFOUND;
    }
    if (status_state(FIELD_GET(build->applied)) != BUILD_COMPLETED) {
        return TALLY_STATE;
    }
    struct parcel *result = FIELD_GET(build->result);
    /* read after the result, since a FORGET frees the payload first */
    if (FIELD_GET(build->payload) == NULL) {
        return TALLY_NOTFOUND;
    }
    *parcel = result != NULL ? parcel_hold(result) : NULL;
    return 0;
}

/* ---- HELD ---- */

static int add_held(struct read *read, const struct build *build)
{
    uint32_t tick = ((const struct read_held *)read)->tick;
    struct held_row *row = slice_row(read);
    if (row == NULL) {
        return TALLY_NOMEM;
    }
    uint32_t due = word_lease_deadline(&build->word);
    *row = (struct held_row){
        .id = build->id,
        .token = status_token(FIELD_GET(build->applied)),
        .attempt = FIELD_GET(build->attempts),
        .lease_ms = wheel_lease_left_ms(due, tick, FIELD_GET(build->lease_ms)),
        .queue = slice_text(read, blob_span(build->queue->name)),
    };
    return row->queue.at != NULL ? 0 : TALLY_NOMEM;
}

static int compare_held(const void *a, const void *b)
{
    const struct held_row *x = a;
    const struct held_row *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int run_held(struct read *read, const struct state *state)
{
    const struct worker *worker = state_worker(state, ((const struct read_held *)read)->worker);
    if (worker == NULL || FIELD_GET(worker->state) == WORKER_GONE) {
        return TALLY_NOTFOUND;
    }
    const struct worker_held *held = FIELD_GET(worker->held);
    DCHECK(held != NULL);
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < held->capacity; i++) {
        const struct build *build = FIELD_GET(held->slot[i]);
        if (build != NULL && !FIELD_GET(build->goes_back)) {
            err = add_held(read, build);
        }
    }
    return err;
}

static void end_held(struct read *read)
{
    struct read_held *r = (struct read_held *)read;
    r->rows = read->rows.at;
    r->row_count = read->rows.count;
}

void read_held_init(struct read_held *r, const struct edge *edge, struct span worker)
{
    *r = (struct read_held){.read = {.run = run_held,
                                     .end = end_held,
                                     .compare = compare_held,
                                     .wanted = SIZE_MAX,
                                     .rows.size = sizeof(struct held_row)},
                            .worker = worker,
                            .tick = FIELD_GET(edge->shared->tick)};
}

void read_held_fini(struct read_held *r)
{
    slice_fini(&r->read);
}

/* ---- INFO ---- */

enum { INFO_TRIES = 3 };

static void add_states(const struct state *state, struct engine_info *info)
{
    uint64_t mark = 0;
    for (int tries = 0; tries < INFO_TRIES; tries++) { /* one moment, if few tries give it */
        bool is_even = seq_read_begin(&state->seq, &mark);
        for (int i = 0; i < BUILD_STATES; i++) {
            info->builds_by_state[i] = FIELD_GET(state->by_state[i]);
        }
        if (is_even && seq_read_is_valid(&state->seq, mark)) {
            return;
        }
    }
}

static void add_janitor(const struct wal *wal, struct engine_info *info)
{
    struct wal_janitor_stats stats;
    struct wal_report damage;
    wal_janitor_stats(wal, &stats);
    info->packed_segments = stats.packed_segments;
    info->packed_from_bytes = stats.packed_from_bytes;
    info->packed_to_bytes = stats.packed_to_bytes;
    info->pack_failures = stats.pack_failures;
    info->scrub_passes = stats.scrub_passes;
    info->scrub_bytes = stats.scrub_bytes;
    info->scrub_damage = wal_damage(wal, &damage);
}

void edge_info(struct edge *edge, struct engine_info *info)
{
    const struct shared *shared = edge->shared;
    const struct state *state = edge->state;
    const struct snapshot_made *made = FIELD_GET(shared->snapshot_made);
    DCHECK(made != NULL); /* snapshot_start sets it even when there is no snapshot */
    *info = (struct engine_info){
        .lsn = FIELD_GET(state->lsn),
        .commits = edge_commits(edge),
        .records = FIELD_GET(state->lsn),
        .log_raw_bytes = FIELD_GET(shared->raw_bytes),
        .log_stored_bytes = FIELD_GET(shared->stored_bytes),
        .log_room_bytes = FIELD_GET(shared->log_room),
        .retain_bytes = shared->retain_bytes,
        .disk_needed_bytes = FIELD_GET(shared->disk_needed_bytes),
        .disk_free_bytes = FIELD_GET(shared->disk_free_bytes),
        .disk_bytes = FIELD_GET(shared->disk_total_bytes),
        .segment_failures = wal_segment_failures(shared->wal),
        .sync_ns_sum = FIELD_GET(shared->sync_ns),
        .commit_us_last = FIELD_GET(shared->commit_us_last),
        .commit_us_max = FIELD_GET(shared->commit_us_max),
        .polls = FIELD_GET(state->poll_count),
        .queues = FIELD_GET(state->queue_count),
        .options = FIELD_GET(state->option_count),
        .votes = FIELD_GET(state->votes),
        .workers = FIELD_GET(state->worker_count),
        .builds = FIELD_GET(state->builds_in_memory),
        .memory_bytes_max = state->ledger.ceiling,
        .retired = rcu_retired(state->retirer),
        .snapshot_lsn = made->lsn,
        .snapshot_time_ms = made->time_ms,
        .snapshot_took_ms = made->took_ms,
        .snapshot_bytes = made->bytes,
        .snapshots = FIELD_GET(shared->snapshots),
        .snapshot_failures = FIELD_GET(shared->snapshot_failures),
        .segments_removed = FIELD_GET(shared->segments_removed),
        .snapshot_running = FIELD_GET(shared->snapshot_running),
        .readonly = FIELD_GET(shared->space) != SPACE_PLENTY,
        .draining = FIELD_GET(shared->draining),
    };
    for (unsigned kind = 0; kind < LEDGER_KINDS; kind++) {
        info->memory[kind] = ledger_of(&state->ledger, (enum ledger_kind)kind);
        info->memory_bytes += info->memory[kind];
    }
    struct time_info time;
    time_info(&shared->time, &time);
    info->wall_ms = time.wall_ms;
    info->log_ms = time.log_ms;
    info->wall_behind_ms = time.behind_ms;
    info->wall_ahead_ms = time.ahead_ms;
    info->start_ahead_ms = time.start_ahead_ms;
    add_states(state, info);
    add_janitor(shared->wal, info);
}
