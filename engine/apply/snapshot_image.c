/* Makes images: the numbers that the lists name, and by hand those made from several members. */
#include "engine/apply/snapshot_image.h"

#include "engine/apply/snapshot_fields.h"
#include "wal/base/check.h"

#define NUMS_OF(kind) kind##_FIELDS(CAPTURE_OWN, CAPTURE_SHARED, CAPTURE_OTHER)

void snapshot_image_head(struct image *image, const struct state *from)
{
    *image = (struct image){
        .kind = IMAGE_HEAD,
        .num = {[HEAD_WORKERS] = from->workers.count,
                [HEAD_BUILDS] = FIELD_OWN(from->builds_in_memory),
                [HEAD_PAYLOAD_BYTES] = FIELD_OWN(from->payload_bytes),
                [HEAD_KEYS] = from->keys.count,
                [HEAD_HAS_KEYS] = 1,
                [HEAD_PAST_POLLS] =
                    FIELD_OWN(from->poll_last) - FIELD_OWN(from->poll_count) - from->deleted_polls,
                [HEAD_PAST_OPTIONS] = FIELD_OWN(from->option_last) - FIELD_OWN(from->option_count) -
                                      from->deleted_options,
                NUMS_OF(HEAD)}};
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
    DCHECK(len <= sizeof((struct snapshot_texts *)0)->seconds);
    return (struct span){(const char *)into, len};
}

void snapshot_image_poll(struct image *image, const struct poll *from, struct snapshot_texts *into)
{
    uint64_t rate = FIELD_OWN(from->rate);
    const struct trend_view trend =
        trend_view(&from->samples, &from->trend_until_ms, FIELD_OWN(from->total));
    const struct trend_view resets =
        trend_view(&from->reset_samples, &from->reset_until_ms, FIELD_OWN(from->generation));
    *image = (struct image){.kind = IMAGE_POLL,
                            .num = {[IPOLL_RATE_N] = rate_word_n(rate),
                                    [IPOLL_RATE_MS] = rate_word_ms(rate),
                                    [IPOLL_VOTERS] = poll_voters(from),
                                    NUMS_OF(POLL)},
                            .text = {[IPOLL_NAME] = blob_span(from->name),
                                     [IPOLL_SECONDS] = seconds_of(from, into->seconds),
                                     [IPOLL_TREND] = trend_text(&trend, into->trend),
                                     [IPOLL_RESETS] = trend_text(&resets, into->resets)}};
}

void snapshot_image_option(struct image *image, const struct option *from,
                           struct snapshot_texts *into)
{
    const struct trend_view trend =
        trend_view(&from->samples, &from->trend_until_ms, FIELD_OWN(from->votes));
    *image = (struct image){.kind = IMAGE_OPTION,
                            .num = {[IOPTION_POLL] = from->poll->id, NUMS_OF(OPTION)},
                            .text = {[IOPTION_LABEL] = blob_span(from->label),
                                     [IOPTION_FOLD] = option_fold(from),
                                     [IOPTION_TREND] = trend_text(&trend, into->trend)}};
}

void snapshot_image_voter(struct image *image, uint64_t poll_id, const struct voters_view *from,
                          unsigned char more[SNAPSHOT_MORE_BYTES])
{
    size_t len = 0;
    for (uint32_t i = 1; i < from->count; i++) {
        len += put_varint(more + len, from->places[i]);
    }
    DCHECK(len <= SNAPSHOT_MORE_BYTES);
    *image = (struct image){
        .kind = IMAGE_VOTER,
        .num = {[IVOTER_POLL] = poll_id, [IVOTER_PLACE] = from->places[0]},
        .text = {
            [IVOTER_VOTER] = from->voter, [IVOTER_MORE] = (struct span){(const char *)more, len}}};
}

void snapshot_image_queue(struct image *image, const struct queue *from)
{
    *image = (struct image){.kind = IMAGE_QUEUE,
                            .num = {[IQUEUE_SETS] = FIELD_OWN(from->set_count), NUMS_OF(QUEUE)},
                            .text = {[IQUEUE_NAME] = blob_span(from->name)}};
}

void snapshot_image_worker(struct image *image, const struct worker *from)
{
    *image = (struct image){
        .kind = IMAGE_WORKER,
        .num = {[IWORKER_CAPACITY] = FIELD_OWN(from->held)->capacity, NUMS_OF(WORKER)},
        .text = {[IWORKER_ID] = blob_span(from->name),
                 [IWORKER_NAME] = blob_span(FIELD_OWN(from->title)),
                 [IWORKER_TAGS] = blob_span(FIELD_OWN(from->tags))}};
}

void snapshot_image_build(struct image *image, const struct build *from)
{
    const struct worker *worker = FIELD_OWN(from->worker);
    DCHECK(status_is_held(FIELD_OWN(from->applied)) == (worker != NULL));
    *image = (struct image){.kind = IMAGE_BUILD,
                            .num = {[IBUILD_QUEUE] = from->queue->id,
                                    [IBUILD_WORKER] = worker != NULL ? worker->id : 0,
                                    [IBUILD_FORGOTTEN] = FIELD_OWN(from->payload) == NULL,
                                    NUMS_OF(BUILD)},
                            .text = {[IBUILD_PAYLOAD] = parcel_span(FIELD_OWN(from->payload)),
                                     [IBUILD_RESULT] = parcel_span(FIELD_OWN(from->result)),
                                     [IBUILD_ERROR] = parcel_span(FIELD_OWN(from->error)),
                                     [IBUILD_UNIQ] = blob_span(from->uniq),
                                     [IBUILD_BY] = blob_span(FIELD_OWN(from->by))}};
}

static struct span numbers_of(const uint64_t *numbers, unsigned count, unsigned char *into)
{
    size_t len = 0;
    DCHECK(count <= BALLOT_OPTIONS_MAX);
    for (unsigned i = 0; i < count; i++) {
        len += put_varint(into + len, numbers[i]);
    }
    return (struct span){(const char *)into, len};
}

void snapshot_image_key(struct image *image, const struct keyed_reply *key,
                        struct snapshot_texts *into)
{
    struct key_entry entry;
    const struct key_entry *from = &entry;
    keys_entry(key, &entry);
    struct span values = numbers_of(entry.reply.values, entry.reply.value_count, into->numbers);
    struct span prev =
        numbers_of(entry.reply.prev, entry.reply.prev_count, into->numbers + values.len);
    *image = (struct image){
        .kind = IMAGE_KEY,
        .num = {NUMS_OF(KEY)},
        .text = {[IKEY_KEY] = entry.text, [IKEY_VALUES] = values, [IKEY_PREV] = prev}};
}
