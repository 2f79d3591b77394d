/* apply: the same records make the same state, and records that contradict it are CORRUPT. */
#include "engine/apply.h"
#include "engine/columns.h"
#include "tests/lib/seed.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDS = 6000, TEXT_MAX = 24 };

struct history {
    struct record *records;
    char (*texts)[RECORD_TEXTS][TEXT_MAX];
    uint32_t count;
    struct seed seed;
};

/* ---- a digest of a state: everything that a reply could show ---- */

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

static uint64_t digest_polls(const struct state *state, uint64_t digest)
{
    for (uint64_t id = 1; id <= FIELD_GET(state->poll_count); id++) {
        const struct poll *poll = table_get(&state->poll_ids, id);
        digest = mix_text(digest, blob_span(poll->name));
        digest = mix(digest, FIELD_GET(poll->total));
        digest = mix(digest, FIELD_GET(poll->open));
        digest = mix(digest, FIELD_GET(poll->vote_until));
        for (uint64_t i = 0; i < FIELD_GET(poll->option_count); i++) {
            const struct option *option = FIELD_GET(FIELD_GET(poll->options)[i]);
            digest = mix(mix(digest, option->id), FIELD_GET(option->votes));
            digest = mix(mix_text(digest, blob_span(option->label)), option->changes);
        }
    }
    return digest;
}

static uint64_t digest_builds(const struct state *state, uint64_t digest)
{
    for (uint64_t id = 1; id < FIELD_GET(state->build_next); id++) {
        const struct build *build = state_build(state, id);
        const struct worker *worker = FIELD_GET(build->worker);
        digest = mix(mix(digest, FIELD_GET(build->applied)), build->pending_lsn);
        digest = mix(mix(digest, FIELD_GET(build->attempts)), build->due_ms);
        digest = mix(mix(digest, FIELD_GET(build->ended_ms)), FIELD_GET(build->started_ms));
        digest = mix(mix(digest, worker != NULL ? worker->id : 0), FIELD_GET(build->how));
        digest = mix(mix(digest, FIELD_GET(build->lease_ms)), build->pri);
        digest = mix_text(digest, blob_span(build->queue->name));
        digest = mix_text(digest, blob_span(FIELD_GET(build->result)));
        digest = mix_text(digest, blob_span(FIELD_GET(build->error)));
        digest = mix_text(digest, blob_span(build->payload));
    }
    return digest;
}

static uint64_t digest_of(const struct state *state)
{
    uint64_t digest = mix(1, FIELD_GET(state->lsn));
    digest = digest_builds(state, digest_polls(state, digest));
    for (uint64_t id = 1; id <= FIELD_GET(state->worker_count); id++) {
        const struct worker *worker = table_get(&state->worker_ids, id);
        digest = mix(mix(digest, FIELD_GET(worker->state)), FIELD_GET(worker->slots));
        digest = mix(mix(digest, FIELD_GET(worker->done)), FIELD_GET(worker->failed));
        digest = mix_text(mix(digest, FIELD_GET(worker->held_count)),
                          blob_span(FIELD_GET(worker->tags)));
    }
    digest = mix(mix(digest, FIELD_GET(state->votes)), FIELD_GET(state->payload_bytes));
    return mix(digest, FIELD_GET(state->builds_in_memory));
}

/* ---- a random history, each record one that the engine could have written ---- */

static void text(struct history *h, unsigned i, const char *kind, uint64_t number)
{
    char *at = h->texts[h->count][i];
    int len = snprintf(at, TEXT_MAX, "%s%lu", kind, (unsigned long)number);
    h->records[h->count].text[i] = (struct span){at, (size_t)len};
}

static struct record *next_record(struct history *h, enum record_type type)
{
    struct record *record = &h->records[h->count];
    uint64_t time_ms = h->count > 0 ? h->records[h->count - 1].time_ms : 1000;
    *record = (struct record){.type = type, .lsn = h->count + 1};
    record->time_ms = time_ms + seed_below(&h->seed, 3);
    return record;
}

static enum record_type step_from(struct history *h, enum build_state state)
{
    static const enum record_type held[] = {RECORD_DONE, RECORD_FAIL, RECORD_RELEASE, RECORD_EXPIRE,
                                            RECORD_UNHOLD};
    switch (state) {
    case BUILD_PENDING:
        return RECORD_CLAIM;
    case BUILD_DELAYED:
        return RECORD_DUE;
    case BUILD_ASSIGNED:
        return seed_below(&h->seed, 3) == 0 ? RECORD_BEAT : held[seed_below(&h->seed, 5)];
    case BUILD_BUILDING:
        return held[seed_below(&h->seed, 5)];
    default:
        return RECORD_NONE;
    }
}

static uint32_t half_after(struct history *h, enum record_type type, uint32_t before)
{
    uint64_t dice = seed_below(&h->seed, 4);
    bool may_delay = type == RECORD_FAIL || type == RECORD_RELEASE;
    switch (type) {
    case RECORD_CLAIM:
        return half_next(before, BUILD_ASSIGNED);
    case RECORD_BEAT:
        return build_half(BUILD_BUILDING, half_token(before));
    case RECORD_DONE:
        return half_next(before, BUILD_COMPLETED);
    default:
        return half_next(before, dice == 0                ? BUILD_FAILED
                                 : dice == 1 && may_delay ? BUILD_DELAYED
                                                          : BUILD_PENDING);
    }
}

/* A worker with a slot to spare, or NULL. */
static const struct worker *free_worker(struct history *h, const struct state *state)
{
    uint64_t count = FIELD_GET(state->worker_count);
    const struct worker *worker =
        count > 0 ? table_get(&state->worker_ids, 1 + seed_below(&h->seed, count)) : NULL;
    bool has_room = worker != NULL && FIELD_GET(worker->held) != NULL &&
                    FIELD_GET(worker->held_count) < FIELD_GET(worker->held)->room;
    return has_room ? worker : NULL;
}

static bool make_step(struct history *h, const struct state *state)
{
    uint64_t next = FIELD_GET(state->build_next);
    const struct build *build =
        next > 1 ? state_build(state, 1 + seed_below(&h->seed, next - 1)) : NULL;
    uint32_t before = build != NULL ? FIELD_GET(build->applied) : 0;
    enum record_type type = step_from(h, half_state(before));
    const struct worker *worker = free_worker(h, state);
    if (type == RECORD_NONE || (type == RECORD_CLAIM && worker == NULL)) {
        return false;
    }
    struct record *record = next_record(h, type);
    record->num[STEP_BUILD] = build->id;
    record->num[STEP_BEFORE] = before;
    record->num[STEP_AFTER] = half_after(h, type, before);
    if (type == RECORD_CLAIM) {
        record->num[STEP_WORKER] = worker->id;
        record->num[STEP_LEASE_MS] = 1000;
    } else if (half_state((uint32_t)record->num[STEP_AFTER]) == BUILD_DELAYED) {
        record->num[STEP_DELAY_MS] = 50;
    }
    if (type == RECORD_DONE || type == RECORD_FAIL) {
        text(h, STEP_TEXT, "said ", seed_below(&h->seed, 100));
    }
    return true;
}

static bool make_vote(struct history *h, const struct state *state)
{
    uint64_t count = FIELD_GET(state->option_count);
    if (count == 0) {
        return false;
    }
    const struct option *option = state_option(state, 1 + seed_below(&h->seed, count));
    struct record *record = next_record(h, RECORD_VOTE);
    record->num[VOTE_OPTION] = option->id;
    record->num[VOTE_BEFORE] = FIELD_GET(option->votes);
    record->num[VOTE_N] = 1 + seed_below(&h->seed, 100);
    return true;
}

static void make_judged(struct history *h)
{
    struct record *record = NULL;
    switch (seed_below(&h->seed, 8)) {
    case 0:
        record = next_record(h, RECORD_POLL);
        record->num[POLL_CLOSE_MS] = seed_below(&h->seed, 2) * 5000;
        record->num[POLL_KEEP_MASK] = seed_below(&h->seed, 32);
        text(h, POLL_NAME, "poll", seed_below(&h->seed, 6));
        break;
    case 1:
        next_record(h, RECORD_OPTION);
        text(h, OPTION_POLL, "poll", seed_below(&h->seed, 8));
        text(h, OPTION_LABEL, "Label", seed_below(&h->seed, 20));
        text(h, OPTION_FOLD, "label", seed_below(&h->seed, 20));
        break;
    case 2:
        next_record(h, RECORD_WORKER)->num[WORKER_SLOTS] = seed_below(&h->seed, 9);
        text(h, WORKER_ID, "w", seed_below(&h->seed, 5));
        text(h, WORKER_TAGS, "tag", seed_below(&h->seed, 3));
        break;
    case 3:
        next_record(h, RECORD_BYE);
        text(h, WORKER_ID, "w", seed_below(&h->seed, 5));
        break;
    default:
        record = next_record(h, RECORD_SUBMIT);
        record->num[SUBMIT_PRI] = seed_below(&h->seed, 10);
        record->num[SUBMIT_DELAY_MS] = seed_below(&h->seed, 3) == 0 ? 20 : 0;
        record->num[SUBMIT_LEASE_MS] = 500;
        record->num[SUBMIT_TRIES] = 3;
        text(h, SUBMIT_QUEUE, "queue", seed_below(&h->seed, 3));
        text(h, SUBMIT_PAYLOAD, "make ", seed_below(&h->seed, 1000));
        if (seed_below(&h->seed, 3) == 0) {
            text(h, SUBMIT_UNIQ, "uniq", seed_below(&h->seed, 40));
        }
        break;
    }
}

/* Makes a history and applies it while it is made. */
static void history_init(struct history *h, struct state *state, uint64_t start)
{
    *h = (struct history){.records = calloc(RECORDS, sizeof(struct record)),
                          .texts = calloc(RECORDS, sizeof(*h->texts)),
                          .seed = {start}};
    cr_assert(h->records != NULL && h->texts != NULL && state_init(state) == 0);
    while (h->count < RECORDS) {
        struct verdict verdict;
        uint64_t dice = seed_below(&h->seed, 10);
        bool made = dice < 3 ? make_vote(h, state) : dice < 8 && make_step(h, state);
        if (!made) {
            make_judged(h);
        }
        const struct record *record = &h->records[h->count];
        int err = apply(state, record, &verdict);
        cr_assert_eq(err, 0, "record %u (%s): %s", h->count, record_type_name(record->type),
                     tally_err_name(err));
        h->count++;
    }
}

static void history_fini(struct history *h)
{
    free(h->records);
    free(h->texts);
}

Test(apply, the_same_records_make_the_same_state)
{
    for (uint64_t start = 1; start <= 10; start++) {
        struct history h;
        static struct state first;
        static struct state second;
        history_init(&h, &first, start);
        cr_assert_eq(state_init(&second), 0);
        for (uint32_t i = 0; i < h.count; i++) {
            struct verdict verdict;
            cr_assert_eq(apply(&second, &h.records[i], &verdict), 0);
        }
        cr_assert_eq(digest_of(&first), digest_of(&second), "start %lu", (unsigned long)start);
        state_fini(&first);
        state_fini(&second);
        history_fini(&h);
    }
}

static int replay_record(void *arg, const struct record *record)
{
    struct verdict verdict;
    return apply(arg, record, &verdict);
}

static int replay_votes(void *arg, const struct vote_run *run)
{
    uint32_t done;
    return apply_votes(arg, run, &done);
}

/* Encodes what has one time as one block, and replays it as a start does. */
static void replay_by_blocks(const struct history *h, struct state *state)
{
    struct columns columns = {.count = 0};
    const struct columns_visitor visitor = {replay_record, replay_votes, state};
    for (uint32_t i = 0; i < h->count;) {
        const unsigned char *block;
        size_t len;
        uint64_t time_ms = h->records[i].time_ms;
        columns_begin(&columns, time_ms);
        for (; i < h->count && h->records[i].time_ms == time_ms; i++) {
            cr_assert_eq(columns_add(&columns, &h->records[i]), 0);
        }
        cr_assert_eq(columns_end(&columns, &block, &len), 0);
        cr_assert_eq(
            columns_visit(block, len, FIELD_GET(state->lsn) + 1, columns.count, &visitor), 0);
    }
    columns_fini(&columns);
}

Test(apply, blocks_with_runs_of_votes_make_the_same_state)
{
    for (uint64_t start = 1; start <= 10; start++) {
        struct history h;
        static struct state first;
        static struct state second;
        history_init(&h, &first, start);
        cr_assert_eq(state_init(&second), 0);
        replay_by_blocks(&h, &second);
        cr_assert_eq(digest_of(&first), digest_of(&second), "start %lu", (unsigned long)start);
        cr_assert_eq(FIELD_GET(first.votes), FIELD_GET(second.votes));
        state_fini(&first);
        state_fini(&second);
        history_fini(&h);
    }
}

/* What a queue counts is what its builds are. */
Test(apply, the_counts_are_those_of_the_builds)
{
    struct history h;
    static struct state state;
    history_init(&h, &state, 77);
    for (int q = 0; q < 3; q++) {
        char name[TEXT_MAX];
        uint64_t by_state[BUILD_STATES] = {0};
        snprintf(name, sizeof(name), "queue%d", q);
        const struct queue *queue = state_queue(&state, span_of(name));
        cr_assert(queue != NULL);
        for (uint64_t id = 1; id < FIELD_GET(state.build_next); id++) {
            const struct build *build = state_build(&state, id);
            by_state[half_state(FIELD_GET(build->applied))] += build->queue == queue;
        }
        for (int s = 0; s < BUILD_STATES; s++) {
            cr_assert_eq(FIELD_GET(queue->by_state[s]), by_state[s]);
        }
    }
    state_fini(&state);
    history_fini(&h);
}

/* ---- contradictions ---- */

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
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        struct verdict verdict;
        struct record record = records[i];
        record.lsn = i + 1;
        record.time_ms = 1000;
        cr_assert_eq(apply(state, &record, &verdict), 0);
        cr_assert_eq(verdict.err, 0);
    }
}

static void check_contradiction(struct record record, int wanted, const char *what)
{
    static struct state state;
    struct verdict verdict;
    small_state(&state);
    record.lsn = record.lsn == 0 ? FIELD_GET(state.lsn) + 1 : record.lsn;
    record.time_ms = record.time_ms == 0 ? 1000 : record.time_ms;
    cr_assert_eq(apply(&state, &record, &verdict), wanted, "%s", what);
    state_fini(&state);
}

Test(apply, what_contradicts_the_state_is_corrupt)
{
    static const struct {
        const char *what;
        struct record record;
    } cases[] = {
        {"a hole in the lsns", {.type = RECORD_POLL, .lsn = 9, .text = {{"x", 1}}}},
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
        {"more than the slots", {.type = RECORD_CLAIM, .num = {2, 0x10000001, 0x30000002, 1}}},
        {"no worker", {.type = RECORD_CLAIM, .num = {2, 0x10000001, 0x30000002, 2, 1000}}},
        {"a token skipped", {.type = RECORD_DONE, .num = {1, 0x30000002, 0x50000004}}},
        {"a token kept", {.type = RECORD_DONE, .num = {1, 0x30000002, 0x50000002}}},
        {"another before", {.type = RECORD_DONE, .num = {1, 0x30000003, 0x50000004}}},
        {"done from pending", {.type = RECORD_DONE, .num = {2, 0x10000001, 0x50000002}}},
        {"due without a delay", {.type = RECORD_DUE, .num = {2, 0x10000001, 0x10000002}}},
        {"a beat that ends it", {.type = RECORD_BEAT, .num = {1, 0x30000002, 0x50000002}}},
        {"a window of no poll", {.type = RECORD_POLL_WINDOW, .num = {2, 1}}},
        {"no worker is offline", {.type = RECORD_OFFLINE, .num = {2}}},
        {"no type", {.type = RECORD_NONE}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_contradiction(cases[i].record, TALLY_CORRUPT, cases[i].what);
    }
}

Test(apply, a_run_of_votes_stops_at_the_one_that_does_not_fit)
{
    for (uint32_t bad = 0; bad < VOTE_RUN_MAX; bad++) {
        static struct state state;
        struct vote_run run = {.first_lsn = 8, .time_ms = 1000, .count = VOTE_RUN_MAX};
        uint32_t done = 0;
        small_state(&state);
        for (uint32_t i = 0; i < VOTE_RUN_MAX; i++) {
            run.option[i] = 1;
            run.before[i] = 5 + i + (i == bad);
            run.n[i] = 1;
        }
        cr_assert_eq(apply_votes(&state, &run, &done), TALLY_CORRUPT);
        cr_assert_eq(done, bad);
        state_fini(&state);
    }
}

Test(apply, a_run_of_votes_is_next_in_lsn_and_time)
{
    static struct state state;
    struct vote_run run = {
        .first_lsn = 9, .time_ms = 1000, .count = 1, .option = {1}, .before = {5}, .n = {1}};
    uint32_t done = 7;
    small_state(&state);
    cr_assert_eq(apply_votes(&state, &run, &done), TALLY_CORRUPT);
    cr_assert_eq(done, 0);
    run.first_lsn = 8;
    run.time_ms = 999;
    cr_assert_eq(apply_votes(&state, &run, &done), TALLY_CORRUPT);
    run.time_ms = 1000;
    cr_assert_eq(apply_votes(&state, &run, &done), 0);
    cr_assert_eq(FIELD_GET(state.votes), 6);
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

/* The counter may stand anywhere; an option whose votes are near their end is still replayed. */
Test(apply, votes_near_the_end_of_the_counter)
{
    static struct state state;
    struct verdict verdict;
    small_state(&state);
    struct option *option = state_option(&state, 1);
    FIELD_PUT(option->votes, VOTES_RANGE - 1);
    struct record record = {
        .type = RECORD_VOTE, .lsn = 8, .time_ms = 1000, .num = {1, VOTES_RANGE - 1, 1 << 20}};
    cr_assert_eq(apply(&state, &record, &verdict), 0);
    apply_replay_end(&state);
    cr_assert_eq(option_votes(word_get(&option->word)), VOTES_RANGE - 1 + (1 << 20));
    cr_assert_eq(option->accepted, word_get(&option->word));
    state_fini(&state);
}
