/* Steps on builds: claim, heartbeat, done, fail, release. */
#include "engine/edge/edge_internal.h"

#include "engine/base/label.h"
#include "engine/log/bounds.h"
#include "engine/state/wheel.h"
#include "wal/base/check.h"
#include "wal/base/mutant.h"

#include <sched.h>
#include <stdlib.h>

/* ---- slots of a worker ---- */

static bool slot_take(struct worker *worker)
{
    /* K3: relaxed: a count publishes nothing */
    uint32_t used = atomic_load_explicit(&worker->used, memory_order_relaxed);
    while (used < FIELD_GET(worker->slots)) {
        /* K3: relaxed: a count publishes nothing */
        if (atomic_compare_exchange_weak_explicit(&worker->used, &used, used + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static void slot_give(struct worker *worker)
{
    /* K3: relaxed: a count publishes nothing */
    atomic_fetch_sub_explicit(&worker->used, 1, memory_order_relaxed);
}

/* A sign of life; of a worker that was taken for silent it goes into the log. NULL: the build has
 * left it meanwhile. */
static void worker_seen(struct edge *edge, struct worker *worker)
{
    if (worker == NULL) {
        return;
    }
    /* K2: relaxed: a time publishes nothing */
    atomic_store_explicit(&worker->seen_ms, edge->run_ms, memory_order_relaxed);
    if (FIELD_GET(worker->state) == WORKER_OFFLINE) {
        edge_worker_back(edge, worker);
    }
}

/* What is left of a lease; the ticks round it up, so it is never said to be more than it was. */
static uint64_t lease_left_ms(const struct edge *edge, const struct build *build, uint64_t word)
{
    uint32_t tick = FIELD_GET(edge->shared->tick);
    uint32_t due = word_deadline(word);
    uint64_t left_ms = due > tick ? (uint64_t)(due - tick) * WHEEL_TICK_MS : 0;
    uint64_t lease_ms = FIELD_GET(build->lease_ms);
    return left_ms < lease_ms ? left_ms : lease_ms;
}

static uint32_t lease_deadline(const struct edge *edge, uint32_t lease_ms)
{
    return FIELD_GET(edge->shared->tick) + (lease_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS + 1;
}

/* ---- claim ---- */

/* For a mutant: time for others to claim a build and to end it. */
static void give_time(bool is_mutant)
{
    for (int i = 0; is_mutant && i < 20000; i++) {
        sched_yield();
    }
}

enum { LISTS_MAX = CLAIM_QUEUES_MAX * NEED_SETS_MAX };

/* The need sets that a claim may take from. */
struct choice {
    struct need_set *sets[LISTS_MAX];
    struct queue *queues[LISTS_MAX];
    unsigned count;
};

static void choose_sets(const struct edge *edge, const struct edge_claim *ask,
                        const struct worker *worker, struct choice *choice)
{
    struct span have = blob_span(FIELD_GET(worker->tags));
    choice->count = 0;
    for (unsigned q = 0; q < ask->queue_count; q++) {
        struct queue *queue = state_queue(edge->state, ask->queues[q]);
        uint32_t sets = queue != NULL ? FIELD_GET(queue->set_count) : 0;
        for (uint32_t i = 0; i < sets && choice->count < LISTS_MAX; i++) {
            struct need_set *set = FIELD_GET(queue->sets[i]);
            if (tags_cover(have, blob_span(set->tags))) {
                choice->queues[choice->count] = queue;
                choice->sets[choice->count++] = set;
            }
        }
    }
}

/* The oldest offer of one priority. */
static struct ticket *oldest(const struct choice *choice, int pri)
{
    struct ticket *best = NULL;
    for (unsigned i = 0; i < choice->count; i++) {
        struct ticket *ticket = ticket_first(&choice->sets[i]->lists[pri]);
        if (ticket != NULL && (best == NULL || ticket->lsn < best->lsn)) {
            best = ticket;
        }
    }
    return best;
}

/* Takes the next build's word. Returns it, or NULL when a walk over all lists met no living ticket.
 */
static struct build *walk(const struct choice *choice, uint32_t *before)
{
    for (int pri = 0; pri < BUILD_PRIORITIES; pri++) {
        struct ticket *ticket = oldest(choice, pri);
        while (ticket != NULL) {
            uint64_t seen = build_word(ticket->status, 0);
            uint32_t after = status_next(ticket->status, BUILD_ASSIGNED);
            if (word_step(&ticket->build->word, &seen, build_word(after, 0))) {
                *before = ticket->status;
                return ticket->build;
            }
            ticket = oldest(choice, pri);
        }
    }
    return NULL;
}

/* "Nothing there" is certain only when nothing is pending as committed: what a claim in flight
 * took, a crash gives back. The mark is older than the choice, so no set has come or gone since. */
static bool nothing_pending(const struct edge *edge, const struct choice *choice, uint64_t mark)
{
    uint64_t pending = 0;
    for (unsigned i = 0; i < choice->count; i++) {
        for (int pri = 0; pri < BUILD_PRIORITIES; pri++) {
            pending += FIELD_GET(choice->sets[i]->lists[pri].pending);
        }
    }
    return seq_read_is_valid(&edge->state->seq, mark) && pending == 0;
}

/* False: the build has ended meanwhile, and its payload is gone. */
static bool claimed(struct build *build, struct edge_claimed *got)
{
    const struct parcel *payload = FIELD_GET(build->payload);
    got->id = build->id;
    got->queue = blob_span(build->queue->name);
    got->payload = parcel_span(payload);
    return payload != NULL;
}

/* All slots are taken: by builds that it holds for sure, or by one that is coming or going. *found:
 * the first one above `after`, by id, and its word; NULL: there is none. */
static int find_held(struct edge *edge, const struct worker *worker, uint64_t after,
                     struct build **found, uint64_t *word)
{
    const struct worker_held *held = FIELD_GET(worker->held);
    uint64_t count = 0;
    *found = NULL;
    for (uint32_t i = 0; i < held->room; i++) {
        struct build *build = FIELD_GET(held->slot[i]);
        uint64_t seen = build != NULL ? word_get(&build->word) : 0;
        if (build == NULL) {
            continue;
        }
        if (word_status(seen) != FIELD_GET(build->applied) || !status_is_held(word_status(seen)) ||
            FIELD_GET(build->goes_back)) {
            return TALLY_PARK;
        }
        count++;
        if (build->id > after && (*found == NULL || build->id < (*found)->id)) {
            *found = build;
            *word = seen;
        }
    }
    /* K3: relaxed: a count publishes nothing */
    if (count == 0 || count < atomic_load_explicit(&worker->used, memory_order_relaxed)) {
        /* the missing one may be a claim that finds nothing and gives its slot back: no commit */
        edge_nudge(edge);
        return TALLY_PARK;
    }
    return 0;
}

/* ---- told again, or taken back ----
 *
 * A claim whose reply was lost may be asked for again on one connection, while the other one's end
 * takes it back. build.told decides: one CAS says for a token which of the two it is, and it is
 * said before the reply, or before the step back. Who takes back and then cannot step unsays it;
 * nobody else does, and whoever is told again meanwhile waits.
 */
enum { TOLD_TAKEN_BACK = 1U << 31 };

static bool told_step(struct build *build, uint32_t *seen, uint32_t to)
{
    /* K5: acq_rel; pairs with K5; acquire on failure */
    return atomic_compare_exchange_strong_explicit(&build->told, seen, to, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* False: it is being taken back, or was, or is another's by now. */
static bool tell_again(struct build *build, uint64_t word)
{
    uint32_t token = status_token(word_status(word));
    uint32_t told = FIELD_GET(build->told); /* before the word: no later claim's is overwritten */
    bool stands = word_status(word_get(&build->word)) == word_status(word);
    return stands && told != (TOLD_TAKEN_BACK | token) &&
           (told == token || told_step(build, &told, token));
}

/* False: it was told again. */
static bool begin_taking_back(struct build *build, uint32_t token)
{
    uint32_t told = FIELD_GET(build->told);
    give_time(MUTANT(MUTANT_TOLD_APART));
    if (MUTANT(MUTANT_TOLD_APART)) {
        return told != token;
    }
    while (told != token) {
        if (told_step(build, &told, TOLD_TAKEN_BACK | token)) {
            return true;
        }
    }
    return false;
}

static void unsay_taking_back(struct build *build, uint32_t token)
{
    uint32_t told = TOLD_TAKEN_BACK | token;
    (void)told_step(build, &told, 0);
}

static int claim_again(struct edge *edge, struct worker *worker, uint64_t after,
                       struct edge_claimed *got)
{
    struct build *found = NULL;
    uint64_t word = 0;
    int err = find_held(edge, worker, after, &found, &word);
    if (err != 0 || found == NULL) {
        return err != 0 ? err : EDGE_NIL;
    }
    if (!claimed(found, got)) {
        return TALLY_PARK;
    }
    if (!tell_again(found, word)) {
        edge_nudge(edge); /* who takes it back may not be able to: no commit */
        return TALLY_PARK;
    }
    got->token = status_token(word_status(word));
    got->attempt = FIELD_GET(found->attempts);
    got->lease_ms = lease_left_ms(edge, found, word);
    got->again = true;
    return 0;
}

/* At the slot limit: a build that it has, nothing, or a slot to wait for. */
static int claim_no_more(struct edge *edge, const struct edge_claim *ask, struct worker *worker,
                         struct edge_claimed *got)
{
    struct build *found = NULL;
    uint64_t word = 0;
    if (!ask->fresh_only && !ask->waits) {
        return claim_again(edge, worker, 0, got);
    }
    int err = find_held(edge, worker, 0, &found, &word);
    return err != 0 ? err : ask->waits ? EDGE_SLOTS : EDGE_NIL;
}

static void append_step(struct edge *edge, struct build *build, struct lane_step step,
                        uint32_t before, uint32_t after)
{
    step.build = build;
    step.before = before;
    step.after = after;
    lane_append(edge->lane)->step = step;
}

static int claim_fresh(struct edge *edge, const struct edge_claim *ask, struct worker *worker,
                       struct edge_claimed *got)
{
    struct choice choice;
    uint32_t before = 0;
    uint64_t mark = 0;
    bool is_whole = seq_read_begin(&edge->state->seq, &mark);
    choose_sets(edge, ask, worker, &choice);
    give_time(MUTANT(MUTANT_MARK_LATE));
    struct build *build = walk(&choice, &before);
    is_whole = MUTANT(MUTANT_MARK_LATE) ? seq_read_begin(&edge->state->seq, &mark) : is_whole;
    if (build == NULL) {
        return is_whole && nothing_pending(edge, &choice, mark) ? EDGE_NIL : TALLY_PARK;
    }
    uint32_t after = status_next(before, BUILD_ASSIGNED);
    uint32_t lease_ms = ask->lease_ms != 0 ? ask->lease_ms : build->submit_lease_ms;
    struct lane_step step = {.type = RECORD_CLAIM, .lease_ms = lease_ms, .worker = worker};
    append_step(edge, build, step, before, after);
    (void)claimed(build, got); /* it is ours, so it has not ended */
    got->token = status_token(after);
    got->attempt = FIELD_GET(build->attempts) + 1U;
    got->lease_ms = lease_ms;
    got->again = false;
    return 0;
}

static int claimant(const struct edge *edge, struct span name, struct worker **worker)
{
    *worker = state_worker(edge->state, name);
    uint32_t state = *worker != NULL ? FIELD_GET((*worker)->state) : WORKER_GONE;
    return state == WORKER_ONLINE ? 0 : state == WORKER_GONE ? TALLY_NOTFOUND : TALLY_OFFLINE;
}

int edge_claim(struct edge *edge, const struct edge_claim *ask, struct edge_claimed *got)
{
    struct worker *worker = NULL;
    int err = claimant(edge, ask->worker, &worker);
    if (err != 0) {
        return err;
    }
    worker_seen(edge, worker);
    got->worker = worker->id;
    got->left = FIELD_GET(worker->left); /* before the slots: what comes free later moves it */
    err = ask->lease_ms <= BUILD_LEASE_MS_MAX ? edge_mode(edge) : TALLY_RANGE;
    if (err != 0) {
        return err;
    }
    if (edge_room(edge) == 0) {
        return TALLY_ROOM;
    }
    if (!slot_take(worker)) {
        return claim_no_more(edge, ask, worker, got);
    }
    err = claim_fresh(edge, ask, worker, got);
    if (err != 0) {
        slot_give(worker);
    }
    return err;
}

int edge_claim_again(struct edge *edge, const struct edge_claim *ask, uint64_t *after,
                     struct edge_claimed *got)
{
    struct worker *worker = NULL;
    int err = claimant(edge, ask->worker, &worker);
    err = err != 0 ? err : claim_again(edge, worker, *after, got);
    *after = err == 0 ? got->id : *after;
    return err;
}

uint64_t edge_worker_left(const struct edge *edge, uint64_t id)
{
    const struct worker *worker = table_get(&edge->state->worker_ids, id);
    return worker != NULL ? FIELD_GET(worker->left) : UINT64_MAX;
}

/* ---- what a holder may do ---- */

/*
 * What a token is worth. Returns 0 when it holds the build (*seen is its word), 1 when it does not
 * and that is committed, NOTFOUND, PARK while something of it is in flight.
 *
 * With 1, `applied` was read when it had left the token, so what is read of `ending` from now on is
 * the end of this token's claim, or of a later one, or that one runs: never what was before.
 */
static int look(const struct edge *edge, uint64_t id, uint32_t token, struct build **out,
                uint64_t *seen)
{
    struct build *build = state_build(edge->state, id);
    if (build == NULL) {
        return TALLY_NOTFOUND;
    }
    *out = build;
    *seen = word_get(&build->word);
    uint32_t status = word_status(*seen);
    uint32_t applied = FIELD_GET(build->applied);
    bool holds = status_token(status) == token && status_is_held(status);
    bool held = status_token(applied) == token && status_is_held(applied);
    return holds && held ? 0 : holds || held ? TALLY_PARK : 1;
}

static int may_append(const struct edge *edge, uint64_t bytes)
{
    int err = edge_mode_completion(edge);
    if (err != 0) {
        return err;
    }
    bool room = edge_room(edge) > 0 && lane_takes_bytes(edge->lane, bytes);
    return room ? 0 : TALLY_ROOM;
}

/* The first heartbeat of a claim: assigned becomes building. */
static int beat_first(struct edge *edge, struct build *build, uint64_t seen, uint32_t due)
{
    int err = may_append(edge, 0);
    if (err != 0) {
        return err;
    }
    uint32_t after = status_make(BUILD_BUILDING, status_token(word_status(seen)));
    if (!word_prolong(&build->word, seen, after, due)) {
        return TALLY_PARK;
    }
    append_step(edge, build, (struct lane_step){.type = RECORD_BEAT}, word_status(seen), after);
    return 0;
}

int edge_beat(struct edge *edge, uint64_t id, uint32_t token, int prog, uint64_t *lease_ms)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = look(edge, id, token, &build, &seen);
    if (err != 0) {
        return err == 1 ? TALLY_STALE : err;
    }
    uint32_t lease = FIELD_GET(build->lease_ms);
    uint32_t due = lease_deadline(edge, lease);
    if (status_state(word_status(seen)) == BUILD_ASSIGNED) {
        err = beat_first(edge, build, seen, due);
        if (err != 0) {
            return err;
        }
    } else if (!word_prolong(&build->word, seen, word_status(seen), due)) {
        return TALLY_PARK; /* somebody stepped in between: what it is now is known after a commit */
    }
    worker_seen(edge, FIELD_GET(build->worker));
    if (prog >= 0) {
        FIELD_PUT(build->progress, (uint64_t)token << 32 | (uint32_t)prog);
    }
    *lease_ms = lease;
    return 0;
}

/* Ends a claim: one CAS and one record, with a text that is copied. */
static int end_claim(struct edge *edge, struct build *build, uint64_t seen, enum build_state to,
                     struct lane_step step, struct span text)
{
    int err = may_append(edge, text.len);
    if (err != 0) {
        return err;
    }
    if (text.len > BUILD_TEXT_BYTES_MAX) {
        return TALLY_TOOBIG;
    }
    struct ledger *ledger = &edge->state->ledger;
    if (text.len > 0 && !ledger_takes(ledger, text.len, true)) {
        return TALLY_MEMORY;
    }
    enum ledger_kind kind = step.type == RECORD_DONE ? LEDGER_RESULTS : LEDGER_ERRORS;
    struct parcel *parcel = text.len > 0 ? parcel_new(ledger, kind, text) : NULL;
    if (text.len > 0 && parcel == NULL) {
        return TALLY_NOMEM;
    }
    uint32_t after = status_next(word_status(seen), to);
    DCHECK(word_transition_is_legal(step.type, word_status(seen), after));
    if (!word_step_status(&build->word, seen, build_word(after, 0))) {
        parcel_release(parcel);
        return TALLY_PARK;
    }
    step.text = parcel;
    edge->lane->bytes_in += text.len;
    append_step(edge, build, step, word_status(seen), after);
    return 0;
}

/* What the holder asked for: a sign of life. */
static int by_holder(struct edge *edge, struct build *build, int err)
{
    if (err == 0) {
        worker_seen(edge, FIELD_GET(build->worker));
    }
    return err;
}

/* Whether the last claim ended so, and none has begun since. */
static bool has_ended(const struct build *build, uint64_t seen, uint64_t ending)
{
    give_time(MUTANT(MUTANT_ENDING_APART));
    uint64_t now = FIELD_GET(build->ending);
    return MUTANT(MUTANT_ENDING_APART)
               ? status_token(word_status(seen)) == ending_token(ending) + 1 &&
                     ending_how(now) == ending_how(ending)
               : now == ending;
}

/* A repeated DONE: of a build that has completed, whose result never changes, but may be given back
 * (then nobody can say any more whether it was another). */
static int done_again(const struct build *build, uint64_t seen, uint32_t token, struct span result)
{
    if (!has_ended(build, seen, ending_word(HOW_DONE, token, 0))) {
        return TALLY_STALE;
    }
    const struct parcel *kept = FIELD_GET(build->result);
    bool is_known = kept != NULL || FIELD_GET(build->payload) != NULL;
    return is_known && !span_equal(parcel_span(kept), result) ? EDGE_DUP : 0;
}

int edge_done(struct edge *edge, uint64_t id, uint32_t token, struct span result)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = look(edge, id, token, &build, &seen);
    if (err == 1) {
        return done_again(build, seen, token, result);
    }
    if (err != 0) {
        return err;
    }
    err = end_claim(edge, build, seen, BUILD_COMPLETED, (struct lane_step){.type = RECORD_DONE},
                    result);
    return by_holder(edge, build, err);
}

static void failed(const struct build *build, bool final, struct edge_failed *how)
{
    uint32_t attempts = FIELD_GET(build->attempts);
    how->final = final;
    how->attempts_left = attempts < build->tries ? build->tries - attempts : 0;
    how->dup = false;
}

/* A repeated FAIL. The attempts and the error are this claim's when its end still stands there
 * behind them: the next claim takes it away before it changes them. */
static int fail_again(const struct build *build, const struct edge_fail *ask,
                      struct edge_failed *how)
{
    uint64_t ending = FIELD_GET(build->ending);
    enum build_how was = ending_how(ending);
    bool is_same = ask->dead ? was == HOW_FAIL_DEAD : was == HOW_FAIL || was == HOW_FAIL_LAST;
    if (!is_same || ending != ending_word(was, ask->token, ask->dead ? 0 : ask->delay_ms)) {
        return TALLY_STALE;
    }
    failed(build, was != HOW_FAIL, how);
    const struct parcel *kept = FIELD_GET(build->error);
    how->dup = ask->text.len > 0 && kept != NULL && !span_equal(parcel_span(kept), ask->text);
    return FIELD_GET(build->ending) == ending ? 0 : TALLY_STALE;
}

int edge_fail(struct edge *edge, const struct edge_fail *ask, struct edge_failed *how)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = ask->delay_ms <= BUILD_DELAY_MS_MAX ? look(edge, ask->id, ask->token, &build, &seen)
                                                  : TALLY_RANGE;
    if (err == 1) {
        return fail_again(build, ask, how);
    }
    if (err != 0) {
        return err;
    }
    bool final = ask->dead || FIELD_GET(build->attempts) >= build->tries;
    enum build_state to = final ? BUILD_FAILED : ask->delay_ms > 0 ? BUILD_DELAYED : BUILD_PENDING;
    to = status_state(status_next(word_status(seen), to));
    failed(build, to == BUILD_FAILED, how);
    err = end_claim(
        edge, build, seen, to,
        (struct lane_step){.type = RECORD_FAIL, .delay_ms = ask->delay_ms, .dead = ask->dead},
        ask->text);
    return by_holder(edge, build, err);
}

static int give_back(struct edge *edge, struct build *build, uint64_t seen, uint32_t delay_ms)
{
    enum build_state to = delay_ms > 0 ? BUILD_DELAYED : BUILD_PENDING;
    return end_claim(edge, build, seen, to,
                     (struct lane_step){.type = RECORD_RELEASE, .delay_ms = delay_ms},
                     (struct span){NULL, 0});
}

int edge_release(struct edge *edge, uint64_t id, uint32_t token, uint32_t delay_ms)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = delay_ms <= BUILD_DELAY_MS_MAX ? look(edge, id, token, &build, &seen) : TALLY_RANGE;
    if (err == 1) {
        return has_ended(build, seen, ending_word(HOW_RELEASE, token, delay_ms)) ? 0 : TALLY_STALE;
    }
    if (err != 0) {
        return err;
    }
    return by_holder(edge, build, give_back(edge, build, seen, delay_ms));
}

int edge_take_back(struct edge *edge, uint64_t id, uint32_t token)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = look(edge, id, token, &build, &seen);
    if (err != 0) {
        return err == 1 ? TALLY_STALE : err;
    }
    if (status_state(word_status(seen)) != BUILD_ASSIGNED || !begin_taking_back(build, token)) {
        return TALLY_STALE;
    }
    err = give_back(edge, build, seen, 0);
    if (err != 0) {
        unsay_taking_back(build, token);
    }
    return err;
}
