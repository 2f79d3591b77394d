/* The capture: images of entities before they change, and the walk over the other entities. */
#include "engine/apply/snapshot_capture.h"

#include "engine/apply/snapshot_image.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum phase { KEYS, POLLS, QUEUES, WORKERS, OPTIONS, BUILDS, VOTERS, DROPPED, DONE };

static void hand_over(struct capture *capture)
{
    if (capture->err == 0 && capture->out.count > 0) {
        capture->err = capture->emit(capture->arg, &capture->out);
    }
}

static void put(struct capture *capture, const struct image *image)
{
    if (capture->err != 0) {
        return;
    }
    capture->err = image_put(&capture->out, image);
    capture->images++;
    if (capture->out.len >= CAPTURE_CHUNK_BYTES) {
        hand_over(capture);
    }
}

void snapshot_capture_take_poll(struct capture *capture, struct poll *poll)
{
    struct image image;
    snapshot_image_poll(&image, poll, &capture->texts);
    DCHECK(poll->captured != capture->number); /* an entity is in a snapshot once */
    poll->captured = capture->number;
    put(capture, &image);
}

void snapshot_capture_take_option(struct capture *capture, struct option *option)
{
    struct image image;
    snapshot_capture_poll(capture->state, option->poll);
    snapshot_image_option(&image, option, &capture->texts); /* behind the poll, which has used it */
    DCHECK(option->captured != capture->number);            /* an entity is in a snapshot once */
    option->captured = capture->number;
    put(capture, &image);
}

void snapshot_capture_take_queue(struct capture *capture, struct queue *queue)
{
    struct image image;
    uint32_t count = FIELD_OWN(queue->set_count);
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += FIELD_OWN(queue->sets[i])->tags->len + 1;
    }
    char *tags = malloc(len + 1);
    DCHECK(queue->captured != capture->number); /* an entity is in a snapshot once */
    queue->captured = capture->number;
    if (tags == NULL) {
        capture->err = TALLY_NOMEM;
        return;
    }
    len = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct blob *set = FIELD_OWN(queue->sets[i])->tags;
        memcpy(tags + len, set->at, set->len);
        len += set->len;
        tags[len++] = ';';
    }
    snapshot_image_queue(&image, queue);
    image.text[IQUEUE_TAGS] = (struct span){tags, len > 0 ? len - 1 : 0};
    put(capture, &image);
    free(tags);
}

void snapshot_capture_take_worker(struct capture *capture, struct worker *worker)
{
    struct image image;
    snapshot_image_worker(&image, worker);
    DCHECK(worker->captured != capture->number); /* an entity is in a snapshot once */
    worker->captured = capture->number;
    put(capture, &image);
}

void snapshot_capture_take_build(struct capture *capture, struct build *build)
{
    struct worker *worker = FIELD_OWN(build->worker);
    struct image image;
    snapshot_image_build(&image, build);
    snapshot_capture_queue(capture->state, build->queue);
    if (worker != NULL) {
        snapshot_capture_worker(capture->state, worker);
    }
    DCHECK(build->captured != capture->number); /* an entity is in a snapshot once */
    build->captured = capture->number;
    put(capture, &image);
}

void snapshot_capture_take_key(struct capture *capture)
{
    struct image image;
    DCHECK(capture->key != NULL && capture->key->lsn <= capture->lsn);
    snapshot_image_key(&image, capture->key, &capture->texts);
    capture->key = keys_next(&capture->state->keys, capture->key);
    if (capture->key != NULL && capture->key->lsn > capture->lsn) {
        capture->key = NULL;
    }
    put(capture, &image);
}

void snapshot_capture_take_voter(struct capture *capture, struct voter_set *set,
                                 const struct voters_view *view)
{
    unsigned char more[SNAPSHOT_MORE_BYTES];
    struct image image;
    snapshot_image_voter(&image, set->poll_id, view, more);
    DCHECK(view->mark != (capture->number & VOTERS_MARK_MASK)); /* as above */
    voters_mark(&set->voters, view, capture->number);
    put(capture, &image);
}

void snapshot_capture_begin(struct capture *capture, struct state *state,
                            int (*emit)(void *arg, struct image_buf *buf), void *arg)
{
    /* one snapshot at a time: the committer begins the next after the last one has ended */
    CHECK(state->capture == NULL);
    state->captures++;
    state->capture = capture;
    *capture = (struct capture){.state = state,
                                .number = state->captures,
                                .lsn = FIELD_OWN(state->lsn),
                                .phase = KEYS,
                                .id = 1,
                                .key = keys_next(&state->keys, NULL),
                                .emit = emit,
                                .arg = arg};
    snapshot_image_head(&capture->head, state);
    put(capture, &capture->head);
}

static uint64_t last_id(const struct capture *capture)
{
    DCHECK(capture->phase > KEYS && capture->phase < DONE);
    const uint64_t *num = capture->head.num;
    return capture->phase == BUILDS    ? num[HEAD_BUILD_NEXT] - 1
           : capture->phase == OPTIONS ? image_last_option(num)
           : capture->phase == QUEUES  ? num[HEAD_QUEUE_LAST]
           : capture->phase == WORKERS ? num[HEAD_WORKER_LAST]
                                       : image_last_poll(num);
}

static const struct table *table_of(const struct capture *capture)
{
    const struct state *state = capture->state;
    const struct table *tables[] = {
        [POLLS] = &state->poll_ids,  [QUEUES] = &state->queue_ids, [WORKERS] = &state->worker_ids,
        [OPTIONS] = &state->options, [BUILDS] = &state->builds,    [VOTERS] = &state->poll_ids};
    return tables[capture->phase];
}

static void capture_one(const struct capture *capture, void *entity)
{
    struct state *state = capture->state;
    switch ((enum phase)capture->phase) {
    case POLLS:
        snapshot_capture_poll(state, entity);
        break;
    case QUEUES:
        snapshot_capture_queue(state, entity);
        break;
    case WORKERS:
        snapshot_capture_worker(state, entity);
        break;
    case OPTIONS:
        snapshot_capture_option(state, entity);
        break;
    case BUILDS:
        snapshot_capture_build(state, entity);
        break;
    case KEYS:
    case VOTERS:
    case DROPPED:
    case DONE:
        break;
    }
}

/* Puts at most so many of the images that go behind the entities. Returns whether that was all, or
 * the capture has failed. */
static bool put_more(struct capture *capture, uint64_t images_max)
{
    for (uint64_t i = 0; capture->err == 0 && capture->more != NULL; i++) {
        struct image image;
        int got = i < images_max ? capture->more(capture->more_arg, &image) : TALLY_PARK;
        if (got == TALLY_PARK) {
            return false;
        }
        if (got == CAPTURE_NO_MORE) {
            return true;
        }
        capture->err = got;
        if (got == 0) {
            put(capture, &image);
        }
    }
    return true;
}

/* Goes on over the keys. Returns whether the phase is over. */
static bool walk_keys(struct capture *capture, uint64_t *left)
{
    for (; capture->err == 0 && capture->key != NULL; --*left) {
        if (*left == 0) {
            return false;
        }
        snapshot_capture_take_key(capture);
    }
    return true;
}

/* Goes on over the voters of a set that the capture needs. Returns whether all are captured, or
 * only marked when the capture has failed. */
static bool walk_set(const struct capture *capture, struct voter_set *set, uint64_t *left)
{
    struct voters_view view;
    if (set->begun != capture->number) {
        set->begun = capture->number;
        voters_walk(&set->voters);
    }
    while (voters_next(&set->voters, left, &view)) {
        snapshot_capture_voter(capture->state, set, &view);
    }
    if (!voters_is_walked(&set->voters)) {
        return false;
    }
    set->walked = capture->number;
    return true;
}

static bool walk_voters(const struct capture *capture, const struct poll *poll, uint64_t *left)
{
    struct voter_set *set = poll->voter_set;
    return set == NULL || set->walked == capture->number || walk_set(capture, set, left);
}

/* Goes on over the entities of a table. Returns whether the phase is over. */
static bool walk_table(struct capture *capture, uint64_t *left)
{
    void *entity;
    while ((entity = table_next(table_of(capture), &capture->id)) != NULL &&
           capture->id <= last_id(capture)) {
        if (capture->err != 0 && capture->phase != VOTERS) {
            break;
        }
        if (*left == 0 || (capture->phase == VOTERS && !walk_voters(capture, entity, left))) {
            return false;
        }
        *left -= *left > 0 ? 1 : 0;
        capture_one(capture, entity);
        capture->id++;
    }
    capture->id = 1;
    return true;
}

/* Goes on over the sets that were dropped before their turn. */
static bool walk_dropped(const struct capture *capture, uint64_t *left)
{
    struct state *state = capture->state;
    struct voter_set *set;
    while (capture->err == 0 && (set = TAILQ_FIRST(&state->dropped_early)) != NULL) {
        if (*left == 0 || !walk_set(capture, set, left)) {
            return false;
        }
        TAILQ_REMOVE(&state->dropped_early, set, dropped);
        TAILQ_INSERT_TAIL(&state->dropped, set, dropped);
        *left -= *left > 0 ? 1 : 0;
    }
    return true;
}

static bool walk_phase(struct capture *capture, uint64_t *left)
{
    switch ((enum phase)capture->phase) {
    case KEYS:
        return walk_keys(capture, left);
    case DROPPED:
        return walk_dropped(capture, left);
    default:
        return walk_table(capture, left);
    }
}

bool snapshot_capture_walk(struct capture *capture, uint64_t entities_max)
{
    uint64_t left = entities_max;
    for (; capture->phase != DONE; capture->phase++) {
        if (!walk_phase(capture, &left)) {
            return false;
        }
    }
    if (!put_more(capture, entities_max)) {
        return false;
    }
    if (capture->err == 0) {
        struct image end = {.kind = IMAGE_END, .num = {[END_IMAGES] = capture->images}};
        put(capture, &end);
        hand_over(capture);
    }
    return true;
}

void snapshot_capture_fail(struct capture *capture, int err)
{
    DCHECK(err != 0);
    capture->err = capture->err != 0 ? capture->err : err;
}

void snapshot_capture_end(struct capture *capture)
{
    struct state *state = capture->state;
    DCHECK(state->capture == capture);
    state->capture = NULL;
    TAILQ_CONCAT(&state->dropped, &state->dropped_early, dropped);
    image_buf_fini(&capture->out);
}
