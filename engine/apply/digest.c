/* The digest of a state: it mixes the images of all entities, in the order of their ids, and the
 * lists and counts that are derived from them. */
#include "engine/apply/digest.h"

#include "engine/apply/snapshot_image.h"
#include "engine/log/row.h"
#include "wal/base/check.h"

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

/* Mixes the stored bytes of an image: a new number that is 0, or a new empty text, changes no
 * digest. */
static uint64_t mix_image(uint64_t digest, const struct image *image)
{
    unsigned nums = image_num_count(image->kind);
    unsigned texts = row_texts(image->text, image_text_count(image->kind));
    while (nums > 0 && image->num[nums - 1] == 0) {
        nums--;
    }
    digest = mix_all(MIX(digest, image->kind, nums, texts), image->num, nums);
    for (unsigned i = 0; i < texts; i++) {
        digest = mix_text(digest, image->text[i]);
    }
    return digest;
}

/* Mixes a poll or an option, but not its trends. */
static uint64_t mix_image_but(uint64_t digest, struct image *image, unsigned trend, unsigned other)
{
    image->text[trend].len = 0;
    image->text[other].len = 0;
    return mix_image(digest, image);
}

/* A sum, since the order of the voters says nothing: another history may have left them in another
 * one. */
static uint64_t sum_of_voters(const struct poll *poll)
{
    struct voters_cursor cursor = {0, 0};
    struct voters_view view;
    uint64_t sum = 0;
    while (poll->voter_set != NULL && voters_each(&poll->voter_set->voters, &cursor, &view)) {
        uint64_t one = mix_text(view.count, view.voter);
        for (uint32_t i = 0; i < view.count; i++) {
            one = mix(one, view.places[i]);
        }
        sum += one;
    }
    return sum;
}

static uint64_t mix_poll(uint64_t digest, const struct state *state, const struct poll *poll)
{
    struct snapshot_texts texts;
    struct image image;
    snapshot_image_poll(&image, poll, &texts);
    digest = MIX(mix_image_but(digest, &image, IPOLL_TREND, IPOLL_RESETS),
                 FIELD_OWN(poll->option_count), state_poll(state, blob_span(poll->name)) == poll);
    for (uint64_t i = 0; i < FIELD_OWN(poll->option_count); i++) {
        const struct option *option = poll_option(poll, i);
        DCHECK(option->place == i && option->poll == poll);
        snapshot_image_option(&image, option, &texts);
        digest = MIX(mix_image_but(digest, &image, IOPTION_TREND, IOPTION_TREND),
                     state_option_any(state, option->id) == option,
                     index_get(&state->labels, blob_span(option->key)) == option);
    }
    return poll_voters(poll) > 0 ? mix(digest, sum_of_voters(poll)) : digest;
}

static uint64_t mix_queue(uint64_t digest, const struct state *state, const struct queue *queue)
{
    struct image image;
    snapshot_image_queue(&image, queue);
    digest = MIX(mix_image(digest, &image), queue->ended_count,
                 state_queue(state, blob_span(queue->name)) == queue);
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
    DCHECK(queue->ended_count == 0 || queue->ended_first != NULL);
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
    struct image image;
    snapshot_image_worker(&image, worker);
    digest = MIX(mix_image(digest, &image), FIELD_OWN(worker->held_count),
                 state_worker(state, blob_span(worker->name)) == worker);
    DCHECK(FIELD_OWN(worker->held_count) <= held->capacity);
    for (uint32_t i = 0; i < held->capacity; i++) {
        const struct build *build = FIELD_OWN(held->slot[i]);
        digest = mix(digest, build != NULL ? build->id : 0);
    }
    return digest;
}

static uint64_t mix_build(uint64_t digest, const struct state *state, const struct build *build)
{
    struct image image;
    snapshot_image_build(&image, build);
    return MIX(mix_image(digest, &image),
               build->uniq == NULL || index_get(&state->uniqs, blob_span(build->uniq)) == build);
}

static uint64_t mix_trends(uint64_t digest, const struct state *state)
{
    struct snapshot_texts texts;
    struct image image;
    digest = mix_all(digest, state->trend_pools, TREND_POOLS);
    const struct poll *poll;
    for (uint64_t id = 1; (poll = table_next(&state->poll_ids, &id)) != NULL; id++) {
        snapshot_image_poll(&image, poll, &texts);
        digest = mix_text(mix_text(digest, image.text[IPOLL_TREND]), image.text[IPOLL_RESETS]);
    }
    const struct option *option;
    for (uint64_t id = 1; (option = table_next(&state->options, &id)) != NULL; id++) {
        snapshot_image_option(&image, option, &texts);
        digest = mix_text(digest, image.text[IOPTION_TREND]);
    }
    return digest;
}

/* Mixes the keys that are known now. Those whose time is over are left out: nothing depends on them
 * any more, only on when they are dropped. */
static uint64_t mix_keys(uint64_t digest, const struct state *state)
{
    struct snapshot_texts texts;
    const struct keys *keys = &state->keys;
    struct image image;
    struct key_entry entry;
    for (const struct keyed_reply *key = keys_next(keys, NULL); key != NULL;
         key = keys_next(keys, key)) {
        keys_entry(key, &entry);
        if (keys_find(keys, entry.verb, entry.text, state->time_ms) == key) {
            snapshot_image_key(&image, key, &texts);
            digest = mix_image(digest, &image);
        }
    }
    return digest;
}

static uint64_t mix_entities(const struct state *state)
{
    DCHECK(state->queues.count == FIELD_OWN(state->queue_count));
    struct image head;
    snapshot_image_head(&head, state);
    head.num[HEAD_KEYS] = 0;     /* counts those whose time is over, too */
    head.num[HEAD_HAS_KEYS] = 0; /* is not of the state */
    uint64_t digest =
        MIX(mix_image(1, &head), state->polls.count, state->labels.count, state->queues.count,
            state->uniqs.count, FIELD_OWN(state->worker_count), state->ended_count,
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

uint64_t digest_with(const struct state *state, unsigned parts)
{
    uint64_t digest = mix_entities(state);
    digest = (parts & DIGEST_TRENDS) != 0 ? mix_trends(digest, state) : digest;
    return (parts & DIGEST_KEYS) != 0 ? mix_keys(digest, state) : digest;
}

uint64_t digest_state(const struct state *state)
{
    return digest_with(state, DIGEST_TRENDS | DIGEST_KEYS);
}
