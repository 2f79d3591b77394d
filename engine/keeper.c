/* The timekeeper: leases, delays, silent workers, poll windows, and the offering of builds. */
#include "engine/engine.h"

#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum {
    TICK_NS = WHEEL_TICK_MS * 1000 * 1000,
    SLICE = 1024, /* builds looked at in one round */
    FORGET_SLICE = 4096,
    STRIDE_NS_MAX = 1000 * 1000 * 1000,
    IDLE_NS_MAX = 1000 * 1000 * 1000,
};

static void no_memory(struct tally *tally)
{
    engine_fatal(tally, 71, "out of memory in the timekeeper");
}

static uint32_t ticks_of_ms(uint64_t ms)
{
    return (uint32_t)((ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS) + 1;
}

/* ---- steps that the committer makes ---- */

static bool own_room(const struct tally *tally, uint64_t spare)
{
    return lane_room(tally->own) > spare;
}

/* Steps a build if it still says `seen`, and appends the record. */
static bool keeper_step(struct tally *tally, struct build *build, uint64_t seen,
                        enum record_type type, enum build_state to)
{
    uint32_t before = word_half(seen);
    uint32_t after = half_next(before, to);
    /* no bytes lead here: the callers look at the state first, and a loaded one has tokens left for
     * all that can follow (sound.h: half_is_sound), so that half_next stays within the table */
    CHECK(build_edge_legal(type, before, after));
    if (!word_step(&build->word, &seen, build_word(after, 0))) {
        return false;
    }
    struct lane_slot *slot = lane_append(tally->own);
    *slot = (struct lane_slot){
        .type = (uint8_t)type, .word = (uint64_t)before << 32 | after, .entity = build};
    return true;
}

static void keeper_judge(struct tally *tally, enum record_type type, uint64_t a, uint64_t b)
{
    struct request *request = request_new(&tally->state.ledger, type, NULL, 0, 0);
    if (request == NULL) {
        no_memory(tally);
    }
    request->record.num[0] = a;
    request->record.num[1] = b;
    struct lane_slot *slot = lane_append(tally->own);
    *slot = (struct lane_slot){.type = (uint8_t)type, .arg = request};
}

/* ---- leases and delays ---- */

/* Sets the deadline of a word that still has `token` and no deadline yet (a first heartbeat sets
 * one, too). */
static void arm(struct tally *tally, struct build *build, uint32_t token, uint32_t due)
{
    uint64_t seen = word_get(&build->word);
    while (half_token(word_half(seen)) == token && word_deadline(seen) == 0) {
        if (word_step(&build->word, &seen, build_word(word_half(seen), due))) {
            break;
        }
    }
    wheel_put(&tally->wheel, build, due);
}

static void hook_claimed(void *arg, struct build *build)
{
    struct tally *tally = arg;
    const struct worker *worker = FIELD_OWN(build->worker);
    struct need_set *set = FIELD_OWN(build->queue->sets[build->set]);
    struct ticket_list *list = &set->lists[build->pri];
    /* the hint goes over this build's ticket, so that nothing of it stays when the build is freed
     */
    (void)ticket_first(list);
    ticket_trim(list, &tally->state);
    bool gone = FIELD_OWN(worker->state) == WORKER_GONE;
    uint32_t ticks = gone ? 0 : ticks_of_ms(FIELD_OWN(build->lease_ms));
    /* from the clock, not from the hand of the wheel: that may lag behind many that are due */
    arm(tally, build, half_token(FIELD_OWN(build->applied)), FIELD_OWN(tally->tick) + ticks);
}

static void hook_left(void *arg, struct build *build)
{
    struct tally *tally = arg;
    struct worker *worker = FIELD_OWN(build->worker);
    wheel_remove(&tally->wheel, build);
    /* K1: relaxed: a slot's return publishes nothing */
    atomic_fetch_sub_explicit(&worker->used, 1, memory_order_relaxed);
}

static int offer(struct tally *tally, struct build *build)
{
    struct need_set *set = FIELD_OWN(build->queue->sets[build->set]);
    struct ticket_list *list = &set->lists[build->pri];
    if (ticket_append(list, build, FIELD_OWN(build->applied), build->pending_lsn) != 0) {
        return TALLY_NOMEM;
    }
    tally->offered = true;
    return 0;
}

static void hook_offered(void *arg, struct build *build)
{
    if (offer(arg, build) != 0) {
        no_memory(arg);
    }
}

static void hook_delayed(void *arg, struct build *build)
{
    struct tally *tally = arg;
    uint64_t now_ms = tally->columns.time_ms;
    uint64_t left_ms = build->due_ms > now_ms ? build->due_ms - now_ms : 0;
    arm(tally, build, half_token(FIELD_OWN(build->applied)),
        FIELD_OWN(tally->tick) + ticks_of_ms(left_ms));
}

/* Takes back what the worker holds; what is on its way already is taken back when it is applied. */
static void hook_gone(void *arg, struct worker *worker)
{
    struct tally *tally = arg;
    struct worker_held *held = FIELD_OWN(worker->held);
    for (uint32_t i = 0; i < held->room; i++) {
        struct build *build = FIELD_OWN(held->slot[i]);
        if (build == NULL) {
            continue;
        }
        uint64_t seen = word_get(&build->word);
        while (half_held(word_half(seen)) && own_room(tally, 0)) {
            if (keeper_step(tally, build, seen, RECORD_UNHOLD, BUILD_PENDING)) {
                tally->bye_released++;
                break;
            }
            seen = word_get(&build->word);
        }
        if (half_held(word_half(seen)) && !own_room(tally, 0)) {
            wheel_put(&tally->wheel, build, tally->wheel.now + 1);
        }
    }
}

static void held_is_due(struct tally *tally, struct build *build, uint64_t seen)
{
    const struct worker *worker = FIELD_OWN(build->worker);
    if (FIELD_OWN(worker->state) == WORKER_GONE) {
        if (!keeper_step(tally, build, seen, RECORD_UNHOLD, BUILD_PENDING)) {
            wheel_put(&tally->wheel, build, 0);
        }
        return;
    }
    bool last = FIELD_OWN(build->attempts) >= build->tries;
    enum build_state to = last ? BUILD_FAILED : BUILD_PENDING;
    if (!keeper_step(tally, build, seen, RECORD_EXPIRE, to)) {
        wheel_put(&tally->wheel, build, 0);
    }
}

static void build_is_due(struct tally *tally, struct build *build)
{
    uint64_t seen = word_get(&build->word);
    uint32_t half = word_half(seen);
    bool gone = half_held(half) &&
                FIELD_OWN(((struct worker *)FIELD_OWN(build->worker))->state) == WORKER_GONE;
    if (half_token(half) != half_token(FIELD_OWN(build->applied))) {
        return; /* it has left; hook_left or a new arming will see to it */
    }
    if (word_deadline(seen) > tally->wheel.now && !gone) {
        wheel_put(&tally->wheel, build, word_deadline(seen));
    } else if (half_held(half)) {
        held_is_due(tally, build, seen);
    } else if (half_state(half) == BUILD_DELAYED) {
        if (!keeper_step(tally, build, seen, RECORD_DUE, BUILD_PENDING)) {
            wheel_put(&tally->wheel, build, 0);
        }
    }
}

/* Moves the lease clock: by the time that has passed, at most 1 s a round, not at all while the log
 * cannot grow. */
static uint32_t move_clock(struct tally *tally)
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t passed_ns = now_ns - tally->tick_mono_ns;
    tally->tick_mono_ns = now_ns;
    uint32_t tick = FIELD_OWN(tally->tick);
    if (FIELD_OWN(tally->room) != ROOM_FULL) {
        return tick;
    }
    tally->tick_rest_ns += passed_ns < STRIDE_NS_MAX ? passed_ns : STRIDE_NS_MAX;
    tick += (uint32_t)(tally->tick_rest_ns / TICK_NS);
    tally->tick_rest_ns %= TICK_NS;
    FIELD_PUT(tally->tick, tick);
    return tick;
}

static void run_wheel(struct tally *tally, uint32_t tick)
{
    for (int i = 0; i < SLICE && own_room(tally, KEEPER_ROOM); i++) {
        struct build *build = wheel_next(&tally->wheel, tick);
        if (build == NULL) {
            return;
        }
        build_is_due(tally, build);
    }
}

/* ---- workers that say nothing ---- */

static void look_for_silence(struct tally *tally)
{
    uint64_t now_ns = clock_mono_ns();
    if (now_ns - tally->workers_seen_ns < STRIDE_NS_MAX) {
        return;
    }
    tally->workers_seen_ns = now_ns;
    uint64_t now_ms = now_ns / 1000000;
    uint64_t count = FIELD_OWN(tally->state.worker_count);
    for (uint64_t id = 1; id <= count && own_room(tally, KEEPER_ROOM); id++) {
        struct worker *worker = table_get(&tally->state.worker_ids, id);
        /* K2: relaxed: a time publishes nothing */
        uint64_t seen_ms = atomic_load_explicit(&worker->seen_ms, memory_order_relaxed);
        if (FIELD_OWN(worker->state) == WORKER_ONLINE && seen_ms + WORKER_SILENCE_MS < now_ms) {
            keeper_judge(tally, RECORD_OFFLINE, id, 0);
        }
    }
}

/* ---- poll windows and the gate ---- */

static int window(struct tally *tally, struct poll *poll)
{
    if (poll->windowed) {
        return 0;
    }
    if (tally->windowed_count == tally->windowed_room) {
        size_t room = tally->windowed_room * 2 + 16;
        struct poll **grown = realloc(tally->windowed, room * sizeof *grown);
        if (grown == NULL) {
            return TALLY_NOMEM;
        }
        tally->windowed = grown;
        tally->windowed_room = room;
    }
    poll->windowed = true;
    tally->windowed[tally->windowed_count++] = poll;
    return 0;
}

static void hook_windowed(void *arg, struct poll *poll)
{
    if (window(arg, poll) != 0) {
        no_memory(arg);
    }
}

static void gate_passed(void *arg)
{
    struct gate *gate = arg;
    /* G1: release; pairs with G2 */
    atomic_store_explicit(&gate->passed, true, memory_order_release);
}

/* Begins to close a poll: votes wait from now on; those begun before are in some lane after a grace
 * period. */
static void gate_begin(struct tally *tally, struct poll *poll)
{
    struct gate *gate = &tally->gate;
    gate->poll = poll;
    gate->tails_known = false;
    /* G3: relaxed: the callback that sets it is not registered yet */
    atomic_store_explicit(&gate->passed, false, memory_order_relaxed);
    poll->gated = true;
    FIELD_PUT(poll->vote_until, VOTES_WAIT);
    rcu_retire(tally->state.retirer, gate, gate_passed);
    rcu_retire_flush(tally->state.retirer);
}

static void gate_note_tails(struct tally *tally)
{
    struct gate *gate = &tally->gate;
    uint32_t edges = FIELD_OWN(tally->edge_count);
    for (uint32_t i = 0; i < edges; i++) {
        gate->tails[i] = lane_tail(FIELD_GET(tally->edges[i])->lane);
    }
    for (uint32_t i = edges; i < EDGES_MAX; i++) {
        gate->tails[i] = 0;
    }
    gate->tails_known = true;
}

static bool gate_tails_applied(const struct tally *tally)
{
    uint32_t edges = FIELD_OWN(tally->edge_count);
    for (uint32_t i = 0; i < edges; i++) {
        if (lane_applied(FIELD_GET(tally->edges[i])->lane) < tally->gate.tails[i]) {
            return false;
        }
    }
    return true;
}

static void run_gate(struct tally *tally)
{
    struct gate *gate = &tally->gate;
    /* G2: acquire; pairs with G1 */
    if (gate->poll == NULL || !atomic_load_explicit(&gate->passed, memory_order_acquire)) {
        return;
    }
    if (!gate->tails_known) {
        gate_note_tails(tally);
    }
    if (gate_tails_applied(tally) && own_room(tally, 0)) {
        keeper_judge(tally, RECORD_POLL_WINDOW, gate->poll->id, 0);
        gate->poll = NULL;
    }
}

static void look_at_windows(struct tally *tally)
{
    uint64_t now_ns = clock_mono_ns();
    if (tally->windowed_count == 0 || now_ns - tally->windows_ns < TICK_NS) {
        return;
    }
    tally->windows_ns = now_ns;
    uint64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < tally->windowed_count && own_room(tally, KEEPER_ROOM); i++) {
        struct poll *poll = tally->windowed[i];
        uint64_t close_ms = FIELD_OWN(poll->close_ms);
        bool want = FIELD_OWN(poll->open_ms) <= now_ms && (close_ms == 0 || now_ms < close_ms);
        bool is = FIELD_OWN(poll->open);
        if (want && !is) {
            keeper_judge(tally, RECORD_POLL_WINDOW, poll->id, 1);
        } else if (!want && is && tally->gate.poll == NULL && !poll->gated) {
            gate_begin(tally, poll);
        }
    }
}

/* ---- what finished builds give back ---- */

/* How far the oldest ones have to go so that what is left of `bytes` is within `bytes_max`: the lsn
 * that ended the last of them. A slice at a time. */
static uint64_t forget_until(const struct build *build, uint64_t bytes, uint64_t bytes_max,
                             uint64_t (*bytes_of)(const struct build *build))
{
    uint64_t until = 0;
    for (int i = 0; i < FORGET_SLICE && build != NULL && bytes > bytes_max; i++) {
        uint64_t mine = bytes_of(build);
        bytes -= mine < bytes ? mine : bytes;
        until = build->ended_lsn;
        build = TAILQ_NEXT(build, ended);
    }
    return until;
}

static void look_at_finished(struct tally *tally)
{
    const struct state *state = &tally->state;
    uint64_t ceiling = state->ledger.ceiling;
    static const struct build none;
    if (lane_applied(tally->own) < tally->forgotten_at || !own_room(tally, KEEPER_ROOM)) {
        return; /* what it said last is still on its way */
    }
    if (tally->forgotten_at != 0) {
        tally->forgotten_at = 0;
        rcu_retire_flush(state->retirer); /* few things, but large ones */
    }
    bool is_tight = !ledger_takes(&state->ledger, ceiling / LEDGER_RESERVE_SHARE, false);
    uint64_t share = is_tight ? LEDGER_FINISHED_SHARE_MIN : LEDGER_FINISHED_SHARE;
    uint64_t bytes_until =
        forget_until(state->ended_kept, state->ended_bytes, ceiling / share, build_bytes);
    uint64_t builds_until =
        forget_until(TAILQ_FIRST(&state->ended), state->ended_count * build_weight(&none),
                     ceiling / LEDGER_ENDED_SHARE, build_weight);
    if (bytes_until != 0 || builds_until != 0) {
        keeper_judge(tally, RECORD_FORGET, bytes_until, builds_until);
        tally->forgotten_at = tally->own->next;
    }
}

void keeper_run(struct tally *tally)
{
    run_wheel(tally, move_clock(tally));
    if (FIELD_OWN(tally->room) == ROOM_FULL) {
        look_for_silence(tally);
        look_at_windows(tally);
        look_at_finished(tally);
    }
    run_gate(tally);
    (void)lane_publish(tally->own);
}

uint64_t keeper_idle_ns(const struct tally *tally)
{
    bool near = tally->wheel.count > 0 || tally->windowed_count > 0;
    if (tally->gate.poll != NULL || tally->stuck.asked) {
        return TICK_NS / 10;
    }
    return near || FIELD_OWN(tally->room) != ROOM_FULL ? (uint64_t)TICK_NS : (uint64_t)IDLE_NS_MAX;
}

/* ---- after a replay ---- */

static int compare_offers(const void *a, const void *b)
{
    const struct build *x = *(struct build *const *)a;
    const struct build *y = *(struct build *const *)b;
    return (x->pending_lsn > y->pending_lsn) - (x->pending_lsn < y->pending_lsn);
}

/* Offers again what is pending, in the order in which it was offered before. */
static int offer_all(struct tally *tally)
{
    uint64_t next = FIELD_OWN(tally->state.build_next);
    uint64_t count = 0;
    struct build **pending = malloc((size_t)next * sizeof(struct build *));
    if (pending == NULL) {
        return TALLY_NOMEM;
    }
    for (uint64_t id = 1; id < next; id++) {
        struct build *build = state_build(&tally->state, id);
        if (build != NULL && half_state(build->accepted) == BUILD_PENDING) {
            pending[count++] = build;
        }
    }
    qsort(pending, count, sizeof(struct build *), compare_offers);
    int err = 0;
    for (uint64_t i = 0; err == 0 && i < count; i++) {
        err = offer(tally, pending[i]);
    }
    free(pending);
    return err;
}

static int arm_all(struct tally *tally)
{
    uint64_t next = FIELD_OWN(tally->state.build_next);
    for (uint64_t id = 1; id < next; id++) {
        struct build *build = state_build(&tally->state, id);
        if (build != NULL && half_held(build->accepted)) {
            uint32_t ticks = ticks_of_ms(FIELD_OWN(build->lease_ms));
            arm(tally, build, half_token(build->accepted), tally->wheel.now + ticks);
        } else if (build != NULL && half_state(build->accepted) == BUILD_DELAYED) {
            hook_delayed(tally, build);
        }
    }
    uint64_t now_ms = clock_mono_ns() / 1000000;
    for (uint64_t id = 1; id <= FIELD_OWN(tally->state.worker_count); id++) {
        struct worker *worker = table_get(&tally->state.worker_ids, id);
        FIELD_PUT(worker->used, (uint32_t)FIELD_OWN(worker->held_count));
        FIELD_PUT(worker->seen_ms, now_ms);
        if (FIELD_OWN(worker->state) == WORKER_GONE) {
            hook_gone(tally, worker);
        }
    }
    for (uint64_t id = 1; id <= FIELD_OWN(tally->state.poll_count); id++) {
        struct poll *poll = table_get(&tally->state.poll_ids, id);
        if (FIELD_OWN(poll->open_ms) != 0 || FIELD_OWN(poll->close_ms) != 0 ||
            !FIELD_OWN(poll->open)) {
            int err = window(tally, poll);
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}

int keeper_init(struct tally *tally)
{
    wheel_init(&tally->wheel);
    FIELD_PUT(tally->tick, tally->wheel.now);
    columns_begin(&tally->columns, clock_wall_ms());
    int err = offer_all(tally);
    err = err != 0 ? err : arm_all(tally);
    if (err != 0) {
        return err;
    }
    tally->state.hooks = (struct state_hooks){
        .arg = tally,
        .offered = hook_offered,
        .delayed = hook_delayed,
        .claimed = hook_claimed,
        .left = hook_left,
        .gone = hook_gone,
        .windowed = hook_windowed,
    };
    return 0;
}
