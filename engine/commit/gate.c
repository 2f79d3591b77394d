/* Opening and closing polls: what their times say, and the gate before a poll is closed. */
#include "engine/engine.h"

#include "wal/base/mutant.h"

#include <stddef.h>

/*
 *                              ┌───────────────────────────────────┐
 *     WINDOW_NONE ── look ─────┤ as its times say   ── WINDOW_TIMED ┘ in the wheel till the next
 *          ▲                   │                                      of its times; or nowhere
 *          │                   ├ to be opened       ── WINDOW_MOVING ── POLL_WINDOW open=1 ──┐
 *          │                   └ to be closed       ── WINDOW_WAITING ── gate ── WINDOW_MOVING │
 *          │                                                             POLL_WINDOW open=0 ──┤
 *          └──────────────────────────── applied ─────────────────────────────────────────────┘
 *
 * All of it is the committer's. A POLL is told OK when its poll is as its times say, or has been
 * opened or closed once since it was applied: `altered` counts the POLLs, `decided` is that count
 * when the last opening or closing was begun, `settled` what is done, and the result waits for it.
 * So it always ends, whoever alters the poll meanwhile.
 */
enum {
    GATE_SLICE = 1024, /* polls marked, or said to be closed, in one round */
    GATE_MAX = 1 << 16,
};

static struct poll *poll_of(struct timer *timer)
{
    return (struct poll *)((char *)timer - offsetof(struct poll, timer));
}

static void settle(struct poll *poll, uint64_t altered)
{
    FIELD_PUT(poll->settled, altered);
}

static void leave(struct tally *tally, struct poll *poll)
{
    if (poll->window == WINDOW_WAITING) {
        timer_ring_remove(&poll->timer);
    } else {
        wheel_remove(&tally->windows, &poll->timer);
    }
    poll->window = WINDOW_NONE;
}

static void look_again_at(struct tally *tally, struct poll *poll, uint64_t tick)
{
    wheel_put(&tally->windows, &poll->timer, tick);
    poll->window = WINDOW_TIMED;
}

static void look_at(struct tally *tally, struct poll *poll)
{
    if (poll->window == WINDOW_MOVING) {
        return; /* it is looked at when that is applied */
    }
    leave(tally, poll);
    uint64_t log_ms = tally->shared.time.log_ms;
    uint64_t open_ms = FIELD_OWN(poll->open_ms);
    uint64_t close_ms = FIELD_OWN(poll->close_ms);
    bool want = window_is_open(open_ms, close_ms, log_ms);
    if (want == FIELD_OWN(poll->open)) {
        settle(poll, poll->altered);
        uint64_t next_ms = open_ms > log_ms ? open_ms : close_ms;
        if (next_ms > log_ms) {
            look_again_at(tally, poll, wheel_tick(next_ms));
        }
    } else if (!want) {
        timer_ring_add(&tally->gate.waiting, &poll->timer);
        poll->window = WINDOW_WAITING;
    } else if (timers_have_room(tally)) {
        timers_append(tally, RECORD_POLL_WINDOW, (const uint64_t[TIMERS_NUMS]){poll->id, 1});
        poll->decided = poll->altered;
        poll->window = WINDOW_MOVING;
    } else {
        look_again_at(tally, poll, tally->windows.now + 1);
    }
}

void gate_poll_altered(struct tally *tally, struct poll *poll)
{
    poll->altered++;
    look_at(tally, poll);
}

void gate_poll_moved(struct tally *tally, struct poll *poll)
{
    poll->window = WINDOW_NONE;
    settle(poll, poll->decided);
    look_at(tally, poll);
}

void gate_init(struct tally *tally)
{
    timer_ring_init(&tally->gate.waiting);
    timer_ring_init(&tally->gate.closing);
    wheel_init(&tally->windows, tally->shared.time.log_ms / WHEEL_TICK_MS);
    struct poll *poll;
    for (uint64_t id = 1; (poll = table_next(&tally->state.poll_ids, &id)) != NULL; id++) {
        look_at(tally, poll);
    }
}

void gate_run_windows(struct tally *tally)
{
    uint64_t tick = tally->shared.time.log_ms / WHEEL_TICK_MS;
    for (int i = 0; i < GATE_SLICE && timers_have_room(tally); i++) {
        struct timer *timer = wheel_next(&tally->windows, tick);
        if (timer == NULL) {
            return;
        }
        look_at(tally, poll_of(timer));
    }
}

/* ---- the gate ---- */

static void gate_passed(void *arg)
{
    struct gate *gate = arg;
    /* G1: release; pairs with G2 */
    atomic_store_explicit(&gate->passed, true, memory_order_release);
}

/*
 * Marks those that wait for it, a slice a round: votes for them wait from now on. When all are
 * marked one grace period begins for all; votes begun before are in some lane behind it.
 */
static void gate_fill(struct tally *tally)
{
    struct gate *gate = &tally->gate;
    for (int i = 0; i < GATE_SLICE && gate->count < GATE_MAX; i++) {
        if (timer_ring_is_empty(&gate->waiting)) {
            break;
        }
        struct poll *poll = poll_of(gate->waiting.next);
        timer_ring_remove(&poll->timer);
        timer_ring_add(&gate->closing, &poll->timer);
        poll->window = WINDOW_MOVING;
        poll->decided = poll->altered;
        poll->gated = true;
        FIELD_PUT(poll->vote_until, VOTES_WAIT);
        gate->count++;
    }
    if (gate->count > 0 && (timer_ring_is_empty(&gate->waiting) || gate->count == GATE_MAX)) {
        /* G3: relaxed: the callback that sets it is not registered yet */
        atomic_store_explicit(&gate->passed, false, memory_order_relaxed);
        gate->phase = GATE_GRACE;
        rcu_retire(tally->state.retirer, gate, gate_passed);
        rcu_retire_flush(tally->state.retirer);
    }
}

static void gate_note_tails(struct tally *tally)
{
    struct gate *gate = &tally->gate;
    uint32_t edges = edges_count(&tally->edges);
    for (uint32_t i = 0; i < EDGES_MAX; i++) {
        gate->tails[i] = i < edges ? lane_tail(edges_lane(&tally->edges, i)) : 0;
    }
    gate->phase = GATE_TAILS;
}

static bool gate_tails_applied(const struct tally *tally)
{
    uint32_t edges = edges_count(&tally->edges);
    for (uint32_t i = 0; i < edges; i++) {
        if (lane_applied(edges_lane(&tally->edges, i)) < tally->gate.tails[i]) {
            return false;
        }
    }
    return true;
}

static void gate_say(struct tally *tally)
{
    struct gate *gate = &tally->gate;
    for (int i = 0; i < GATE_SLICE && gate->count > 0 && timers_have_room(tally); i++) {
        struct poll *poll = poll_of(gate->closing.next);
        timer_ring_remove(&poll->timer);
        timers_append(tally, RECORD_POLL_WINDOW, (const uint64_t[TIMERS_NUMS]){poll->id, 0});
        gate->count--;
    }
    if (gate->count == 0) {
        gate->phase = GATE_IDLE;
    }
}

void gate_run(struct tally *tally)
{
    struct gate *gate = &tally->gate;
    if (gate->phase == GATE_IDLE) {
        gate_fill(tally);
    }
    if (MUTANT(MUTANT_GATE_AT_ONCE) && gate->phase == GATE_GRACE) {
        gate->phase = GATE_SAYS;
    }
    /* G2: acquire; pairs with G1 */
    if (gate->phase == GATE_GRACE && atomic_load_explicit(&gate->passed, memory_order_acquire)) {
        gate_note_tails(tally);
    }
    if (gate->phase == GATE_TAILS && gate_tails_applied(tally)) {
        gate->phase = GATE_SAYS;
    }
    if (gate->phase == GATE_SAYS) {
        gate_say(tally);
    }
}

bool gate_is_busy(const struct tally *tally)
{
    return tally->gate.phase != GATE_IDLE || !timer_ring_is_empty(&tally->gate.waiting);
}
