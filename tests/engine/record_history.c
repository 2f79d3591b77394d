/* A random history, each record one that the engine could have written. */
#include "tests/engine/record_history.h"

#include "engine/apply/apply.h"
#include "wal/base/check.h"

#include <stdio.h>
#include <stdlib.h>

static void text(struct record_history *h, unsigned i, const char *kind, uint64_t number)
{
    char *at = h->texts[h->count][i];
    int len = snprintf(at, HISTORY_TEXT_MAX, "%s%lu", kind, (unsigned long)number);
    h->records[h->count].text[i] = (struct span){at, (size_t)len};
}

static struct record *next_record(struct record_history *h, enum record_type type)
{
    struct record *record = &h->records[h->count];
    uint64_t time_ms = h->count > 0 ? h->records[h->count - 1].time_ms : 1000000;
    *record = (struct record){.type = type, .lsn = h->count + 1};
    /* now and then into another bucket of the trends */
    record->time_ms = time_ms + seed_below(&h->seed, seed_below(&h->seed, 20) == 0 ? 20000 : 3);
    if (h->is_long && seed_below(&h->seed, 300) == 0) {
        record->time_ms += seed_below(&h->seed, 9) * 3600 * 1000;
    }
    return record;
}

static enum record_type step_from(struct record_history *h, enum build_state state)
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

static uint32_t half_after(struct record_history *h, enum record_type type, uint32_t before)
{
    uint64_t dice = seed_below(&h->seed, 4);
    bool may_delay = type == RECORD_FAIL || type == RECORD_RELEASE;
    switch (type) {
    case RECORD_CLAIM:
        return status_next(before, BUILD_ASSIGNED);
    case RECORD_BEAT:
        return status_make(BUILD_BUILDING, status_token(before));
    case RECORD_DONE:
        return status_next(before, BUILD_COMPLETED);
    default:
        return status_next(before, dice == 0                ? BUILD_FAILED
                                   : dice == 1 && may_delay ? BUILD_DELAYED
                                                            : BUILD_PENDING);
    }
}

/* A worker with a slot to spare, or NULL. */
static const struct worker *free_worker(struct record_history *h, const struct state *state)
{
    uint64_t count = FIELD_GET(state->worker_last);
    const struct worker *worker =
        count > 0 ? table_get(&state->worker_ids, 1 + seed_below(&h->seed, count)) : NULL;
    bool has_room = worker != NULL && FIELD_GET(worker->held) != NULL &&
                    FIELD_GET(worker->held_count) < FIELD_GET(worker->held)->capacity;
    return has_room ? worker : NULL;
}

static bool make_step(struct record_history *h, const struct state *state)
{
    uint64_t next = FIELD_GET(state->build_next);
    const struct build *build =
        next > 1 ? state_build(state, 1 + seed_below(&h->seed, next - 1)) : NULL;
    uint32_t before = build != NULL ? FIELD_GET(build->applied) : 0;
    enum record_type type = step_from(h, status_state(before));
    const struct worker *worker = free_worker(h, state);
    if (type == RECORD_NONE || (type == RECORD_CLAIM && worker == NULL)) {
        return false;
    }
    struct record *record = next_record(h, type);
    record->num[STEP_BUILD] = build->id;
    record->num[STEP_BEFORE] = before;
    record->num[STEP_AFTER] = half_after(h, type, before);
    if (type == RECORD_CLAIM) {
        record->num[CLAIM_WORKER] = worker->id;
        record->num[CLAIM_LEASE_MS] = 1000;
    } else if (status_state((uint32_t)record->num[STEP_AFTER]) == BUILD_DELAYED) {
        record->num[STEP_DELAY_MS] = 50;
    }
    if (type == RECORD_DONE || type == RECORD_FAIL) {
        text(h, STEP_TEXT, "said ", seed_below(&h->seed, 100));
    }
    return true;
}

/* Some option whose poll is not deleted, or NULL. */
static const struct option *some_option(struct record_history *h, const struct state *state)
{
    uint64_t id = 1 + seed_below(&h->seed, FIELD_GET(state->option_last) + 1);
    return table_next(&state->options, &id) != NULL ? state_option(state, id) : NULL;
}

static bool make_vote(struct record_history *h, const struct state *state)
{
    const struct option *option = some_option(h, state);
    if (option == NULL) {
        return false;
    }
    bool is_seed = (h->votes_from == 0 || h->count < h->votes_from) &&
                   FIELD_GET(option->poll->mode) == POLL_FREE && seed_below(&h->seed, 10) == 0;
    struct record *record = next_record(h, is_seed ? RECORD_SEED : RECORD_VOTE);
    if (is_seed) {
        record->num[SEED_OVER_MS] = seed_below(&h->seed, SEED_OVER_MS_MAX + 1);
    }
    record->num[VOTE_OPTION] = option->id;
    record->num[VOTE_BEFORE] = option_votes_now(option);
    record->num[VOTE_N] = 1 + seed_below(&h->seed, 100);
    if (h->votes_from == 0 && seed_below(&h->seed, 4) == 0) {
        unsigned key = is_seed ? SEED_KEY : VOTE_KEY;
        unsigned verb = is_seed ? RECORD_SEED : RECORD_BALLOT;
        if (!is_seed) {
            text(h, VOTE_VOTER, "voter", seed_below(&h->seed, 100));
        }
        text(h, key, "key", seed_below(&h->seed, 200));
        if (keys_find(&state->keys, verb, record_key(record), record->time_ms) != NULL) {
            record->text[key].len = 0; /* no step is made for a key that is known */
        }
    }
    return true;
}

/* The lsn up to which some workers that have left and hold nothing can be forgotten. */
static uint64_t gone_until(const struct state *state)
{
    uint64_t until = 0;
    const struct worker *worker = TAILQ_FIRST(&state->gone);
    for (int i = 0; i < 2 && worker != NULL && FIELD_GET(worker->held_count) == 0; i++) {
        until = worker->gone_lsn;
        worker = TAILQ_NEXT(worker, gone);
    }
    return until;
}

/* Often a key that was used before; seldom the request is the same. */
static void make_key(struct record_history *h, unsigned i)
{
    if (seed_below(&h->seed, 2) == 0) {
        text(h, i, "key", seed_below(&h->seed, 60));
    }
}

static void make_submit(struct record_history *h)
{
    struct record *record = next_record(h, RECORD_SUBMIT);
    record->num[SUBMIT_PRI] = seed_below(&h->seed, 10);
    record->num[SUBMIT_DELAY_MS] = seed_below(&h->seed, 3) == 0 ? 20 : 0;
    record->num[SUBMIT_LEASE_MS] = 500;
    record->num[SUBMIT_TRIES] = 3;
    text(h, SUBMIT_QUEUE, "queue", seed_below(&h->seed, seed_below(&h->seed, 3) == 0 ? 100 : 3));
    text(h, SUBMIT_PAYLOAD, "make ", seed_below(&h->seed, 1000));
    if (seed_below(&h->seed, 2) == 0) {
        text(h, SUBMIT_NEED, "tag", seed_below(&h->seed, 5));
    }
    if (seed_below(&h->seed, 3) == 0) {
        text(h, SUBMIT_UNIQ, "uniq", seed_below(&h->seed, 40));
    }
    make_key(h, SUBMIT_KEY);
}

/* A POLL_WINDOW, a RESET or a POLLDEL; or a PURGE of a poll that is deleted. */
static void make_act_of_gate(struct record_history *h, const struct state *state, bool resets)
{
    uint64_t id = 1 + seed_below(&h->seed, FIELD_GET(state->poll_last) + 1);
    const struct poll *poll = table_next(&state->poll_ids, &id);
    if (poll == NULL) {
        next_record(h, RECORD_BYE);
        text(h, BYE_WORKER, "w", seed_below(&h->seed, 12));
    } else if (FIELD_GET(poll->is_deleted) && seed_below(&h->seed, 3) > 0) {
        uint64_t options = FIELD_GET(poll->option_count);
        struct record *record = next_record(h, RECORD_PURGE);
        record->num[PURGE_POLL] = id;
        record->num[PURGE_OPTIONS] = seed_below(&h->seed, (options < 8 ? options : 8) + 1);
    } else if (!resets && seed_below(&h->seed, 4) == 0) {
        next_record(h, RECORD_POLLDEL)->num[POLLDEL_POLL] = id;
    } else if (resets || seed_below(&h->seed, 3) == 0) {
        next_record(h, RECORD_RESET)->num[RESET_POLL] = id;
        make_key(h, RESET_KEY);
    } else {
        struct record *record = next_record(h, RECORD_POLL_WINDOW);
        record->num[POLL_WINDOW_POLL] = id;
        record->num[POLL_WINDOW_OPEN] = seed_below(&h->seed, 2);
        record->num[POLL_WINDOW_MODE] = seed_below(&h->seed, POLL_MODES);
    }
}

static void make_ordered(struct record_history *h, const struct state *state)
{
    uint64_t workers = FIELD_GET(state->worker_last);
    uint64_t labels = h->polls_until != 0 ? 200 : 20;
    struct record *record = NULL;
    uint64_t dice = seed_below(&h->seed, 10);
    bool is_settled = h->polls_until != 0 && h->count >= h->polls_until;
    /* a record of a poll makes the replay apply all before it */
    bool is_rare = is_settled && (dice < 2 || (dice == 4 && seed_below(&h->seed, 20) > 0));
    switch (is_rare ? 9 : dice) {
    case 0:
        record = next_record(h, RECORD_POLL);
        record->num[POLL_CLOSE_MS] = seed_below(&h->seed, 2) * 5000;
        record->num[POLL_OPEN_MS] = record->num[POLL_CLOSE_MS] / 10;
        record->num[POLL_RATE_N] = seed_below(&h->seed, 3);
        record->num[POLL_RATE_MS] = 1000;
        record->num[POLL_MODE] = seed_below(&h->seed, POLL_MODES);
        record->num[POLL_KEEP_MASK] = seed_below(&h->seed, 8) | /* both numbers of a rate or none */
                                      seed_below(&h->seed, 2) * (3U << POLL_RATE_N) |
                                      seed_below(&h->seed, 2) << POLL_MODE;
        text(h, POLL_NAME, "poll", seed_below(&h->seed, 6));
        break;
    case 1:
        next_record(h, RECORD_OPTION);
        text(h, OPTION_POLL, "poll", seed_below(&h->seed, 8));
        text(h, OPTION_LABEL, "Label", seed_below(&h->seed, labels));
        text(h, OPTION_FOLD, "label", seed_below(&h->seed, labels));
        make_key(h, OPTION_KEY);
        break;
    case 2:
        next_record(h, RECORD_WORKER)->num[WORKER_SLOTS] = seed_below(&h->seed, 9);
        text(h, WORKER_ID, "w", seed_below(&h->seed, 12));
        text(h, WORKER_TAGS, "tag", seed_below(&h->seed, 3));
        text(h, WORKER_NAME, "Name ", h->count % 7);
        break;
    case 3:
        next_record(h, RECORD_BYE);
        text(h, BYE_WORKER, "w", seed_below(&h->seed, 12));
        break;
    case 4:
        make_act_of_gate(h, state, is_settled);
        break;
    case 5:
        if (seed_below(&h->seed, 3) == 0) {
            record = next_record(h, RECORD_FORGET);
            record->num[FORGET_BYTES_UNTIL] = seed_below(&h->seed, record->lsn);
            record->num[FORGET_BUILDS_UNTIL] = record->num[FORGET_BYTES_UNTIL] / 4;
            record->num[FORGET_WORKERS_UNTIL] = gone_until(state);
            record->num[FORGET_KEYS_UNTIL] =
                seed_below(&h->seed, 4) == 0 ? seed_below(&h->seed, record->lsn) : 0;
            break;
        }
        record = next_record(h, workers == 0 ? RECORD_BYE : RECORD_OFFLINE);
        record->num[0] = 1 + seed_below(&h->seed, workers == 0 ? 1 : workers);
        break;
    default:
        make_submit(h);
        break;
    }
}

/* A vote by one of few voters, for up to three options of a poll, or its taking back; now and then
 * in a poll without ballots, or for options of two polls. */
static bool make_ballot(struct record_history *h, const struct state *state)
{
    const struct option *option = some_option(h, state);
    if (option == NULL) {
        return false;
    }
    const struct poll *poll = option->poll;
    uint64_t voter = seed_below(&h->seed, 40);
    if (seed_below(&h->seed, 4) == 0) {
        next_record(h, RECORD_UNVOTE);
        text(h, UNVOTE_POLL, poll->name->at, 0);
        h->records[h->count].text[UNVOTE_POLL].len = poll->name->len; /* without the number */
        text(h, UNVOTE_VOTER, "voter", voter);
        make_key(h, UNVOTE_KEY);
        return true;
    }
    struct record *record = next_record(h, RECORD_BALLOT);
    record->num[BALLOT_OPTION] = option->id;
    record->num[BALLOT_N] = 1;
    text(h, BALLOT_VOTER, "voter", voter);
    make_key(h, BALLOT_KEY);
    if (seed_below(&h->seed, 2) == 0) {
        uint64_t place = seed_below(&h->seed, FIELD_GET(poll->option_count));
        bool is_other = seed_below(&h->seed, 20) == 0;
        text(h, BALLOT_MORE, "",
             is_other ? 1 + seed_below(&h->seed, FIELD_GET(state->option_last))
                      : poll_option(poll, place)->id);
    }
    return true;
}

void record_history_init(struct record_history *h, struct state *state, uint64_t start,
                         uint32_t records)
{
    h->records = calloc(records, sizeof(struct record));
    h->texts = calloc(records, sizeof(*h->texts));
    h->seed = (struct seed){start};
    h->count = 0;
    CHECK(h->records != NULL && h->texts != NULL && state_init(state) == 0);
    state->keys.count_max = h->keys_max != 0 ? h->keys_max : KEYS_MAX;
    while (h->count < records) {
        struct apply_result result;
        bool is_calm = h->votes_from != 0 && h->count >= h->votes_from;
        uint64_t dice = is_calm ? 0 : seed_below(&h->seed, 10);
        bool made = dice < 3    ? make_vote(h, state)
                    : dice == 8 ? make_ballot(h, state)
                                : dice < 8 && make_step(h, state);
        if (!made) {
            make_ordered(h, state);
        }
        const struct record *record = &h->records[h->count];
        int err = apply(state, record, &result);
        CHECK(err == 0);
        h->count++;
    }
}

void record_history_fini(struct record_history *h)
{
    free(h->records);
    free(h->texts);
}
