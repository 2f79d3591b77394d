/* The keys of requests, compared with a plain array; the edges of their window; fingerprints. */
#include "engine/state/keys.h"

#include "engine/apply/apply.h"
#include "tests/lib/count.h"
#include "tests/lib/seed.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALL = 100, EVICT_MAX = 4 };

/* The model: all that was ever put, in order. */
struct known {
    unsigned verb;
    char text[24];
    uint64_t lsn;
    uint64_t time_ms;
    uint64_t value;
    bool is_dropped;
};

struct keys_model {
    struct known *at;
    size_t count;
    size_t dropped; /* from the front */
};

static const struct known *model_find(const struct keys_model *model, unsigned verb,
                                      const char *text, uint64_t now_ms)
{
    for (size_t i = model->count; i-- > model->dropped;) {
        const struct known *known = &model->at[i];
        if (known->verb == verb && strcmp(known->text, text) == 0)
            return now_ms <= known->time_ms + KEYS_WINDOW_MS ? known : NULL;
    }
    return NULL;
}

static void model_evict(struct keys_model *model, uint64_t now_ms)
{
    for (int n = 0; n < EVICT_MAX && model->dropped < model->count; n++) {
        bool is_over = model->at[model->dropped].time_ms + KEYS_WINDOW_MS < now_ms;
        if (!is_over && model->count - model->dropped < SMALL)
            return;
        model->dropped++;
    }
}

/* As apply does. */
static void evict(struct keys *keys, uint64_t now_ms)
{
    for (int n = 0; n < EVICT_MAX && keys_due(keys, now_ms) != NULL; n++)
        keys_drop(keys);
}

static void put(struct keys *keys, unsigned verb, const char *text, uint64_t lsn, uint64_t time_ms)
{
    uint64_t values[] = {lsn * 3, lsn + 1};
    uint64_t prev[] = {lsn + 2};
    struct key_entry entry = {.verb = verb,
                              .text = span_of(text),
                              .fingerprint = lsn ^ 77,
                              .lsn = lsn,
                              .time_ms = time_ms,
                              .reply = {.value = lsn + 9,
                                        .nil = lsn % 5 == 0,
                                        .value_count = (uint8_t)(lsn % 3),
                                        .prev_count = (uint8_t)(lsn % 2),
                                        .values = values,
                                        .prev = prev}};
    cr_assert_eq(keys_put(keys, &entry), 0);
}

static void check_key(const struct keyed_reply *key, unsigned verb, const char *text, uint64_t lsn)
{
    struct key_entry entry;
    keys_entry(key, &entry);
    cr_assert(entry.verb == verb && span_equal(entry.text, span_of(text)));
    cr_assert(entry.lsn == lsn && entry.fingerprint == (lsn ^ 77));
    const struct edge_result *reply = &entry.reply;
    cr_assert(reply->value == lsn + 9 && reply->nil == (lsn % 5 == 0) && !reply->dup);
    cr_assert(reply->value_count == lsn % 3 && reply->prev_count == lsn % 2);
    cr_assert(reply->value_count < 1 || reply->values[0] == lsn * 3);
    cr_assert(reply->value_count < 2 || reply->values[1] == lsn + 1);
    cr_assert(reply->prev_count < 1 || reply->prev[0] == lsn + 2);
}

/* All entries are there in the order of their lsns, and the ledger has their weight. */
static void check_order(const struct keys *keys, const struct keys_model *model,
                        struct ledger *ledger)
{
    uint64_t weight = 0;
    size_t at = model->dropped;
    for (const struct keyed_reply *key = keys_next(keys, NULL); key != NULL;
         key = keys_next(keys, key)) {
        cr_assert(at < model->count && key->lsn == model->at[at++].lsn);
        weight += keys_weight(key);
    }
    cr_assert(at == model->count && keys->count == model->count - model->dropped);
    cr_assert_eq(ledger_of(ledger, LEDGER_ENTITIES), weight);
}

Test(keys, they_are_those_of_a_plain_array)
{
    enum { ROUNDS = 20000 };
    static const unsigned verbs[] = {RECORD_OPTION, RECORD_SUBMIT};
    struct ledger ledger = {.ceiling = UINT64_MAX};
    struct keys_model model = {.at = calloc(ROUNDS, sizeof(struct known))};
    struct seed seed = {3};
    struct keys keys;
    uint64_t now_ms = 1000;
    uint64_t found = 0;
    cr_assert(model.at != NULL && keys_init(&keys, SMALL, &ledger) == 0);
    for (uint64_t lsn = 1; lsn <= ROUNDS; lsn++) {
        char text[24];
        unsigned verb = verbs[seed_below(&seed, 2)];
        snprintf(text, sizeof(text), "k%d", (int)seed_below(&seed, 150));
        /* now many keys are newer than the window, now few */
        uint64_t step = lsn / 1000 % 2 == 0 ? KEYS_WINDOW_MS / 200 : KEYS_WINDOW_MS / 30;
        now_ms += seed_below(&seed, step);
        const struct keyed_reply *key = keys_find(&keys, verb, span_of(text), now_ms);
        const struct known *known = model_find(&model, verb, text, now_ms);
        cr_assert_eq(key != NULL, known != NULL, "%s at %d", text, (int)lsn);
        if (known != NULL) {
            check_key(key, verb, text, known->lsn);
            found++;
            continue;
        }
        model_evict(&model, now_ms);
        evict(&keys, now_ms);
        struct known *is_new = &model.at[model.count++];
        *is_new = (struct known){.verb = verb, .lsn = lsn, .time_ms = now_ms};
        memcpy(is_new->text, text, sizeof(text));
        put(&keys, verb, text, lsn, now_ms);
        if (lsn % 50 == 0)
            check_order(&keys, &model, &ledger);
    }
    check_order(&keys, &model, &ledger);
    cr_assert(found > 1000 && model.dropped > 1000);
    keys_fini(&keys);
    free(model.at);
}

Test(keys, a_key_is_known_for_the_window_and_not_a_millisecond_longer)
{
    struct ledger ledger = {.ceiling = UINT64_MAX};
    struct keys keys;
    struct span text = SPAN("k");
    uint64_t last_ms = 5000 + KEYS_WINDOW_MS;
    cr_assert_eq(keys_init(&keys, SMALL, &ledger), 0);
    put(&keys, RECORD_SUBMIT, "k", 1, 5000);
    cr_expect(keys_find(&keys, RECORD_SUBMIT, text, last_ms - 1) != NULL);
    cr_expect(keys_find(&keys, RECORD_SUBMIT, text, last_ms) != NULL);
    cr_expect_null(keys_find(&keys, RECORD_SUBMIT, text, last_ms + 1));
    cr_expect_null(keys_due(&keys, last_ms));
    cr_expect(keys_due(&keys, last_ms + 1) != NULL);
    cr_expect_null(keys_find(&keys, RECORD_OPTION, text, 5000), "keys of two verbs do not meet");
    cr_expect_null(keys_find(&keys, RECORD_SUBMIT, SPAN("k2"), 5000));
    /* it is put again before the old entry has gone; the new one is found, also afterwards */
    put(&keys, RECORD_SUBMIT, "k", 9, last_ms + 1);
    cr_assert_eq(keys.count, 2);
    check_key(keys_find(&keys, RECORD_SUBMIT, text, last_ms + 1), RECORD_SUBMIT, "k", 9);
    keys_drop(&keys);
    check_key(keys_find(&keys, RECORD_SUBMIT, text, last_ms + 1), RECORD_SUBMIT, "k", 9);
    keys_fini(&keys);
}

Test(keys, the_newest_are_known_up_to_the_limit)
{
    struct ledger ledger = {.ceiling = UINT64_MAX};
    struct keys keys;
    char text[24];
    cr_assert_eq(keys_init(&keys, SMALL, &ledger), 0);
    for (int i = 0; i < SMALL - 1; i++) {
        snprintf(text, sizeof(text), "%d", i);
        put(&keys, RECORD_OPTION, text, (uint64_t)i + 1, 1000);
    }
    cr_expect_null(keys_due(&keys, 1000), "there is room for one more");
    put(&keys, RECORD_OPTION, "last", SMALL, 1000);
    cr_assert(keys_due(&keys, 1000) != NULL && keys_due(&keys, 1000)->lsn == 1);
    cr_expect(keys_find(&keys, RECORD_OPTION, SPAN("0"), 1000) != NULL);
    keys_drop(&keys);
    put(&keys, RECORD_OPTION, "beyond", SMALL + 1, 1000);
    cr_expect_null(keys_find(&keys, RECORD_OPTION, SPAN("0"), 1000));
    cr_expect(keys_find(&keys, RECORD_OPTION, SPAN("1"), 1000) != NULL);
    cr_expect(keys_find(&keys, RECORD_OPTION, SPAN("beyond"), 1000) != NULL);
    cr_expect_eq(keys.count, SMALL);
    keys_fini(&keys);
}

/* Keys are any bytes, and the longest reply and key fit. */
Test(keys, the_longest_key_and_reply_come_back)
{
    struct ledger ledger = {.ceiling = UINT64_MAX};
    uint64_t numbers[2 * BALLOT_OPTIONS_MAX];
    char text[KEY_LEN_MAX] = "\n\0\xff";
    struct key_entry out;
    struct keys keys;
    for (unsigned i = 0; i < COUNT_OF(numbers); i++)
        numbers[i] = UINT64_MAX - i;
    struct key_entry in = {.verb = RECORD_VOTE,
                           .text = {text, sizeof(text)},
                           .lsn = 1,
                           .reply = {.value_count = BALLOT_OPTIONS_MAX,
                                     .prev_count = BALLOT_OPTIONS_MAX,
                                     .values = numbers,
                                     .prev = numbers + BALLOT_OPTIONS_MAX}};
    cr_assert_eq(keys_init(&keys, SMALL, &ledger), 0);
    cr_assert_eq(keys_put(&keys, &in), 0);
    cr_expect_null(keys_find(&keys, RECORD_VOTE, (struct span){text, sizeof(text) - 1}, 0));
    keys_entry(keys_find(&keys, RECORD_VOTE, in.text, 0), &out);
    cr_expect(span_equal(out.text, in.text));
    cr_expect(memcmp(out.reply.values, numbers, sizeof(numbers)) == 0);
    keys_fini(&keys);
}

static struct record submit(void)
{
    return (struct record){.type = RECORD_SUBMIT,
                           .lsn = 1,
                           .num = {[SUBMIT_PRI] = 5, [SUBMIT_TRIES] = 3},
                           .text = {[SUBMIT_QUEUE] = SPAN("ci"),
                                    [SUBMIT_NEED] = SPAN("arm"),
                                    [SUBMIT_UNIQ] = SPAN("main"),
                                    [SUBMIT_PAYLOAD] = SPAN("make"),
                                    [SUBMIT_KEY] = SPAN("k")}};
}

Test(keys, a_fingerprint_is_of_all_fields_but_the_key)
{
    struct record record = submit();
    uint64_t first = keys_fingerprint(&record);
    record.text[SUBMIT_KEY] = SPAN("another");
    record.lsn = 99;
    record.time_ms = 7;
    cr_expect_eq(keys_fingerprint(&record), first);
    for (unsigned i = 0; i < SUBMIT_NUM_COUNT; i++) {
        record = submit();
        record.num[i] += 1;
        cr_expect_neq(keys_fingerprint(&record), first, "number %u", i);
    }
    for (unsigned i = 0; i < SUBMIT_TEXT_COUNT; i++) {
        record = submit();
        record.text[i] = SPAN("mako");
        cr_expect_eq(keys_fingerprint(&record) == first, i == SUBMIT_KEY, "text %u", i);
    }
    /* what moves from one field to the next is another request */
    record = submit();
    record.text[SUBMIT_NEED] = SPAN("ar");
    record.text[SUBMIT_UNIQ] = SPAN("mmain");
    cr_expect_neq(keys_fingerprint(&record), first);
    record = submit();
    record.num[SUBMIT_DELAY_MS] = 9;
    uint64_t delay = keys_fingerprint(&record);
    record = submit();
    record.num[SUBMIT_LEASE_MS] = 9;
    cr_expect_neq(keys_fingerprint(&record), delay);
    /* it stands in snapshots, so it is the same in every version */
    cr_expect_eq(first, 0xf223d59293396f6e, "%llx", (unsigned long long)first);
}

Test(keys, the_votes_before_a_step_are_not_of_the_request)
{
    struct record record = {.type = RECORD_VOTE, .num = {[VOTE_OPTION] = 4, [VOTE_N] = 1}};
    uint64_t first = keys_fingerprint(&record);
    record.num[VOTE_BEFORE] = 17;
    cr_expect_eq(keys_fingerprint(&record), first);
    record.num[VOTE_N] = 2;
    cr_expect_neq(keys_fingerprint(&record), first);
}

Test(keys, the_surplus_is_what_is_beyond_the_memory_or_long_over)
{
    enum { MANY = 10000 };
    struct ledger ledger = {.ceiling = UINT64_MAX};
    struct keys keys;
    char text[24];
    cr_assert_eq(keys_init(&keys, MANY, &ledger), 0);
    cr_expect_eq(keys_surplus(&keys, 5000, 0), 0);
    for (uint64_t i = 1; i <= MANY; i++) {
        snprintf(text, sizeof(text), "k%05d", (int)i);
        put(&keys, RECORD_OPTION, text, i * 3, 1000 + i);
    }
    uint64_t each = 0; /* of the first three, which differ in their numbers */
    for (const struct keyed_reply *key = keys_next(&keys, NULL); key->lsn <= 9;
         key = keys_next(&keys, key))
        each += keys_weight(key);
    cr_expect_eq(ledger_of(&ledger, LEDGER_ENTITIES), keys.bytes);
    cr_expect_eq(keys_surplus(&keys, 5000, keys.bytes), 0);
    cr_expect_eq(keys_surplus(&keys, 5000, keys.bytes - 1), 3);
    cr_expect_eq(keys_surplus(&keys, 5000, keys.bytes - each), 9);
    cr_expect_eq(keys_surplus(&keys, 5000, keys.bytes - each - 1), 12);
    cr_expect_eq(keys_surplus(&keys, 5000, 0), 4096 * 3, "a slice");
    uint64_t over_ms = 1001 + KEYS_WINDOW_MS + 3600 * 1000;
    cr_expect_eq(keys_surplus(&keys, over_ms, UINT64_MAX), 0);
    cr_expect_eq(keys_surplus(&keys, over_ms + 1, UINT64_MAX), 3);
    cr_expect_eq(keys_surplus(&keys, over_ms + 5, UINT64_MAX), 15);
    keys_fini(&keys);
}

/* ---- by apply ---- */

static struct apply_result result;

static void submit_at(struct state *state, uint64_t time_ms, struct span key, struct span payload)
{
    const struct record record = {
        .type = RECORD_SUBMIT,
        .lsn = FIELD_OWN(state->lsn) + 1,
        .time_ms = time_ms,
        .num = {[SUBMIT_TRIES] = 3},
        .text = {[SUBMIT_QUEUE] = SPAN("ci"), [SUBMIT_PAYLOAD] = payload, [SUBMIT_KEY] = key}};
    cr_assert_eq(apply(state, &record, &result), 0);
}

static void expect_reply(int err, uint64_t value, bool dup, bool has_effect)
{
    cr_expect(result.err == err && result.reply.value == value && result.reply.dup == dup &&
                  result.effect_count == has_effect,
              "%d %d %d %d", result.err, (int)result.reply.value, result.reply.dup,
              (int)result.effect_count);
}

Test(keys, a_repetition_changes_nothing_and_gets_the_first_reply)
{
    static struct state state;
    cr_assert_eq(state_init(&state), 0);
    submit_at(&state, 1000, SPAN("a"), SPAN("make"));
    expect_reply(0, 1, false, true);
    submit_at(&state, 1000, SPAN("b"), SPAN("make"));
    expect_reply(0, 2, false, true);
    submit_at(&state, 2000, SPAN("a"), SPAN("make"));
    expect_reply(0, 1, true, false);
    submit_at(&state, 2000, SPAN("a"), SPAN("clean"));
    expect_reply(TALLY_EXISTS, 0, true, false);
    submit_at(&state, 1000 + KEYS_WINDOW_MS, SPAN("a"), SPAN("make"));
    expect_reply(0, 1, true, false);
    submit_at(&state, 1001 + KEYS_WINDOW_MS, SPAN("a"), SPAN("make"));
    expect_reply(0, 3, false, true);
    cr_expect_eq(FIELD_OWN(state.builds_in_memory), 3);
    state_fini(&state);
}

Test(keys, what_was_refused_is_tried_anew)
{
    static struct state state;
    struct record record = {.type = RECORD_OPTION,
                            .time_ms = 1000,
                            .text = {[OPTION_POLL] = SPAN("p"),
                                     [OPTION_LABEL] = SPAN("A"),
                                     [OPTION_FOLD] = SPAN("a"),
                                     [OPTION_KEY] = SPAN("k")}};
    const struct record poll = {
        .type = RECORD_POLL, .lsn = 2, .time_ms = 1000, .text = {[POLL_NAME] = SPAN("p")}};
    cr_assert_eq(state_init(&state), 0);
    record.lsn = 1;
    cr_assert_eq(apply(&state, &record, &result), 0);
    expect_reply(TALLY_NOTFOUND, 0, false, false);
    cr_assert_eq(apply(&state, &poll, &result), 0);
    record.lsn = 3;
    cr_assert_eq(apply(&state, &record, &result), 0);
    expect_reply(0, 1, false, false);
    state_fini(&state);
}

/* Many keys whose time is over do not make one record slow. */
Test(keys, a_record_drops_four_at_most)
{
    static struct state state;
    char text[24];
    cr_assert_eq(state_init(&state), 0);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "old %d", i);
        submit_at(&state, 1000, span_of(text), SPAN("make"));
    }
    uint64_t now_ms = 1001 + KEYS_WINDOW_MS;
    for (uint64_t i = 1; i <= 5; i++) {
        snprintf(text, sizeof(text), "new %d", (int)i);
        submit_at(&state, now_ms, span_of(text), SPAN("make"));
        cr_expect_eq(state.keys.count, 20 - EVICT_MAX * i + i);
    }
    submit_at(&state, now_ms, SPAN("new 6"), SPAN("make"));
    cr_expect_eq(state.keys.count, 6);
    state_fini(&state);
}

Test(keys, a_forget_drops_them)
{
    static struct state state;
    cr_assert_eq(state_init(&state), 0);
    submit_at(&state, 1000, SPAN("a"), SPAN("make"));
    submit_at(&state, 1000, SPAN("b"), SPAN("make"));
    struct record forget = {
        .type = RECORD_FORGET, .lsn = 3, .time_ms = 1000, .num = {[FORGET_KEYS_UNTIL] = 1}};
    cr_assert_eq(apply(&state, &forget, &result), 0);
    submit_at(&state, 1000, SPAN("b"), SPAN("make"));
    expect_reply(0, 2, true, false);
    submit_at(&state, 1000, SPAN("a"), SPAN("make"));
    expect_reply(0, 3, false, true);
    forget.lsn = 6;
    forget.num[FORGET_KEYS_UNTIL] = 6;
    cr_expect_eq(apply(&state, &forget, &result), TALLY_CORRUPT, "ahead of time");
    state_fini(&state);
}
