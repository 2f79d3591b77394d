/* apply for workers: they register, go offline, leave, and are forgotten. */
#include "engine/apply/apply_internal.h"

#include "engine/apply/snapshot_capture.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

int apply_replace_text(struct state *state, _Atomic(struct blob *) *place, struct span text)
{
    struct blob *blob = blob_new(text);
    if (blob == NULL) {
        return TALLY_NOMEM;
    }
    struct blob *old = FIELD_OWN(*place);
    FIELD_PUT(*place, blob);
    state_retire(state, old, free);
    return 0;
}

int apply_worker_reserve(struct state *state, struct worker *worker, uint32_t slots)
{
    struct worker_held *old = FIELD_OWN(worker->held);
    if (old != NULL && old->capacity >= slots) {
        return 0;
    }
    struct worker_held *held = calloc(1, sizeof *held + slots * sizeof held->slot[0]);
    if (held == NULL) {
        return TALLY_NOMEM;
    }
    held->capacity = slots;
    DCHECK(slots <= WORKER_SLOTS_MAX && (old == NULL || old->capacity < slots));
    for (uint32_t i = 0; old != NULL && i < old->capacity; i++) {
        FIELD_PUT(held->slot[i], FIELD_OWN(old->slot[i]));
    }
    FIELD_PUT(worker->held, held);
    state_retire(state, old, free);
    return 0;
}

static int worker_new(struct state *state, const struct record *record, struct worker **out)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        return TALLY_NOMEM;
    }
    worker->id = FIELD_OWN(state->worker_last) + 1;
    worker->captured = state->captures;
    worker->name = blob_new(record->text[WORKER_ID]);
    FIELD_PUT(worker->state, WORKER_GONE);
    FIELD_PUT(worker->slots, 1);
    if (worker->name == NULL || table_put(&state->worker_ids, worker->id, worker) != 0 ||
        index_put(&state->workers, worker) != 0) {
        return TALLY_NOMEM;
    }
    FIELD_PUT(state->worker_last, worker->id);
    ledger_add(&state->ledger, LEDGER_ENTITIES, worker_weight(worker));
    DCHECK(state_worker(state, blob_span(worker->name)) == worker); /* names are unique */
    *out = worker;
    return 0;
}

/* Counts a worker that registers for the first time, or again after it had left. */
static void worker_comes(struct state *state, struct worker *worker)
{
    DCHECK(FIELD_OWN(worker->state) == WORKER_GONE);
    if (worker->gone_lsn != 0) {
        TAILQ_REMOVE(&state->gone, worker, gone);
        worker->gone_lsn = 0;
    }
    FIELD_PUT(worker->done, 0);
    FIELD_PUT(worker->failed, 0);
    FIELD_ADD(state->worker_count, 1);
}

int apply_worker(struct state *state, const struct record *record, struct apply_result *v)
{
    struct worker *worker = state_worker(state, record->text[WORKER_ID]);
    bool is_new = worker == NULL || FIELD_OWN(worker->state) == WORKER_GONE;
    if (is_new && (FIELD_OWN(state->worker_count) >= WORKERS_MAX ||
                   !table_takes(&state->worker_ids, FIELD_OWN(state->worker_last) + 1))) {
        v->err = TALLY_FULL;
        return 0;
    }
    int err = worker == NULL ? worker_new(state, record, &worker) : 0;
    if (err != 0) {
        return err;
    }
    snapshot_capture_worker(state, worker);
    if (is_new) {
        worker_comes(state, worker);
    }
    uint64_t weight = worker_weight(worker);
    uint64_t keep = is_new ? 0 : record->num[WORKER_KEEP];
    if (record->num[WORKER_SLOTS] != 0 || is_new) {
        uint64_t slots = record->num[WORKER_SLOTS];
        FIELD_PUT(worker->slots, (uint32_t)(slots == 0 ? 1 : slots % (WORKER_SLOTS_MAX + 1)));
    }
    err = apply_worker_reserve(state, worker, FIELD_OWN(worker->slots));
    if (err == 0 && (keep & WORKER_KEEP_NAME) == 0) {
        err = apply_replace_text(state, &worker->title, record->text[WORKER_NAME]);
    }
    if (err == 0 && (keep & WORKER_KEEP_TAGS) == 0) {
        if (!is_new && !span_equal(blob_span(FIELD_OWN(worker->tags)), record->text[WORKER_TAGS])) {
            apply_effect_add(v, EFFECT_RETAGGED)->worker = worker;
        }
        err = apply_replace_text(state, &worker->tags, record->text[WORKER_TAGS]);
    }
    DCHECK(FIELD_OWN(worker->slots) > 0 && FIELD_OWN(worker->slots) <= WORKER_SLOTS_MAX);
    FIELD_PUT(worker->state, WORKER_ONLINE);
    ledger_add(&state->ledger, LEDGER_ENTITIES, worker_weight(worker) - weight);
    apply_event_worker(state, record, worker, !is_new);
    v->reply.value = is_new ? 0 : 1;
    return err;
}

int apply_bye(struct state *state, const struct record *record, struct apply_result *v)
{
    struct worker *worker = state_worker(state, record->text[BYE_WORKER]);
    if (worker == NULL || FIELD_OWN(worker->state) == WORKER_GONE) {
        v->err = TALLY_NOTFOUND;
        return 0;
    }
    snapshot_capture_worker(state, worker);
    FIELD_PUT(worker->state, WORKER_GONE);
    FIELD_ADD(state->worker_count, (uint64_t)-1);
    DCHECK(worker->gone_lsn == 0 &&
           FIELD_OWN(state->worker_count) < WORKERS_MAX); /* the count has gone down */
    worker->gone_lsn = record->lsn;
    TAILQ_INSERT_TAIL(&state->gone, worker, gone);
    const struct worker_held *held = FIELD_OWN(worker->held);
    for (uint32_t i = 0; i < held->capacity; i++) {
        struct build *build = FIELD_OWN(held->slot[i]);
        if (build != NULL) {
            snapshot_capture_build(state, build);
            FIELD_PUT(build->goes_back, true);
        }
    }
    apply_effect_add(v, EFFECT_GONE)->worker = worker;
    apply_event_worker(state, record, worker, false);
    return 0;
}

/* Whether this id is or was a worker's: a record about a worker may be in a lane while the worker
 * leaves and is forgotten. */
static bool was_worker(const struct state *state, uint64_t id)
{
    return id > 0 && id <= FIELD_OWN(state->worker_last);
}

int apply_offline(struct state *state, const struct record *record)
{
    struct worker *worker = table_get(&state->worker_ids, record->num[OFFLINE_WORKER]);
    if (!was_worker(state, record->num[OFFLINE_WORKER])) {
        return TALLY_CORRUPT;
    }
    if (worker != NULL && FIELD_OWN(worker->state) == WORKER_ONLINE) {
        snapshot_capture_worker(state, worker);
        FIELD_PUT(worker->state, WORKER_OFFLINE);
        apply_event_worker(state, record, worker, false);
    }
    return 0;
}

/* As apply, for a SEEN: an offline worker is online again; one that has left stays away. */
int apply_seen(struct state *state, const struct record *record)
{
    struct worker *worker = table_get(&state->worker_ids, record->num[SEEN_WORKER]);
    if (!was_worker(state, record->num[SEEN_WORKER])) {
        return TALLY_CORRUPT;
    }
    if (worker != NULL && FIELD_OWN(worker->state) == WORKER_OFFLINE) {
        snapshot_capture_worker(state, worker);
        FIELD_PUT(worker->state, WORKER_ONLINE);
        apply_event_worker(state, record, worker, false);
    }
    return 0;
}

/* Forgets a worker that has left and holds nothing: frees its name, its place and its memory. */
static void forget_worker(struct state *state, struct worker *worker)
{
    DCHECK(worker->gone_lsn != 0);
    DCHECK(FIELD_OWN(worker->state) == WORKER_GONE && FIELD_OWN(worker->held_count) == 0);
    snapshot_capture_worker(state, worker);
    TAILQ_REMOVE(&state->gone, worker, gone);
    index_remove(&state->workers, worker);
    table_remove(&state->worker_ids, worker->id);
    ledger_sub(&state->ledger, LEDGER_ENTITIES, worker_weight(worker));
    state_retire(state, worker, worker_free);
}

int apply_forget_workers(struct state *state, uint64_t until)
{
    struct worker *first;
    while ((first = TAILQ_FIRST(&state->gone)) != NULL && first->gone_lsn <= until) {
        if (FIELD_OWN(first->held_count) != 0) {
            return TALLY_CORRUPT;
        }
        forget_worker(state, first);
    }
    return 0;
}
