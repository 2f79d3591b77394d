/* The merge: takes the heads of the lanes that are next into the batch and the block. */
#include "engine/commit/merge.h"

#include "engine/base/alarm.h"
#include "engine/edge/ordered_request.h"
#include "engine/state/state.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum {
    BATCH_RECORDS_MAX = 1 << 17,
    BATCH_BYTES_MAX = 8 << 20,
};

int merge_init(struct merge *merge, const struct edges *edges, struct judge *judge,
               const struct tally_options *options)
{
    *merge =
        (struct merge){.edges = edges, .own = judge->own->lane, .judge = judge, .options = options};
    merge->batch = malloc(BATCH_RECORDS_MAX * sizeof(struct lane_slot *));
    return merge->batch != NULL ? 0 : TALLY_NOMEM;
}

void merge_fini(struct merge *merge)
{
    columns_fini(&merge->columns);
    free(merge->batch);
}

static void must_fit(const struct merge *merge, int err)
{
    if (err != 0) {
        alarm_fatal(merge->options, 71, "out of memory while a block is made");
    }
}

/* What the merge has taken: nothing, since the slot is not next; a record; or a request that needs
 * none. */
enum taken { TAKEN_NOT, TAKEN_RECORD, TAKEN_ALONE };

static bool take_vote(struct merge *merge, const struct lane_slot *slot)
{
    const struct lane_vote *vote = &slot->vote;
    struct option *option = vote->option;
    if (option->accepted != vote->before) {
        return false;
    }
    option->accepted = vote->before + option_step(vote->n);
    must_fit(merge, columns_vote(&merge->columns, option->id, option_votes(vote->before), vote->n));
    return true;
}

/* One of the numbers that only some types of step have. */
static uint64_t step_num(const struct lane_step *step, enum record_num what)
{
    switch (what) {
    case RECORD_NUM_WORKER:
        return step->worker->id;
    case RECORD_NUM_LEASE_MS:
        return step->lease_ms;
    case RECORD_NUM_DELAY_MS:
        return step->delay_ms;
    case RECORD_NUM_DEAD:
        return step->dead;
    case RECORD_NUM_PLAIN:
    case RECORD_NUM_OPTION:
    case RECORD_NUM_VOTES_BEFORE:
    case RECORD_NUM_BUILD:
    case RECORD_NUM_STATUS_BEFORE:
    case RECORD_NUM_STATUS_AFTER:
    case RECORD_NUM_SELDOM:
    case RECORD_NUM_MODE:
        break;
    }
    /* the list of record.h decides this, not a client: the first step of the type would show it */
    CHECK(false && "the list gives a build step a number that no slot holds");
    return 0;
}

/* Fills in the record of the step in a slot. */
static void step_record(const struct lane_step *step, struct record *record)
{
    const struct record_schema *schema = record_schema(step->type);
    *record = (struct record){.type = (enum record_type)step->type};
    record->num[STEP_BUILD] = step->build->id;
    record->num[STEP_BEFORE] = step->before;
    record->num[STEP_AFTER] = step->after;
    for (unsigned i = STEP_AFTER + 1; i < schema->num_count; i++) {
        record->num[i] = step_num(step, schema->nums[i].what);
    }
    if (schema->text_count > 0) {
        record->text[STEP_TEXT] = parcel_span(step->text);
    }
}

/* The record of votes that answer a request: the SEED itself, or the VOTE of a ballot. */
static void answer_record(const struct lane_vote *vote, struct record *record)
{
    const struct record *request = &vote->request->record;
    if (request->type == RECORD_SEED) {
        *record = *request;
        record->num[SEED_BEFORE] = option_votes(vote->before);
        return;
    }
    *record = (struct record){
        .type = RECORD_VOTE,
        .num = {[VOTE_OPTION] = vote->option->id,
                [VOTE_BEFORE] = option_votes(vote->before),
                [VOTE_N] = vote->n},
        .text = {
            [VOTE_VOTER] = request->text[BALLOT_VOTER], [VOTE_KEY] = request->text[BALLOT_KEY]}};
}

void merge_slot_record(const struct lane_slot *slot, struct record *record)
{
    if (slot->type == LANE_BALLOT_VOTE) {
        answer_record(&slot->vote, record);
    } else if (slot->type == RECORD_VOTE) {
        record->type = RECORD_VOTE;
        record->num[VOTE_OPTION] = slot->vote.option->id;
        record->num[VOTE_BEFORE] = option_votes(slot->vote.before);
        record->num[VOTE_N] = slot->vote.n;
        record->text[VOTE_VOTER].len = 0; /* the record before had others */
        record->text[VOTE_KEY].len = 0;
    } else if (record_is_build_step(slot->type)) {
        step_record(&slot->step, record);
    } else {
        *record = slot->ordered.request->record;
    }
}

static bool take_step(struct merge *merge, const struct lane_step *step)
{
    struct build *build = step->build;
    if (build->accepted != step->before) {
        return false;
    }
    build->accepted = step->after;
    struct record record;
    step_record(step, &record);
    must_fit(merge, columns_add(&merge->columns, &record));
    return true;
}

/* As take_vote, for the committer's vote that answers a ballot. */
static bool take_ballot_vote(struct merge *merge, const struct lane_slot *slot)
{
    struct option *option = slot->vote.option;
    struct record record;
    if (option->accepted != slot->vote.before) {
        return false;
    }
    option->accepted = slot->vote.before + option_step(slot->vote.n);
    merge_slot_record(slot, &record);
    must_fit(merge, columns_add(&merge->columns, &record));
    return true;
}

/* Takes an ordered request, with or without a record. */
static enum taken take_ordered(struct merge *merge, struct lane_slot *slot)
{
    struct ordered_request *request = slot->ordered.request;
    switch (judge_request(merge->judge, request)) {
    case JUDGED_LOG:
        must_fit(merge, columns_add(&merge->columns, &request->record));
        return TAKEN_RECORD;
    case JUDGED_TAKEN:
        /* its texts may yet be logged, from the own lane */
        slot->result.bytes = 0;
        slot->result.is_alone = true;
        return TAKEN_ALONE;
    case JUDGED_LATER:
        break;
    }
    return TAKEN_NOT;
}

/* So many slots ahead a request, what it looks for, and what that leads to are brought near: a
 * voter is somewhere in much memory, and the wait for it would be most of the work of a ballot. */
enum { AHEAD_REQUEST = 24, AHEAD = 16, AHEAD_NEAR = 8 };

static const struct ordered_request *ballot_in(const struct lane_slot *slot)
{
    return slot->type == RECORD_BALLOT ? slot->ordered.request : NULL;
}

/* Looks ahead in a lane, before the merge judges. */
static void look_ahead(const struct merge *merge, const struct lane *lane, uint64_t tail)
{
    uint64_t at = lane->taken;
    const struct ordered_request *request;
    if (at + AHEAD_REQUEST < tail &&
        (request = ballot_in(lane_at(lane, at + AHEAD_REQUEST))) != NULL) {
        __builtin_prefetch(&request->record);
        __builtin_prefetch(&request->record.text);
        __builtin_prefetch(request->texts);
    }
    if (at + AHEAD < tail && (request = ballot_in(lane_at(lane, at + AHEAD))) != NULL) {
        judge_prefetch(merge->judge, request);
    }
    if (at + AHEAD_NEAR < tail && (request = ballot_in(lane_at(lane, at + AHEAD_NEAR))) != NULL) {
        judge_prefetch_near(merge->judge, request);
    }
}

void merge_look_ahead(const struct merge *merge, uint32_t i)
{
    const struct ordered_request *request;
    if (i + AHEAD < merge->batch_count && (request = ballot_in(merge->batch[i + AHEAD])) != NULL) {
        judge_prefetch(merge->judge, request);
    }
    if (i + AHEAD_NEAR < merge->batch_count &&
        (request = ballot_in(merge->batch[i + AHEAD_NEAR])) != NULL) {
        judge_prefetch_near(merge->judge, request);
    }
}

static enum taken take_slot(struct merge *merge, struct lane_slot *slot)
{
    bool is_next = false;
    if (slot->type == RECORD_VOTE) {
        is_next = take_vote(merge, slot);
    } else if (record_is_build_step(slot->type)) {
        is_next = take_step(merge, &slot->step);
    } else if (slot->type == LANE_BALLOT_VOTE) {
        is_next = take_ballot_vote(merge, slot);
    } else {
        return take_ordered(merge, slot);
    }
    return is_next ? TAKEN_RECORD : TAKEN_NOT;
}

/* Takes from one lane as long as its head is next. Returns whether it took anything. */
static bool take_lane(struct merge *merge, struct lane *lane)
{
    uint64_t tail = lane_tail(lane);
    uint64_t from = lane->taken;
    while (lane->taken != tail && merge->batch_count < BATCH_RECORDS_MAX &&
           columns_bytes(&merge->columns) < BATCH_BYTES_MAX) {
        struct lane_slot *slot = lane_at(lane, lane->taken);
        if (slot->type == RECORD_BALLOT) {
            look_ahead(merge, lane, tail);
        }
        enum taken taken = take_slot(merge, slot);
        if (taken == TAKEN_NOT) {
            break;
        }
        if (taken == TAKEN_RECORD) {
            merge->batch[merge->batch_count++] = slot;
        } else {
            merge->alone_count++;
        }
        lane->taken++;
    }
    return lane->taken != from;
}

uint32_t merge_take(struct merge *merge)
{
    uint32_t edges = edges_count(merge->edges);
    bool moved = true;
    merge->batch_count = 0;
    merge->alone_count = STAILQ_EMPTY(&merge->judge->own->waiting) ? 0 : judge_go_on(merge->judge);
    while (moved) {
        moved = take_lane(merge, merge->own);
        for (uint32_t i = 0; i < edges; i++) {
            moved = take_lane(merge, edges_lane(merge->edges, i)) || moved;
        }
    }
    return merge->batch_count;
}

void merge_begin(struct merge *merge, uint64_t time_ms)
{
    columns_begin(&merge->columns, time_ms);
    judge_begin(merge->judge, time_ms);
}

void merge_end(struct merge *merge, const unsigned char **block, size_t *len)
{
    /* each taken slot is one record of the block */
    CHECK(merge->columns.count == merge->batch_count);
    must_fit(merge, columns_end(&merge->columns, block, len));
}

struct lane *merge_waiting_lane(const struct merge *merge)
{
    if (merge->own->taken != lane_tail(merge->own)) {
        return merge->own;
    }
    uint32_t edges = edges_count(merge->edges);
    for (uint32_t i = 0; i < edges; i++) {
        struct lane *lane = edges_lane(merge->edges, i);
        if (lane->taken != lane_tail(lane)) {
            return lane;
        }
    }
    return NULL;
}
