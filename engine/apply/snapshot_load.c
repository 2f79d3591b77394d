/* The loader: makes entities from their images, then the lists and counts that follow from them. */
#include "engine/apply/snapshot_load.h"

#include "engine/apply/apply_internal.h"
#include "engine/apply/snapshot_fields.h"
#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

void snapshot_load_init(struct snapshot_load *load, struct state *state)
{
    *load = (struct snapshot_load){.state = state};
    snapshot_proof_init(&load->proof, 0);
}

void snapshot_load_fini(struct snapshot_load *load)
{
    snapshot_proof_fini(&load->proof);
}

#define MEMBERS_OF(kind) kind##_FIELDS(LOAD_OWN, LOAD_SHARED, LOAD_OTHER)

/* Refuses an image for a reason that the proof does not check. */
static int wrong(struct snapshot_load *load, const char *why)
{
    load->proof.why = why;
    return TALLY_CORRUPT;
}

/* Memory for the labels is reserved at once, but for no more than this: the count in the head is
 * not trusted before the labels have come. */
enum { LABELS_RESERVED_MAX = 1 << 20 };

static int load_head(struct snapshot_load *load, const struct image *image)
{
    struct state *to = load->state;
    const uint64_t *num = image->num;
    MEMBERS_OF(HEAD)
    FIELD_PUT(to->poll_last, image_last_poll(num));
    FIELD_PUT(to->option_last, image_last_option(num));
    uint64_t options = num[HEAD_OPTIONS];
    return index_reserve(&to->labels,
                         options < LABELS_RESERVED_MAX ? options : LABELS_RESERVED_MAX);
}

/* REQUIRES: bounds.c has checked the text. */
static void load_seconds(struct poll *poll, struct span text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    const unsigned char *end = at + text.len;
    uint64_t place = 0;
    uint64_t second = 0;
    uint64_t votes = 0;
    while (at != end && get_varint(&at, end, &place) == 0 && get_varint(&at, end, &second) == 0 &&
           get_varint(&at, end, &votes) == 0) {
        DCHECK(place < POLL_SECONDS); /* bounds.c */
        FIELD_PUT(poll->second[place], second);
        FIELD_PUT(poll->second_votes[place], votes);
    }
}

static int load_poll(struct snapshot_load *load, const struct image *image)
{
    struct state *state = load->state;
    const uint64_t *num = image->num;
    bool is_deleted = num[IPOLL_DELETED] != 0;
    if (!is_deleted && state_poll(state, image->text[IPOLL_NAME]) != NULL) {
        return wrong(load, "a poll's name twice");
    }
    struct poll *to = calloc(1, sizeof *to);
    if (to == NULL) {
        return TALLY_NOMEM;
    }
    MEMBERS_OF(POLL)
    to->name = blob_new(image->text[IPOLL_NAME]);
    if (to->name == NULL || table_put(&state->poll_ids, to->id, to) != 0 ||
        (!is_deleted && index_put(&state->polls, to) != 0)) {
        return TALLY_NOMEM;
    }
    FIELD_PUT(to->rate, rate_word(num[IPOLL_RATE_N], num[IPOLL_RATE_MS]));
    STAILQ_INIT(&to->acts);
    poll_set_until(to);
    ledger_add(&state->ledger, LEDGER_ENTITIES, poll_weight(to));
    load_seconds(to, image->text[IPOLL_SECONDS]);
    if (trend_load(state, poll_reset_trend(state, to), image->text[IPOLL_RESETS]) != 0) {
        return TALLY_NOMEM;
    }
    if (image->text[IPOLL_TREND].len == 0 && FIELD_OWN(to->total) > 0) {
        /* an earlier tally made the snapshot: when these votes came is not known */
        return trend_begin(state, poll_trend(state, to), state->time_ms / TREND_BUCKET_MS + 1);
    }
    return trend_load(state, poll_trend(state, to), image->text[IPOLL_TREND]);
}

static int load_option(struct snapshot_load *load, const struct image *image)
{
    struct state *state = load->state;
    const uint64_t *num = image->num;
    struct poll *poll = table_get(&state->poll_ids, num[IOPTION_POLL]);
    DCHECK(poll != NULL); /* the proof refuses an option before its poll */
    struct option *to = aligned_alloc(64, sizeof *to);
    if (to == NULL) {
        return TALLY_NOMEM;
    }
    *to = (struct option){
        .poll = poll,
        .label = blob_new(image->text[IOPTION_LABEL]),
        .key = option_key_new(poll, image->text[IOPTION_FOLD]),
    };
    MEMBERS_OF(OPTION)
    bool is_whole = to->label != NULL && to->key != NULL;
    int err = table_put(&state->options, to->id, to) == 0 && is_whole ? 0 : TALLY_NOMEM;
    err = err != 0 ? err : trend_load(state, option_trend(state, to), image->text[IOPTION_TREND]);
    bool is_past = FIELD_OWN(to->trend_until_ms) <= FIELD_OWN(poll->trend_until_ms);
    return err != 0 || is_past ? err : wrong(load, "votes that changed after those of their poll");
}

/* As LABELS_RESERVED_MAX, for the voters of all polls together. */
enum { VOTERS_RESERVED_MAX = 1 << 20 };

/* Reserves memory at the first voter of a poll. */
static int reserve_voters(struct snapshot_load *load, struct poll *poll)
{
    const struct proof_poll *proof = table_get(&load->proof.polls, poll->id);
    uint64_t to_come = proof->voters + 1;
    uint64_t left = VOTERS_RESERVED_MAX - load->voters_reserved;
    uint64_t count = to_come < left ? to_come : left;
    load->voters_reserved += count;
    return apply_voters_reserve(load->state, poll, count);
}

static int load_voter(struct snapshot_load *load, const struct image *image)
{
    uint32_t places[BALLOT_OPTIONS_MAX];
    struct poll *poll = table_get(&load->state->poll_ids, image->num[IVOTER_POLL]);
    DCHECK(poll != NULL); /* the proof refuses a voter before its poll */
    uint64_t before = poll_voters(poll);
    int err = poll->voter_set == NULL ? reserve_voters(load, poll) : 0;
    if (err != 0) {
        return err;
    }
    err = apply_voter_put(load->state, poll, image->text[IVOTER_VOTER], places,
                          image_voter_places(image, places));
    return err == 0 && poll_voters(poll) == before ? wrong(load, "a voter twice") : err;
}

/* REQUIRES: bounds.c has checked the tags. */
static int load_sets(struct state *state, struct queue *queue, struct span tags, uint64_t count)
{
    DCHECK(count <= NEED_SETS_MAX); /* bounds.c */
    size_t from = 0;
    for (uint64_t i = 0; i < count; i++) {
        size_t to = from;
        while (to < tags.len && tags.at[to] != ';') {
            to++;
        }
        if (apply_queue_put_set(state, queue, (uint32_t)i,
                                (struct span){tags.at + from, to - from}) != 0) {
            return TALLY_NOMEM;
        }
        from = to + 1;
    }
    return 0;
}

static int load_queue(struct snapshot_load *load, const struct image *image)
{
    struct state *state = load->state;
    const uint64_t *num = image->num;
    if (state_queue(state, image->text[IQUEUE_NAME]) != NULL) {
        return wrong(load, "a queue's name twice");
    }
    struct queue *to = calloc(1, sizeof *to);
    if (to == NULL) {
        return TALLY_NOMEM;
    }
    MEMBERS_OF(QUEUE)
    to->all_by_state = state->by_state;
    to->name = blob_new(image->text[IQUEUE_NAME]);
    if (to->name == NULL || table_put(&state->queue_ids, to->id, to) != 0 ||
        index_put(&state->queues, to) != 0) {
        return TALLY_NOMEM;
    }
    ledger_add(&state->ledger, LEDGER_ENTITIES, queue_weight(to));
    return load_sets(state, to, image->text[IQUEUE_TAGS], num[IQUEUE_SETS]);
}

static int load_worker(struct snapshot_load *load, const struct image *image)
{
    struct state *state = load->state;
    const uint64_t *num = image->num;
    if (state_worker(state, image->text[IWORKER_ID]) != NULL) {
        return wrong(load, "a worker's id twice");
    }
    struct worker *to = calloc(1, sizeof *to);
    if (to == NULL) {
        return TALLY_NOMEM;
    }
    MEMBERS_OF(WORKER)
    to->name = blob_new(image->text[IWORKER_ID]);
    if (to->name == NULL || table_put(&state->worker_ids, to->id, to) != 0 ||
        index_put(&state->workers, to) != 0) {
        return TALLY_NOMEM;
    }
    struct blob *title = blob_new(image->text[IWORKER_NAME]);
    struct blob *tags = blob_new(image->text[IWORKER_TAGS]);
    FIELD_PUT(to->title, title);
    FIELD_PUT(to->tags, tags);
    FIELD_ADD(state->worker_count, to->gone_lsn == 0 ? 1 : 0);
    int err = apply_worker_reserve(state, to, (uint32_t)num[IWORKER_CAPACITY]);
    ledger_add(&state->ledger, LEDGER_ENTITIES, worker_weight(to));
    return title != NULL && tags != NULL ? err : TALLY_NOMEM;
}

/* A build has no parcel for an empty text. Returns false without memory. */
static bool load_text(struct snapshot_load *load, _Atomic(struct parcel *) *place,
                      enum ledger_kind kind, struct span text)
{
    if (text.len == 0) {
        return true;
    }
    struct parcel *parcel = parcel_new(&load->state->ledger, kind, text);
    FIELD_PUT(*place, parcel);
    return parcel != NULL;
}

/* Loads payload, result and error; a build whose bytes are forgotten has none. */
static int load_texts(struct snapshot_load *load, struct build *build, const struct image *image)
{
    DCHECK(FIELD_OWN(build->payload) == NULL);
    struct state *state = load->state;
    if (image->num[IBUILD_FORGOTTEN] != 0) {
        return 0;
    }
    struct parcel *payload =
        parcel_new(&state->ledger, LEDGER_PAYLOADS, image->text[IBUILD_PAYLOAD]);
    FIELD_PUT(build->payload, payload);
    if (payload == NULL ||
        !load_text(load, &build->result, LEDGER_RESULTS, image->text[IBUILD_RESULT]) ||
        !load_text(load, &build->error, LEDGER_ERRORS, image->text[IBUILD_ERROR])) {
        return TALLY_NOMEM;
    }
    FIELD_ADD(state->payload_bytes, payload->len);
    return 0;
}

static int build_fill(struct snapshot_load *load, struct build *build, const struct image *image)
{
    struct state *state = load->state;
    int err = load_texts(load, build, image);
    if (err != 0) {
        return err;
    }
    FIELD_ADD(state->builds_in_memory, 1);
    struct span uniq = image->text[IBUILD_UNIQ];
    if (image->text[IBUILD_BY].len > 0) {
        FIELD_PUT(build->by, blob_new(image->text[IBUILD_BY]));
        err = FIELD_OWN(build->by) != NULL ? 0 : TALLY_NOMEM;
    }
    if (err != 0) {
        return err;
    }
    if (uniq.len == 0) {
        return 0;
    }
    struct span queue = blob_span(build->queue->name);
    bool is_of_queue = uniq.len > queue.len + 1 && memcmp(uniq.at, queue.at, queue.len) == 0 &&
                       uniq.at[queue.len] == '/';
    if (!is_of_queue || index_get(&state->uniqs, uniq) != NULL) {
        return wrong(load, "a unique build that is not");
    }
    build->uniq = blob_new(uniq);
    return build->uniq != NULL ? index_put(&state->uniqs, build) : TALLY_NOMEM;
}

static int build_hold(struct snapshot_load *load, struct build *build)
{
    struct worker *worker = FIELD_OWN(build->worker);
    if (!status_is_held(FIELD_OWN(build->applied))) {
        return 0;
    }
    struct worker_held *held = worker != NULL ? FIELD_OWN(worker->held) : NULL;
    if (held == NULL || build->held_at >= held->capacity ||
        FIELD_OWN(held->slot[build->held_at]) != NULL ||
        !span_equal(blob_span(FIELD_OWN(build->by)), blob_span(worker->name))) {
        return wrong(load, "a held build whose worker cannot hold it");
    }
    DCHECK(FIELD_OWN(worker->held_count) < held->capacity); /* a place is free */
    FIELD_PUT(held->slot[build->held_at], build);
    FIELD_ADD(worker->held_count, 1);
    return 0;
}

static int load_build(struct snapshot_load *load, const struct image *image)
{
    struct state *state = load->state;
    const uint64_t *num = image->num;
    const struct queue *queue = table_get(&state->queue_ids, num[IBUILD_QUEUE]);
    DCHECK(queue != NULL); /* the proof refuses a build before its queue */
    if (num[IBUILD_SET] >= FIELD_OWN(queue->set_count)) {
        return wrong(load, "a build of a need set that its queue has not");
    }
    struct build *to = aligned_alloc(64, sizeof *to);
    if (to == NULL) {
        return TALLY_NOMEM;
    }
    *to = (struct build){.queue = table_get(&state->queue_ids, num[IBUILD_QUEUE])};
    MEMBERS_OF(BUILD)
    if (table_put(&state->builds, to->id, to) != 0) {
        return TALLY_NOMEM;
    }
    struct worker *worker = table_get(&state->worker_ids, num[IBUILD_WORKER]);
    FIELD_PUT(to->worker, worker);
    int err = apply_build_count(to, BUILD_NONE, status_state(FIELD_OWN(to->applied)));
    err = err != 0 ? err : build_fill(load, to, image);
    ledger_add(&state->ledger, LEDGER_ENTITIES, build_weight(to));
    return err != 0 ? err : build_hold(load, to);
}

/* Reads the numbers of a reply. Returns how many. REQUIRES: bounds.c has checked the text. */
static uint8_t read_numbers(struct span text, uint64_t numbers[BALLOT_OPTIONS_MAX])
{
    const unsigned char *at = (const unsigned char *)text.at;
    const unsigned char *end = at + text.len;
    unsigned count = 0;
    while (at != end && count < BALLOT_OPTIONS_MAX && get_varint(&at, end, &numbers[count]) == 0) {
        count++;
    }
    DCHECK(at == end);
    return (uint8_t)count;
}

/* A key may be there twice if the first one's time was over when the second one was put. */
static int load_key(struct snapshot_load *load, const struct image *image)
{
    struct keys *keys = &load->state->keys;
    const uint64_t *num = image->num;
    uint64_t values[BALLOT_OPTIONS_MAX];
    uint64_t prev[BALLOT_OPTIONS_MAX];
    struct key_entry entry = {.text = image->text[IKEY_KEY]};
    struct key_entry *to = &entry;
    MEMBERS_OF(KEY)
    entry.reply.values = values;
    entry.reply.value_count = read_numbers(image->text[IKEY_VALUES], values);
    entry.reply.prev = prev;
    entry.reply.prev_count = read_numbers(image->text[IKEY_PREV], prev);
    if (keys_find(keys, entry.verb, entry.text, entry.time_ms) != NULL) {
        return wrong(load, "a key twice");
    }
    return keys_put(keys, &entry);
}

static int load_entity(struct snapshot_load *load, const struct image *image)
{
    switch (image->kind) {
    case IMAGE_HEAD:
        return load_head(load, image);
    case IMAGE_POLL:
        return load_poll(load, image);
    case IMAGE_OPTION:
        return load_option(load, image);
    case IMAGE_QUEUE:
        return load_queue(load, image);
    case IMAGE_WORKER:
        return load_worker(load, image);
    case IMAGE_BUILD:
        return load_build(load, image);
    case IMAGE_KEY:
        return load_key(load, image);
    case IMAGE_RECENT:
        return load->recent == NULL
                   ? 0
                   : load->recent(load->arg, image->num[IRECENT_POLL], image->text[IRECENT_EVENTS]);
    case IMAGE_VOTER:
        return load_voter(load, image);
    case IMAGE_END:
        return 0;
    case IMAGE_NONE:
        break;
    }
    return TALLY_CORRUPT;
}

int snapshot_load_image(struct snapshot_load *load, const struct image *image)
{
    int err = snapshot_proof_image(&load->proof, image);
    if (err == 0 && ledger_is_beyond(&load->state->ledger)) {
        return TALLY_NOMEM;
    }
    return err == 0 ? load_entity(load, image) : err;
}

/* The options of a poll stand in the order in which they were made, which is that of their ids. */
static int end_options(struct snapshot_load *load)
{
    struct state *state = load->state;
    struct option *option;
    for (uint64_t id = 1; (option = table_next(&state->options, &id)) != NULL; id++) {
        if (index_get(&state->labels, blob_span(option->key)) != NULL) {
            return wrong(load, "a label twice");
        }
        if (FIELD_OWN(option->poll->option_count) >= POLL_OPTIONS_MAX) {
            return wrong(load, "a poll with more options than there can be");
        }
        if (apply_poll_add_option(state, option->poll, option) != 0) {
            return TALLY_NOMEM;
        }
    }
    return 0;
}

/* Whether each option of a poll has at least the votes that its voters have given it. Then each of
 * them can be taken back. */
static bool voters_fit(const struct poll *poll, uint64_t *given)
{
    struct voters_cursor cursor = {0, 0};
    struct voters_view view;
    uint64_t options = FIELD_OWN(poll->option_count);
    while (voters_each(&poll->voter_set->voters, &cursor, &view)) {
        for (uint32_t i = 0; i < view.count; i++) {
            if (view.places[i] >= options ||
                ++given[view.places[i]] > option_votes_now(poll_option(poll, view.places[i]))) {
                return false;
            }
        }
    }
    return true;
}

static int end_voters(struct snapshot_load *load)
{
    const struct poll *poll;
    for (uint64_t id = 1; (poll = table_next(&load->state->poll_ids, &id)) != NULL; id++) {
        if (poll_voters(poll) == 0) {
            continue;
        }
        uint64_t *given = calloc(FIELD_OWN(poll->option_count) + 1, sizeof *given);
        if (given == NULL) {
            return TALLY_NOMEM;
        }
        bool fit = voters_fit(poll, given);
        free(given);
        if (!fit) {
            return wrong(load, "a voter's vote that its option does not have");
        }
    }
    return 0;
}

static int compare_ended(const void *a, const void *b)
{
    const struct build *x = *(struct build *const *)a;
    const struct build *y = *(struct build *const *)b;
    return (x->ended_lsn > y->ended_lsn) - (x->ended_lsn < y->ended_lsn);
}

static int end_builds(struct snapshot_load *load)
{
    struct state *state = load->state;
    struct build **ended = malloc((load->proof.counts[IMAGE_BUILD] + 1) * sizeof *ended);
    uint64_t count = 0;
    if (ended == NULL) {
        return TALLY_NOMEM;
    }
    struct build *build;
    for (uint64_t id = 1; (build = table_next(&state->builds, &id)) != NULL; id++) {
        if (build->ended_lsn != 0) {
            ended[count++] = build;
        }
    }
    DCHECK(count <= load->proof.counts[IMAGE_BUILD]);
    qsort(ended, count, sizeof *ended, compare_ended);
    bool in_order = true;
    for (uint64_t i = 1; i < count; i++) {
        if (ended[i]->ended_lsn == ended[i - 1]->ended_lsn) {
            free(ended);
            return wrong(load, "two builds that one record has ended");
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        in_order = in_order && (state->ended_kept == NULL || FIELD_OWN(ended[i]->payload) != NULL);
        apply_build_add_ended(state, ended[i]);
    }
    /* a queue is idle since its last build ended */
    for (uint64_t i = 0; i < count; i++) {
        struct queue *queue = ended[i]->queue;
        if (queue->ended_last == ended[i] && apply_queue_open(queue) == 0) {
            TAILQ_INSERT_TAIL(&state->idle, queue, idle);
        }
    }
    free(ended);
    return in_order ? 0 : wrong(load, "a build gave its bytes back before an older one");
}

static int compare_gone(const void *a, const void *b)
{
    const struct worker *x = *(struct worker *const *)a;
    const struct worker *y = *(struct worker *const *)b;
    return (x->gone_lsn > y->gone_lsn) - (x->gone_lsn < y->gone_lsn);
}

/* Puts the workers that have left into the list, in the order in which they left. */
static int end_workers(struct snapshot_load *load)
{
    struct state *state = load->state;
    struct worker **gone = malloc((load->proof.counts[IMAGE_WORKER] + 1) * sizeof *gone);
    uint64_t count = 0;
    if (gone == NULL) {
        return TALLY_NOMEM;
    }
    struct worker *worker;
    for (uint64_t id = 1; (worker = table_next(&state->worker_ids, &id)) != NULL; id++) {
        if (worker->gone_lsn != 0) {
            gone[count++] = worker;
        }
    }
    DCHECK(count <= load->proof.counts[IMAGE_WORKER]);
    qsort(gone, count, sizeof *gone, compare_gone);
    bool in_order = true;
    for (uint64_t i = 0; i < count; i++) {
        in_order = in_order && (i == 0 || gone[i]->gone_lsn != gone[i - 1]->gone_lsn);
        TAILQ_INSERT_TAIL(&state->gone, gone[i], gone);
    }
    free(gone);
    bool fits = in_order && FIELD_OWN(state->worker_count) <= WORKERS_MAX;
    return fits ? 0 : wrong(load, "two workers that left with one record, or too many");
}

int snapshot_load_end(struct snapshot_load *load)
{
    if (load->ended) {
        return wrong(load, "a second end");
    }
    load->ended = true;
    int err = snapshot_proof_end(&load->proof);
    err = err != 0 ? err : end_options(load);
    err = err != 0 ? err : end_voters(load);
    err = err != 0 ? err : end_workers(load);
    return err != 0 ? err : end_builds(load);
}

static int take_image(void *arg, const struct image *image)
{
    return snapshot_load_image(arg, image);
}

int snapshot_load_block(void *arg, const struct wal_block *block)
{
    struct snapshot_load *load = arg;
    load->proof.lsn = block->segment;
    return block->count > 0
               ? image_each(block->raw, block->raw_bytes, block->count, take_image, arg)
               : snapshot_load_end(load);
}
