/* Images of entities as they are, and the walk over those that nobody has changed. */
#include "engine/apply/snapshot_capture.h"

#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum phase { POLLS, QUEUES, WORKERS, OPTIONS, BUILDS, DONE };

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
    if (capture->out.len >= SAVER_CHUNK_BYTES) {
        hand_over(capture);
    }
}

static struct span seconds_of(const struct poll *poll, unsigned char *into)
{
    size_t len = 0;
    for (unsigned i = 0; i < POLL_SECONDS; i++) {
        if (FIELD_OWN(poll->second[i]) != 0) {
            len += put_varint(into + len, i);
            len += put_varint(into + len, FIELD_OWN(poll->second[i]));
            len += put_varint(into + len, FIELD_OWN(poll->second_votes[i]));
        }
    }
    return (struct span){(const char *)into, len};
}

void capture_poll(struct capture *capture, struct poll *poll)
{
    unsigned char seconds[POLL_SECONDS * 3 * VARINT_BYTES_MAX];
    struct image image = {.kind = IMAGE_POLL,
                          .num = {[IMAGE_ID] = poll->id,
                                  [IPOLL_TOTAL] = FIELD_OWN(poll->total),
                                  [IPOLL_OPEN_MS] = FIELD_OWN(poll->open_ms),
                                  [IPOLL_CLOSE_MS] = FIELD_OWN(poll->close_ms),
                                  [IPOLL_RATE_N] = rate_word_n(FIELD_OWN(poll->rate)),
                                  [IPOLL_RATE_MS] = rate_word_ms(FIELD_OWN(poll->rate)),
                                  [IPOLL_OPEN] = FIELD_OWN(poll->open)},
                          .text = {blob_span(poll->name), seconds_of(poll, seconds)}};
    poll->captured = capture->number;
    put(capture, &image);
}

/* The folded label, which stands behind the poll's name in the option's key. */
static struct span fold_of(const struct option *option)
{
    size_t skip = option->poll->name->len + 1;
    return (struct span){option->key->at + skip, option->key->len - skip};
}

void capture_option(struct capture *capture, struct option *option)
{
    struct image image = {.kind = IMAGE_OPTION,
                          .num = {[IMAGE_ID] = option->id,
                                  [IOPTION_POLL] = option->poll->id,
                                  [IOPTION_VOTES] = FIELD_OWN(option->votes),
                                  [IOPTION_CHANGES] = option->changes},
                          .text = {blob_span(option->label), fold_of(option)}};
    save_poll(capture->state, option->poll);
    option->captured = capture->number;
    put(capture, &image);
}

void capture_queue(struct capture *capture, struct queue *queue)
{
    struct image image = {.kind = IMAGE_QUEUE, .text = {blob_span(queue->name)}};
    uint32_t count = FIELD_OWN(queue->set_count);
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += FIELD_OWN(queue->sets[i])->tags->len + 1;
    }
    char *tags = malloc(len + 1);
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
    image.num[IMAGE_ID] = queue->id;
    image.num[IQUEUE_SETS] = count;
    image.text[IQUEUE_TAGS] = (struct span){tags, len > 0 ? len - 1 : 0};
    put(capture, &image);
    free(tags);
}

void capture_worker(struct capture *capture, struct worker *worker)
{
    const struct worker_held *held = FIELD_OWN(worker->held);
    struct image image = {.kind = IMAGE_WORKER,
                          .num = {[IMAGE_ID] = worker->id,
                                  [IWORKER_STATE] = FIELD_OWN(worker->state),
                                  [IWORKER_SLOTS] = FIELD_OWN(worker->slots),
                                  [IWORKER_ROOM] = held->capacity,
                                  [IWORKER_DONE] = FIELD_OWN(worker->done),
                                  [IWORKER_FAILED] = FIELD_OWN(worker->failed),
                                  [IWORKER_GONE_LSN] = worker->gone_lsn},
                          .text = {blob_span(worker->name), blob_span(FIELD_OWN(worker->title)),
                                   blob_span(FIELD_OWN(worker->tags))}};
    worker->captured = capture->number;
    put(capture, &image);
}

void capture_build(struct capture *capture, struct build *build)
{
    struct worker *worker = FIELD_OWN(build->worker);
    struct image image = {.kind = IMAGE_BUILD,
                          .num = {[IMAGE_ID] = build->id,
                                  [IBUILD_APPLIED] = FIELD_OWN(build->applied),
                                  [IBUILD_QUEUE] = build->queue->id,
                                  [IBUILD_SET] = build->set,
                                  [IBUILD_PRI] = build->pri,
                                  [IBUILD_ENDING] = FIELD_OWN(build->ending),
                                  [IBUILD_TRIES] = build->tries,
                                  [IBUILD_ATTEMPTS] = FIELD_OWN(build->attempts),
                                  [IBUILD_SUBMIT_LEASE_MS] = build->submit_lease_ms,
                                  [IBUILD_LEASE_MS] = FIELD_OWN(build->lease_ms),
                                  [IBUILD_WORKER] = worker != NULL ? worker->id : 0,
                                  [IBUILD_HELD_AT] = build->held_at,
                                  [IBUILD_SUBMITTED_MS] = build->submitted_ms,
                                  [IBUILD_STARTED_MS] = FIELD_OWN(build->started_ms),
                                  [IBUILD_ENDED_MS] = FIELD_OWN(build->ended_ms),
                                  [IBUILD_PENDING_LSN] = build->pending_lsn,
                                  [IBUILD_DUE_MS] = build->due_ms,
                                  [IBUILD_ENDED_LSN] = build->ended_lsn,
                                  [IBUILD_FORGOTTEN] = FIELD_OWN(build->payload) == NULL,
                                  [IBUILD_BYES] = build->byes,
                                  [IBUILD_GOES_BACK] = FIELD_OWN(build->goes_back)},
                          .text = {parcel_span(FIELD_OWN(build->payload)),
                                   parcel_span(FIELD_OWN(build->result)),
                                   parcel_span(FIELD_OWN(build->error)), blob_span(build->uniq),
                                   blob_span(FIELD_OWN(build->by))}};
    save_queue(capture->state, build->queue);
    if (worker != NULL) {
        save_worker(capture->state, worker);
    }
    build->captured = capture->number;
    put(capture, &image);
}

void capture_begin(struct capture *capture, struct state *state,
                   int (*emit)(void *arg, struct image_buf *buf), void *arg)
{
    /* one snapshot at a time: the committer begins the next when the last one has ended */
    CHECK(state->capture == NULL);
    state->captures++;
    state->capture = capture;
    *capture =
        (struct capture){.state = state,
                         .number = state->captures,
                         .lsn = FIELD_OWN(state->lsn),
                         .phase = POLLS,
                         .id = 1,
                         .emit = emit,
                         .arg = arg,
                         .head = {.kind = IMAGE_HEAD,
                                  .num = {[HEAD_LSN] = FIELD_OWN(state->lsn),
                                          [HEAD_TIME_MS] = state->time_ms,
                                          [HEAD_VOTES] = FIELD_OWN(state->votes),
                                          [HEAD_POLLS] = FIELD_OWN(state->poll_count),
                                          [HEAD_OPTIONS] = FIELD_OWN(state->option_count),
                                          [HEAD_QUEUES] = state->queues.count,
                                          [HEAD_WORKERS] = state->workers.count,
                                          [HEAD_BUILD_NEXT] = FIELD_OWN(state->build_next),
                                          [HEAD_BUILDS] = FIELD_OWN(state->builds_in_memory),
                                          [HEAD_PAYLOAD_BYTES] = FIELD_OWN(state->payload_bytes),
                                          [HEAD_WORKER_LAST] = FIELD_OWN(state->worker_last),
                                          [HEAD_QUEUE_LAST] = FIELD_OWN(state->queue_last)}}};
    put(capture, &capture->head);
}

static uint64_t last_id(const struct capture *capture)
{
    static const unsigned counts[] = {[POLLS] = HEAD_POLLS,
                                      [QUEUES] = HEAD_QUEUE_LAST,
                                      [WORKERS] = HEAD_WORKER_LAST,
                                      [OPTIONS] = HEAD_OPTIONS};
    return capture->phase == BUILDS ? capture->head.num[HEAD_BUILD_NEXT] - 1
                                    : capture->head.num[counts[capture->phase]];
}

static const struct table *table_of(const struct capture *capture)
{
    const struct state *state = capture->state;
    const struct table *tables[] = {[POLLS] = &state->poll_ids,
                                    [QUEUES] = &state->queue_ids,
                                    [WORKERS] = &state->worker_ids,
                                    [OPTIONS] = &state->options,
                                    [BUILDS] = &state->builds};
    return tables[capture->phase];
}

static void save_one(const struct capture *capture, void *entity)
{
    struct state *state = capture->state;
    switch (capture->phase) {
    case POLLS:
        save_poll(state, entity);
        break;
    case QUEUES:
        save_queue(state, entity);
        break;
    case WORKERS:
        save_worker(state, entity);
        break;
    case OPTIONS:
        save_option(state, entity);
        break;
    default:
        save_build(state, entity);
        break;
    }
}

bool capture_walk(struct capture *capture, uint64_t entities_max)
{
    for (uint64_t i = 0; capture->err == 0 && capture->phase != DONE;) {
        void *entity = table_next(table_of(capture), &capture->id);
        if (entity == NULL || capture->id > last_id(capture)) {
            capture->phase++;
            capture->id = 1;
        } else if (i++ < entities_max) {
            save_one(capture, entity);
            capture->id++;
        } else {
            return false;
        }
    }
    if (capture->err == 0) {
        struct image end = {.kind = IMAGE_END, .num = {[END_IMAGES] = capture->images}};
        put(capture, &end);
        hand_over(capture);
    }
    return true;
}

void capture_end(struct capture *capture)
{
    capture->state->capture = NULL;
    image_buf_fini(&capture->out);
}
