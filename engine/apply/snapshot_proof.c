/* The proof: checks the images of a snapshot one by one, then their counts and sums. */
#include "engine/apply/snapshot_proof.h"

#include "engine/log/bounds.h"
#include "engine/log/event.h"
#include "engine/state/state.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

void snapshot_proof_init(struct snapshot_proof *proof, uint64_t lsn)
{
    *proof = (struct snapshot_proof){.lsn = lsn};
}

static void free_ids(struct table *ids)
{
    void *page;
    for (uint64_t at = 0; (page = table_next(ids, &at)) != NULL; at++) {
        free(page);
    }
    table_fini(ids);
}

void snapshot_proof_fini(struct snapshot_proof *proof)
{
    for (unsigned kind = 0; kind < IMAGE_KINDS; kind++) {
        free_ids(&proof->ids[kind]);
    }
    free_ids(&proof->used);
    free_ids(&proof->polls);
}

static int wrong(struct snapshot_proof *proof, const char *why)
{
    proof->why = why;
    return TALLY_CORRUPT;
}

/* ---- ids ---- */

enum { PAGE_IDS = 4096 };

/* Returns the highest id that the head allows. */
static uint64_t last_id(const struct snapshot_proof *proof, enum image_kind kind)
{
    const uint64_t *num = proof->head.num;
    return kind == IMAGE_BUILD    ? num[HEAD_BUILD_NEXT] - 1
           : kind == IMAGE_OPTION ? image_last_option(num)
           : kind == IMAGE_QUEUE  ? num[HEAD_QUEUE_LAST]
           : kind == IMAGE_WORKER ? num[HEAD_WORKER_LAST]
                                  : image_last_poll(num);
}

static bool is_there(const struct snapshot_proof *proof, enum image_kind kind, uint64_t id)
{
    const unsigned char *page = table_get(&proof->ids[kind], id / PAGE_IDS);
    return page != NULL && (page[id % PAGE_IDS / 8] >> id % 8 & 1) != 0;
}

enum { NOTED = 1 };

/* Notes an id. Returns NOTED; 0 when it was noted before. Errors: NOMEM, FULL. */
static int note(struct table *ids, uint64_t id)
{
    unsigned char *page = table_get(ids, id / PAGE_IDS);
    if (page == NULL) {
        page = calloc(1, PAGE_IDS / 8);
        int err = page != NULL ? table_put(ids, id / PAGE_IDS, page) : TALLY_NOMEM;
        if (err != 0) {
            free(page);
            return err;
        }
    }
    unsigned char bit = (unsigned char)(1U << id % 8);
    unsigned char *at = &page[id % PAGE_IDS / 8];
    bool is_new = (*at & bit) == 0;
    *at = (unsigned char)(*at | bit);
    return is_new ? NOTED : 0;
}

/* Notes an id of a kind. CORRUPT when it is there already, out of range, or too far from others. */
static int take_id(struct snapshot_proof *proof, enum image_kind kind, uint64_t id, const char *why)
{
    uint64_t *first = &proof->first[kind];
    uint64_t *last = &proof->last[kind];
    if (id == 0 || id > last_id(proof, kind)) {
        return wrong(proof, why);
    }
    *first = *first == 0 || id < *first ? id : *first;
    *last = id > *last ? id : *last;
    if (*last - *first >= TABLE_SPAN_MAX - TABLE_CHUNK) {
        return wrong(proof, "ids that are too far apart");
    }
    int err = note(&proof->ids[kind], id);
    return err == NOTED ? 0 : err == 0 || err == TALLY_FULL ? wrong(proof, why) : err;
}

/* ---- image by image ---- */

static int take_head(struct snapshot_proof *proof, const struct image *image)
{
    if (proof->images != 0) {
        return wrong(proof, "a second head");
    }
    if (proof->lsn != 0 && image->num[HEAD_LSN] != proof->lsn) {
        return wrong(proof, "it is of another record");
    }
    proof->head = *image;
    return 0;
}

/* Whether the last change of a trend is no later than the state. */
static bool is_past(const struct snapshot_proof *proof, struct span trend)
{
    return trend_text_until(trend) <= proof->head.num[HEAD_TIME_MS] / TREND_BUCKET_MS + 1;
}

static int take_poll(struct snapshot_proof *proof, const struct image *image)
{
    if (!is_past(proof, image->text[IPOLL_TREND]) || !is_past(proof, image->text[IPOLL_RESETS])) {
        return wrong(proof, "a trend that goes on behind the last record");
    }
    const uint64_t *num = image->num;
    int err = take_id(proof, IMAGE_POLL, num[IMAGE_ID], "a poll twice, or beyond the last");
    if (err != 0) {
        return err;
    }
    struct proof_poll *poll = calloc(1, sizeof *poll);
    if (poll == NULL || table_put(&proof->polls, num[IMAGE_ID], poll) != 0) {
        free(poll);
        return TALLY_NOMEM;
    }
    poll->claimed = num[IPOLL_TOTAL];
    poll->generation = (uint32_t)num[IPOLL_GENERATION];
    poll->voters = num[IPOLL_VOTERS];
    poll->is_deleted = num[IPOLL_DELETED] != 0;
    proof->voters_missing += num[IPOLL_VOTERS];
    proof->deleted_polls += poll->is_deleted;
    return 0;
}

static int take_option(struct snapshot_proof *proof, const struct image *image)
{
    struct proof_poll *poll = table_get(&proof->polls, image->num[IOPTION_POLL]);
    if (!is_past(proof, image->text[IOPTION_TREND])) {
        return wrong(proof, "a trend that goes on behind the last record");
    }
    if (poll == NULL) {
        return wrong(proof, "an option without its poll");
    }
    if (image->num[IOPTION_CHANGES] > proof->head.num[HEAD_LSN] ||
        image->num[IOPTION_GENERATION] > poll->generation) {
        return wrong(proof, "an option with changes that are still to come");
    }
    proof->deleted_options += poll->is_deleted;
    /* else they were reset, or are gone with their poll */
    bool counts = image->num[IOPTION_GENERATION] == poll->generation && !poll->is_deleted;
    poll->total += counts ? image->num[IOPTION_VOTES] : 0;
    if (poll->total > COUNT_MAX) {
        return wrong(proof, "more votes than there can be");
    }
    return take_id(proof, IMAGE_OPTION, image->num[IMAGE_ID],
                   "an option twice, or beyond the last");
}

static int take_voter(struct snapshot_proof *proof, const struct image *image)
{
    struct proof_poll *poll = table_get(&proof->polls, image->num[IVOTER_POLL]);
    if (poll == NULL || poll->voters == 0) {
        return wrong(proof, "a voter without its poll, or one more than it has");
    }
    poll->voters--;
    proof->voters_missing--;
    return 0;
}

static int take_build(struct snapshot_proof *proof, const struct image *image)
{
    const uint64_t *num = image->num;
    const uint64_t lsn = proof->head.num[HEAD_LSN];
    if (!is_there(proof, IMAGE_QUEUE, num[IBUILD_QUEUE]) ||
        (num[IBUILD_WORKER] != 0 && !is_there(proof, IMAGE_WORKER, num[IBUILD_WORKER]))) {
        return wrong(proof, "a build without its queue or its worker");
    }
    if (num[IBUILD_PENDING_LSN] > lsn || num[IBUILD_ENDED_LSN] > lsn) {
        return wrong(proof, "a build of a record that is not there yet");
    }
    proof->payload_bytes += image->text[IBUILD_PAYLOAD].len;
    int err = note(&proof->used, num[IBUILD_QUEUE]);
    if (err < 0) {
        return err;
    }
    proof->used_count += err == NOTED ? 1 : 0;
    return take_id(proof, IMAGE_BUILD, num[IMAGE_ID], "a build twice, or beyond the last");
}

/* Keys come in the order of their lsns, and were put within the state's past. */
static int take_key(struct snapshot_proof *proof, const struct image *image)
{
    uint64_t *last = &proof->last[IMAGE_KEY];
    uint64_t lsn = image->num[IKEY_LSN];
    uint64_t time_ms = image->num[IKEY_TIME_MS];
    if (lsn <= *last || lsn > proof->head.num[HEAD_LSN] || time_ms < proof->key_ms ||
        time_ms > proof->head.num[HEAD_TIME_MS]) {
        return wrong(proof, "a key out of its order");
    }
    if (proof->counts[IMAGE_KEY] >= proof->head.num[HEAD_KEYS]) {
        return wrong(proof, "more keys than its head says");
    }
    *last = lsn;
    proof->key_ms = time_ms;
    return 0;
}

static int take_recent(struct snapshot_proof *proof, const struct image *image)
{
    if (!is_there(proof, IMAGE_POLL, image->num[IRECENT_POLL])) {
        return wrong(proof, "events without their poll");
    }
    if (event_last_lsn(image->text[IRECENT_EVENTS]) > proof->head.num[HEAD_LSN]) {
        return wrong(proof, "events of a record that is not there yet");
    }
    return take_id(proof, IMAGE_RECENT, image->num[IRECENT_POLL], "the events of a poll twice");
}

static int take_end(struct snapshot_proof *proof, const struct image *image)
{
    if (image->num[END_IMAGES] != proof->images) {
        return wrong(proof, "another number of images than its end says");
    }
    proof->ended = true;
    return 0;
}

static int take(struct snapshot_proof *proof, const struct image *image)
{
    switch (image->kind) {
    case IMAGE_HEAD:
        return take_head(proof, image);
    case IMAGE_POLL:
        return take_poll(proof, image);
    case IMAGE_OPTION:
        return take_option(proof, image);
    case IMAGE_QUEUE:
        return take_id(proof, IMAGE_QUEUE, image->num[IMAGE_ID],
                       "a queue twice, or beyond the last");
    case IMAGE_WORKER:
        if (image->num[IWORKER_GONE_LSN] > proof->head.num[HEAD_LSN]) {
            return wrong(proof, "a worker that has left with a record that is not there yet");
        }
        return take_id(proof, IMAGE_WORKER, image->num[IMAGE_ID],
                       "a worker twice, or beyond the last");
    case IMAGE_BUILD:
        return take_build(proof, image);
    case IMAGE_KEY:
        return take_key(proof, image);
    case IMAGE_RECENT:
        return take_recent(proof, image);
    case IMAGE_VOTER:
        return take_voter(proof, image);
    case IMAGE_END:
        return take_end(proof, image);
    case IMAGE_NONE:
        break;
    }
    return TALLY_CORRUPT;
}

int snapshot_proof_image(struct snapshot_proof *proof, const struct image *image)
{
    bool is_first = proof->images == 0;
    if (proof->ended || is_first != (image->kind == IMAGE_HEAD)) {
        return wrong(proof, "an image out of its place");
    }
    const char *why = bounds_image_error(image);
    if (why != NULL) {
        return wrong(proof, why);
    }
    int err = take(proof, image);
    DCHECK((unsigned)image->kind < IMAGE_KINDS);
    proof->images++;
    proof->counts[image->kind]++;
    return err;
}

int snapshot_proof_end(struct snapshot_proof *proof)
{
    const uint64_t *num = proof->head.num;
    uint64_t votes = 0;
    if (!proof->ended || proof->deleted_polls != num[HEAD_DELETED_POLLS] ||
        proof->deleted_options != num[HEAD_DELETED_OPTIONS] ||
        proof->counts[IMAGE_POLL] != num[HEAD_POLLS] + num[HEAD_DELETED_POLLS] ||
        proof->counts[IMAGE_OPTION] != num[HEAD_OPTIONS] + num[HEAD_DELETED_OPTIONS] ||
        proof->counts[IMAGE_QUEUE] != num[HEAD_QUEUES] ||
        proof->counts[IMAGE_WORKER] != num[HEAD_WORKERS] ||
        proof->counts[IMAGE_BUILD] != num[HEAD_BUILDS] ||
        proof->counts[IMAGE_KEY] != num[HEAD_KEYS] || proof->voters_missing != 0 ||
        proof->payload_bytes != num[HEAD_PAYLOAD_BYTES]) {
        return wrong(proof, "something is missing");
    }
    if (proof->used_count != num[HEAD_QUEUES]) {
        return wrong(proof, "a queue without a build");
    }
    const struct proof_poll *poll;
    for (uint64_t id = 1; (poll = table_next(&proof->polls, &id)) != NULL; id++) {
        votes += poll->total;
        if (poll->total != poll->claimed || votes > COUNT_MAX) {
            return wrong(proof, "the votes of a poll are not those of its options");
        }
    }
    return votes == num[HEAD_VOTES] ? 0 : wrong(proof, "the sum of all votes");
}

static int take_image(void *arg, const struct image *image)
{
    return snapshot_proof_image(arg, image);
}

int snapshot_proof_block(void *arg, const struct wal_block *block)
{
    struct snapshot_proof *proof = arg;
    return block->count > 0
               ? image_each(block->raw, block->raw_bytes, block->count, take_image, arg)
               : snapshot_proof_end(proof);
}
