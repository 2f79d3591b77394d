/* apply for builds: SUBMIT, steps, need sets and the counts of queues. */
#include "engine/apply/apply_internal.h"

#include "engine/base/label.h"
#include "engine/apply/snapshot_capture.h"
#include "engine/log/bounds.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

static void count_state(struct queue *queue, enum build_state state, uint64_t more)
{
    /* a build that leaves a state was counted in it */
    DCHECK(more == 1 || FIELD_OWN(queue->by_state[state]) > 0);
    FIELD_ADD(queue->by_state[state], more);
    FIELD_ADD(queue->all_by_state[state], more);
}

static bool is_open(enum build_state state)
{
    return state != BUILD_NONE && !status_is_ended(status_make(state, 0));
}

int apply_build_count(struct build *build, enum build_state from, enum build_state to)
{
    struct queue *queue = build->queue;
    struct need_set *set = FIELD_OWN(queue->sets[build->set]);
    DCHECK(build->set < FIELD_OWN(queue->set_count) && build->pri < BUILD_PRIORITIES);
    struct ticket_list *list = &set->lists[build->pri];
    set->open = set->open + is_open(to) - is_open(from);
    if (from != BUILD_NONE) {
        count_state(queue, from, (uint64_t)-1);
    }
    if (to != BUILD_NONE) {
        count_state(queue, to, 1);
    }
    if (from == BUILD_PENDING) {
        DCHECK(FIELD_OWN(list->pending) > 0);
        FIELD_ADD(list->pending, (uint64_t)-1);
        oldest_remove(&queue->oldest, build);
    }
    if (to == BUILD_PENDING) {
        FIELD_ADD(list->pending, 1);
        if (oldest_put(&queue->oldest, build) != 0) {
            return TALLY_NOMEM;
        }
    }
    const struct oldest *oldest = &queue->oldest;
    DCHECK(oldest->count == FIELD_OWN(queue->by_state[BUILD_PENDING])); /* all pending builds */
    FIELD_PUT(queue->oldest_submitted_ms, oldest->count > 0 ? oldest->at[0]->submitted_ms : 0);
    return 0;
}

static struct queue *queue_new(struct state *state, struct span name)
{
    DCHECK(FIELD_OWN(state->queue_count) < QUEUES_MAX); /* decide_submit has made room */
    struct queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL) {
        return NULL;
    }
    queue->id = FIELD_OWN(state->queue_last) + 1;
    queue->captured = state->captures;
    queue->all_by_state = state->by_state;
    queue->name = blob_new(name);
    if (queue->name == NULL || table_put(&state->queue_ids, queue->id, queue) != 0 ||
        index_put(&state->queues, queue) != 0) {
        return NULL;
    }
    FIELD_PUT(state->queue_last, queue->id);
    FIELD_ADD(state->queue_count, 1);
    ledger_add(&state->ledger, LEDGER_ENTITIES, queue_weight(queue));
    return queue;
}

static struct need_set *need_set_new(struct span tags)
{
    struct need_set *set = calloc(1, sizeof *set);
    if (set == NULL) {
        return NULL;
    }
    set->tags = blob_new(tags);
    for (int pri = 0; pri < BUILD_PRIORITIES; pri++) {
        if (set->tags == NULL || ticket_list_init(&set->lists[pri]) != 0) {
            need_set_free(set);
            return NULL;
        }
    }
    return set;
}

int apply_queue_put_set(struct state *state, struct queue *queue, uint32_t at, struct span tags)
{
    DCHECK(at < NEED_SETS_MAX && at <= FIELD_OWN(queue->set_count));
    struct need_set *set = need_set_new(tags);
    if (set == NULL) {
        return TALLY_NOMEM;
    }
    ledger_add(&state->ledger, LEDGER_ENTITIES, need_set_weight(set));
    if (at < FIELD_OWN(queue->set_count)) {
        struct need_set *old = FIELD_OWN(queue->sets[at]);
        DCHECK(old->open == 0); /* no unfinished build has it, so all its tickets are dead */
        ledger_sub(&state->ledger, LEDGER_ENTITIES, need_set_weight(old));
        FIELD_PUT(queue->sets[at], set);
        state_retire(state, old, need_set_free);
        return 0;
    }
    FIELD_PUT(queue->sets[at], set);
    FIELD_PUT(queue->set_count, at + 1);
    return 0;
}

/*
 * Finds the queue's need set of these tags; a new set takes the place of one that no unfinished
 * build has. Finished builds keep their index, which is only checked against the count. Returns the
 * index, or a negative error; FULL is a result.
 */
static int set_of(struct state *state, struct queue *queue, struct span tags)
{
    uint32_t count = FIELD_OWN(queue->set_count);
    uint32_t at = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct need_set *set = FIELD_OWN(queue->sets[i]);
        if (span_equal(blob_span(set->tags), tags)) {
            return (int)i;
        }
        if (set->open == 0 && at == count) {
            at = i;
        }
    }
    DCHECK(count <= NEED_SETS_MAX);
    if (at == NEED_SETS_MAX) {
        return TALLY_FULL;
    }
    snapshot_capture_queue(state, queue);
    return apply_queue_put_set(state, queue, at, tags) == 0 ? (int)at : TALLY_NOMEM;
}

uint64_t apply_queue_open(const struct queue *queue)
{
    return FIELD_OWN(queue->by_state[BUILD_PENDING]) + FIELD_OWN(queue->by_state[BUILD_DELAYED]) +
           FIELD_OWN(queue->by_state[BUILD_ASSIGNED]) + FIELD_OWN(queue->by_state[BUILD_BUILDING]);
}

/* Decides a SUBMIT: returns 0, or the result that refuses it. */
static int decide_submit(struct state *state, const struct record *record, struct apply_result *v)
{
    const struct queue *queue = state_queue(state, record->text[SUBMIT_QUEUE]);
    bool is_room =
        queue == NULL ? apply_queue_make_room(state) : apply_queue_open(queue) < QUEUE_OPEN_MAX;
    if (!is_room || !table_takes(&state->builds, FIELD_OWN(state->build_next))) {
        v->err = TALLY_FULL;
        return 0;
    }
    if (record->text[SUBMIT_UNIQ].len == 0) {
        return 0;
    }
    struct blob *key = key_of_two(record->text[SUBMIT_QUEUE], record->text[SUBMIT_UNIQ]);
    if (key == NULL) {
        return TALLY_NOMEM;
    }
    const struct build *same = index_get(&state->uniqs, blob_span(key));
    free(key);
    if (same != NULL) {
        v->err = TALLY_EXISTS;
        v->reply.value = same->id;
    }
    return 0;
}

static int build_fill(struct state *state, struct build *build, const struct record *record)
{
    uint32_t lease_ms = (uint32_t)record->num[SUBMIT_LEASE_MS];
    build->pri = (uint8_t)(record->num[SUBMIT_PRI] % BUILD_PRIORITIES);
    build->tries = (uint16_t)record->num[SUBMIT_TRIES];
    build->submit_lease_ms = lease_ms;
    FIELD_PUT(build->lease_ms, lease_ms);
    build->id = FIELD_OWN(state->build_next);
    build->submitted_ms = record->time_ms;
    build->pending_lsn = record->lsn;
    struct parcel *payload =
        parcel_new(&state->ledger, LEDGER_PAYLOADS, record->text[SUBMIT_PAYLOAD]);
    FIELD_PUT(build->payload, payload);
    if (payload == NULL || table_put(&state->builds, build->id, build) != 0) {
        return TALLY_NOMEM;
    }
    if (record->text[SUBMIT_UNIQ].len > 0) {
        build->uniq = key_of_two(record->text[SUBMIT_QUEUE], record->text[SUBMIT_UNIQ]);
        if (build->uniq == NULL || index_put(&state->uniqs, build) != 0) {
            return TALLY_NOMEM;
        }
    }
    DCHECK(build->tries > 0 && build->tries <= BUILD_TRIES_MAX); /* bounds.c checks it */
    FIELD_PUT(state->build_next, build->id + 1);
    FIELD_ADD(state->builds_in_memory, 1);
    FIELD_ADD(state->payload_bytes, payload->len);
    ledger_add(&state->ledger, LEDGER_ENTITIES, build_weight(build));
    return 0;
}

/* Adds the effect OFFERED or DELAYED. */
static inline void offer_effect(struct apply_result *v, struct build *build, enum build_state to)
{
    /* an effect follows the record that is applied */
    DCHECK(status_state(FIELD_OWN(build->applied)) == to);
    if (to == BUILD_PENDING) {
        apply_effect_add(v, EFFECT_OFFERED)->build = build;
    } else if (to == BUILD_DELAYED) {
        apply_effect_add(v, EFFECT_DELAYED)->build = build;
    }
}

static int apply_submit(struct state *state, const struct record *record, struct apply_result *v)
{
    int err = decide_submit(state, record, v);
    if (err != 0 || v->err != 0) {
        return err;
    }
    struct queue *queue = state_queue(state, record->text[SUBMIT_QUEUE]);
    if (queue == NULL) {
        queue = queue_new(state, record->text[SUBMIT_QUEUE]);
    }
    if (queue == NULL) {
        return TALLY_NOMEM;
    }
    int set = set_of(state, queue, record->text[SUBMIT_NEED]);
    if (set == TALLY_FULL) {
        v->err = TALLY_FULL;
        return 0;
    }
    struct build *build = aligned_alloc(64, sizeof *build);
    if (set < 0 || build == NULL) {
        free(build);
        return TALLY_NOMEM;
    }
    if (queue->ended_count > 0 && apply_queue_open(queue) == 0) {
        TAILQ_REMOVE(&state->idle, queue, idle);
    }
    *build = (struct build){.queue = queue, .set = (uint8_t)set, .captured = state->captures};
    err = build_fill(state, build, record);
    if (err != 0) {
        return err;
    }
    uint64_t delay_ms = record->num[SUBMIT_DELAY_MS];
    enum build_state to = delay_ms > 0 ? BUILD_DELAYED : BUILD_PENDING;
    build->due_ms = record->time_ms + delay_ms;
    build->accepted = status_make(to, BUILD_TOKEN_FIRST(build->id));
    FIELD_PUT(build->applied, build->accepted);
    word_set(&build->word, build_word(build->accepted, 0));
    DCHECK(status_token(build->accepted) <= BUILD_TOKEN_MAX / 2 + 1);
    err = apply_build_count(build, BUILD_NONE, to);
    offer_effect(v, build, to);
    apply_event_build(state, record, build);
    v->reply.value = build->id;
    return err;
}

/* ---- steps ---- */

static int hold(struct build *build, struct worker *worker)
{
    DCHECK(FIELD_OWN(build->worker) == NULL);
    struct worker_held *held = FIELD_OWN(worker->held);
    for (uint32_t i = 0; i < held->capacity; i++) {
        if (FIELD_OWN(held->slot[i]) == NULL) {
            FIELD_PUT(held->slot[i], build);
            FIELD_ADD(worker->held_count, 1);
            build->held_at = i;
            return 0;
        }
    }
    return TALLY_CORRUPT; /* the edge never claims beyond the worker's slots */
}

static void unhold(struct build *build, struct worker *worker, struct apply_result *v)
{
    struct worker_held *held = FIELD_OWN(worker->held);
    DCHECK(FIELD_OWN(held->slot[build->held_at]) == build && FIELD_OWN(worker->held_count) > 0);
    FIELD_PUT(held->slot[build->held_at], NULL);
    FIELD_ADD(worker->held_count, (uint64_t)-1);
    struct effect *left = apply_effect_add(v, EFFECT_LEFT);
    left->build = build;
    left->worker = worker;
}

/* Notes the name of the holder: the worker may be forgotten before the build is. */
static int note_worker(struct state *state, struct build *build, const struct worker *worker)
{
    uint64_t weight = blob_weight(FIELD_OWN(build->by));
    if (span_equal(blob_span(FIELD_OWN(build->by)), blob_span(worker->name))) {
        return 0;
    }
    int err = apply_replace_text(state, &build->by, blob_span(worker->name));
    uint64_t more = blob_weight(FIELD_OWN(build->by)) - weight;
    ledger_add(&state->ledger, LEDGER_ENTITIES, more);
    return err;
}

static int step_claim(struct state *state, struct build *build, const struct record *record)
{
    struct worker *worker = table_get(&state->worker_ids, record->num[CLAIM_WORKER]);
    if (worker == NULL || hold(build, worker) != 0) {
        return TALLY_CORRUPT;
    }
    if (note_worker(state, build, worker) != 0) {
        return TALLY_NOMEM;
    }
    DCHECK(FIELD_OWN(worker->held_count) <= FIELD_OWN(worker->held)->capacity);
    FIELD_PUT(build->ending, 0);
    FIELD_PUT(build->goes_back, FIELD_OWN(worker->state) == WORKER_GONE);
    FIELD_PUT(build->worker, worker);
    FIELD_PUT(build->attempts, (uint16_t)(FIELD_OWN(build->attempts) + 1));
    FIELD_PUT(build->lease_ms, (uint32_t)record->num[CLAIM_LEASE_MS]);
    FIELD_PUT(build->started_ms, record->time_ms);
    return 0;
}

/* ---- texts ---- */

/* Replaces a text of a build; an empty one leaves the text before in its place. */
static int put_text(struct state *state, _Atomic(struct parcel *) *place, enum ledger_kind kind,
                    struct span text)
{
    if (text.len == 0) {
        return 0;
    }
    struct parcel *parcel = parcel_new(&state->ledger, kind, text);
    if (parcel == NULL) {
        return TALLY_NOMEM;
    }
    struct parcel *old = FIELD_OWN(*place);
    FIELD_PUT(*place, parcel);
    state_retire(state, old, parcel_release);
    return 0;
}

#define LEFT_TOO_OFTEN "its workers said BYE more than 100 times"

static int step_texts(struct state *state, struct build *build, const struct record *record)
{
    bool fails = status_state((uint32_t)record->num[STEP_AFTER]) == BUILD_FAILED;
    switch (record->type) {
    case RECORD_DONE:
        return put_text(state, &build->result, LEDGER_RESULTS, record->text[STEP_TEXT]);
    case RECORD_FAIL:
        return put_text(state, &build->error, LEDGER_ERRORS, record->text[STEP_TEXT]);
    case RECORD_EXPIRE:
        return put_text(state, &build->error, LEDGER_ERRORS, SPAN("lease expired"));
    case RECORD_UNHOLD:
        return fails ? put_text(state, &build->error, LEDGER_ERRORS, SPAN(LEFT_TOO_OFTEN)) : 0;
    case RECORD_CLAIM:
    case RECORD_BEAT:
    case RECORD_RELEASE:
    case RECORD_DUE:
        RECORD_NO_BUILD_STEP
        break;
    }
    return 0;
}

static uint64_t ending_of(const struct record *record)
{
    DCHECK(status_is_held((uint32_t)record->num[STEP_BEFORE])); /* only a claim ends here */
    bool fails = status_state((uint32_t)record->num[STEP_AFTER]) == BUILD_FAILED;
    uint32_t token = status_token((uint32_t)record->num[STEP_BEFORE]);
    uint32_t delay_ms = (uint32_t)record->num[STEP_DELAY_MS];
    switch (record->type) {
    case RECORD_DONE:
        return ending_word(HOW_DONE, token, 0);
    case RECORD_FAIL:
        return record->num[FAIL_DEAD] != 0
                   ? ending_word(HOW_FAIL_DEAD, token, 0)
                   : ending_word(fails ? HOW_FAIL_LAST : HOW_FAIL, token, delay_ms);
    case RECORD_RELEASE:
        return ending_word(HOW_RELEASE, token, delay_ms);
    case RECORD_CLAIM:
    case RECORD_BEAT:
    case RECORD_EXPIRE:
    case RECORD_DUE:
    case RECORD_UNHOLD:
        RECORD_NO_BUILD_STEP
        break;
    }
    return ending_word(HOW_OTHER, token, 0);
}

/* How a claim that ends with such a step is counted for its worker; COUNT_NONE: the attempt is not
 * counted at all. */
enum claim_count { COUNT_NONE, COUNT_DONE, COUNT_FAILED };

static enum claim_count claim_count(enum record_type type)
{
    switch (type) {
    case RECORD_DONE:
        return COUNT_DONE;
    case RECORD_FAIL:
    case RECORD_EXPIRE:
        return COUNT_FAILED;
    case RECORD_RELEASE:
    case RECORD_UNHOLD:
        return COUNT_NONE;
    case RECORD_CLAIM:
    case RECORD_BEAT:
    case RECORD_DUE:
        RECORD_NO_BUILD_STEP
        break;
    }
    return COUNT_FAILED; /* not reached: none of these ends a claim */
}

/* Called when a held build leaves its worker: updates the worker's counts, and makes the build
 * ready for the next claim. */
static void step_left(struct state *state, struct build *build, const struct record *record,
                      struct apply_result *v)
{
    struct worker *worker = FIELD_OWN(build->worker);
    DCHECK(FIELD_OWN(build->attempts) > 0); /* this claim was counted */
    snapshot_capture_worker(state, worker);
    unhold(build, worker, v);
    switch (claim_count(record->type)) {
    case COUNT_DONE:
        FIELD_ADD(worker->done, 1);
        break;
    case COUNT_FAILED:
        FIELD_ADD(worker->failed, 1);
        break;
    case COUNT_NONE:
        FIELD_PUT(build->attempts, (uint16_t)(FIELD_OWN(build->attempts) - 1));
        break;
    }
    if (record->type == RECORD_UNHOLD && build->byes <= BUILD_BYES_MAX) {
        build->byes++;
    }
    FIELD_PUT(build->worker, NULL);
    FIELD_PUT(build->goes_back, false);
    FIELD_PUT(build->lease_ms, build->submit_lease_ms);
    build->due_ms = record->time_ms + record->num[STEP_DELAY_MS];
}

/* Whether the attempts of a build stay within bounds after a step. */
static bool attempts_fit(const struct build *build, const struct record *record)
{
    uint32_t attempts = FIELD_OWN(build->attempts);
    enum build_state to = status_state((uint32_t)record->num[STEP_AFTER]);
    bool is_back = claim_count(record->type) == COUNT_NONE;
    bool is_offered = to == BUILD_PENDING || to == BUILD_DELAYED;
    return is_offered && record->type != RECORD_DUE ? attempts - is_back < BUILD_ATTEMPTS_MAX
                                                    : attempts <= BUILD_ATTEMPTS_MAX;
}

static int apply_build_step(struct state *state, const struct record *record,
                            struct apply_result *v)
{
    struct build *build = state_build(state, record->num[STEP_BUILD]);
    uint32_t before = (uint32_t)record->num[STEP_BEFORE];
    uint32_t after = (uint32_t)record->num[STEP_AFTER];
    if (build == NULL || FIELD_OWN(build->applied) != before ||
        !word_transition_is_legal(record->type, before, after) || !attempts_fit(build, record)) {
        return TALLY_CORRUPT;
    }
    DCHECK(status_is_held(before) == (FIELD_OWN(build->worker) != NULL)); /* one holder or none */
    snapshot_capture_build(state, build);
    int err = step_texts(state, build, record);
    if (err == 0 && record->type == RECORD_CLAIM) {
        err = step_claim(state, build, record);
    }
    if (err != 0) {
        return err;
    }
    enum build_state to = status_state(after);
    if (to == BUILD_PENDING || to == BUILD_DELAYED) {
        build->pending_lsn = record->lsn;
    }
    if (status_is_held(before) && !status_is_held(after)) {
        FIELD_PUT(build->ending, ending_of(record));
    }
    if (apply_build_count(build, status_state(before), to) != 0) {
        return TALLY_NOMEM;
    }
    FIELD_PUT(build->applied, after);
    if (status_is_held(before) && !status_is_held(after)) {
        step_left(state, build, record, v);
    }
    if (record->type == RECORD_CLAIM) {
        apply_effect_add(v, EFFECT_CLAIMED)->build = build;
    }
    DCHECK(status_is_held(after) == (FIELD_OWN(build->worker) != NULL));
    offer_effect(v, build, to);
    apply_event_build(state, record, build);
    if (status_is_ended(after)) {
        apply_build_end(state, build, record);
    }
    return 0;
}

int apply_of_builds(struct state *state, const struct record *record, struct apply_result *result)
{
    apply_result_clear(result);
    if (bounds_record_error(record) != NULL) {
        return TALLY_CORRUPT; /* the edge asks the same before it appends: bounds.h */
    }
    switch (record->type) {
    case RECORD_SUBMIT:
        return apply_keyed(state, record, result, apply_submit);
    case RECORD_WORKER:
        return apply_worker(state, record, result);
    case RECORD_BYE:
        return apply_bye(state, record, result);
    case RECORD_OFFLINE:
        return apply_offline(state, record);
    case RECORD_SEEN:
        return apply_seen(state, record);
    case RECORD_FORGET:
        return apply_forget(state, record);
        RECORD_BUILD_STEPS(RECORD_CASE)
        return apply_build_step(state, record, result);
    case RECORD_NONE:
    case RECORD_VOTE:
    case RECORD_POLL:
    case RECORD_OPTION:
    case RECORD_POLL_WINDOW:
    case RECORD_BALLOT:
    case RECORD_UNVOTE:
    case RECORD_SEED:
    case RECORD_RESET:
    case RECORD_POLLDEL:
    case RECORD_PURGE:
        break;
    }
    return TALLY_CORRUPT;
}
