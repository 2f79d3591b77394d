/* Putting the steps in order: the committer takes a step only if its entity's last accepted word is
 * its `before`. */
#include "engine/engine.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

static void must(struct tally *tally, int err)
{
    if (err != 0) {
        engine_fatal(tally, 71, "out of memory while a block is made");
    }
}

static bool take_vote(struct tally *tally, const struct lane_slot *slot)
{
    struct option *option = slot->entity;
    if (option->accepted != slot->word) {
        return false;
    }
    option->accepted = slot->word + option_step(slot->n);
    must(tally, columns_vote(&tally->columns, option->id, option_votes(slot->word), slot->n));
    return true;
}

/* The record of a step, as it stands in the slot. */
static void step_record(const struct lane_slot *slot, struct record *record)
{
    const struct build *build = slot->entity;
    *record = (struct record){.type = (enum record_type)slot->type};
    record->num[STEP_BUILD] = build->id;
    record->num[STEP_BEFORE] = slot->word >> 32;
    record->num[STEP_AFTER] = (uint32_t)slot->word;
    if (slot->type == RECORD_CLAIM) {
        record->num[STEP_WORKER] = ((const struct worker *)slot->arg)->id;
        record->num[STEP_LEASE_MS] = slot->n;
    } else if (slot->type == RECORD_FAIL || slot->type == RECORD_RELEASE) {
        record->num[STEP_DELAY_MS] = slot->n;
    }
    if (slot->type == RECORD_DONE || slot->type == RECORD_FAIL) {
        record->text[STEP_TEXT] = blob_span(slot->arg);
    }
}

void slot_record(const struct lane_slot *slot, struct record *record)
{
    if (slot->type == RECORD_VOTE) {
        const struct option *option = slot->entity;
        record->type = RECORD_VOTE;
        record->num[VOTE_OPTION] = option->id;
        record->num[VOTE_BEFORE] = option_votes(slot->word);
        record->num[VOTE_N] = slot->n;
    } else if (slot_is_step(slot)) {
        step_record(slot, record);
    } else {
        *record = ((const struct request *)slot->arg)->record;
    }
}

static bool take_step(struct tally *tally, const struct lane_slot *slot)
{
    struct build *build = slot->entity;
    if (build->accepted != slot->word >> 32) {
        return false;
    }
    build->accepted = (uint32_t)slot->word;
    struct record record;
    step_record(slot, &record);
    must(tally, columns_add(&tally->columns, &record));
    return true;
}

static bool take(struct tally *tally, const struct lane_slot *slot)
{
    if (slot->type == RECORD_VOTE) {
        return take_vote(tally, slot);
    }
    if (slot_is_step(slot)) {
        return take_step(tally, slot);
    }
    if (slot->type != LANE_READ) {
        must(tally, columns_add(&tally->columns, &((const struct request *)slot->arg)->record));
    }
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
    /* E1: acquire; pairs with E2 */
    uint32_t edges = atomic_load_explicit(&tally->edge_count, memory_order_acquire);
    bool moved = true;
    tally->batch_count = 0;
    while (moved) {
        moved = merge_lane(tally, tally->own);
        for (uint32_t i = 0; i < edges; i++) {
            /* E1: acquire; pairs with E2 */
            const struct edge *edge = atomic_load_explicit(&tally->edges[i], memory_order_acquire);
            moved = merge_lane(tally, edge->lane) || moved;
        }
    }
    return tally->batch_count;
}
