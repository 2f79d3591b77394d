/* apply for finished builds: how many are kept, and which of them keep their bytes. */
#include "engine/apply/apply_internal.h"

#include "engine/apply/snapshot_capture.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

void apply_build_add_ended(struct state *state, struct build *build)
{
    struct queue *queue = build->queue;
    DCHECK(status_is_ended(FIELD_OWN(build->applied)) && build->ended_lsn != 0);
    if (queue->ended_last == NULL || queue->ended_first == NULL) {
        queue->ended_first = build;
    } else {
        queue->ended_last->next_ended = build;
    }
    queue->ended_last = build;
    queue->ended_count++;
    TAILQ_INSERT_TAIL(&state->ended, build, ended);
    state->ended_count++;
    state->ended_bytes += build_bytes(build);
    if (state->ended_kept == NULL && FIELD_OWN(build->payload) != NULL) {
        state->ended_kept = build;
    }
}

static void give_back(struct state *state, _Atomic(struct parcel *) *place)
{
    struct parcel *parcel = FIELD_OWN(*place);
    FIELD_PUT(*place, NULL);
    state_retire(state, parcel, parcel_release);
}

/* Frees payload, result and error of the oldest finished build that has them. The payload goes
 * first: a thread that finds no result, and then a payload, knows that there was no result. */
static void forget_bytes(struct state *state)
{
    struct build *build = state->ended_kept;
    DCHECK(FIELD_OWN(build->payload) != NULL && state->ended_bytes >= build_bytes(build));
    snapshot_capture_build(state, build);
    state->ended_kept = TAILQ_NEXT(build, ended);
    state->ended_bytes -= build_bytes(build);
    FIELD_ADD(state->payload_bytes, (uint64_t)-FIELD_OWN(build->payload)->len);
    give_back(state, &build->payload);
    give_back(state, &build->result);
    give_back(state, &build->error);
}

/* Forgets a queue after its last build has left: frees its name and its place. Its tickets are
 * dead, and their memory stays until every walk that has begun in a read section is over. */
static void forget_queue(struct state *state, struct queue *queue)
{
    DCHECK(queue->ended_count == 0 && queue->oldest.count == 0);
    snapshot_capture_queue(state, queue);
    TAILQ_REMOVE(&state->idle, queue, idle);
    index_remove(&state->queues, queue);
    table_remove(&state->queue_ids, queue->id);
    FIELD_ADD(state->queue_count, (uint64_t)-1);
    ledger_sub(&state->ledger, LEDGER_ENTITIES, queue_weight(queue));
    for (uint32_t i = 0; i < FIELD_OWN(queue->set_count); i++) {
        ledger_sub(&state->ledger, LEDGER_ENTITIES, need_set_weight(FIELD_OWN(queue->sets[i])));
    }
    state_retire(state, queue, queue_free);
}

/* Forgets the oldest finished build of a queue, and the queue with its last build. */
static void forget_build(struct state *state, struct queue *queue)
{
    struct build *build = queue->ended_first;
    DCHECK(queue->ended_count > 0 && state->ended_count > 0);
    DCHECK(status_is_ended(FIELD_OWN(build->applied)) && FIELD_OWN(build->worker) == NULL);
    snapshot_capture_build(state, build);
    queue->ended_first = build->next_ended;
    queue->ended_count--;
    if (state->ended_kept == build) {
        state->ended_kept = TAILQ_NEXT(build, ended);
    }
    TAILQ_REMOVE(&state->ended, build, ended);
    state->ended_count--;
    state->ended_bytes -= build_bytes(build);
    (void)apply_build_count(build, status_state(FIELD_OWN(build->applied)),
                            BUILD_NONE); /* cannot fail */
    table_remove(&state->builds, build->id);
    FIELD_ADD(state->builds_in_memory, (uint64_t)-1);
    FIELD_ADD(state->payload_bytes, (uint64_t)-parcel_span(FIELD_OWN(build->payload)).len);
    ledger_sub(&state->ledger, LEDGER_ENTITIES, build_weight(build));
    state_retire(state, build, build_free);
    if (queue->ended_count == 0 && apply_queue_open(queue) == 0) {
        forget_queue(state, queue);
    }
}

/* Builds of an idle queue that one SUBMIT forgets to make room for another queue. */
enum { QUEUE_ROOM_SLICE = 1024 };

bool apply_queue_make_room(struct state *state)
{
    struct queue *idle = TAILQ_FIRST(&state->idle);
    for (int i = 0; i < QUEUE_ROOM_SLICE && FIELD_OWN(state->queue_count) >= QUEUES_MAX; i++) {
        if (idle == NULL) {
            return false;
        }
        DCHECK(idle->ended_count > 0); /* a queue leaves with its last build */
        forget_build(state, idle);
        idle = TAILQ_FIRST(&state->idle);
    }
    return FIELD_OWN(state->queue_count) < QUEUES_MAX &&
           table_takes(&state->queue_ids, FIELD_OWN(state->queue_last) + 1);
}

/*
 * How much memory finished builds may take depends on the machine, so apply must not decide it: the
 * committer looks at the memory (forget.h), and the record names the builds. The first build in the
 * list of all finished builds is also the first of its queue.
 */
int apply_forget(struct state *state, const struct record *record)
{
    const uint64_t *num = record->num;
    if (num[FORGET_BYTES_UNTIL] >= record->lsn || num[FORGET_BUILDS_UNTIL] >= record->lsn ||
        num[FORGET_WORKERS_UNTIL] >= record->lsn || num[FORGET_KEYS_UNTIL] >= record->lsn) {
        return TALLY_CORRUPT;
    }
    while (state->ended_kept != NULL && state->ended_kept->ended_lsn <= num[FORGET_BYTES_UNTIL]) {
        forget_bytes(state);
    }
    const struct build *first;
    while ((first = TAILQ_FIRST(&state->ended)) != NULL &&
           first->ended_lsn <= num[FORGET_BUILDS_UNTIL]) {
        forget_build(state, first->queue);
    }
    apply_forget_keys(state, num[FORGET_KEYS_UNTIL]);
    return apply_forget_workers(state, num[FORGET_WORKERS_UNTIL]);
}

void apply_build_end(struct state *state, struct build *build, const struct record *record)
{
    struct queue *queue = build->queue;
    FIELD_PUT(build->ended_ms, record->time_ms);
    DCHECK(build->ended_lsn == 0 && FIELD_OWN(build->worker) == NULL);
    if (build->uniq != NULL) {
        index_remove(&state->uniqs, build);
        ledger_sub(&state->ledger, LEDGER_ENTITIES, blob_weight(build->uniq));
        state_retire(state, build->uniq, free);
        build->uniq = NULL;
    }
    build->ended_lsn = record->lsn;
    apply_build_add_ended(state, build);
    if (apply_queue_open(queue) == 0) {
        TAILQ_INSERT_TAIL(&state->idle, queue, idle);
    }
    if (queue->ended_count > QUEUE_KEEP) {
        forget_build(state, queue);
    }
}
