/* The gate: finds polls whose times have come, and runs the phases that close them or change their
 * mode. */
#include "engine/commit/gate.h"

#include "engine/edge/ordered_request.h"
#include "engine/edge/reader.h"
#include "engine/state/label_index.h"
#include "wal/base/check.h"
#include "wal/base/mutant.h"

#include <stddef.h>

enum {
    GATE_SLICE = 1024, /* polls marked, or records appended, in one round */
    GATE_SWEEP = 8192, /* options of which the words are set in one round: about 0.2 ms */
    GATE_MAX = 1 << 16,
    GATE_PURGES = 64,       /* PURGE records on their way */
    GATE_BEGINNINGS = 1024, /* lists of words taken out in one round: about 0.3 ms */
};

static struct poll *poll_of(struct timer *timer)
{
    return (struct poll *)((char *)timer - offsetof(struct poll, timer));
}

static void poll_settle(struct poll *poll, uint64_t altered)
{
    /* the committer alone counts, and a POLL is settled after it was counted in `altered` */
    CHECK(altered >= FIELD_OWN(poll->settled) && altered <= poll->altered);
    FIELD_PUT(poll->settled, altered);
}

static void poll_leave(struct gate *gate, struct poll *poll)
{
    if (poll->window == WINDOW_WAITING || poll->window == WINDOW_DELETED) {
        timer_ring_remove(&poll->timer);
    } else {
        wheel_remove(&gate->windows, &poll->timer);
    }
    poll->window = WINDOW_NONE;
}

static void look_later(struct gate *gate, struct poll *poll, uint64_t tick)
{
    wheel_put(&gate->windows, &poll->timer, tick);
    poll->window = WINDOW_TIMED;
}

/* Whether the poll's times say that it is open now. */
static bool wants_open(const struct gate *gate, const struct poll *poll)
{
    return window_is_open(FIELD_OWN(poll->open_ms), FIELD_OWN(poll->close_ms),
                          gate->shared->time.log_ms);
}

/* Whether the poll is open or closed as its times say, and has the mode that was asked for. */
static bool is_as_wanted(const struct gate *gate, const struct poll *poll)
{
    return wants_open(gate, poll) == FIELD_OWN(poll->open) &&
           poll->mode_wanted == FIELD_OWN(poll->mode);
}

/* Appends the record that opens or closes the poll and gives it the mode that was asked for. */
static void say_window(struct gate *gate, struct poll *poll)
{
    own_lane_append(gate->own, RECORD_POLL_WINDOW,
                    (const uint64_t[OWN_LANE_NUMS]){[POLL_WINDOW_POLL] = poll->id,
                                                    [POLL_WINDOW_OPEN] = wants_open(gate, poll),
                                                    [POLL_WINDOW_MODE] = poll->mode_wanted});
    poll->decided = poll->altered;
    poll->window = WINDOW_MOVING;
    poll->holds++;
}

/* A poll that is deleted is let go by the gate before its memory is. */
static void look_at_deleted(struct gate *gate, struct poll *poll)
{
    bool has_acts = poll->act_count > 0; /* they came before the POLLDEL was applied */
    poll_settle(poll, poll->altered);
    timer_ring_add(has_acts ? &gate->waiting : &gate->deleted, &poll->timer);
    poll->window = has_acts ? WINDOW_WAITING : WINDOW_DELETED;
}

static void look_at_poll(struct gate *gate, struct poll *poll)
{
    if (poll->window == WINDOW_MOVING) {
        return; /* its POLL_WINDOW is in the lane; the poll is looked at when that is applied */
    }
    poll_leave(gate, poll);
    if (FIELD_OWN(poll->is_deleted)) {
        look_at_deleted(gate, poll);
        return;
    }
    uint64_t log_ms = gate->shared->time.log_ms;
    bool has_mode = poll->mode_wanted == FIELD_OWN(poll->mode);
    bool is_good = is_as_wanted(gate, poll);
    if (is_good) {
        poll_settle(poll, poll->altered);
    }
    if (poll->act_count > 0 || !has_mode || (!is_good && FIELD_OWN(poll->open))) {
        timer_ring_add(&gate->waiting, &poll->timer);
        poll->window = WINDOW_WAITING;
    } else if (is_good) {
        uint64_t open_ms = FIELD_OWN(poll->open_ms);
        uint64_t next_ms = open_ms > log_ms ? open_ms : FIELD_OWN(poll->close_ms);
        if (next_ms > log_ms) {
            look_later(gate, poll, wheel_tick(next_ms));
        }
    } else if (own_lane_has_room(gate->own)) {
        say_window(gate, poll);
    } else {
        look_later(gate, poll, gate->windows.now + 1);
    }
}

void gate_poll_altered(struct gate *gate, struct poll *poll)
{
    poll->altered++;
    look_at_poll(gate, poll);
}

/* Lets the votes of a poll go on: those that are parked are asked for again, even if no commit
 * comes. */
static void poll_let_go(struct gate *gate, struct poll *poll)
{
    if (poll->gated) {
        poll->gated = false;
        poll_set_until(poll);
        /* E12: release; pairs with E11 */
        atomic_store_explicit(&gate->shared->nudged, true, memory_order_release);
    }
    poll->window = WINDOW_NONE;
    look_at_poll(gate, poll);
}

/* One of the poll's records is applied, or its round is over. Behind the last one the poll is let
 * go, or its words are set first. */
static void poll_release(struct gate *gate, struct poll *poll)
{
    /* only the gate appends such records, and it counts them */
    CHECK(poll->window == WINDOW_MOVING && poll->holds > 0);
    if (--poll->holds > 0) {
        return;
    }
    if (poll->words_generation != FIELD_OWN(poll->generation) && !FIELD_OWN(poll->is_deleted)) {
        poll->swept = 0;
        timer_ring_add(&gate->sweeping, &poll->timer);
    } else {
        poll_let_go(gate, poll);
    }
}

void gate_poll_windowed(struct gate *gate, struct poll *poll)
{
    poll_settle(poll, poll->decided);
    poll_release(gate, poll);
}

void gate_poll_acted(struct gate *gate, struct poll *poll)
{
    poll_release(gate, poll);
}

bool gate_take_act(struct gate *gate, struct ordered_request *request)
{
    struct poll *poll = table_get(&gate->state->poll_ids, request->record.num[RESET_POLL]);
    if (poll == NULL || FIELD_OWN(poll->is_deleted)) {
        return false;
    }
    request->is_next = true;
    STAILQ_INSERT_TAIL(&poll->acts, request, waiting);
    poll->act_count++;
    look_at_poll(gate, poll);
    return true;
}

void gate_start(struct gate *gate)
{
    timer_ring_init(&gate->waiting);
    timer_ring_init(&gate->closing);
    timer_ring_init(&gate->sweeping);
    timer_ring_init(&gate->deleted);
    wheel_init(&gate->windows, gate->shared->time.log_ms / WHEEL_TICK_MS);
    struct poll *poll;
    for (uint64_t id = 1; (poll = table_next(&gate->state->poll_ids, &id)) != NULL; id++) {
        poll->words_generation = FIELD_OWN(poll->generation); /* apply_replay_end */
        look_at_poll(gate, poll);
    }
}

void gate_run_windows(struct gate *gate)
{
    uint64_t tick = gate->shared->time.log_ms / WHEEL_TICK_MS;
    for (int i = 0; i < GATE_SLICE && own_lane_has_room(gate->own); i++) {
        struct timer *timer = wheel_next(&gate->windows, tick);
        if (timer == NULL) {
            return;
        }
        look_at_poll(gate, poll_of(timer));
    }
}

/* ---- the gate ---- */

/* Goes on to the next phase. */
static void gate_enter(struct gate *gate, enum gate_phase phase)
{
    /* the committer alone moves it, and each caller has looked at the phase */
    CHECK(phase == (gate->phase == GATE_SAYS ? GATE_IDLE : gate->phase + 1) ||
          MUTANT(MUTANT_GATE_AT_ONCE));
    gate->phase = phase;
}

/*
 * Marks the polls that wait for the gate, a slice in each round: votes for them are parked from now
 * on. When all are marked, one grace period begins for all of them; after it every vote that was
 * begun before is published in some lane.
 */
static void gate_fill(struct gate *gate)
{
    for (int i = 0; i < GATE_SLICE && gate->count < GATE_MAX; i++) {
        if (timer_ring_is_empty(&gate->waiting)) {
            break;
        }
        struct poll *poll = poll_of(gate->waiting.next);
        CHECK(poll->window == WINDOW_WAITING); /* look_at_poll put it into this ring */
        timer_ring_remove(&poll->timer);
        timer_ring_add(&gate->closing, &poll->timer);
        poll->window = WINDOW_MOVING;
        poll->holds = 1; /* by this round */
        poll->acts_due = poll->act_count;
        poll->gated = true;
        poll_set_until(poll);
        gate->count++;
    }
    if (gate->count > 0 && (timer_ring_is_empty(&gate->waiting) || gate->count == GATE_MAX)) {
        grace_begin(&gate->grace, gate->state->retirer);
        gate_enter(gate, GATE_GRACE);
    }
}

static void gate_note_tails(struct gate *gate)
{
    uint32_t edges = edges_count(gate->edges);
    for (uint32_t i = 0; i < edges; i++) {
        gate->tails[i] = lane_tail(edges_lane(gate->edges, i));
    }
    gate->tail_count = edges;
    gate->has_waits = false;
    gate_enter(gate, GATE_TAILS);
}

/* Whether the votes that were begun before are applied, or in the own lane, where they stand before
 * what the gate appends. */
static bool gate_tails_applied(struct gate *gate)
{
    for (uint32_t i = 0; i < gate->tail_count; i++) {
        if (lane_applied(edges_lane(gate->edges, i)) < gate->tails[i]) {
            return false;
        }
    }
    /* a ballot may have left its lane and wait for its step; the list is in their order */
    if (!gate->has_waits) {
        gate->has_waits = true;
        gate->waits = gate->own->waits_begun;
    }
    return gate->own->waits_ended >= gate->waits;
}

static void say_act(struct gate *gate, struct poll *poll)
{
    struct ordered_request *request = STAILQ_FIRST(&poll->acts);
    CHECK(request != NULL && poll->act_count >= poll->acts_due); /* each is in the list */
    STAILQ_REMOVE_HEAD(&poll->acts, waiting);
    poll->act_count--;
    poll->acts_due--;
    own_lane_append_request(gate->own, request);
    poll->holds++;
}

/* Appends the records of the polls, one in each turn of the loop. */
static void gate_say(struct gate *gate)
{
    for (int i = 0; i < GATE_SLICE && gate->count > 0 && own_lane_has_room(gate->own); i++) {
        struct poll *poll = poll_of(gate->closing.next);
        CHECK(poll->window == WINDOW_MOVING && poll->gated); /* gate_fill has marked it */
        if (poll->acts_due > 0) {
            say_act(gate, poll);
            continue;
        }
        timer_ring_remove(&poll->timer);
        gate->count--;
        if (!is_as_wanted(gate, poll)) {
            say_window(gate, poll);
        }
        poll_release(gate, poll);
    }
    if (gate->count == 0) {
        gate_enter(gate, GATE_IDLE);
    }
}

void gate_run(struct gate *gate)
{
    if (gate->phase == GATE_IDLE) {
        gate_fill(gate);
    }
    if (MUTANT(MUTANT_GATE_AT_ONCE) && gate->phase == GATE_GRACE) {
        gate->grace.is_asked = false;
        gate_enter(gate, GATE_SAYS);
    }
    if (gate->phase == GATE_GRACE && grace_has_passed(&gate->grace)) {
        gate_note_tails(gate);
    }
    if (gate->phase == GATE_TAILS && gate_tails_applied(gate)) {
        gate_enter(gate, GATE_SAYS);
    }
    if (gate->phase == GATE_SAYS) {
        gate_say(gate);
    }
}

bool gate_sweep(struct gate *gate)
{
    uint64_t left = GATE_SWEEP;
    for (int i = 0; i < GATE_SLICE && left > 0 && !timer_ring_is_empty(&gate->sweeping); i++) {
        struct poll *poll = poll_of(gate->sweeping.next);
        uint64_t count = FIELD_OWN(poll->option_count);
        uint64_t end = count - poll->swept < left ? count : poll->swept + left;
        left -= end - poll->swept;
        timer_ring_remove(&poll->timer);
        for (; poll->swept < end; poll->swept++) {
            option_set_word(poll_option(poll, poll->swept));
        }
        if (end == count) {
            poll->words_generation = FIELD_OWN(poll->generation);
            poll_let_go(gate, poll);
        } else {
            timer_ring_add(&gate->sweeping, &poll->timer); /* behind the others */
        }
    }
    return gate_is_sweeping(gate);
}

/* ---- polls that are deleted ---- */

/* Appends the PURGE of the next options of a poll, `most` at most, if nobody can have them any
 * more. Returns how many there are, or `most` when there is something to wait for. */
static uint64_t purge_poll(struct gate *gate, struct poll *poll, uint64_t most)
{
    timer_ring_remove(&poll->timer);
    if (poll->feed != NULL || !label_index_drop(gate->state, poll, GATE_BEGINNINGS)) {
        timer_ring_add(&gate->deleted, &poll->timer); /* behind the others */
        if (poll->feed != NULL) {
            reader_wake(gate->shared->reader); /* to drop the rank; it wakes the committer then */
        }
        gate->has_more = poll->feed == NULL;
        return most;
    }
    uint64_t count = FIELD_OWN(poll->option_count);
    count = count < most ? count : most;
    poll->window = WINDOW_MOVING;
    own_lane_append(
        gate->own, RECORD_PURGE,
        (const uint64_t[OWN_LANE_NUMS]){[PURGE_POLL] = poll->id, [PURGE_OPTIONS] = count});
    gate->purged_at = own_lane_tail(gate->own);
    return count;
}

bool gate_purge(struct gate *gate)
{
    uint64_t left = PURGE_OPTIONS_MAX;
    gate->has_more = false;
    if (lane_applied(gate->own->lane) < gate->purged_at) {
        return false; /* so the commits are short */
    }
    for (int i = 0; i < GATE_PURGES && left > 0 && own_lane_has_room(gate->own) &&
                    !timer_ring_is_empty(&gate->deleted);
         i++) {
        left -= purge_poll(gate, poll_of(gate->deleted.next), left);
    }
    return gate->has_more;
}

void gate_poll_purged(struct gate *gate, struct poll *poll)
{
    poll->window = WINDOW_NONE;
    look_at_poll(gate, poll);
}

bool gate_is_busy(const struct gate *gate)
{
    return gate->phase != GATE_IDLE || !timer_ring_is_empty(&gate->waiting);
}

bool gate_has_times(const struct gate *gate)
{
    return gate->windows.count > 0;
}
