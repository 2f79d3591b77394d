/* An edge: how it is opened and closed, its pass, its lane, and votes. */
#include "engine/edge/edge_internal.h"

#include "engine/base/label.h"
#include "engine/base/rcu.h"
#include "engine/log/record.h"
#include "wal/base/check.h"
#include "wal/base/random.h"

#include <sched.h>
#include <stdlib.h>

/* ---- opening and closing ---- */

void edge_free_memory(struct edge *edge)
{
    lane_destroy(edge->lane);
    free(edge->votes);
    free(edge->vote_index);
    free(edge);
}

struct edge *edge_make(struct edges *edges)
{
    struct edge *edge = calloc(1, sizeof *edge);
    if (edge == NULL) {
        return NULL;
    }
    edge->edges = edges;
    edge->shared = edges->shared;
    edge->state = edges->shared->state;
    edge->lane = lane_new();
    edge->votes = calloc(VOTE_SLOTS, sizeof *edge->votes);
    edge->vote_index = calloc(VOTE_INDEX, sizeof *edge->vote_index);
    edge->vote_generation = 1;
    edge->vote_multiplier = random_seed() | 1; /* no client can choose options that collide */
    if (edge->lane == NULL || edge->votes == NULL || edge->vote_index == NULL) {
        edge_free_memory(edge);
        return NULL;
    }
    return edge;
}

void edge_destroy(struct edge *edge)
{
    /* an I/O thread ends only when all its records are applied (is_done in net/io/loop.c), and a
     * session waits for them in each call */
    CHECK(edge_applied(edge) == edge->lane->next);
    edge->lane->freed = edge->lane->next;
    /* R7: acquire; pairs with R8 */
    while (atomic_load_explicit(&edge->reads_open, memory_order_acquire) != 0) {
        sched_yield(); /* the reader is between its answer and the wake */
    }
    wake_awake(&edge->lane->wake);
    edges_give_back(edge->edges, edge);
}

/* ---- the pass ---- */

void edge_pass_begin(struct edge *edge)
{
    const struct engine_time *time = &edge->shared->time;
    uint64_t mono_ns = time_mono_ns(time);
    uint64_t log_ms = time_log_at(time, mono_ns);
    edge->now_ms = log_ms > edge->now_ms ? log_ms : edge->now_ms;
    edge->run_ms = time_run_at(time, mono_ns);
}

void edge_pass_end(struct edge *edge)
{
    (void)edge;
    rcu_quiescent();
}

bool edge_may_sleep(struct edge *edge)
{
    if (!wake_may_sleep(&edge->lane->wake)) {
        return false;
    }
    rcu_offline();
    return true;
}

void edge_awake(struct edge *edge)
{
    rcu_online();
    wake_awake(&edge->lane->wake);
}

uint64_t edge_tail(const struct edge *edge)
{
    return edge->lane->next;
}

uint64_t edge_applied(const struct edge *edge)
{
    return lane_applied(edge->lane);
}

uint64_t edge_commits(const struct edge *edge)
{
    /* E4: acquire; pairs with E3 */
    return atomic_load_explicit(&edge->shared->commits, memory_order_acquire);
}

uint64_t edge_offers(const struct edge *edge)
{
    /* E4: acquire; pairs with E3 */
    return atomic_load_explicit(&edge->shared->offers, memory_order_acquire);
}

void edge_free(struct edge *edge, uint64_t pos)
{
    DCHECK(pos >= edge->lane->freed && pos <= edge_applied(edge));
    if (edge->requests > 0) {
        edge_free_requests(edge, pos);
    }
    edge->lane->freed = pos;
}

void edge_publish(struct edge *edge)
{
    CHECK(edge->lane->next - edge->lane->freed <= LANE_SLOTS); /* edge_room is asked before each */
    if (lane_publish(edge->lane)) {
        wake_up(&edge->shared->wake);
    }
}

void edge_nudge(struct edge *edge)
{
    /* E12: release; pairs with E11 */
    atomic_store_explicit(&edge->shared->nudged, true, memory_order_release);
    wake_up(&edge->shared->wake);
}

static enum space_left space_of(const struct edge *edge)
{
    /* E6: acquire; pairs with E5 */
    return (enum space_left)atomic_load_explicit(&edge->shared->space, memory_order_acquire);
}

struct ledger *edge_ledger(const struct edge *edge)
{
    return &edge->state->ledger;
}

int edge_mode(const struct edge *edge)
{
    /* E9: acquire; pairs with E10 */
    if (atomic_load_explicit(&edge->shared->draining, memory_order_acquire)) {
        return TALLY_DRAINING;
    }
    return space_of(edge) == SPACE_PLENTY ? TALLY_OK : TALLY_READONLY;
}

int edge_mode_completion(const struct edge *edge)
{
    return space_of(edge) >= SPACE_NONE ? TALLY_READONLY : TALLY_OK;
}

/* ---- votes ---- */

/* Opens a slot for an option's votes of this pass. Returns VOTE_SLOTS when the lane has no room for
 * one more step. */
static uint32_t vote_open(struct edge *edge, struct option *option, uint32_t place)
{
    if (edge->vote_count == VOTE_SLOTS || edge_room(edge) == 0) {
        return VOTE_SLOTS;
    }
    DCHECK(edge->vote_generation != 0); /* an empty place is of generation 0 */
    edge->vote_index[place] = (uint32_t)edge->vote_generation << 16 | edge->vote_count;
    edge->votes[edge->vote_count] =
        (struct vote_slot){option, option_votes(word_get(&option->word)), 0};
    return edge->vote_count++;
}

/* Finds the slot of an option in this pass; its first vote opens the slot. A place of an earlier
 * generation counts as empty. */
static inline uint32_t vote_find(struct edge *edge, struct option *option)
{
    uint32_t place = (uint32_t)(option->id * edge->vote_multiplier >> 40) % VOTE_INDEX;
    uint32_t entry = edge->vote_index[place];
    while (entry >> 16 == edge->vote_generation) {
        if (edge->votes[entry & 0xffff].option == option) {
            return entry & 0xffff;
        }
        place = (place + 1) % VOTE_INDEX;
        entry = edge->vote_index[place];
    }
    return vote_open(edge, option, place);
}

/* What is told of a vote after `until`, the poll's vote_until or ballot_until. */
static int until_refusal(const struct poll *poll, uint64_t until)
{
    return until == VOTES_WAIT           ? TALLY_PARK
           : FIELD_GET(poll->is_deleted) ? TALLY_NOTFOUND
           : until == VOTES_BALLOTS      ? TALLY_INVAL
                                         : TALLY_CLOSED;
}

int edge_vote(struct edge *edge, uint64_t id, uint64_t n, struct edge_vote *vote)
{
    struct option *option = state_option_any(edge->state, id);
    if (option == NULL) {
        return TALLY_NOTFOUND;
    }
    if (n == 0 || n > VOTE_N_MAX) {
        return TALLY_RANGE;
    }
    int err = edge_mode(edge);
    if (err != 0) {
        return err;
    }
    uint64_t until = FIELD_GET(option->poll->vote_until);
    if (edge->now_ms >= until) {
        return until_refusal(option->poll, until);
    }
    uint32_t at = vote_find(edge, option);
    if (at == VOTE_SLOTS) {
        return TALLY_ROOM;
    }
    struct vote_slot *slot = &edge->votes[at];
    if (slot->base + slot->n + n > VOTES_RANGE) {
        bool sure = option_votes_now(option) + n > VOTES_RANGE;
        return sure ? TALLY_RANGE : TALLY_PARK;
    }
    if (slot->n + n > UINT32_MAX) {
        return TALLY_ROOM;
    }
    DCHECK(slot->option == option);
    slot->n += (uint32_t)n;
    *vote = (struct edge_vote){at, slot->n};
    return 0;
}

void edge_flush(struct edge *edge)
{
    for (uint32_t i = 0; i < edge->vote_count; i++) {
        __builtin_prefetch(&edge->votes[i].option->word, 1);
    }
    DCHECK(lane_room(edge->lane) >= edge->vote_count); /* edge_vote has made sure of it */
    for (uint32_t i = 0; i < edge->vote_count; i++) {
        struct vote_slot *slot = &edge->votes[i];
        if (slot->n == 0) {
            continue;
        }
        uint64_t before = word_add(&slot->option->word, option_step(slot->n));
        slot->base = option_votes(before);
        lane_append(edge->lane)->vote = (struct lane_vote){
            .type = RECORD_VOTE, .n = slot->n, .before = before, .option = slot->option};
    }
    edge->vote_count = 0;
    if (++edge->vote_generation == 0) {
        memset(edge->vote_index, 0, VOTE_INDEX * sizeof *edge->vote_index);
        edge->vote_generation = 1;
    }
}

uint64_t edge_votes_after(const struct edge *edge, struct edge_vote vote)
{
    DCHECK(vote.slot < VOTE_SLOTS && vote.ordinal > 0 && vote.ordinal <= edge->votes[vote.slot].n);
    return edge->votes[vote.slot].base + vote.ordinal;
}

int edge_option_find(struct edge *edge, struct span name, struct span label, uint64_t *id)
{
    const struct poll *poll = state_poll(edge->state, name);
    char *fold = NULL;
    size_t len = 0;
    struct label clean;
    int err = poll != NULL ? label_clean(label, &clean) : TALLY_NOTFOUND;
    if (err == 0) {
        err = label_fold(label_span(&clean), &fold, &len);
    }
    if (err != 0) {
        return err == TALLY_NOMEM ? err : TALLY_NOTFOUND;
    }
    struct blob *key = option_key_new(poll, (struct span){fold, len});
    free(fold);
    if (key == NULL) {
        return TALLY_NOMEM;
    }
    const struct option *option = index_get(&edge->state->labels, blob_span(key));
    free(key);
    *id = option != NULL ? option->id : 0;
    return option != NULL ? 0 : TALLY_NOTFOUND;
}

int edge_vote_window(const struct edge *edge, uint64_t id, bool is_ballot)
{
    const struct option *option = state_option(edge->state, id);
    if (option == NULL) {
        return TALLY_NOTFOUND;
    }
    const struct poll *poll = option->poll;
    uint64_t until = is_ballot ? FIELD_GET(poll->ballot_until) : FIELD_GET(poll->vote_until);
    return edge->now_ms < until ? 0 : until_refusal(poll, until);
}

bool edge_vote_rate(struct edge *edge, uint64_t id, uint64_t *n, uint64_t *per_ms, uint64_t *poll)
{
    const struct option *option = state_option_any(edge->state, id);
    uint64_t rate = option != NULL ? FIELD_GET(option->poll->rate) : 0;
    if (rate_word_n(rate) == 0) {
        return false;
    }
    *n = rate_word_n(rate);
    *per_ms = rate_word_ms(rate);
    DCHECK(*per_ms > 0); /* bounds_rate_is_valid */
    *poll = option->poll->id;
    return true;
}
