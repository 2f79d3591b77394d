/* apply: the same records make the same state, and records that contradict it are CORRUPT. */
#include "engine/apply/apply.h"
#include "engine/apply/digest.h"
#include "engine/log/columns.h"
#include "engine/apply/snapshot_load.h"
#include "engine/start/replay.h"
#include "tests/engine/record_history.h"
#include "tests/lib/count.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDS = 6000 };

static int replay_record(void *arg, const struct record *record)
{
    struct apply_result result;
    return apply(arg, record, &result);
}

/* Encodes records of one time as one block, and replays the block as a start does. */
static void replay_by_blocks(const struct record_history *h, struct state *state)
{
    struct columns columns = {.count = 0};
    struct replay replay;
    uint64_t lsn = 1;
    replay_init(&replay, state, 3);
    for (uint32_t i = 0; i < h->count;) {
        const unsigned char *raw;
        size_t len;
        uint64_t time_ms = h->records[i].time_ms;
        columns_begin(&columns, time_ms);
        for (; i < h->count && h->records[i].time_ms == time_ms; i++) {
            cr_assert_eq(columns_add(&columns, &h->records[i]), 0);
        }
        cr_assert_eq(columns_end(&columns, &raw, &len), 0);
        struct wal_block block = {
            .first_lsn = lsn, .count = columns.count, .raw = raw, .raw_bytes = len};
        cr_assert_eq(replay_block(&replay, &block), 0);
        lsn += columns.count;
    }
    cr_assert_eq(replay_flush(&replay), 0);
    replay_fini(&replay);
    columns_fini(&columns);
}

static void replay_by_records(const struct record_history *h, struct state *state)
{
    for (uint32_t i = 0; i < h->count; i++) {
        cr_assert_eq(replay_record(state, &h->records[i]), 0);
    }
}

/* A replay of a history must make the same state as applying it record by record. */
static void expect_same_state(void (*replay)(const struct record_history *h, struct state *state))
{
    for (uint64_t start = 1; start <= 10; start++) {
        struct record_history h = {.count = 0};
        static struct state first;
        static struct state second;
        record_history_init(&h, &first, start, RECORDS);
        cr_assert_eq(state_init(&second), 0);
        replay(&h, &second);
        cr_assert_eq(digest_state(&first), digest_state(&second), "start %lu",
                     (unsigned long)start);
        cr_assert_eq(FIELD_GET(first.votes), FIELD_GET(second.votes));
        state_fini(&first);
        state_fini(&second);
        record_history_fini(&h);
    }
}

Test(apply, the_same_records_make_the_same_state)
{
    expect_same_state(replay_by_records);
}

Test(apply, blocks_with_runs_of_votes_make_the_same_state)
{
    expect_same_state(replay_by_blocks);
}

/* The counts of a queue must match the states of its builds. */
Test(apply, the_counts_are_those_of_the_builds)
{
    struct record_history h = {.count = 0};
    static struct state state;
    uint64_t all[BUILD_STATES] = {0};
    record_history_init(&h, &state, 77, RECORDS);
    const struct queue *queue;
    for (uint64_t q = 1; (queue = table_next(&state.queue_ids, &q)) != NULL; q++) {
        uint64_t by_state[BUILD_STATES] = {0};
        for (uint64_t id = 1; id < FIELD_GET(state.build_next); id++) {
            const struct build *build = state_build(&state, id);
            if (build != NULL) {
                by_state[status_state(FIELD_GET(build->applied))] += build->queue == queue;
            }
        }
        for (int s = 0; s < BUILD_STATES; s++) {
            cr_assert_eq(FIELD_GET(queue->by_state[s]), by_state[s]);
            all[s] += by_state[s];
        }
    }
    for (int s = 0; s < BUILD_STATES; s++) {
        cr_assert_eq(FIELD_GET(state.by_state[s]), all[s]);
    }
    state_fini(&state);
    record_history_fini(&h);
}

/* ---- contradictions ---- */

enum {
    PENDING_2 = 0x10000000 + BUILD_TOKEN_FIRST(2),
    ASSIGNED_2 = 0x30000001 + BUILD_TOKEN_FIRST(2),
    COMPLETED_2 = 0x50000001 + BUILD_TOKEN_FIRST(2),
};

/* A state with poll p, option 1 with 5 votes, worker w of one slot, builds 1 and 2, 1 is held. */
static void small_state(struct state *state)
{
    static const struct record records[] = {
        {.type = RECORD_POLL, .text = {{"p", 1}}},
        {.type = RECORD_OPTION, .text = {{"p", 1}, {"A", 1}, {"a", 1}}},
        {.type = RECORD_VOTE, .num = {1, 0, 5}},
        {.type = RECORD_WORKER, .num = {1}, .text = {{"w", 1}}},
        {.type = RECORD_SUBMIT, .num = {5, 0, 1000, 3}, .text = {{"q", 1}}},
        {.type = RECORD_SUBMIT, .num = {5, 0, 1000, 3}, .text = {{"q", 1}}},
        {.type = RECORD_CLAIM, .num = {1, 0x10000001, 0x30000002, 1, 1000}},
    };
    cr_assert_eq(state_init(state), 0);
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct apply_result result;
        struct record record = records[i];
        record.lsn = i + 1;
        record.time_ms = 1000;
        cr_assert_eq(apply(state, &record, &result), 0);
        cr_assert_eq(result.err, 0);
    }
}

static void check_contradiction(struct record record, int wanted, const char *what)
{
    static struct state state;
    struct apply_result result;
    small_state(&state);
    record.lsn = record.lsn == 0 ? FIELD_GET(state.lsn) + 1 : record.lsn;
    record.time_ms = record.time_ms == 0 ? 1000 : record.time_ms;
    cr_assert_eq(apply(&state, &record, &result), wanted, "%s", what);
    state_fini(&state);
}

Test(apply, what_contradicts_the_state_is_corrupt)
{
    static const struct {
        const char *what;
        struct record record;
    } cases[] = {
        {"a period of 0", {.type = RECORD_POLL, .num = {[POLL_RATE_N] = 1}, .text = {{"x", 1}}}},
        {"half a rate",
         {.type = RECORD_POLL,
          .num = {[POLL_KEEP_MASK] = 1U << POLL_RATE_MS, [POLL_RATE_N] = 1, [POLL_RATE_MS] = 1},
          .text = {{"x", 1}}}},
        {"an lsn twice", {.type = RECORD_POLL, .lsn = 7, .text = {{"x", 1}}}},
        {"time that goes back", {.type = RECORD_POLL, .time_ms = 999, .text = {{"x", 1}}}},
        {"a vote for no option", {.type = RECORD_VOTE, .num = {2, 0, 1}}},
        {"a vote for option 0", {.type = RECORD_VOTE, .num = {0, 0, 1}}},
        {"a vote from 4", {.type = RECORD_VOTE, .num = {1, 4, 1}}},
        {"a vote from 6", {.type = RECORD_VOTE, .num = {1, 6, 1}}},
        {"no votes", {.type = RECORD_VOTE, .num = {1, 5, 0}}},
        {"no build", {.type = RECORD_CLAIM, .num = {3, 0x10000001, 0x30000002, 1, 1000}}},
        {"build 0", {.type = RECORD_CLAIM, .num = {0, 0x10000001, 0x30000002, 1, 1000}}},
        {"claimed already", {.type = RECORD_CLAIM, .num = {1, 0x10000001, 0x30000002, 1, 1000}}},
        {"more than the slots", {.type = RECORD_CLAIM, .num = {2, PENDING_2, ASSIGNED_2, 1}}},
        {"no worker", {.type = RECORD_CLAIM, .num = {2, PENDING_2, ASSIGNED_2, 2, 1000}}},
        {"a token skipped", {.type = RECORD_DONE, .num = {1, 0x30000002, 0x50000004}}},
        {"a token kept", {.type = RECORD_DONE, .num = {1, 0x30000002, 0x50000002}}},
        {"another before", {.type = RECORD_DONE, .num = {1, 0x30000003, 0x50000004}}},
        {"done from pending", {.type = RECORD_DONE, .num = {2, PENDING_2, COMPLETED_2}}},
        {"due without a delay", {.type = RECORD_DUE, .num = {2, PENDING_2, PENDING_2 + 1}}},
        {"a beat that ends it", {.type = RECORD_BEAT, .num = {1, 0x30000002, 0x50000002}}},
        {"a window of no poll", {.type = RECORD_POLL_WINDOW, .num = {2, 1}}},
        {"no worker is offline", {.type = RECORD_OFFLINE, .num = {2}}},
        {"no worker lives", {.type = RECORD_SEEN, .num = {2}}},
        {"workers forgotten ahead of time", {.type = RECORD_FORGET, .num = {0, 0, 8}}},
        {"bytes forgotten ahead of time", {.type = RECORD_FORGET, .num = {8, 0}}},
        {"keys forgotten ahead of time", {.type = RECORD_FORGET, .num = {0, 0, 0, 8}}},
        {"builds forgotten ahead of time", {.type = RECORD_FORGET, .num = {0, 8}}},
        {"no type", {.type = RECORD_NONE}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check_contradiction(cases[i].record, TALLY_CORRUPT, cases[i].what);
    }
}

/* A SEEN or OFFLINE appended before the worker was forgotten passes; a CLAIM for it is refused. */
Test(apply, a_worker_is_forgotten_once_it_holds_nothing)
{
    static const struct {
        struct record record;
        int wanted;
    } cases[] = {
        {{.type = RECORD_BYE, .text = {{"w", 1}}}, 0},
        {{.type = RECORD_FORGET, .num = {0, 0, 7}}, 0}, /* no worker has left by then */
        {{.type = RECORD_SEEN, .num = {1}}, 0},
        {{.type = RECORD_UNHOLD, .num = {1, 0x30000002, 0x10000003}}, 0},
        {{.type = RECORD_FORGET, .num = {0, 0, 8}}, 0},
        {{.type = RECORD_SEEN, .num = {1}}, 0},
        {{.type = RECORD_OFFLINE, .num = {1}}, 0},
        {{.type = RECORD_WORKER, .num = {1}, .text = {{"w", 1}}}, 0}, /* a new id */
        {{.type = RECORD_CLAIM, .num = {1, 0x10000003, 0x30000004, 2, 1000}}, 0},
        {{.type = RECORD_BYE, .text = {{"w", 1}}}, 0},
        {{.type = RECORD_CLAIM, .num = {2, PENDING_2, ASSIGNED_2, 1, 1000}}, TALLY_CORRUPT},
        {{.type = RECORD_FORGET, .num = {0, 0, 17}}, TALLY_CORRUPT}, /* it holds a build */
    };
    static struct state state;
    small_state(&state);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct apply_result result;
        struct record record = cases[i].record;
        record.lsn = 8 + i;
        record.time_ms = 1000;
        cr_assert_eq(apply(&state, &record, &result), cases[i].wanted, "record %zu", i);
        cr_assert_eq(result.err, 0);
    }
    state_fini(&state);
}

Test(apply, a_queue_goes_with_its_last_build)
{
    static const struct record records[] = {
        {.type = RECORD_DONE, .num = {1, 0x30000002, 0x50000003}},
        {.type = RECORD_FORGET, .num = {0, 8}}, /* build 1; 2 is pending */
        {.type = RECORD_CLAIM, .num = {2, PENDING_2, ASSIGNED_2, 1, 1000}},
        {.type = RECORD_DONE, .num = {2, ASSIGNED_2, ASSIGNED_2 + 0x20000001}},
        {.type = RECORD_FORGET, .num = {0, 11}},
        {.type = RECORD_SUBMIT, .num = {5, 0, 1000, 3}, .text = {{"q", 1}}},
    };
    static struct state state;
    small_state(&state);
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct apply_result result;
        struct record record = records[i];
        record.lsn = 8 + i;
        record.time_ms = 1000;
        cr_assert_eq(apply(&state, &record, &result), 0, "record %zu", i);
        const struct queue *queue = state_queue(&state, SPAN("q"));
        cr_assert_eq(queue != NULL, i != 4, "record %zu", i);
        cr_assert(queue == NULL || queue->id == (i == 5 ? 2 : 1), "a new one has a new id");
        cr_assert_eq(FIELD_GET(state.queue_count), queue != NULL);
    }
    state_fini(&state);
}

/* Ids have no limit, but the span from the oldest entity to the newest has one. */
Test(apply, ids_too_far_from_the_oldest_are_full)
{
    static struct state state;
    struct apply_result result;
    small_state(&state);
    FIELD_PUT(state.queue_last, 2 * TABLE_SPAN_MAX);
    FIELD_PUT(state.worker_last, 2 * TABLE_SPAN_MAX);
    struct record submit = {.type = RECORD_SUBMIT,
                            .lsn = 8,
                            .time_ms = 1000,
                            .num = {5, 0, 1000, 3},
                            .text = {{"new", 3}}};
    cr_assert_eq(apply(&state, &submit, &result), 0);
    cr_assert_eq(result.err, TALLY_FULL, "a queue");
    struct record worker = {
        .type = RECORD_WORKER, .lsn = 9, .time_ms = 1000, .num = {1}, .text = {{"new", 3}}};
    cr_assert_eq(apply(&state, &worker, &result), 0);
    cr_assert_eq(result.err, TALLY_FULL, "a worker");
    state_fini(&state);
}

/* The effects of each record, in order. */
Test(apply, a_record_says_what_it_sets_going)
{
    static const struct {
        struct record record;
        unsigned count;
        enum effect_kind kinds[EFFECTS_MAX];
    } cases[] = {
        {{.type = RECORD_VOTE, .num = {1, 5, 1}}, 0, {0}},
        {{.type = RECORD_POLL, .text = {{"p", 1}}}, 1, {EFFECT_ALTERED}},
        {{.type = RECORD_POLL_WINDOW, .num = {1, 0}}, 1, {EFFECT_WINDOWED}},
        {{.type = RECORD_OPTION, .text = {{"p", 1}, {"B", 1}, {"b", 1}}}, 0, {0}},
        {{.type = RECORD_BEAT, .num = {1, 0x30000002, 0x40000002}}, 0, {0}},
        {{.type = RECORD_RELEASE, .num = {1, 0x40000002, 0x10000003}},
         2,
         {EFFECT_LEFT, EFFECT_OFFERED}},
        {{.type = RECORD_CLAIM, .num = {1, 0x10000003, 0x30000004, 1, 1000}}, 1, {EFFECT_CLAIMED}},
        {{.type = RECORD_FAIL,
          .num = {[STEP_BUILD] = 1, 0x30000004, 0x20000005, [STEP_DELAY_MS] = 9}},
         2,
         {EFFECT_LEFT, EFFECT_DELAYED}},
        {{.type = RECORD_DUE, .num = {1, 0x20000005, 0x10000006}}, 1, {EFFECT_OFFERED}},
        {{.type = RECORD_CLAIM, .num = {1, 0x10000006, 0x30000007, 1, 1000}}, 1, {EFFECT_CLAIMED}},
        {{.type = RECORD_WORKER, .text = {{"w", 1}, {"", 0}, {"a", 1}}}, 1, {EFFECT_RETAGGED}},
        {{.type = RECORD_WORKER, .text = {{"w", 1}, {"", 0}, {"a", 1}}}, 0, {0}},
        {{.type = RECORD_WORKER, .num = {0, WORKER_KEEP_TAGS}, .text = {{"w", 1}}}, 0, {0}},
        {{.type = RECORD_BYE, .text = {{"w", 1}}}, 1, {EFFECT_GONE}},
        {{.type = RECORD_DONE, .num = {1, 0x30000007, 0x50000008}}, 1, {EFFECT_LEFT}},
        {{.type = RECORD_SUBMIT, .num = {5, 0, 1000, 3}, .text = {{"q", 1}}}, 1, {EFFECT_OFFERED}},
        {{.type = RECORD_SUBMIT, .num = {5, 7, 1000, 3}, .text = {{"q", 1}}}, 1, {EFFECT_DELAYED}},
        {{.type = RECORD_FORGET, .num = {0, 22, 21}}, 0, {0}},
    };
    static struct state state;
    small_state(&state);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct apply_result result;
        struct record record = cases[i].record;
        record.lsn = 8 + i;
        record.time_ms = 1000;
        cr_assert_eq(apply(&state, &record, &result), 0, "record %zu", i);
        cr_assert_eq(result.effect_count, cases[i].count, "record %zu", i);
        for (unsigned k = 0; k < cases[i].count; k++) {
            cr_assert_eq(result.effects[k].kind, cases[i].kinds[k], "record %zu", i);
        }
    }
    state_fini(&state);
}

Test(apply, what_fits_is_taken)
{
    check_contradiction((struct record){.type = RECORD_VOTE, .num = {1, 5, 1}}, 0, "a vote");
    check_contradiction((struct record){.type = RECORD_DONE, .num = {1, 0x30000002, 0x50000003}}, 0,
                        "done");
    check_contradiction((struct record){.type = RECORD_BEAT, .num = {1, 0x30000002, 0x40000002}}, 0,
                        "beat");
}

/* An option whose votes are near their limit is still replayed. */
Test(apply, votes_near_the_end_of_the_counter)
{
    static struct state state;
    struct apply_result result;
    small_state(&state);
    struct option *option = state_option(&state, 1);
    FIELD_PUT(option->votes, VOTES_RANGE - 1);
    struct record record = {
        .type = RECORD_VOTE, .lsn = 8, .time_ms = 1000, .num = {1, VOTES_RANGE - 1, 1 << 20}};
    cr_assert_eq(apply(&state, &record, &result), 0);
    apply_replay_end(&state);
    cr_assert_eq(option_votes(word_get(&option->word)), VOTES_RANGE - 1 + (1 << 20));
    cr_assert_eq(option->accepted, word_get(&option->word));
    state_fini(&state);
}
