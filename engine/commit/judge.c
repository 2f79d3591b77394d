/* The judge: answers requests that need no record, and makes the steps of ballots in free polls. */
#include "engine/commit/judge.h"

#include "engine/apply/apply.h"
#include "engine/base/alarm.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"

void judge_begin(struct judge *judge, uint64_t time_ms)
{
    judge->time_ms = time_ms;
    judge->batch++;
    judge->has_poll_moved = false;
    judge->seeds = 0;
}

/* ---- answers ---- */

static struct span key_of(const void *request)
{
    return record_key(&((const struct ordered_request *)request)->record);
}

int judge_init(struct judge *judge)
{
    int err = 0;
    for (int i = 0; i < JUDGE_VERBS && err == 0; i++) {
        err = index_init(&judge->under_way[i], key_of);
    }
    return err;
}

void judge_fini(struct judge *judge)
{
    for (int i = 0; i < JUDGE_VERBS; i++) {
        index_fini(&judge->under_way[i]);
    }
}

/* Returns the index of the requests of this verb that are under way. */
static struct index *under_way_of(struct judge *judge, const struct ordered_request *request)
{
    bool is_seed = request->record.type == RECORD_SEED;
    /* the callers make other types wait for nothing but their record */
    CHECK(is_seed || request->record.type == RECORD_BALLOT);
    return &judge->under_way[is_seed];
}

static void answer_one(const struct judge *judge, struct ordered_request *request, int err,
                       const struct edge_result *reply)
{
    if (ordered_request_answer(request, err, reply) != 0) {
        alarm_fatal(judge->options, 71, "out of memory for a result");
    }
}

/* A request that is refused unless its KEY is known has lost all else that is hashed. */
static uint64_t fingerprint_of(const struct ordered_request *request)
{
    return request->unless_known != 0 ? request->fingerprint : keys_fingerprint(&request->record);
}

/* Answers the requests that repeat one which was decided. */
static void answer_repeats(const struct judge *judge, const struct ordered_request *request,
                           int err, const struct edge_result *reply)
{
    uint64_t fingerprint = fingerprint_of(request);
    struct edge_result again = *reply;
    again.dup = true;
    for (struct ordered_request *next, *repeat = request->repeats; repeat != NULL; repeat = next) {
        bool is_same = fingerprint_of(repeat) == fingerprint;
        next = repeat->repeats;
        answer_one(judge, repeat, is_same ? err : TALLY_EXISTS, &again);
    }
}

void judge_answer(struct judge *judge, struct ordered_request *request, int err,
                  const struct edge_result *reply)
{
    if (request->is_under_way) {
        index_remove(under_way_of(judge, request), request);
        answer_repeats(judge, request, err, reply);
    }
    answer_one(judge, request, err, reply);
}

/* Whether a request with this KEY is under way: then this one waits for that one's answer. */
static bool waits_for_first(struct judge *judge, struct ordered_request *request)
{
    struct ordered_request *first =
        index_get(under_way_of(judge, request), record_key(&request->record));
    if (first != NULL) {
        request->repeats = first->repeats;
        first->repeats = request;
    }
    return first != NULL;
}

/* Puts a ballot that is not answered yet among those under way, if it has a KEY. Returns false when
 * one with this KEY is there: then it waits for that one's answer. */
static bool is_first_under_way(struct judge *judge, struct ordered_request *request)
{
    struct span key = record_key(&request->record);
    if (key.len == 0 || MUTANT(MUTANT_KEY_UNDER_WAY)) {
        return true;
    }
    if (waits_for_first(judge, request)) {
        return false;
    }
    if (index_put(under_way_of(judge, request), request) != 0) {
        alarm_fatal(judge->options, 71, "out of memory for a key");
    }
    request->is_under_way = true;
    return true;
}

static enum judged refuse(const struct judge *judge, struct ordered_request *request, int err)
{
    answer_one(judge, request, err, &(struct edge_result){.value = 0});
    return JUDGED_TAKEN;
}

/* ---- ballots ---- */

/* What may become of a step: now, later, or never. */
enum step_now { STEP_NOW, STEP_LATER, STEP_RANGE };

static enum step_now step_look(const struct judge *judge, const struct option *option, uint64_t n)
{
    if (option_votes(word_get(&option->word)) + n > VOTES_RANGE) {
        /* votes on their way to the log count in the word: then only the log can tell */
        return option_votes_now(option) + n > VOTES_RANGE ? STEP_RANGE : STEP_LATER;
    }
    return own_lane_has_room(judge->own) ? STEP_NOW : STEP_LATER;
}

static struct option *step_option(const struct judge *judge, const struct record *record,
                                  uint64_t *n)
{
    bool is_seed = record->type == RECORD_SEED;
    *n = record->num[is_seed ? SEED_N : BALLOT_N];
    return state_option(judge->state, record->num[is_seed ? SEED_OPTION : BALLOT_OPTION]);
}

uint32_t judge_go_on(struct judge *judge)
{
    uint32_t refused = 0;
    struct ordered_request *request;
    while ((request = STAILQ_FIRST(&judge->own->waiting)) != NULL) {
        uint64_t n;
        struct option *option = step_option(judge, &request->record, &n);
        enum step_now now = step_look(judge, option, n);
        if (now == STEP_LATER) {
            break;
        }
        own_lane_wait_ends(judge->own);
        if (now == STEP_NOW) {
            own_lane_vote(judge->own, option, request, n);
        } else {
            judge_answer(judge, request, TALLY_RANGE, &(struct edge_result){.value = 0});
            refused++;
        }
    }
    own_lane_publish(judge->own);
    return refused;
}

/* The committer's step for the votes of a request, in a free poll.
 * REQUIRES: the poll takes them. */
static enum judged step_votes(struct judge *judge, struct ordered_request *request)
{
    uint64_t n;
    struct option *option = step_option(judge, &request->record, &n);
    enum step_now now = step_look(judge, option, n);
    if (now == STEP_RANGE) {
        return refuse(judge, request, TALLY_RANGE);
    }
    if (!is_first_under_way(judge, request)) {
        return JUDGED_TAKEN;
    }
    if (now == STEP_LATER || !STAILQ_EMPTY(&judge->own->waiting)) {
        own_lane_wait(judge->own, request);
    } else {
        own_lane_vote(judge->own, option, request, n);
        own_lane_publish(judge->own);
    }
    return JUDGED_TAKEN;
}

static enum judged judge_ballot(struct judge *judge, struct ordered_request *request)
{
    struct record *record = &request->record;
    struct option *option = state_option(judge->state, record->num[BALLOT_OPTION]);
    if (option == NULL) {
        return refuse(judge, request, TALLY_NOTFOUND);
    }
    struct poll *poll = option->poll;
    record->time_ms = judge->time_ms;
    if (FIELD_OWN(poll->mode) == POLL_FREE) {
        bool is_one = record->text[BALLOT_MORE].len == 0;
        bool is_open = apply_poll_takes_votes(poll, record->time_ms);
        return !is_one    ? refuse(judge, request, TALLY_INVAL)
               : !is_open ? refuse(judge, request, TALLY_CLOSED)
                          : step_votes(judge, request);
    }
    int err = apply_ballot_look(judge->state, record);
    if (err != 0 && poll->unvoted_batch != judge->batch && !judge->has_poll_moved) {
        return refuse(judge, request, err);
    }
    if (!is_first_under_way(judge, request)) {
        return JUDGED_TAKEN;
    }
    poll->voted_batch = judge->batch;
    return JUDGED_LOG;
}

enum { SEEDS_MAX = 8 }; /* of a batch: less than 1 ms */

static enum judged judge_seed(struct judge *judge, struct ordered_request *request)
{
    const struct record *record = &request->record;
    struct option *option = state_option(judge->state, record->num[SEED_OPTION]);
    if (option == NULL) {
        return refuse(judge, request, TALLY_NOTFOUND);
    }
    if (FIELD_OWN(option->poll->mode) != POLL_FREE) {
        return refuse(judge, request, TALLY_DENIED); /* such votes would have no voters */
    }
    if (!apply_poll_takes_votes(option->poll, judge->time_ms)) {
        return refuse(judge, request, TALLY_CLOSED);
    }
    return ++judge->seeds > SEEDS_MAX ? JUDGED_LATER : step_votes(judge, request);
}

static enum judged judge_unvote(struct judge *judge, struct ordered_request *request)
{
    struct record *record = &request->record;
    struct poll *poll = state_poll(judge->state, record->text[UNVOTE_POLL]);
    struct voters_view view;
    if (poll == NULL) {
        return JUDGED_LOG;
    }
    if (judge->has_poll_moved || poll->voted_batch == judge->batch) {
        poll->unvoted_batch = MUTANT(MUTANT_UNVOTE_UNNOTED) ? 0 : judge->batch;
        return JUDGED_LOG;
    }
    record->time_ms = judge->time_ms;
    int err = apply_unvote_look(judge->state, record);
    if (err != 0) {
        return refuse(judge, request, err);
    }
    /* with a KEY the NIL is remembered, so it has a record */
    if (record->text[UNVOTE_KEY].len == 0 && !poll_voter(poll, record->text[UNVOTE_VOTER], &view)) {
        answer_one(judge, request, 0, &(struct edge_result){.nil = true});
        return JUDGED_TAKEN;
    }
    poll->unvoted_batch = judge->batch;
    return JUDGED_LOG;
}

/* Answers a request that may have no record: the first reply if its KEY is known or comes to be, or
 * a refusal. */
static enum judged judge_probe(struct judge *judge, struct ordered_request *request)
{
    struct apply_result *result = &judge->result;
    enum record_type type = request->record.type;
    if (apply_key_is_known_as(judge->state, &request->record, request->fingerprint, judge->time_ms,
                              result)) {
        answer_one(judge, request, result->err, &result->reply);
    } else if ((type != RECORD_BALLOT && type != RECORD_SEED) || !waits_for_first(judge, request)) {
        const struct edge_result refusal = {.value = request->unless_value};
        answer_one(judge, request, request->unless_known, &refusal);
    }
    return JUDGED_TAKEN;
}

/* Returns the voters of a ballot's poll, or NULL. */
static const struct voters *ballot_voters(const struct judge *judge,
                                          const struct ordered_request *request)
{
    const struct option *option =
        request->record.type == RECORD_BALLOT
            ? state_option(judge->state, request->record.num[BALLOT_OPTION])
            : NULL;
    bool has_voters = option != NULL && option->poll->voter_set != NULL;
    return has_voters ? &option->poll->voter_set->voters : NULL;
}

void judge_prefetch(const struct judge *judge, const struct ordered_request *request)
{
    const struct voters *voters = ballot_voters(judge, request);
    if (voters != NULL) {
        voters_prefetch(voters, request->record.text[BALLOT_VOTER]);
    }
}

void judge_prefetch_near(const struct judge *judge, const struct ordered_request *request)
{
    const struct voters *voters = ballot_voters(judge, request);
    if (voters != NULL) {
        voters_prefetch_entry(voters, request->record.text[BALLOT_VOTER]);
    }
}

enum judged judge_request(struct judge *judge, struct ordered_request *request)
{
    if (request->unless_known != 0) {
        return judge_probe(judge, request);
    }
    if (request->is_next) {
        judge->has_poll_moved = true;
        return JUDGED_LOG; /* even if its key is known by now: the gate waits for the record */
    }
    if (apply_key_is_known(judge->state, &request->record, judge->time_ms, &judge->result)) {
        answer_one(judge, request, judge->result.err, &judge->result.reply);
        return JUDGED_TAKEN;
    }
    switch (request->record.type) {
    case RECORD_BALLOT:
        return judge_ballot(judge, request);
    case RECORD_UNVOTE:
        return judge_unvote(judge, request);
    case RECORD_SEED:
        return judge_seed(judge, request);
    case RECORD_RESET:
    case RECORD_POLLDEL:
        return gate_take_act(judge->gate, request) ? JUDGED_TAKEN
                                                   : refuse(judge, request, TALLY_NOTFOUND);
    case RECORD_POLL:
    case RECORD_POLL_WINDOW:
        judge->has_poll_moved = true;
        return JUDGED_LOG;
    default:
        return JUDGED_LOG;
    }
}
