/* The committer: one thread that merges, writes, applies and publishes, block by block. */
#include "engine/engine.h"
#include "engine/log/bounds.h"

#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONFIRM_AFTER_NS = 20 * 1000 * 1000, FULL_RETRY_NS = 50 * 1000 * 1000 };
enum { FULL_DRAIN_TRIES = 200 }; /* 10 s */

_Noreturn void engine_fatal(struct tally *tally, int code, const char *why)
{
    if (tally->options.fatal != NULL) {
        tally->options.fatal(tally->options.fatal_arg, code, why);
    } else {
        fprintf(stderr, "tally: %s\n", why);
    }
    _exit(code);
}

static int append(struct tally *tally, const unsigned char *block, size_t len)
{
    return space_is_lost(tally) ? TALLY_NOSPC
                                : wal_append(tally->wal, tally->columns.count, block, len);
}

/*
 * Writes the block; waits for room as long as the disk is full, but not for ever once the server is
 * to end: then what is in flight was never answered, and is lost like in a crash. A log that has
 * been removed is waited for in the same way, since the state can still be read; but it does not
 * hold up the end. Any other failure is the end.
 */
static void write_block(struct tally *tally)
{
    const unsigned char *block = NULL;
    size_t len = 0;
    if (columns_end(&tally->columns, &block, &len) != 0) {
        engine_fatal(tally, 71, "out of memory while a block is made");
    }
    int err = append(tally, block, len);
    for (int tries = 0; err == TALLY_NOSPC; tries += FIELD_GET(tally->shared.draining) ? 1 : 0) {
        if (tries > (tally->disk.is_lost ? 0 : FULL_DRAIN_TRIES)) {
            engine_fatal(tally, 74,
                         tally->disk.is_lost ? "the log is gone and the server is to end"
                                             : "the disk is full and the server is to end");
        }
        space_put(tally, tally->disk.is_lost ? SPACE_LOST : SPACE_NONE);
        reader_serve(tally->shared.reader); /* reads go on */
        if (wake_may_sleep(&tally->shared.wake)) {
            wake_block(&tally->shared.wake, FULL_RETRY_NS);
            wake_awake(&tally->shared.wake);
        }
        err = append(tally, block, len);
    }
    if (err != 0) {
        engine_fatal(tally, 74, wal_why(tally->wal));
    }
}

/* In the place of a step that was applied: the bytes of its text, which goes. */
static void leave_step(struct lane_slot *slot)
{
    struct lane_result left = {.type = slot->type};
    if (record_is_step_with_text(slot->type)) {
        left.bytes = (uint32_t)parcel_span(slot->step.text).len;
        parcel_release(slot->step.text);
    }
    slot->result = left;
}

/* In the place of an ordered record that was applied: what became of it. The request goes. */
static void leave_ordered(struct tally *tally, struct lane_slot *slot,
                          const struct apply_result *result)
{
    struct ordered_request *request = slot->ordered.request;
    struct lane_result left = {.type = slot->type,
                               .err = (int16_t)result->err,
                               .bytes = (uint32_t)request->bytes,
                               .value = result->value};
    if (slot->type == RECORD_BYE) {
        left.until = tally->own->next;
    } else if (slot->type == RECORD_POLL && result->err == 0) {
        const struct effect *altered = &result->effects[0];
        CHECK(result->effect_count == 1 && altered->kind == EFFECT_ALTERED); /* apply_poll */
        left.value = altered->poll->altered;
        left.poll = altered->poll;
    }
    ordered_request_free(&tally->state.ledger, request);
    slot->result = left;
}

/* Does what a record has set going. The builds that a BYE gives back are its result: how many is
 * decided by their words, since an end that is on its way wins. */
static void work_off(struct tally *tally, struct apply_result *result)
{
    for (uint32_t i = 0; i < result->effect_count; i++) {
        const struct effect *effect = &result->effects[i];
        switch (effect->kind) {
        case EFFECT_OFFERED:
            timers_offered(tally, effect->build);
            break;
        case EFFECT_DELAYED:
            timers_delayed(tally, effect->build);
            break;
        case EFFECT_CLAIMED:
            timers_claimed(tally, effect->build);
            break;
        case EFFECT_LEFT:
            timers_left(tally, effect->build, effect->worker);
            break;
        case EFFECT_GONE:
            result->value = timers_gone(tally, effect->worker);
            break;
        case EFFECT_ALTERED:
            gate_poll_altered(tally, effect->poll);
            break;
        case EFFECT_WINDOWED:
            gate_poll_moved(tally, effect->poll);
            break;
        }
    }
}

/* Applies what one slot stands for, leaves its result there, frees what came with it. */
static void apply_slot(struct tally *tally, struct lane_slot *slot, struct record *record)
{
    struct apply_result result;
    slot_record(slot, record);
    record->lsn = FIELD_OWN(tally->state.lsn) + 1;
    record->time_ms = tally->columns.time_ms;
    int err = apply(&tally->state, record, &result);
    if (err != 0) {
        engine_fatal(tally, err == TALLY_NOMEM ? 71 : 70,
                     "a record that was accepted does not apply");
    }
    if (slot->type == RECORD_VOTE) {
        slot->result.bytes = 0;
        return;
    }
    work_off(tally, &result);
    if (slot->type == RECORD_WORKER && result.err == 0) {
        struct worker *worker = state_worker(&tally->state, record->text[WORKER_ID]);
        FIELD_PUT(worker->seen_ms, time_run_ms(&tally->shared.time));
        FIELD_ADD(worker->left, 1); /* it may have more slots */
    }
    if (slot_is_step(slot)) {
        leave_step(slot);
    } else {
        leave_ordered(tally, slot, &result);
    }
}

static void apply_batch(struct tally *tally)
{
    struct record record = {0};
    seq_write_begin(&tally->state.seq);
    for (uint32_t i = 0; i < tally->batch_count; i++) {
        apply_slot(tally, tally->batch[i], &record);
    }
    seq_write_end(&tally->state.seq);
}

/* Frees the room of the texts and publishes a lane's applied position. */
static void publish_lane(struct lane *lane)
{
    uint64_t applied = lane_applied(lane);
    uint64_t bytes = 0;
    for (uint64_t p = applied; p != lane->taken; p++) {
        bytes += lane_at(lane, p)->result.bytes;
    }
    if (bytes > 0) {
        lane_bytes_applied(lane, bytes);
    }
    lane_apply(lane, lane->taken);
}

static void publish(struct tally *tally)
{
    uint32_t edges = edges_count(&tally->edges);
    publish_lane(tally->own);
    tally->own->freed = tally->own->taken;
    for (uint32_t i = 0; i < edges; i++) {
        publish_lane(edges_lane(&tally->edges, i));
    }
    if (tally->offered) {
        tally->offered = false;
        /* E3: release; pairs with E4 */
        atomic_fetch_add_explicit(&tally->shared.offers, 1, memory_order_release);
    }
    /* E3: release; pairs with E4 */
    atomic_fetch_add_explicit(&tally->shared.commits, 1, memory_order_release);
    edges_wake(&tally->edges, edges);
}

static void count_commit(struct tally *tally, uint64_t began_ns)
{
    struct wal_stats stats;
    wal_stats(tally->wal, &stats);
    tally->last_commit_ns = clock_mono_ns();
    uint64_t us = (tally->last_commit_ns - began_ns) / 1000;
    FIELD_PUT(tally->shared.commit_us_last, us);
    if (us > FIELD_OWN(tally->shared.commit_us_max)) {
        FIELD_PUT(tally->shared.commit_us_max, us);
    }
    FIELD_PUT(tally->shared.sync_ns, stats.sync_ns);
    FIELD_PUT(tally->shared.raw_bytes, stats.raw_bytes);
    FIELD_PUT(tally->shared.stored_bytes, stats.stored_bytes);
}

/* Lets those who are parked ask again although there was nothing to commit. */
static bool answer_nudge(struct tally *tally)
{
    /* E11: acquire; pairs with E12 */
    if (!atomic_load_explicit(&tally->shared.nudged, memory_order_acquire)) {
        return false;
    }
    /* E13: relaxed: who set it before is answered by the publication, who sets it later wakes us */
    atomic_store_explicit(&tally->shared.nudged, false, memory_order_relaxed);
    publish(tally);
    rcu_quiescent();
    return true;
}

/* The log time of a block that is begun now; no edge has read a later one for a record in it. */
static uint64_t record_ms(const struct tally *tally)
{
    uint64_t log_ms = time_log_ms(&tally->shared.time);
    log_ms = log_ms < TIME_MS_MAX ? log_ms : TIME_MS_MAX; /* apply takes no more */
    return log_ms > tally->state.time_ms ? log_ms : tally->state.time_ms;
}

/* One commit. Returns false when there was nothing to do. */
static bool commit(struct tally *tally)
{
    uint64_t began_ns = clock_mono_ns();
    columns_begin(&tally->columns, record_ms(tally));
    if (merge(tally) == 0) {
        merge_look_if_stuck(tally);
    }
    if (tally->batch_count == 0) {
        return answer_nudge(tally);
    }
    if (tally->columns.count > 0) {
        rcu_offline();
        write_block(tally);
        rcu_online();
    }
    apply_batch(tally);
    space_judge(tally);
    publish(tally);
    count_commit(tally, began_ns);
    rcu_quiescent();
    return true;
}

/* Nothing to commit: confirm the last block when it has been quiet, then sleep until there is
 * something. */
static void idle(struct tally *tally)
{
    uint64_t ns = timers_idle_ns(tally);
    uint64_t quiet_ns = clock_mono_ns() - tally->last_commit_ns;
    space_judge(tally);
    rcu_retire_flush(tally->state.retirer);
    rcu_offline();
    if (quiet_ns < CONFIRM_AFTER_NS) {
        ns = ns < CONFIRM_AFTER_NS ? ns : CONFIRM_AFTER_NS;
    } else if (!tally->disk.is_lost) {
        int err = wal_confirm(tally->wal);
        if (err != 0 && err != TALLY_NOSPC) {
            engine_fatal(tally, 74, wal_why(tally->wal));
        }
    }
    if (wake_may_sleep(&tally->shared.wake)) {
        wake_block(&tally->shared.wake, ns);
        wake_awake(&tally->shared.wake);
    }
    rcu_online();
}

/*
 * Where all cores are busy, whoever is running goes on when a sync has ended: an I/O thread then
 * finishes its pass, the next commit takes all of it, and there are fewer commits. With a free core
 * it changes nothing. It needs no privilege; without it all is as before, so failing is no error.
 */
static void let_others_finish(void)
{
    const struct sched_param param = {0};
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
}

void *committer_main(void *arg)
{
    struct tally *tally = arg;
    let_others_finish();
    rcu_thread_register();
    tally->last_commit_ns = clock_mono_ns();
    (void)time_look(&tally->shared.time); /* the start is no running time */
    /* E7: acquire; pairs with E8 */
    while (!atomic_load_explicit(&tally->stopping, memory_order_acquire)) {
        timers_run(tally);
        reader_serve(tally->shared.reader);
        bool goes_on = snapshot_run(tally);
        if (commit(tally)) {
            continue;
        }
        if (goes_on) {
            rcu_quiescent();
        } else {
            idle(tally);
        }
    }
    while (commit(tally)) {
    }
    rcu_retirer_destroy(tally->state.retirer);
    tally->state.retirer = NULL;
    rcu_thread_unregister();
    return NULL;
}
