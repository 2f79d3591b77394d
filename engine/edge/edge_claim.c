/* CLAIM: a worker takes the next build, or is told again which build it holds. */
#include "engine/edge/holder.h"
#include "engine/edge/told.h"
#include "engine/base/label.h"
#include "wal/base/check.h"
#include "wal/base/mutant.h"

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
    uint32_t was = atomic_fetch_sub_explicit(&worker->used, 1, memory_order_relaxed);
    DCHECK(was > 0); /* it was taken in this call */
}

/* ---- the next build ---- */

enum { LISTS_MAX = CLAIM_QUEUES_MAX * NEED_SETS_MAX };

/* The need sets that a claim may take from. */
struct claim_lists {
    struct need_set *sets[LISTS_MAX];
    unsigned count;
};

static void choose_lists(const struct edge *edge, const struct edge_claim *ask,
                         const struct worker *worker, struct claim_lists *lists)
{
    struct span have = blob_span(FIELD_GET(worker->tags));
    DCHECK(ask->queue_count <= CLAIM_QUEUES_MAX);
    lists->count = 0;
    for (unsigned q = 0; q < ask->queue_count; q++) {
        const struct queue *queue = state_queue(edge->state, ask->queues[q]);
        uint32_t sets = queue != NULL ? FIELD_GET(queue->set_count) : 0;
        for (uint32_t i = 0; i < sets && lists->count < LISTS_MAX; i++) {
            struct need_set *set = FIELD_GET(queue->sets[i]);
            if (tags_cover(have, blob_span(set->tags))) {
                lists->sets[lists->count++] = set;
            }
        }
    }
}

/* The oldest offer of one priority. */
static struct ticket *oldest_offer(const struct claim_lists *lists, int pri)
{
    struct ticket *best = NULL;
    for (unsigned i = 0; i < lists->count; i++) {
        struct ticket *ticket = ticket_first(&lists->sets[i]->lists[pri]);
        DCHECK(ticket == NULL || ticket->build->pri == pri); /* it stands in its list */
        if (ticket != NULL && (best == NULL || ticket->lsn < best->lsn)) {
            best = ticket;
        }
    }
    return best;
}

/* Steps the word of the next build. Returns the build, or NULL when all lists had no living ticket.
 */
static struct build *claim_walk(const struct claim_lists *lists, uint32_t *before)
{
    for (int pri = 0; pri < BUILD_PRIORITIES; pri++) {
        struct ticket *ticket = oldest_offer(lists, pri);
        while (ticket != NULL) {
            uint64_t seen = build_word(ticket->status, 0);
            uint32_t after = status_next(ticket->status, BUILD_ASSIGNED);
            DCHECK(word_transition_is_legal(RECORD_CLAIM, ticket->status, after));
            if (word_step(&ticket->build->word, &seen, build_word(after, 0))) {
                *before = ticket->status;
                return ticket->build;
            }
            ticket = oldest_offer(lists, pri);
        }
    }
    return NULL;
}

/* EDGE_NIL is certain only when no build is pending as committed: a crash would give back a build
 * that a claim in flight has taken. The mark is older than the lists, so no set has come or gone
 * since. */
static bool nothing_pending(const struct edge *edge, const struct claim_lists *lists, uint64_t mark)
{
    uint64_t pending = 0;
    for (unsigned i = 0; i < lists->count; i++) {
        for (int pri = 0; pri < BUILD_PRIORITIES; pri++) {
            pending += FIELD_GET(lists->sets[i]->lists[pri].pending);
        }
    }
    return seq_read_is_valid(&edge->state->seq, mark) && pending == 0;
}

/* Fills in the build. False: it has ended meanwhile, and its payload is freed. */
static bool say_claimed(struct build *build, struct edge_claimed *got)
{
    const struct parcel *payload = FIELD_GET(build->payload);
    got->id = build->id;
    got->queue = blob_span(build->queue->name);
    got->payload = parcel_span(payload);
    return payload != NULL;
}

/*
 * Finds the build of the lowest id above `after` that the worker holds. *found is NULL when there
 * is none; else *word is its word. Returns PARK while a slot is taken by a claim that is not
 * committed, or by a build that is leaving the worker.
 */
static int find_held(struct edge *edge, const struct worker *worker, uint64_t after,
                     struct build **found, uint64_t *word)
{
    const struct worker_held *held = FIELD_GET(worker->held);
    uint64_t count = 0;
    DCHECK(held != NULL && held->capacity > 0); /* since it was registered */
    *found = NULL;
    for (uint32_t i = 0; i < held->capacity; i++) {
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
        /* a claim that finds no build gives its slot back without a record, so without a commit */
        edge_nudge(edge);
        return TALLY_PARK;
    }
    return 0;
}

/* ---- at the slot limit ---- */

static int claim_again(struct edge *edge, struct worker *worker, uint64_t after,
                       struct edge_claimed *got)
{
    struct build *found = NULL;
    uint64_t word = 0;
    int err = find_held(edge, worker, after, &found, &word);
    if (err != 0 || found == NULL) {
        return err != 0 ? err : EDGE_NIL;
    }
    if (!say_claimed(found, got)) {
        return TALLY_PARK;
    }
    if (!told_again(found, word)) {
        /* the thread that takes the claim back may fail to step, and then no commit comes */
        edge_nudge(edge);
        return TALLY_PARK;
    }
    DCHECK(status_is_held(word_status(word)));
    got->token = status_token(word_status(word));
    got->attempt = FIELD_GET(found->attempts);
    got->lease_ms = holder_lease_left_ms(edge, found, word);
    got->again = true;
    return 0;
}

/* The answer at the slot limit: a build that the worker holds, EDGE_NIL, or EDGE_SLOTS. */
static int claim_no_more(struct edge *edge, const struct edge_claim *ask, struct worker *worker,
                         struct edge_claimed *got)
{
    DCHECK(got->worker == worker->id); /* the caller of EDGE_SLOTS waits for this worker */
    struct build *found = NULL;
    uint64_t word = 0;
    if (!ask->fresh_only && !ask->waits) {
        return claim_again(edge, worker, 0, got);
    }
    int err = find_held(edge, worker, 0, &found, &word);
    return err != 0 ? err : ask->waits ? EDGE_SLOTS : EDGE_NIL;
}

/* ---- claim ---- */

static int claim_fresh(struct edge *edge, const struct edge_claim *ask, struct worker *worker,
                       struct edge_claimed *got)
{
    struct claim_lists lists;
    uint32_t before = 0;
    uint64_t mark = 0;
    bool is_whole = seq_read_begin(&edge->state->seq, &mark);
    choose_lists(edge, ask, worker, &lists);
    mutant_pause(MUTANT(MUTANT_MARK_LATE));
    struct build *build = claim_walk(&lists, &before);
    is_whole = MUTANT(MUTANT_MARK_LATE) ? seq_read_begin(&edge->state->seq, &mark) : is_whole;
    if (build == NULL) {
        return is_whole && nothing_pending(edge, &lists, mark) ? EDGE_NIL : TALLY_PARK;
    }
    uint32_t after = status_next(before, BUILD_ASSIGNED);
    uint32_t lease_ms = ask->lease_ms != 0 ? ask->lease_ms : build->submit_lease_ms;
    DCHECK(lease_ms <= BUILD_LEASE_MS_MAX); /* the log takes no more */
    struct lane_step step = {.type = RECORD_CLAIM, .lease_ms = lease_ms, .worker = worker};
    holder_append(edge, build, step, before, after);
    (void)say_claimed(build, got); /* the worker holds it, so it has not ended */
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
    holder_seen(edge, worker);
    got->worker = worker->id;
    /* read before the slots: a slot that comes free later moves this number */
    got->left = FIELD_GET(worker->left);
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

void edge_worker_waits(struct edge *edge, uint64_t id)
{
    holder_seen(edge, table_get(&edge->state->worker_ids, id));
}

uint64_t edge_worker_left(const struct edge *edge, uint64_t id)
{
    const struct worker *worker = table_get(&edge->state->worker_ids, id);
    return worker != NULL ? FIELD_GET(worker->left) : UINT64_MAX;
}
