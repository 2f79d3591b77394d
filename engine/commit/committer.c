/* The committer: one thread that merges, writes, applies and publishes, block by block. */
#include "engine/commit/committer.h"

#include "engine/apply/apply.h"
#include "engine/base/alarm.h"
#include "engine/base/rcu.h"
#include "engine/edge/ordered_request.h"
#include "engine/edge/reader.h"
#include "engine/events/event_store.h"
#include "engine/log/bounds.h"

#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/err.h"
#include "wal/base/thread.h"

#include <sched.h>

enum { CONFIRM_AFTER_NS = 20 * 1000 * 1000, FULL_RETRY_NS = 50 * 1000 * 1000 };
enum { DROPPED_PIECES = 8 };     /* freed in a round: 0.2 ms */
enum { FULL_DRAIN_TRIES = 200 }; /* of FULL_RETRY_NS: 10 s */

int committer_init(struct committer *committer, const struct tally_options *options,
                   struct state *state, struct shared *shared, struct edges *edges)
{
    *committer =
        (struct committer){.options = options, .state = state, .shared = shared, .edges = edges};
    int err = own_lane_init(&committer->own, &state->ledger, options);
    shared->own = committer->own.lane;
    committer->judge = (struct judge){.state = state,
                                      .shared = shared,
                                      .own = &committer->own,
                                      .gate = &committer->gate,
                                      .options = options};
    err = err != 0 ? err : judge_init(&committer->judge);
    return err != 0 ? err : merge_init(&committer->merge, edges, &committer->judge, options);
}

void committer_fini(struct committer *committer)
{
    snapshot_stop(&committer->snapshot);
    merge_fini(&committer->merge);
    judge_fini(&committer->judge);
    own_lane_fini(&committer->own);
}

/* ---- one commit ---- */

static int append_block(struct committer *committer, const unsigned char *block, size_t len)
{
    return space_is_lost(&committer->space)
               ? TALLY_NOSPC
               : wal_append(committer->wal, committer->merge.columns.count, block, len);
}

/*
 * Writes the block. While the disk is full the committer waits for space, but no longer than 10 s
 * once the engine drains: the records in flight were not answered, and are lost as in a crash.
 * While the log is missing from its directory the committer waits, too, since the state can still
 * be read; but then it does not hold up the end. Any other failure ends the process.
 */
static void write_block(struct committer *committer)
{
    const unsigned char *block = NULL;
    size_t len = 0;
    merge_end(&committer->merge, &block, &len);
    int err = append_block(committer, block, len);
    for (int tries = 0; err == TALLY_NOSPC;
         tries += FIELD_GET(committer->shared->draining) ? 1 : 0) {
        if (tries > (committer->space.is_lost ? 0 : FULL_DRAIN_TRIES)) {
            alarm_fatal(committer->options, 74,
                        committer->space.is_lost ? "the log is gone and the server is to end"
                                                 : "the disk is full and the server is to end");
        }
        space_put(&committer->space, committer->space.is_lost ? SPACE_LOST : SPACE_NONE);
        reader_serve(committer->shared->reader); /* reads go on while the disk is full */
        if (wake_may_sleep(&committer->shared->wake)) {
            wake_block(&committer->shared->wake, FULL_RETRY_NS);
            wake_awake(&committer->shared->wake);
        }
        err = append_block(committer, block, len);
    }
    if (err != 0) {
        alarm_fatal(committer->options, 74, wal_why(committer->wal));
    }
}

/* Called when the step in a slot was applied: frees its text, and leaves the length of the text. */
static void leave_step(struct lane_slot *slot)
{
    uint32_t bytes = 0;
    /* apply has applied the record that the merge took from this slot */
    CHECK(FIELD_OWN(slot->step.build->applied) == slot->step.after);
    if (record_is_step_with_text(slot->type)) {
        bytes = (uint32_t)parcel_span(slot->step.text).len;
        parcel_release(slot->step.text);
    }
    slot->result.bytes = bytes;
}

/* Called when the ordered request in a slot was applied: answers it, or frees the committer's own.
 */
static void leave_ordered(struct committer *committer, struct lane_slot *slot,
                          const struct apply_result *result)
{
    struct ordered_request *request = slot->ordered.request;
    slot->result.bytes = (uint32_t)request->bytes;
    slot->result.is_alone = false;
    if (request->is_own) {
        ordered_request_free(&committer->state->ledger, request);
        return;
    }
    if (slot->type == RECORD_BYE) {
        request->until = own_lane_tail(&committer->own);
    } else if (slot->type == RECORD_POLL && result->err == 0) {
        const struct effect *altered = &result->effects[0];
        CHECK(result->effect_count == 1 && altered->kind == EFFECT_ALTERED); /* apply_poll */
        request->until = altered->poll->altered;
        request->poll_id = altered->poll->id;
    }
    judge_answer(&committer->judge, request, result->err, &result->reply);
}

/* Works off the effects of a record. The result of a BYE, the number of builds given back, is set
 * here: the words decide it, since a completion that is already in a lane wins. */
static void work_off(struct committer *committer, struct apply_result *result)
{
    for (uint32_t i = 0; i < result->effect_count; i++) {
        const struct effect *effect = &result->effects[i];
        switch (effect->kind) {
        case EFFECT_OFFERED:
            timers_offered(&committer->timers, effect->build);
            break;
        case EFFECT_DELAYED:
            timers_delayed(&committer->timers, effect->build);
            break;
        case EFFECT_CLAIMED:
            timers_claimed(&committer->timers, effect->build);
            break;
        case EFFECT_LEFT:
            timers_left(&committer->timers, effect->build, effect->worker);
            break;
        case EFFECT_GONE:
            result->reply.value = timers_gone(&committer->timers, effect->worker);
            break;
        case EFFECT_RETAGGED:
            timers_retagged(&committer->timers);
            break;
        case EFFECT_ALTERED:
            gate_poll_altered(&committer->gate, effect->poll);
            break;
        case EFFECT_WINDOWED:
            gate_poll_windowed(&committer->gate, effect->poll);
            break;
        case EFFECT_PURGED:
            gate_poll_purged(&committer->gate, effect->poll);
            break;
        }
    }
}

/* Applies the record of a slot, works off its effects, and leaves the result in the slot. */
static void apply_slot(struct committer *committer, struct lane_slot *slot, struct record *record,
                       struct apply_result *result)
{
    merge_slot_record(slot, record);
    record->lsn = FIELD_OWN(committer->state->lsn) + 1;
    record->time_ms = committer->merge.columns.time_ms;
    int err = apply(committer->state, record, result);
    if (err != 0) {
        alarm_fatal(committer->options, err == TALLY_NOMEM ? 71 : 70,
                    "a record that was accepted does not apply");
    }
    if (slot->type == RECORD_VOTE) {
        slot->result.bytes = 0;
        return;
    }
    if (slot->type == LANE_BALLOT_VOTE) {
        const struct lane_vote *vote = &slot->vote;
        struct edge_result reply = {.value = option_votes(vote->before) + vote->n};
        judge_answer(&committer->judge, vote->request, 0, &reply);
        slot->result.bytes = 0; /* they are counted in the lane that brought the ballot */
        return;
    }
    work_off(committer, result);
    if (slot->type == RECORD_WORKER && result->err == 0) {
        struct worker *worker = state_worker(committer->state, record->text[WORKER_ID]);
        FIELD_PUT(worker->seen_ms, time_run_ms(&committer->shared->time));
        FIELD_ADD(worker->left, 1); /* the worker may have more slots now */
    }
    if (slot->type == RECORD_RESET || slot->type == RECORD_POLLDEL) {
        /* told also when it was refused, or was a repetition */
        gate_poll_acted(&committer->gate,
                        table_get(&committer->state->poll_ids, record->num[RESET_POLL]));
    }
    if (record_is_build_step(slot->type)) {
        leave_step(slot);
    } else {
        leave_ordered(committer, slot, result);
    }
}

/* Hands what the block has changed to the reader, which remembers it. */
static void tell_block(struct committer *committer, uint64_t first_lsn)
{
    const struct columns *columns = &committer->merge.columns;
    struct event_store *store = committer->shared->events;
    struct event_buf *events = &store->events;
    const struct event_block block = {
        .first_lsn = first_lsn,
        .count = columns->count,
        .votes = {(const char *)columns->block, columns->votes_len},
        .events = {(const char *)events->at, events->len},
    };
    if (events->is_cut) {
        event_pipe_lose(&store->pipe, first_lsn + columns->count - 1);
        events->is_cut = false;
    } else if (event_pipe_put(&store->pipe, &block)) {
        reader_wake(committer->shared->reader);
    }
    events->len = 0;
}

static void apply_batch(struct committer *committer)
{
    uint64_t lsn = FIELD_OWN(committer->state->lsn);
    seq_write_begin(&committer->state->seq);
    for (uint32_t i = 0; i < committer->merge.batch_count; i++) {
        if (committer->merge.batch[i]->type == RECORD_BALLOT) {
            merge_look_ahead(&committer->merge, i);
        }
        apply_slot(committer, committer->merge.batch[i], &committer->record, &committer->result);
    }
    seq_write_end(&committer->state->seq);
    /* the log counts the same number of records: merge_end */
    CHECK(FIELD_OWN(committer->state->lsn) == lsn + committer->merge.batch_count);
    if (committer->merge.batch_count > 0) {
        tell_block(committer, lsn + 1);
    }
}

/* Publishes a lane's applied position, and gives its texts' bytes back. */
static void publish_lane(struct lane *lane)
{
    uint64_t applied = lane_applied(lane);
    uint64_t bytes = 0;
    /* the committer alone moves both, and takes only slots that the edge has published */
    CHECK(applied <= lane->taken && lane->taken <= lane_tail(lane));
    for (uint64_t p = applied; p != lane->taken; p++) {
        bytes += lane_at(lane, p)->result.bytes;
    }
    if (bytes > 0) {
        lane_bytes_applied(lane, bytes);
    }
    lane_apply(lane, lane->taken);
}

static void publish_commit(struct committer *committer)
{
    uint32_t edges = edges_count(committer->edges);
    publish_lane(committer->own.lane);
    committer->own.lane->freed = committer->own.lane->taken;
    for (uint32_t i = 0; i < edges; i++) {
        publish_lane(edges_lane(committer->edges, i));
    }
    if (timers_take_offered(&committer->timers)) {
        /* E3: release; pairs with E4 */
        atomic_fetch_add_explicit(&committer->shared->offers, 1, memory_order_release);
    }
    /* E3: release; pairs with E4 */
    atomic_fetch_add_explicit(&committer->shared->commits, 1, memory_order_release);
    edges_wake(committer->edges, edges);
}

static void count_commit(struct committer *committer, uint64_t began_ns, uint64_t ended_ns)
{
    struct wal_stats stats;
    wal_stats(committer->wal, &stats);
    committer->last_commit_ns = ended_ns;
    uint64_t us = (ended_ns - began_ns) / 1000;
    FIELD_PUT(committer->shared->commit_us_last, us);
    if (us > FIELD_OWN(committer->shared->commit_us_max)) {
        FIELD_PUT(committer->shared->commit_us_max, us);
    }
    FIELD_PUT(committer->shared->sync_ns, stats.sync_ns);
    FIELD_PUT(committer->shared->raw_bytes, stats.raw_bytes);
    FIELD_PUT(committer->shared->stored_bytes, stats.stored_bytes);
}

/* Publishes without a commit, so that edges ask again for the requests that they have parked. */
static bool answer_nudge(struct committer *committer)
{
    /* E11: acquire; pairs with E12 */
    if (!atomic_load_explicit(&committer->shared->nudged, memory_order_acquire)) {
        return false;
    }
    /* E13: relaxed: an edge that set it before is answered below; a later one wakes us again */
    atomic_store_explicit(&committer->shared->nudged, false, memory_order_relaxed);
    publish_commit(committer);
    rcu_quiescent();
    return true;
}

/* The log time of a block that begins now. No edge has used a later time for a record in it. */
static uint64_t record_ms(const struct committer *committer)
{
    uint64_t log_ms = time_log_ms(&committer->shared->time);
    log_ms = log_ms < TIME_MS_MAX ? log_ms : TIME_MS_MAX; /* apply refuses a later time */
    return log_ms > committer->state->time_ms ? log_ms : committer->state->time_ms;
}

/* One commit. Returns false when there was nothing to do. */
static bool commit(struct committer *committer)
{
    uint64_t began_ns = clock_mono_ns();
    merge_begin(&committer->merge, record_ms(committer));
    if (merge_take(&committer->merge) == 0 && committer->merge.alone_count == 0) {
        stuck_look(&committer->stuck, &committer->merge, committer->state->retirer,
                   FIELD_OWN(committer->shared->commits));
    }
    if (committer->merge.batch_count == 0 && committer->merge.alone_count == 0) {
        return answer_nudge(committer);
    }
    if (committer->merge.columns.count > 0) {
        rcu_offline();
        write_block(committer);
        rcu_online();
    }
    if (committer->merge.batch_count > 0) {
        apply_batch(committer);
    }
    uint64_t ended_ns = clock_mono_ns();
    space_judge(&committer->space, ended_ns);
    publish_commit(committer);
    count_commit(committer, began_ns, ended_ns);
    rcu_quiescent();
    return true;
}

/* ---- the rounds ---- */

/* Appends the steps and records that are due to the own lane. Returns whether there is more to do
 * at once. */
static bool keep_time(struct committer *committer)
{
    bool goes_on = false;
    timers_run_leases(&committer->timers);
    if (FIELD_OWN(committer->shared->space) == SPACE_PLENTY) {
        timers_run_delays(&committer->timers);
        gate_run_windows(&committer->gate);
        timers_run_silence(&committer->timers);
        forget_run(&committer->forget);
        goes_on = gate_is_purging(&committer->gate) && gate_purge(&committer->gate);
    }
    gate_run(&committer->gate);
    /* most rounds have none of them, and a vote may have a round of its own */
    goes_on = (gate_is_sweeping(&committer->gate) && gate_sweep(&committer->gate)) || goes_on;
    if (!TAILQ_EMPTY(&committer->state->dropped)) {
        goes_on = apply_free_dropped(committer->state, DROPPED_PIECES) || goes_on;
    }
    own_lane_publish(&committer->own);
    return goes_on;
}

/* How long the committer may sleep. */
static uint64_t idle_ns(const struct committer *committer)
{
    if (gate_is_busy(&committer->gate) || stuck_is_busy(&committer->stuck)) {
        return TIMERS_BUSY_NS;
    }
    bool is_near = forget_is_busy(&committer->forget) || gate_has_times(&committer->gate) ||
                   FIELD_OWN(committer->shared->space) != SPACE_PLENTY;
    uint64_t ns = timers_idle_ns(&committer->timers);
    return is_near && ns > TIMERS_TICK_NS ? TIMERS_TICK_NS : ns;
}

/* Called when there is nothing to commit: confirms the last block once the log has been quiet, and
 * sleeps. */
static void idle(struct committer *committer)
{
    uint64_t ns = idle_ns(committer);
    uint64_t now_ns = clock_mono_ns();
    uint64_t quiet_ns = now_ns - committer->last_commit_ns;
    space_judge(&committer->space, now_ns);
    rcu_retire_flush(committer->state->retirer);
    rcu_offline();
    if (quiet_ns < CONFIRM_AFTER_NS) {
        ns = ns < CONFIRM_AFTER_NS ? ns : CONFIRM_AFTER_NS;
    } else if (!committer->space.is_lost) {
        int err = wal_confirm(committer->wal);
        if (err != 0 && err != TALLY_NOSPC) {
            alarm_fatal(committer->options, 74, wal_why(committer->wal));
        }
    }
    if (wake_may_sleep(&committer->shared->wake)) {
        wake_block(&committer->shared->wake, ns);
        wake_awake(&committer->shared->wake);
    }
    rcu_online();
}

/*
 * With SCHED_BATCH the committer does not preempt another thread when its sync has ended. Where all
 * cores are busy, an I/O thread then finishes its pass, the next commit takes the whole pass, and
 * there are fewer commits. With a free core SCHED_BATCH changes nothing. It needs no privilege, and
 * its failure does no harm.
 */
static void let_others_finish(void)
{
    const struct sched_param param = {0};
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
}

static void *committer_main(void *arg)
{
    struct committer *committer = arg;
    let_others_finish();
    rcu_thread_register();
    committer->last_commit_ns = clock_mono_ns();
    (void)time_look(&committer->shared->time); /* the start does not count as running time */
    /* E7: acquire; pairs with E8 */
    while (!atomic_load_explicit(&committer->stopping, memory_order_acquire)) {
        bool goes_on = keep_time(committer);
        reader_serve(committer->shared->reader);
        goes_on = snapshot_run(&committer->snapshot) || goes_on;
        if (commit(committer)) {
            continue;
        }
        if (goes_on) {
            rcu_quiescent();
        } else {
            idle(committer);
        }
    }
    while (commit(committer)) {
    }
    rcu_retirer_destroy(committer->state->retirer);
    committer->state->retirer = NULL;
    rcu_thread_unregister();
    return NULL;
}

int committer_start(struct committer *committer, const struct committer_log *log)
{
    struct state *state = committer->state;
    struct shared *shared = committer->shared;
    struct own_lane *own = &committer->own;
    committer->wal = log->wal;
    committer->space = (struct space){.state = state,
                                      .shared = shared,
                                      .wal = log->wal,
                                      .io = log->io,
                                      .options = committer->options,
                                      .lane_bytes_all = log->lane_bytes_all,
                                      .log_bytes_min = log->log_bytes_min};
    /* field by field: their wheels are large, and all is zero since committer_init */
    committer->timers.state = state;
    committer->timers.shared = shared;
    committer->timers.own = own;
    committer->timers.options = committer->options;
    committer->gate.state = state;
    committer->gate.shared = shared;
    committer->gate.edges = committer->edges;
    committer->gate.own = own;
    committer->forget = (struct forget){.state = state, .own = own};
    committer->snapshot = (struct snapshot){.state = state,
                                            .shared = shared,
                                            .space = &committer->space,
                                            .own = own,
                                            .wal = log->wal,
                                            .options = committer->options};
    space_start(&committer->space);
    int err = timers_start(&committer->timers);
    if (err == 0) {
        gate_start(&committer->gate);
        err = snapshot_start(&committer->snapshot, log->io, &log->found);
    }
    if (err == 0 && thread_start(&committer->thread, committer_main, committer) != 0) {
        err = TALLY_THREAD;
    }
    return err;
}

void committer_stop(struct committer *committer)
{
    /* E8: release; pairs with E7 */
    atomic_store_explicit(&committer->stopping, true, memory_order_release);
    wake_up(&committer->shared->wake);
    pthread_join(committer->thread, NULL);
}

bool committer_log_is_lost(struct committer *committer)
{
    space_look_soon(&committer->space);
    return space_is_lost(&committer->space);
}
