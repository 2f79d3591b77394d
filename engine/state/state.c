/* The state: makes, finds and frees its entities. */
#include "engine/state/state.h"

#include "engine/state/label_index.h"
#include "engine/base/label.h"
#include "engine/base/machine.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/random.h"

#include <stdlib.h>

struct blob *blob_new(struct span bytes)
{
    struct blob *blob = malloc(sizeof *blob + bytes.len + 1);
    if (blob == NULL) {
        return NULL;
    }
    blob->len = bytes.len;
    if (bytes.len > 0) {
        memcpy(blob->at, bytes.at, bytes.len);
    }
    blob->at[bytes.len] = '\0';
    return blob;
}

static struct span poll_key(const void *entity)
{
    return blob_span(((const struct poll *)entity)->name);
}

static struct span option_key(const void *entity)
{
    return blob_span(((const struct option *)entity)->key);
}

static struct span queue_key(const void *entity)
{
    return blob_span(((const struct queue *)entity)->name);
}

static struct span worker_key(const void *entity)
{
    return blob_span(((const struct worker *)entity)->name);
}

static struct span uniq_key(const void *entity)
{
    return blob_span(((const struct build *)entity)->uniq);
}

int state_init(struct state *state)
{
    *state = (struct state){0};
    state->ledger.load_max = machine_memory_bytes();
    int err = 0;
    err = err != 0 ? err : index_init(&state->polls, poll_key);
    err = err != 0 ? err : index_init(&state->labels, option_key);
    err = err != 0 ? err : index_init(&state->queues, queue_key);
    err = err != 0 ? err : index_init(&state->workers, worker_key);
    err = err != 0 ? err : index_init(&state->uniqs, uniq_key);
    err = err != 0 ? err : label_index_init(state);
    err = err != 0 ? err : keys_init(&state->keys, KEYS_MAX, &state->ledger);
    atomic_init(&state->build_next, 1);
    TAILQ_INIT(&state->ended);
    TAILQ_INIT(&state->idle);
    TAILQ_INIT(&state->gone);
    TAILQ_INIT(&state->dropped);
    TAILQ_INIT(&state->dropped_early);
    state->voters_seed = random_seed();
    state->ledger.ceiling = UINT64_MAX;
    return err;
}

void option_free(void *entity)
{
    struct option *option = entity;
    if (option != NULL) {
        free(option->label);
        free(option->key);
        free(FIELD_OWN(option->samples));
        free(option);
    }
}

void poll_free(void *entity)
{
    struct poll *poll = entity;
    DCHECK(poll->voter_set == NULL);
    free(poll->name);
    free(FIELD_OWN(poll->samples));
    free(FIELD_OWN(poll->reset_samples));
    for (unsigned part = 0; part < POLL_PARTS; part++) {
        free((void *)FIELD_OWN(poll->options[part]));
    }
    free(poll);
}

void need_set_free(void *entity)
{
    struct need_set *set = entity;
    for (int pri = 0; pri < BUILD_PRIORITIES; pri++) {
        ticket_list_fini(&set->lists[pri]);
    }
    free(set->tags);
    free(set);
}

void queue_free(void *entity)
{
    struct queue *queue = entity;
    DCHECK(FIELD_OWN(queue->set_count) <= NEED_SETS_MAX);
    for (uint32_t i = 0; i < FIELD_OWN(queue->set_count); i++) {
        need_set_free(FIELD_OWN(queue->sets[i]));
    }
    oldest_fini(&queue->oldest);
    free(queue->name);
    free(queue);
}

static void free_queue(void *arg, void *entity)
{
    (void)arg;
    queue_free(entity);
}

void worker_free(void *entity)
{
    struct worker *worker = entity;
    free(worker->name);
    free(FIELD_OWN(worker->title));
    free(FIELD_OWN(worker->tags));
    free(FIELD_OWN(worker->held));
    free(worker);
}

static void free_worker(void *arg, void *entity)
{
    (void)arg;
    worker_free(entity);
}

void build_free(void *entity)
{
    struct build *build = entity;
    if (build != NULL) {
        parcel_release(FIELD_OWN(build->payload));
        parcel_release(FIELD_OWN(build->result));
        parcel_release(FIELD_OWN(build->error));
        free(FIELD_OWN(build->by));
        free(build->uniq);
        free(build);
    }
}

static void free_sets(struct state *state, struct voter_set_list *list)
{
    struct voter_set *set;
    while ((set = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, set, dropped);
        (void)poll_voters_free_some(state, set, UINT64_MAX);
    }
}

void state_fini(struct state *state)
{
    DCHECK(state->capture == NULL);
    struct build *build;
    for (uint64_t id = 1; (build = table_next(&state->builds, &id)) != NULL; id++) {
        build_free(build);
    }
    label_index_fini(state);
    keys_fini(&state->keys);
    struct option *option;
    for (uint64_t id = 1; (option = table_next(&state->options, &id)) != NULL; id++) {
        option_free(option);
    }
    struct poll *poll;
    for (uint64_t id = 1; (poll = table_next(&state->poll_ids, &id)) != NULL; id++) {
        if (poll->voter_set != NULL) {
            (void)poll_voters_free_some(state, poll->voter_set, UINT64_MAX);
            poll->voter_set = NULL;
        }
        poll_free(poll);
    }
    free_sets(state, &state->dropped);
    free_sets(state, &state->dropped_early);
    index_each(&state->queues, free_queue, NULL);
    index_each(&state->workers, free_worker, NULL);
    index_fini(&state->polls);
    index_fini(&state->labels);
    index_fini(&state->queues);
    index_fini(&state->workers);
    index_fini(&state->uniqs);
    table_fini(&state->options);
    table_fini(&state->builds);
    table_fini(&state->poll_ids);
    table_fini(&state->queue_ids);
    table_fini(&state->worker_ids);
}

void poll_set_until(struct poll *poll)
{
    bool is_open = FIELD_OWN(poll->open) && !FIELD_OWN(poll->is_deleted);
    uint64_t close_ms = FIELD_OWN(poll->close_ms);
    uint64_t until = !is_open ? VOTES_CLOSED : close_ms != 0 ? close_ms : VOTES_EVER;
    DCHECK(until != VOTES_CLOSED || !is_open);
    if (poll->gated) {
        until = VOTES_WAIT;
    } else if (until <= VOTES_BALLOTS) {
        until = VOTES_CLOSED; /* 1 and 2 ms are long past; as vote_until they would mean more */
    }
    bool is_free = FIELD_OWN(poll->mode) == POLL_FREE;
    FIELD_PUT(poll->ballot_until, until);
    FIELD_PUT(poll->vote_until, is_free || until == VOTES_WAIT ? until : VOTES_BALLOTS);
}

void option_set_word(struct option *option)
{
    option->accepted = option_word(option->changes, option_votes_now(option));
    DCHECK(option_votes(option->accepted) == option_votes_now(option));
    word_set(&option->word, option->accepted);
}

uint64_t blob_weight(const struct blob *blob)
{
    return blob != NULL ? sizeof *blob + blob->len + 1 + WEIGHT_ALLOCATION : 0;
}

uint64_t poll_weight(const struct poll *poll)
{
    return sizeof *poll + WEIGHT_PLACES + blob_weight(poll->name);
}

uint64_t poll_voters_weight(const struct voter_set *set)
{
    return sizeof *set + WEIGHT_ALLOCATION + voters_bytes(&set->voters);
}

bool poll_voters_free_some(struct state *state, struct voter_set *set, uint64_t pieces)
{
    uint64_t before = poll_voters_weight(set);
    bool is_freed = voters_free_some(&set->voters, pieces);
    uint64_t after = is_freed ? 0 : poll_voters_weight(set);
    DCHECK(after < before);
    ledger_sub(&state->ledger, LEDGER_ENTITIES, before - after);
    if (is_freed) {
        free(set);
    }
    return is_freed;
}

uint64_t option_weight(const struct option *option)
{
    return sizeof *option + 2 * WEIGHT_PLACES + blob_weight(option->label) +
           blob_weight(option->key);
}

uint64_t queue_weight(const struct queue *queue)
{
    return sizeof *queue + WEIGHT_PLACES + blob_weight(queue->name);
}

uint64_t need_set_weight(const struct need_set *set)
{
    uint64_t dummies = BUILD_PRIORITIES * (sizeof(struct ticket) + WEIGHT_ALLOCATION);
    return sizeof *set + WEIGHT_ALLOCATION + dummies + blob_weight(set->tags);
}

uint64_t worker_weight(const struct worker *worker)
{
    const struct worker_held *held = FIELD_OWN(worker->held);
    DCHECK(held == NULL || held->capacity <= WORKER_SLOTS_MAX);
    uint64_t slots = held != NULL ? sizeof *held + held->capacity * sizeof held->slot[0] : 0;
    return sizeof *worker + WEIGHT_PLACES + slots + blob_weight(worker->name) +
           blob_weight(FIELD_OWN(worker->title)) + blob_weight(FIELD_OWN(worker->tags));
}

uint64_t build_bytes(const struct build *build)
{
    /* a FORGET frees the payload of a build first, then result and error */
    DCHECK(FIELD_OWN(build->payload) != NULL ||
           (FIELD_OWN(build->result) == NULL && FIELD_OWN(build->error) == NULL));
    return parcel_span(FIELD_OWN(build->payload)).len + parcel_span(FIELD_OWN(build->result)).len +
           parcel_span(FIELD_OWN(build->error)).len;
}

uint64_t build_weight(const struct build *build)
{
    return sizeof *build + WEIGHT_PLACES + sizeof(struct ticket) + blob_weight(build->uniq) +
           blob_weight(FIELD_OWN(build->by));
}

void state_retire(struct state *state, void *p, void (*free_fn)(void *p))
{
    DCHECK(free_fn != NULL);
    if (p == NULL) {
        return;
    }
    if (state->retirer != NULL) {
        rcu_retire(state->retirer, p, free_fn);
    } else {
        free_fn(p);
    }
}

struct poll *state_poll(const struct state *state, struct span name)
{
    return index_get(&state->polls, name);
}

struct queue *state_queue(const struct state *state, struct span name)
{
    return index_get(&state->queues, name);
}

struct worker *state_worker(const struct state *state, struct span name)
{
    return index_get(&state->workers, name);
}

struct blob *option_key_new(const struct poll *poll, struct span fold)
{
    struct span id = {(const char *)&poll->id, sizeof poll->id};
    _Static_assert(sizeof poll->id + 1 == OPTION_KEY_POLL, "id, '/', folded label");
    return key_of_two(id, fold);
}

struct blob *key_of_two(struct span first, struct span second)
{
    struct blob *key = malloc(sizeof *key + first.len + second.len + 2);
    if (key != NULL) {
        key->len = first.len + second.len + 1;
        memcpy(key->at, first.at, first.len);
        key->at[first.len] = '/';
        memcpy(key->at + first.len + 1, second.at, second.len);
        key->at[key->len] = '\0';
    }
    return key;
}
