/* Putting the steps in order: the committer takes a step only if its entity's last accepted word is
 * its `before`. */
#include "engine/engine.h"

#include "wal/base/err.h"

#include <inttypes.h>
#include <stdio.h>

static void must(struct tally *tally, int err)
{
    if (err != 0) {
        engine_fatal(tally, 71, "out of memory while a block is made");
    }
}

static bool take_vote(struct tally *tally, const struct lane_slot *slot)
{
    const struct lane_vote *vote = &slot->vote;
    struct option *option = vote->option;
    if (option->accepted != vote->before) {
        return false;
    }
    option->accepted = vote->before + option_step(vote->n);
    must(tally, columns_vote(&tally->columns, option->id, option_votes(vote->before), vote->n));
    return true;
}

/* The record of a step, as it stands in the slot. */
static void step_record(const struct lane_step *step, struct record *record)
{
    *record = (struct record){.type = (enum record_type)step->type};
    record->num[STEP_BUILD] = step->build->id;
    record->num[STEP_BEFORE] = step->before;
    record->num[STEP_AFTER] = step->after;
    if (record_is_step_with_text(step->type)) {
        record->text[STEP_TEXT] = parcel_span(step->text);
    }
    switch (record->type) {
    case RECORD_CLAIM:
        record->num[CLAIM_WORKER] = step->worker->id;
        record->num[CLAIM_LEASE_MS] = step->lease_ms;
        break;
    case RECORD_FAIL:
        record->num[FAIL_DELAY_MS] = step->delay_ms;
        record->num[FAIL_DEAD] = step->dead;
        break;
    case RECORD_RELEASE:
        record->num[RELEASE_DELAY_MS] = step->delay_ms;
        break;
    case RECORD_BEAT:
    case RECORD_DONE:
    case RECORD_EXPIRE:
    case RECORD_DUE:
    case RECORD_UNHOLD:
        RECORD_NO_BUILD_STEP
        break;
    }
}

void slot_record(const struct lane_slot *slot, struct record *record)
{
    if (slot->type == RECORD_VOTE) {
        record->type = RECORD_VOTE;
        record->num[VOTE_OPTION] = slot->vote.option->id;
        record->num[VOTE_BEFORE] = option_votes(slot->vote.before);
        record->num[VOTE_N] = slot->vote.n;
    } else if (slot_is_step(slot)) {
        step_record(&slot->step, record);
    } else {
        *record = slot->ordered.request->record;
    }
}

static bool take_step(struct tally *tally, const struct lane_step *step)
{
    struct build *build = step->build;
    if (build->accepted != step->before) {
        return false;
    }
    build->accepted = step->after;
    struct record record;
    step_record(step, &record);
    must(tally, columns_add(&tally->columns, &record));
    return true;
}

static bool take(struct tally *tally, const struct lane_slot *slot)
{
    if (slot->type == RECORD_VOTE) {
        return take_vote(tally, slot);
    }
    if (slot_is_step(slot)) {
        return take_step(tally, &slot->step);
    }
    must(tally, columns_add(&tally->columns, &slot->ordered.request->record));
    return true;
}

/* Takes from one lane as long as its head is next. Returns whether it took anything. */
static bool merge_lane(struct tally *tally, struct lane *lane)
{
    uint64_t tail = lane_tail(lane);
    uint64_t from = lane->taken;
    while (lane->taken != tail && tally->batch_count < BATCH_RECORDS_MAX &&
           columns_bytes(&tally->columns) < BATCH_BYTES_MAX) {
        struct lane_slot *slot = lane_at(lane, lane->taken);
        if (!take(tally, slot)) {
            break;
        }
        tally->batch[tally->batch_count++] = slot;
        lane->taken++;
    }
    return lane->taken != from;
}

uint32_t merge(struct tally *tally)
{
    uint32_t edges = edges_count(&tally->edges);
    bool moved = true;
    tally->batch_count = 0;
    while (moved) {
        moved = merge_lane(tally, tally->own);
        for (uint32_t i = 0; i < edges; i++) {
            moved = merge_lane(tally, edges_lane(&tally->edges, i)) || moved;
        }
    }
    return tally->batch_count;
}

/* ---- a merge that stands still ---- */

static void stuck_passed(void *arg)
{
    struct stuck *stuck = arg;
    /* G4: release; pairs with G5 */
    atomic_store_explicit(&stuck->passed, true, memory_order_release);
}

/* The first lane with something that was not taken; NULL when all are empty. */
static struct lane *waiting_lane(const struct tally *tally)
{
    if (tally->own->taken != lane_tail(tally->own)) {
        return tally->own;
    }
    uint32_t edges = edges_count(&tally->edges);
    for (uint32_t i = 0; i < edges; i++) {
        struct lane *lane = edges_lane(&tally->edges, i);
        if (lane->taken != lane_tail(lane)) {
            return lane;
        }
    }
    return NULL;
}

static _Noreturn void stuck_for_good(struct tally *tally, const struct lane *lane)
{
    const struct lane_slot *slot = lane_at(lane, lane->taken);
    uint64_t before = slot->type == RECORD_VOTE ? slot->vote.before : slot->step.before;
    char why[160];
    snprintf(why, sizeof why,
             "bug: no lane's head is next: %s at position %" PRIu64
             " of a lane, before it %" PRIx64,
             record_type_name(slot->type), lane->taken, before);
    engine_fatal(tally, 70, why);
}

void merge_look_if_stuck(struct tally *tally)
{
    struct stuck *stuck = &tally->stuck;
    struct lane *lane = waiting_lane(tally);
    uint64_t commits = FIELD_OWN(tally->shared.commits);
    if (!stuck->asked) {
        if (lane != NULL) {
            stuck->asked = true;
            stuck->commits = commits;
            /* G6: relaxed: the callback that sets it is not registered yet */
            atomic_store_explicit(&stuck->passed, false, memory_order_relaxed);
            rcu_retire(tally->state.retirer, stuck, stuck_passed);
            rcu_retire_flush(tally->state.retirer);
        }
        return;
    }
    /* G5: acquire; pairs with G4 */
    if (!atomic_load_explicit(&stuck->passed, memory_order_acquire)) {
        return;
    }
    /* by now the record before that head is published; if a merge still takes nothing, there is
     * none */
    if (lane != NULL && stuck->commits == commits && merge(tally) == 0) {
        stuck_for_good(tally, lane);
    }
    stuck->asked = false;
}
