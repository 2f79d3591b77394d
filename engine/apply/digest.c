/* A number for a whole state, made in an order that depends on nothing but the state. */
#include "engine/apply/digest.h"

static uint64_t mix(uint64_t digest, uint64_t value)
{
    digest = (digest ^ value) * 0xff51afd7ed558ccdU;
    return digest ^ digest >> 29;
}

static uint64_t mix_text(uint64_t digest, struct span text)
{
    digest = mix(digest, text.len);
    for (size_t i = 0; i < text.len; i++) {
        digest = mix(digest, (unsigned char)text.at[i]);
    }
    return digest;
}

static uint64_t mix_all(uint64_t digest, const uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        digest = mix(digest, values[i]);
    }
    return digest;
}

#define MIX(digest, ...)                                                                           \
    mix_all(digest, (const uint64_t[]){__VA_ARGS__},                                               \
            sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static uint64_t mix_poll(uint64_t digest, const struct state *state, const struct poll *poll)
{
    digest =
        MIX(mix_text(digest, blob_span(poll->name)), poll->id, FIELD_OWN(poll->total),
            FIELD_OWN(poll->open_ms), FIELD_OWN(poll->close_ms), rate_word_n(FIELD_OWN(poll->rate)),
            rate_word_ms(FIELD_OWN(poll->rate)), FIELD_OWN(poll->open),
            FIELD_OWN(poll->option_count), state_poll(state, blob_span(poll->name)) == poll);
    for (unsigned i = 0; i < POLL_SECONDS; i++) {
        digest = MIX(digest, FIELD_OWN(poll->second[i]), FIELD_OWN(poll->second_votes[i]));
    }
    for (uint64_t i = 0; i < FIELD_OWN(poll->option_count); i++) {
        const struct option *option = poll_option(poll, i);
        digest =
            MIX(mix_text(digest, blob_span(option->label)), option->id, FIELD_OWN(option->votes),
                option->changes, option->poll == poll, state_option(state, option->id) == option,
                index_get(&state->labels, blob_span(option->key)) == option);
    }
    return digest;
}

static uint64_t mix_queue(uint64_t digest, const struct state *state, const struct queue *queue)
{
    digest = MIX(mix_text(digest, blob_span(queue->name)), queue->id, FIELD_OWN(queue->set_count),
                 queue->ended_count, state_queue(state, blob_span(queue->name)) == queue);
    for (uint32_t i = 0; i < FIELD_OWN(queue->set_count); i++) {
        const struct need_set *set = FIELD_OWN(queue->sets[i]);
        digest = mix(mix_text(digest, blob_span(set->tags)), set->open);
        for (int pri = 0; pri < BUILD_PRIORITIES; pri++) {
            digest = mix(digest, FIELD_OWN(set->lists[pri].pending));
        }
    }
    for (int i = 0; i < BUILD_STATES; i++) {
        digest = mix(digest, FIELD_OWN(queue->by_state[i]));
    }
    const struct build *build = queue->ended_first;
    for (uint64_t i = 0; i < queue->ended_count; i++) {
        digest = mix(digest, build->id);
        build = build->next_ended;
    }
    return digest;
}

static uint64_t mix_worker(uint64_t digest, const struct state *state, const struct worker *worker)
{
    const struct worker_held *held = FIELD_OWN(worker->held);
    digest = mix_text(digest, blob_span(worker->name));
    digest = mix_text(digest, blob_span(FIELD_OWN(worker->title)));
    digest = mix_text(digest, blob_span(FIELD_OWN(worker->tags)));
    digest = MIX(digest, worker->id, FIELD_OWN(worker->state), FIELD_OWN(worker->slots),
                 FIELD_OWN(worker->done), FIELD_OWN(worker->failed), FIELD_OWN(worker->held_count),
                 held->capacity, worker->gone_lsn,
                 state_worker(state, blob_span(worker->name)) == worker);
    for (uint32_t i = 0; i < held->capacity; i++) {
        const struct build *build = FIELD_OWN(held->slot[i]);
        digest = mix(digest, build != NULL ? build->id : 0);
    }
    return digest;
}

static uint64_t mix_build(uint64_t digest, const struct state *state, const struct build *build)
{
    const struct worker *worker = FIELD_OWN(build->worker);
    digest = MIX(digest, build->id, FIELD_OWN(build->applied), build->queue->id, build->set,
                 build->pri, FIELD_OWN(build->ending), build->byes, FIELD_OWN(build->goes_back),
                 build->tries, FIELD_OWN(build->attempts), build->submit_lease_ms,
                 FIELD_OWN(build->lease_ms), worker != NULL ? worker->id : 0, build->submitted_ms,
                 FIELD_OWN(build->started_ms), FIELD_OWN(build->ended_ms), build->pending_lsn,
                 build->due_ms, build->ended_lsn, build->held_at);
    digest = mix(digest, FIELD_OWN(build->payload) == NULL);
    digest = mix_text(digest, parcel_span(FIELD_OWN(build->payload)));
    digest = mix_text(digest, parcel_span(FIELD_OWN(build->result)));
    digest = mix_text(digest, parcel_span(FIELD_OWN(build->error)));
    digest = mix_text(digest, blob_span(build->uniq));
    digest = mix_text(digest, blob_span(FIELD_OWN(build->by)));
    return build->uniq == NULL
               ? digest
               : mix(digest, index_get(&state->uniqs, blob_span(build->uniq)) == build);
}

uint64_t state_digest(const struct state *state)
{
    uint64_t digest =
        MIX(1, FIELD_OWN(state->lsn), state->time_ms, FIELD_OWN(state->votes),
            FIELD_OWN(state->poll_count), FIELD_OWN(state->option_count), state->polls.count,
            state->labels.count, state->queues.count, state->workers.count, state->uniqs.count,
            FIELD_OWN(state->worker_count), FIELD_OWN(state->worker_last),
            FIELD_OWN(state->queue_last), FIELD_OWN(state->build_next),
            FIELD_OWN(state->builds_in_memory), FIELD_OWN(state->payload_bytes), state->ended_count,
            state->ended_bytes, state->ended_kept != NULL ? state->ended_kept->id : 0);
    const struct poll *poll;
    for (uint64_t id = 1; (poll = table_next(&state->poll_ids, &id)) != NULL; id++) {
        digest = mix_poll(mix(digest, id), state, poll);
    }
    const struct queue *queue;
    for (uint64_t id = 1; (queue = table_next(&state->queue_ids, &id)) != NULL; id++) {
        digest = mix_queue(mix(digest, id), state, queue);
    }
    TAILQ_FOREACH(queue, &state->idle, idle)
    {
        digest = mix(digest, queue->id);
    }
    const struct worker *worker;
    for (uint64_t id = 1; (worker = table_next(&state->worker_ids, &id)) != NULL; id++) {
        digest = mix_worker(mix(digest, id), state, worker);
    }
    TAILQ_FOREACH(worker, &state->gone, gone)
    {
        digest = mix(digest, worker->id);
    }
    const struct build *build;
    for (uint64_t id = 1; (build = table_next(&state->builds, &id)) != NULL; id++) {
        digest = mix_build(mix(digest, id), state, build);
    }
    return digest;
}
