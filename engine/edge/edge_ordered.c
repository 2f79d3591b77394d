/* Ordered requests at the edge: checked as far as the answer is certain, copied and appended; and
 * their results. */
#include "engine/edge/edge_internal.h"

#include "engine/edge/ordered_request.h"
#include "engine/base/label.h"
#include "engine/log/ballot.h"
#include "engine/log/bounds.h"
#include "wal/base/check.h"

#include <stdlib.h>

/* What a ballot may add to the state beside its texts and its key: a voter. */
enum { BALLOT_GROWTH = 64 };

static bool nothing_in_flight(const struct edge *edge)
{
    return edge->lane->next == edge_applied(edge);
}

/* An ordered request, and how much it adds to the state beside its texts; 0: nothing, and then the
 * ledger is not asked. */
struct ordered_ask {
    enum record_type type;
    const struct span *texts;
    unsigned count;
    uint64_t growth;
};

static uint64_t ordered_bytes(const struct ordered_ask *what)
{
    uint64_t bytes = ORDERED_REQUEST_NUMS_BYTES;
    DCHECK(what->count <= RECORD_TEXTS);
    for (unsigned i = 0; i < what->count; i++) {
        bytes += what->texts[i].len;
    }
    return bytes;
}

/*
 * What a request takes of the bytes of its lane: those of its record, and more where apply has long
 * work for a short one. So what is in a lane, and what a vote behind it there waits for, is work
 * for about 10 ms at most.
 */
static uint64_t lane_bytes(const struct ordered_ask *what)
{
    uint64_t bytes = ordered_bytes(what);
    switch (what->type) {
    case RECORD_BALLOT:
        return bytes + 8 * what->texts[BALLOT_MORE].len;
    case RECORD_UNVOTE:
        return bytes + 2048; /* it may take votes from as many options as a ballot has */
    case RECORD_OPTION:
        return bytes + 1024;
    case RECORD_POLL:
        return bytes + 512;
    default:
        return bytes + 64;
    }
}

/* Whether new work is refused now, and why. */
static int ordered_refusal(const struct edge *edge, const struct ordered_ask *what)
{
    uint64_t bytes = what->growth + ordered_bytes(what);
    int err = edge_mode(edge);
    bool is_much = what->growth > 0 && !ledger_takes(&edge->state->ledger, bytes, false);
    return err == 0 && is_much ? TALLY_MEMORY : err;
}

/* Whether the committer can say if the request is the repetition of one that was done. */
static bool may_be_known(const struct edge *edge, const struct ordered_ask *what)
{
    int key = record_key_index(what->type);
    return key >= 0 && (unsigned)key < what->count && what->texts[key].len > 0 &&
           edge_mode_completion(edge) == 0;
}

/* Makes a request once there is room in the lane; the caller fills it in and appends it. */
static int ordered_begin(struct edge *edge, const struct ordered_ask *what,
                         struct ordered_request **out)
{
    int refusal = ordered_refusal(edge, what);
    if (refusal != 0 && !may_be_known(edge, what)) {
        return refusal;
    }
    if (edge_room(edge) == 0 || !lane_takes_bytes(edge->lane, lane_bytes(what))) {
        return TALLY_ROOM;
    }
    *out = ordered_request_new(&edge->state->ledger, what->type, what->texts, what->count,
                               refusal == 0 ? what->growth : 0);
    if (*out == NULL) {
        return TALLY_NOMEM;
    }
    (*out)->unless_known = refusal;
    (*out)->bytes = lane_bytes(what);
    return 0;
}

/* Whether a POLLDEL of the poll is on its way, so that what names it has to wait. */
static bool is_leaving(const struct poll *poll)
{
    return poll != NULL && FIELD_GET(poll->is_leaving);
}

/* The request is refused unless its KEY is known: what it names is there no more. */
static void refuse_unless_known(struct ordered_request *request, int err)
{
    if (request->unless_known == 0) {
        request->unless_known = err;
    }
}

/* Replaces a request that is refused unless its KEY is known by one that has no more than this
 * takes, since memory may be short. Returns NULL without memory; the old one is freed. */
static struct ordered_request *ordered_probe(struct edge *edge, struct ordered_request *request)
{
    struct ledger *ledger = &edge->state->ledger;
    const struct record *record = &request->record;
    int key = record_key_index(record->type);
    struct span texts[RECORD_TEXTS] = {[0] = {NULL, 0}};
    texts[key] = record->text[key];
    struct ordered_request *probe =
        ordered_request_new(ledger, record->type, texts, RECORD_TEXTS, 0);
    if (probe != NULL) {
        probe->unless_known = request->unless_known;
        probe->unless_value = request->unless_value;
        probe->fingerprint = keys_fingerprint(record);
    }
    ordered_request_free(ledger, request);
    return probe;
}

/* Appends a request, unless apply would refuse its record. */
static int ordered_append(struct edge *edge, struct ordered_request *request)
{
    if (bounds_record_error(&request->record) != NULL) {
        ordered_request_free(&edge->state->ledger, request);
        return TALLY_INVAL;
    }
    if (request->unless_known != 0 && (request = ordered_probe(edge, request)) == NULL) {
        return TALLY_NOMEM;
    }
    DCHECK(edge_room(edge) > 0); /* ordered_begin has looked */
    edge->lane->bytes_in += request->bytes;
    edge->requests++;
    lane_append(edge->lane)->ordered =
        (struct lane_ordered){.type = (uint8_t)request->record.type, .request = request};
    return 0;
}

/* What a SUBMIT adds: a build, the queue if it is new, and a set of tags, which may be new. */
static uint64_t submit_growth(const struct edge *edge, const struct edge_submit *ask)
{
    static const struct build build;
    static const struct queue queue;
    static const struct need_set set;
    bool is_new = state_queue(edge->state, ask->queue) == NULL;
    return keys_growth(ask->key, 0) + build_weight(&build) + (is_new ? queue_weight(&queue) : 0) +
           (is_new || ask->need.len > 0 ? need_set_weight(&set) : 0);
}

int edge_submit(struct edge *edge, const struct edge_submit *ask)
{
    char need[TAGS_BYTES_MAX];
    size_t need_len = 0;
    int err = tags_sort(ask->need, need, &need_len);
    if (err != 0 || !name_is_valid(ask->queue) || ask->uniq.len > NAME_LEN_MAX ||
        ask->key.len > KEY_LEN_MAX) {
        return err != 0 ? err : TALLY_INVAL;
    }
    struct span texts[] = {[SUBMIT_QUEUE] = ask->queue,
                           [SUBMIT_NEED] = {need, need_len},
                           [SUBMIT_UNIQ] = ask->uniq,
                           [SUBMIT_PAYLOAD] = ask->payload,
                           [SUBMIT_KEY] = ask->key};
    struct ordered_ask what = {RECORD_SUBMIT, texts, SUBMIT_TEXT_COUNT, submit_growth(edge, ask)};
    struct ordered_request *request = NULL;
    err = ordered_begin(edge, &what, &request);
    if (err != 0) {
        return err;
    }
    request->record.num[SUBMIT_PRI] = ask->pri;
    request->record.num[SUBMIT_DELAY_MS] = ask->delay_ms;
    request->record.num[SUBMIT_LEASE_MS] = ask->lease_ms;
    request->record.num[SUBMIT_TRIES] = ask->tries;
    return ordered_append(edge, request);
}

int edge_poll(struct edge *edge, const struct edge_poll *ask)
{
    bool keeps_rate = ask->rate_n == EDGE_KEEP && ask->rate_ms == EDGE_KEEP;
    if (!name_is_valid(ask->name) ||
        (!keeps_rate && !bounds_rate_is_valid((uint64_t)ask->rate_n, (uint64_t)ask->rate_ms))) {
        return TALLY_INVAL;
    }
    const int64_t values[] = {[POLL_OPEN_MS] = ask->open_ms,
                              [POLL_CLOSE_MS] = ask->close_ms,
                              [POLL_RATE_N] = ask->rate_n,
                              [POLL_RATE_MS] = ask->rate_ms,
                              [POLL_MODE] = ask->mode};
    static const struct poll poll;
    const struct poll *same = state_poll(edge->state, ask->name);
    bool is_new = same == NULL;
    if (is_leaving(same)) {
        return TALLY_PARK;
    }
    struct ordered_ask what = {RECORD_POLL, &ask->name, 1, is_new ? poll_weight(&poll) : 0};
    struct ordered_request *request = NULL;
    int err = ordered_begin(edge, &what, &request);
    if (err != 0) {
        return err;
    }
    for (unsigned i = POLL_OPEN_MS; i <= POLL_MODE; i++) {
        if (values[i] == EDGE_KEEP) {
            request->record.num[POLL_KEEP_MASK] |= (uint64_t)1 << i;
        } else {
            request->record.num[i] = (uint64_t)values[i];
        }
    }
    return ordered_append(edge, request);
}

int edge_option(struct edge *edge, struct span poll, struct span text, struct span key)
{
    struct label clean;
    char *fold = NULL;
    size_t fold_len = 0;
    bool is_good = name_is_valid(poll) && key.len <= KEY_LEN_MAX;
    int err = is_good ? label_clean(text, &clean) : TALLY_INVAL;
    const struct poll *to = state_poll(edge->state, poll);
    bool is_gone = to == NULL && nothing_in_flight(edge);
    if (err == 0 && is_leaving(to)) {
        return TALLY_PARK;
    }
    if (err == 0 && is_gone && key.len == 0) {
        return TALLY_NOTFOUND;
    }
    if (err == 0) {
        err = label_fold(label_span(&clean), &fold, &fold_len);
    }
    if (err != 0) {
        return err;
    }
    struct span texts[] = {[OPTION_POLL] = poll,
                           [OPTION_LABEL] = label_span(&clean),
                           [OPTION_FOLD] = {fold, fold_len},
                           [OPTION_KEY] = key};
    static const struct option option;
    struct ordered_ask what = {RECORD_OPTION, texts, OPTION_TEXT_COUNT,
                               option_weight(&option) + keys_growth(key, 0)};
    struct ordered_request *request = NULL;
    err = ordered_begin(edge, &what, &request);
    free(fold);
    if (err == 0 && is_gone) {
        refuse_unless_known(request, TALLY_NOTFOUND);
    }
    return err != 0 ? err : ordered_append(edge, request);
}

int edge_reset(struct edge *edge, struct span name, struct span key)
{
    if (!name_is_valid(name) || key.len > KEY_LEN_MAX) {
        return TALLY_INVAL;
    }
    const struct poll *poll = state_poll(edge->state, name);
    if (poll == NULL) {
        return TALLY_NOTFOUND; /* behind a POLL of its connection net asks again */
    }
    if (is_leaving(poll)) {
        return TALLY_PARK;
    }
    const struct span texts[] = {[RESET_KEY] = key};
    struct ordered_ask what = {RECORD_RESET, texts, RESET_TEXT_COUNT, keys_growth(key, 0)};
    struct ordered_request *request = NULL;
    int err = ordered_begin(edge, &what, &request);
    if (err != 0) {
        return err;
    }
    request->record.num[RESET_POLL] = poll->id;
    return ordered_append(edge, request);
}

int edge_polldel(struct edge *edge, struct span name)
{
    if (!name_is_valid(name)) {
        return TALLY_INVAL;
    }
    struct poll *poll = state_poll(edge->state, name);
    if (poll == NULL) {
        return TALLY_NOTFOUND; /* as edge_reset */
    }
    if (is_leaving(poll)) {
        return TALLY_PARK;
    }
    const struct ordered_ask what = {.type = RECORD_POLLDEL};
    struct ordered_request *request = NULL;
    int err = ordered_begin(edge, &what, &request);
    if (err != 0) {
        return err;
    }
    request->record.num[POLLDEL_POLL] = poll->id;
    err = ordered_append(edge, request);
    if (err == 0) {
        FIELD_PUT(poll->is_leaving, true);
    }
    return err;
}

int edge_worker(struct edge *edge, const struct edge_worker *ask)
{
    char tags[TAGS_BYTES_MAX];
    size_t tags_len = 0;
    int err = tags_sort(ask->tags, tags, &tags_len);
    if (err != 0 || !name_is_valid(ask->id) || ask->slots > WORKER_SLOTS_MAX) {
        return err != 0 ? err : TALLY_INVAL;
    }
    struct worker *worker = state_worker(edge->state, ask->id);
    if (worker != NULL) {
        FIELD_PUT(worker->seen_ms, edge->run_ms);
    }
    struct span texts[] = {
        [WORKER_ID] = ask->id, [WORKER_NAME] = ask->name, [WORKER_TAGS] = {tags, tags_len}};
    static const struct worker none;
    struct ordered_ask what = {RECORD_WORKER, texts, 3, worker == NULL ? worker_weight(&none) : 0};
    struct ordered_request *request = NULL;
    err = ordered_begin(edge, &what, &request);
    if (err != 0) {
        return err;
    }
    request->record.num[WORKER_SLOTS] = ask->slots;
    request->record.num[WORKER_KEEP] = (ask->name.at == NULL ? WORKER_KEEP_NAME : 0U) |
                                       (ask->tags.at == NULL ? WORKER_KEEP_TAGS : 0U);
    return ordered_append(edge, request);
}

void edge_worker_back(struct edge *edge, const struct worker *worker)
{
    struct ordered_request *request = NULL;
    const struct ordered_ask what = {.type = RECORD_SEEN};
    if (ordered_begin(edge, &what, &request) == 0) {
        request->record.num[SEEN_WORKER] = worker->id;
        (void)ordered_append(edge, request);
    }
}

int edge_bye(struct edge *edge, struct span name)
{
    const struct worker *worker = state_worker(edge->state, name);
    bool there = worker != NULL && FIELD_GET(worker->state) != WORKER_GONE;
    if (!there && nothing_in_flight(edge)) {
        return TALLY_NOTFOUND;
    }
    struct ordered_ask what = {RECORD_BYE, &name, 1, 0};
    struct ordered_request *request = NULL;
    int err = ordered_begin(edge, &what, &request);
    return err != 0 ? err : ordered_append(edge, request);
}

/* ---- ballots ---- */

/* Whether a poll lets ballots in now: 0, PARK while it is in the gate, or CLOSED. */
static int ballots_may_come(const struct edge *edge, const struct poll *poll)
{
    uint64_t until = FIELD_GET(poll->ballot_until);
    return edge->now_ms < until ? 0 : until == VOTES_WAIT ? TALLY_PARK : TALLY_CLOSED;
}

/* Whether the options are different ones of one poll, which is then in *poll. */
static int ballot_poll(const struct edge *edge, const struct edge_ballot *ask, struct poll **poll)
{
    *poll = NULL;
    for (unsigned i = 0; i < ask->option_count; i++) {
        const struct option *option = state_option(edge->state, ask->options[i]);
        if (option == NULL) {
            return TALLY_NOTFOUND;
        }
        for (unsigned k = 0; k < i; k++) {
            if (ask->options[k] == ask->options[i]) {
                return TALLY_INVAL;
            }
        }
        if (*poll != NULL && *poll != option->poll) {
            return TALLY_INVAL;
        }
        *poll = option->poll;
    }
    return *poll != NULL ? 0 : TALLY_INVAL;
}

/* Whether the ballot has the form that its poll asks for. */
static bool ballot_fits_mode(const struct edge_ballot *ask, const struct poll *poll)
{
    return FIELD_GET(poll->mode) == POLL_FREE ? ask->option_count == 1
                                              : ask->voter.len > 0 && ask->n == 1;
}

int edge_ballot(struct edge *edge, const struct edge_ballot *ask)
{
    struct poll *poll = NULL;
    char more[BALLOT_MORE_BYTES_MAX];
    int err = ballot_poll(edge, ask, &poll);
    /* a ballot that was counted before is told so even if an option was deleted since */
    bool is_gone = err == TALLY_NOTFOUND && ask->key.len > 0;
    err = is_gone ? 0 : err;
    if (err == 0 && (ask->n == 0 || ask->n > VOTE_N_MAX)) {
        err = TALLY_RANGE;
    }
    err = err != 0 || is_gone ? err : ballots_may_come(edge, poll);
    /* ... and after the close, too */
    if (err != 0 && (err != TALLY_CLOSED || ask->key.len == 0)) {
        return err;
    }
    /* ... and after another MODE */
    if (!is_gone && !ballot_fits_mode(ask, poll) && ask->key.len == 0) {
        return TALLY_INVAL;
    }
    size_t more_len = ballot_more_put(more, ask->options, ask->option_count);
    struct span texts[] = {
        [BALLOT_VOTER] = ask->voter, [BALLOT_KEY] = ask->key, [BALLOT_MORE] = {more, more_len}};
    bool may_add_voter = !is_gone && FIELD_GET(poll->mode) != POLL_FREE;
    uint64_t growth =
        keys_growth(ask->key, 2 * ask->option_count) + (may_add_voter ? BALLOT_GROWTH : 0);
    struct ordered_ask what = {RECORD_BALLOT, texts, BALLOT_TEXT_COUNT, growth};
    struct ordered_request *request = NULL;
    err = ordered_begin(edge, &what, &request);
    if (err != 0) {
        return err;
    }
    if (ask->unless_known != 0 && request->unless_known == 0) {
        request->unless_known = ask->unless_known;
        request->unless_value = ask->unless_value;
    }
    if (is_gone) {
        refuse_unless_known(request, TALLY_NOTFOUND);
    }
    request->record.num[BALLOT_OPTION] = ask->options[0];
    request->record.num[BALLOT_N] = ask->n;
    return ordered_append(edge, request);
}

int edge_unvote(struct edge *edge, struct span name, struct span voter, struct span key)
{
    const struct poll *poll = state_poll(edge->state, name);
    bool is_gone = poll == NULL && nothing_in_flight(edge);
    if (is_gone && key.len == 0) {
        return TALLY_NOTFOUND;
    }
    if (poll != NULL && FIELD_GET(poll->ballot_until) == VOTES_WAIT) {
        return TALLY_PARK;
    }
    struct span texts[] = {[UNVOTE_POLL] = name, [UNVOTE_VOTER] = voter, [UNVOTE_KEY] = key};
    struct ordered_ask what = {RECORD_UNVOTE, texts, UNVOTE_TEXT_COUNT, keys_growth(key, 1)};
    struct ordered_request *request = NULL;
    int err = ordered_begin(edge, &what, &request);
    if (err == 0 && is_gone) {
        refuse_unless_known(request, TALLY_NOTFOUND);
    }
    return err != 0 ? err : ordered_append(edge, request);
}

/* A batch takes few SEEDs, and what stands behind one that it does not take waits with it. */
enum { EDGE_SEEDS_MAX = 2 };

int edge_seed(struct edge *edge, const struct edge_seed *ask)
{
    const struct option *option = state_option(edge->state, ask->option);
    if (option == NULL && ask->key.len == 0) {
        return TALLY_NOTFOUND;
    }
    if (ask->n == 0 || ask->n > VOTE_N_MAX || ask->over_ms > SEED_OVER_MS_MAX) {
        return TALLY_RANGE;
    }
    int err = option != NULL ? ballots_may_come(edge, option->poll) : 0;
    if (err == 0 && option != NULL && FIELD_GET(option->poll->mode) != POLL_FREE) {
        err = TALLY_DENIED;
    }
    /* one that was counted before is told so afterwards, too */
    if (err == TALLY_PARK || (err != 0 && ask->key.len == 0)) {
        return err;
    }
    if (edge->seeds >= EDGE_SEEDS_MAX) {
        return TALLY_ROOM; /* edge_free takes them off, which no commit does */
    }
    struct ordered_ask what = {RECORD_SEED, &ask->key, 1, keys_growth(ask->key, 0)};
    struct ordered_request *request = NULL;
    err = ordered_begin(edge, &what, &request);
    if (err != 0) {
        return err;
    }
    if (option == NULL) {
        refuse_unless_known(request, TALLY_NOTFOUND);
    }
    request->record.num[SEED_OPTION] = ask->option;
    request->record.num[SEED_N] = ask->n;
    request->record.num[SEED_OVER_MS] = ask->over_ms;
    err = ordered_append(edge, request);
    edge->seeds += err == 0;
    return err;
}

/* ---- results ---- */

int edge_apply_result(struct edge *edge, uint64_t pos, struct edge_result *result)
{
    /* callers ask for the oldest reply in flight, once applied, and free only slots before it */
    CHECK(pos > edge->lane->freed && pos <= edge_applied(edge));
    const struct ordered_request *request = lane_at(edge->lane, pos - 1)->result.request;
    if (!ordered_request_is_done(request)) {
        return TALLY_PARK;
    }
    DCHECK(request->err <= 0);
    *result = request->reply;
    if (request->record.type == RECORD_BYE && request->err == 0) {
        return lane_applied(edge->shared->own) >= request->until ? 0 : TALLY_PARK;
    }
    if (request->poll_id != 0) {
        /* a vote that comes after the OK is judged by the new times: engine/commit/gate.h */
        const struct poll *poll = table_get(&edge->state->poll_ids, request->poll_id);
        bool is_settled = poll == NULL || FIELD_GET(poll->is_deleted) ||
                          FIELD_GET(poll->settled) >= request->until;
        return is_settled ? 0 : TALLY_PARK;
    }
    return request->err;
}

void edge_free_requests(struct edge *edge, uint64_t pos)
{
    for (uint64_t at = edge->lane->freed; at != pos && edge->requests > 0; at++) {
        const struct lane_slot *slot = lane_at(edge->lane, at);
        if (slot->type == RECORD_VOTE || record_is_build_step(slot->type)) {
            continue;
        }
        struct ordered_request *request = slot->result.request;
        CHECK(ordered_request_is_done(request)); /* else its result was PARK, and it is in flight */
        edge->seeds -= request->record.type == RECORD_SEED;
        edge->lane->bytes_in -= slot->result.is_alone ? request->bytes : 0;
        ordered_request_free(&edge->state->ledger, request);
        edge->requests--;
    }
}
