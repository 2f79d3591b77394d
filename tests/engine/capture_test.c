/* A capture while records are applied: a load of it makes the state at its lsn. */
#include "engine/apply/digest.h"
#include "engine/apply/snapshot_capture.h"

#include "engine/apply/apply.h"
#include "engine/apply/snapshot_load.h"
#include "tests/engine/record_history.h"
#include "tests/lib/count.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFS_MAX = 4096, RECORDS = 3000 };

/* The chunks that a capture has handed over, in their order. */
struct handed_bufs {
    struct image_buf bufs[BUFS_MAX];
    uint32_t count;
};

static int handed_bufs_put(void *arg, struct image_buf *buf)
{
    struct handed_bufs *shelf = arg;
    cr_assert(shelf->count < BUFS_MAX);
    shelf->bufs[shelf->count++] = *buf;
    *buf = (struct image_buf){.at = NULL};
    return 0;
}

static void handed_bufs_fini(struct handed_bufs *shelf)
{
    for (uint32_t i = 0; i < shelf->count; i++) {
        image_buf_fini(&shelf->bufs[i]);
    }
    shelf->count = 0;
}

static int load_one(void *arg, const struct image *image)
{
    return snapshot_load_image(arg, image);
}

static int handed_bufs_load(const struct handed_bufs *shelf, struct state *state, uint64_t keys_max)
{
    struct snapshot_load load;
    int err = state_init(state);
    state->keys.count_max = keys_max;
    snapshot_load_init(&load, state);
    for (uint32_t i = 0; err == 0 && i < shelf->count; i++) {
        const struct image_buf *buf = &shelf->bufs[i];
        err = image_each(buf->at, buf->len, buf->count, load_one, &load);
    }
    err = err != 0 ? err : snapshot_load_end(&load);
    cr_expect_eq(err, 0, "%s", load.proof.why);
    snapshot_load_fini(&load);
    return err;
}

static void apply_one(struct state *state, const struct record *record)
{
    struct apply_result result;
    cr_assert_eq(apply(state, record, &result), 0);
}

static uint64_t keys_max_of(const struct record_history *h)
{
    return h->keys_max != 0 ? h->keys_max : KEYS_MAX;
}

/* Captures at record `at` of the history, a slice of at most `slice` entities before each record;
 * with 0, the whole walk comes after the last record. */
static uint64_t save_at(const struct record_history *h, uint32_t at, uint64_t slice,
                        struct handed_bufs *shelf)
{
    static struct state state;
    struct capture capture;
    struct seed seed = {at};
    cr_assert_eq(state_init(&state), 0);
    state.keys.count_max = keys_max_of(h);
    for (uint32_t i = 0; i < at; i++) {
        apply_one(&state, &h->records[i]);
    }
    uint64_t digest = digest_state(&state);
    snapshot_capture_begin(&capture, &state, handed_bufs_put, shelf);
    bool is_done = false;
    for (uint32_t i = at; !is_done; i++) {
        uint64_t step = i < h->count ? seed_below(&seed, slice + 1) : slice + 1;
        is_done = snapshot_capture_walk(&capture, step);
        if (!is_done && i < h->count) {
            apply_one(&state, &h->records[i]);
        }
    }
    cr_assert_eq(capture.err, 0);
    cr_assert_eq(capture.lsn, at);
    snapshot_capture_end(&capture);
    state_fini(&state);
    return digest;
}

/* The weight of all voters, which depends on where their entries lie, and so on the history. */
static uint64_t weight_of_voters(const struct state *state)
{
    uint64_t weight = 0;
    const struct poll *poll;
    for (uint64_t id = 1; (poll = table_next(&state->poll_ids, &id)) != NULL; id++) {
        weight += poll->voter_set != NULL ? poll_voters_weight(poll->voter_set) : 0;
    }
    return weight;
}

/* The ledger must match the entities, however they came: made, loaded, changed, forgotten. */
static void expect_counted(const struct state *state, const struct state *whole)
{
    uint64_t entities = 0;
    uint64_t parcels = 0;
    const struct poll *poll;
    for (uint64_t id = 1; (poll = table_next(&state->poll_ids, &id)) != NULL; id++) {
        entities += poll_weight(poll);
    }
    const struct option *option;
    for (uint64_t id = 1; (option = table_next(&state->options, &id)) != NULL; id++) {
        entities += option_weight(option);
    }
    const struct worker *worker;
    for (uint64_t id = 1; (worker = table_next(&state->worker_ids, &id)) != NULL; id++) {
        entities += worker_weight(worker);
    }
    const struct queue *queue;
    for (uint64_t id = 1; (queue = table_next(&state->queue_ids, &id)) != NULL; id++) {
        entities += queue_weight(queue);
        for (uint32_t i = 0; i < FIELD_OWN(queue->set_count); i++) {
            entities += need_set_weight(FIELD_OWN(queue->sets[i]));
        }
    }
    for (uint64_t id = 1; id < FIELD_OWN(state->build_next); id++) {
        const struct build *build = state_build(state, id);
        if (build != NULL) {
            entities += build_weight(build);
            parcels += build_bytes(build);
            parcels += FIELD_OWN(build->payload) != NULL ? sizeof(struct parcel) : 0;
            parcels += FIELD_OWN(build->result) != NULL ? sizeof(struct parcel) : 0;
            parcels += FIELD_OWN(build->error) != NULL ? sizeof(struct parcel) : 0;
        }
    }
    for (const struct keyed_reply *key = keys_next(&state->keys, NULL); key != NULL;
         key = keys_next(&state->keys, key)) {
        entities += keys_weight(key);
    }
    /* the label index is counted, too, but this test cannot weigh it */
    uint64_t counted = ledger_of(&state->ledger, LEDGER_ENTITIES);
    uint64_t voters = weight_of_voters(state);
    cr_expect_geq(counted, entities + voters);
    cr_expect_eq(counted - voters,
                 ledger_of(&whole->ledger, LEDGER_ENTITIES) - weight_of_voters(whole));
    cr_expect_eq(ledger_sum(&state->ledger), counted + parcels);
}

/* The numbers and texts that were not 0 or empty in some loaded image. */
static bool num_seen[IMAGE_KINDS][IMAGE_NUMS];
static bool text_seen[IMAGE_KINDS][IMAGE_TEXTS];

static int note_one(void *arg, const struct image *image)
{
    (void)arg;
    for (unsigned i = 0; i < IMAGE_NUMS; i++) {
        num_seen[image->kind][i] = num_seen[image->kind][i] || image->num[i] != 0;
    }
    for (unsigned i = 0; i < IMAGE_TEXTS; i++) {
        text_seen[image->kind][i] = text_seen[image->kind][i] || image->text[i].len > 0;
    }
    return 0;
}

static void note_images(const struct handed_bufs *shelf)
{
    for (uint32_t i = 0; i < shelf->count; i++) {
        const struct image_buf *buf = &shelf->bufs[i];
        cr_assert_eq(image_each(buf->at, buf->len, buf->count, note_one, NULL), 0);
    }
}

/* A number that is never captured would be 0 before and after, which no digest shows. */
static void expect_each_seen(void)
{
    for (unsigned kind = 1; kind < IMAGE_KINDS; kind++) {
        if (kind == IMAGE_RECENT) {
            continue; /* it is made of no entity: event_test.c */
        }
        for (unsigned i = 0; i < image_num_count((enum image_kind)kind); i++) {
            cr_expect(num_seen[kind][i], "%s: number %u was always 0", image_kind_name(kind), i);
        }
        for (unsigned i = 0; i < image_text_count((enum image_kind)kind); i++) {
            cr_expect(text_seen[kind][i], "%s: text %u was always empty", image_kind_name(kind), i);
        }
    }
}

/* A capture loads as the state at its lsn; with the records behind it, as the whole state. */
static void check_save(const struct record_history *h, const struct state *whole, uint32_t at,
                       uint64_t slice)
{
    static struct handed_bufs shelf;
    static struct state loaded;
    uint64_t digest = save_at(h, at, slice, &shelf);
    cr_assert_eq(handed_bufs_load(&shelf, &loaded, keys_max_of(h)), 0);
    cr_expect_eq(digest_state(&loaded), digest, "at %u, slices of %lu", at, (unsigned long)slice);
    for (uint32_t i = at; i < h->count; i++) {
        apply_one(&loaded, &h->records[i]);
    }
    cr_expect_eq(digest_state(&loaded), digest_state(whole), "the rest behind %u", at);
    expect_counted(&loaded, whole);
    note_images(&shelf);
    state_fini(&loaded);
    handed_bufs_fini(&shelf);
}

/* ---- keys ---- */

/* Puts keys with replies of up to all numbers, some of which are large. */
static void put_replies(struct state *state)
{
    static uint64_t numbers[2 * BALLOT_OPTIONS_MAX];
    for (unsigned i = 0; i <= BALLOT_OPTIONS_MAX; i++) {
        char text[8];
        numbers[i] = UINT64_MAX >> (i % 64);
        snprintf(text, sizeof(text), "k%u", i);
        const struct key_entry entry = {.verb = RECORD_SUBMIT,
                                        .text = span_of(text),
                                        .fingerprint = i + 1,
                                        .lsn = i + 1,
                                        .time_ms = 1000 + i,
                                        .reply = {.value = i,
                                                  .nil = i % 2 == 1,
                                                  .value_count = (uint8_t)i,
                                                  .prev_count = (uint8_t)(BALLOT_OPTIONS_MAX - i),
                                                  .values = numbers,
                                                  .prev = numbers}};
        cr_assert_eq(keys_put(&state->keys, &entry), 0);
        FIELD_PUT(state->lsn, entry.lsn);
        state->time_ms = entry.time_ms;
    }
}

static void check_long_replies(void)
{
    static struct handed_bufs shelf;
    static struct state state;
    static struct state loaded;
    struct capture capture;
    cr_assert_eq(state_init(&state), 0);
    put_replies(&state);
    uint64_t digest = digest_state(&state);
    snapshot_capture_begin(&capture, &state, handed_bufs_put, &shelf);
    cr_assert(!snapshot_capture_walk(&capture, 10));
    while (state.keys.count > 30) { /* some are captured already, others are not */
        snapshot_capture_oldest_key(&state);
        keys_drop(&state.keys);
    }
    cr_assert(snapshot_capture_walk(&capture, 1000) && capture.err == 0);
    snapshot_capture_end(&capture);
    cr_assert_eq(handed_bufs_load(&shelf, &loaded, KEYS_MAX), 0);
    cr_expect_eq(digest_state(&loaded), digest);
    cr_expect_neq(digest_with(&loaded, DIGEST_TRENDS), digest);
    note_images(&shelf);
    handed_bufs_fini(&shelf);
    state_fini(&loaded);
    state_fini(&state);
}

/* ---- histories ---- */

Test(capture, snapshot_and_rest_are_the_whole_log)
{
    static const uint64_t slices[] = {0, 1, 2, 7, 1000000};
    uint64_t gone_queues = 0;
    uint64_t gone_workers = 0;
    uint64_t keys = 0;
    for (uint64_t start = 1; start <= 25; start++) {
        struct record_history h = {.is_long = true, .keys_max = start % 2 == 0 ? 20 : 0};
        static struct state whole;
        record_history_init(&h, &whole, start, RECORDS);
        keys += whole.keys.count;
        gone_queues += FIELD_OWN(whole.queue_last) - whole.queues.count;
        gone_workers += FIELD_OWN(whole.worker_last) - whole.workers.count;
        for (size_t i = 0; i < COUNT_OF(slices); i++) {
            check_save(&h, &whole, (uint32_t)seed_below(&h.seed, RECORDS + 1), slices[i]);
        }
        state_fini(&whole);
        record_history_fini(&h);
    }
    check_long_replies();
    expect_each_seen();
    cr_assert_gt(keys, 400);
    cr_assert(gone_queues > 50 && gone_workers > 10, "%lu queues and %lu workers went",
              (unsigned long)gone_queues, (unsigned long)gone_workers);
}

Test(capture, an_empty_state_and_each_of_the_first_records)
{
    struct record_history h = {.count = 0};
    static struct state whole;
    record_history_init(&h, &whole, 5, 60);
    for (uint32_t at = 0; at <= 60; at++) {
        check_save(&h, &whole, at, 1);
    }
    state_fini(&whole);
    record_history_fini(&h);
}

/* ---- builds that are dropped while a capture is under way ---- */

static struct record make(const struct state *state, enum record_type type)
{
    return (struct record){.type = type, .lsn = FIELD_OWN(state->lsn) + 1, .time_ms = 1000};
}

static void end_one(struct state *state, uint64_t id)
{
    uint32_t token = BUILD_TOKEN_FIRST(id);
    struct record claim = make(state, RECORD_CLAIM);
    claim.num[STEP_BUILD] = id;
    claim.num[STEP_BEFORE] = status_make(BUILD_PENDING, token);
    claim.num[STEP_AFTER] = status_make(BUILD_ASSIGNED, token + 1);
    claim.num[CLAIM_WORKER] = 1;
    apply_one(state, &claim);
    struct record done = make(state, RECORD_DONE);
    done.num[STEP_BUILD] = id;
    done.num[STEP_BEFORE] = status_make(BUILD_ASSIGNED, token + 1);
    done.num[STEP_AFTER] = status_make(BUILD_COMPLETED, token + 2);
    apply_one(state, &done);
}

static void submit_one(struct state *state)
{
    struct record submit = make(state, RECORD_SUBMIT);
    submit.num[SUBMIT_TRIES] = 3;
    submit.text[SUBMIT_QUEUE] = (struct span){"q", 1};
    submit.text[SUBMIT_PAYLOAD] = (struct span){"make", 4};
    apply_one(state, &submit);
}

Test(capture, builds_dropped_after_its_lsn_are_in_it)
{
    static struct state state;
    static struct state loaded;
    static struct handed_bufs shelf;
    struct capture capture;
    cr_assert_eq(state_init(&state), 0);
    struct record worker = make(&state, RECORD_WORKER);
    worker.num[WORKER_SLOTS] = 1;
    worker.text[WORKER_ID] = (struct span){"w", 1};
    apply_one(&state, &worker);
    for (uint64_t id = 1; id <= QUEUE_KEEP + 10; id++) {
        submit_one(&state);
        end_one(&state, id);
    }
    cr_assert_null(state_build(&state, 10));
    cr_assert_not_null(state_build(&state, 11));
    uint64_t digest = digest_state(&state);
    snapshot_capture_begin(&capture, &state, handed_bufs_put, &shelf);
    for (uint64_t id = QUEUE_KEEP + 11; !snapshot_capture_walk(&capture, 1); id++) {
        submit_one(&state);
        end_one(&state, id);
    }
    snapshot_capture_end(&capture);
    cr_assert_null(state_build(&state, 11));
    cr_assert_eq(handed_bufs_load(&shelf, &loaded, KEYS_MAX), 0);
    cr_expect_eq(digest_state(&loaded), digest);
    handed_bufs_fini(&shelf);
    state_fini(&loaded);
    state_fini(&state);
}
