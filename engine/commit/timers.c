/* The timers: leases, delays, silent workers, poll windows, and the offering of builds. */
#include "engine/engine.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>
#include <string.h>

enum {
    TICK_NS = WHEEL_TICK_MS * 1000 * 1000,
    SLICE = 1024, /* builds looked at in one round */
    SILENCE_LOOK_MS = 1000,
    SILENCE_SLICE = 1024, /* workers looked at in one round */
    IDLE_NS_MAX = 1000 * 1000 * 1000,
};

static void no_memory(struct tally *tally)
{
    engine_fatal(tally, 71, "out of memory in the timers");
}

static uint32_t ticks_of_lease(uint32_t lease_ms)
{
    return lease_ms / WHEEL_TICK_MS + (lease_ms % WHEEL_TICK_MS != 0) + 1;
}

/* ---- steps that the committer makes ---- */

static bool own_room(const struct tally *tally, uint64_t spare)
{
    return lane_room(tally->own) > spare;
}

bool timers_have_room(const struct tally *tally)
{
    return own_room(tally, TIMERS_ROOM);
}

/* Steps a build if it still says `seen`, and appends the record. */
static bool keeper_step(struct tally *tally, struct build *build, uint64_t seen,
                        enum record_type type, enum build_state to)
{
    uint32_t before = word_status(seen);
    uint32_t after = status_next(before, to);
    /* no bytes lead here: the callers look at the state first, and a loaded one has tokens left for
     * all that can follow (bounds.h: bounds_status_is_valid), so that status_next stays within the
     * table */
    CHECK(word_transition_is_legal(type, before, after));
    if (!word_step(&build->word, &seen, build_word(after, 0))) {
        return false;
    }
    struct lane_slot *slot = lane_append(tally->own);
    slot->step =
        (struct lane_step){.type = (uint8_t)type, .before = before, .after = after, .build = build};
    return true;
}

void timers_append(struct tally *tally, enum record_type type, const uint64_t num[TIMERS_NUMS])
{
    struct ordered_request *request = ordered_request_new(&tally->state.ledger, type, NULL, 0, 0);
    if (request == NULL) {
        no_memory(tally);
    }
    memcpy(request->record.num, num, TIMERS_NUMS * sizeof num[0]);
    struct lane_slot *slot = lane_append(tally->own);
    slot->ordered = (struct lane_ordered){.type = (uint8_t)type, .request = request};
}

/* ---- leases and delays ---- */

/* Sets the deadline of a word that still has `token` and no deadline yet (a first heartbeat sets
 * one, too). */
static void arm(struct tally *tally, struct build *build, uint32_t token, uint32_t due)
{
    uint64_t seen = word_get(&build->word);
    while (status_token(word_status(seen)) == token && word_deadline(seen) == 0) {
        if (word_step(&build->word, &seen, build_word(word_status(seen), due))) {
            break;
        }
    }
    wheel_put(&tally->leases, &build->timer, due);
}

/* Steps what its worker has left back, without waiting for a lease; true when that is done. Without
 * room it comes up again in the wheel. */
static bool take_back(struct tally *tally, struct build *build)
{
    uint64_t seen = word_get(&build->word);
    enum build_state to = build->byes >= BUILD_BYES_MAX ? BUILD_FAILED : BUILD_PENDING;
    while (status_is_held(word_status(seen)) && own_room(tally, 0)) {
        if (keeper_step(tally, build, seen, RECORD_UNHOLD, to)) {
            return true;
        }
        seen = word_get(&build->word);
    }
    if (status_is_held(word_status(seen))) {
        wheel_put(&tally->leases, &build->timer, tally->leases.now + 1);
    }
    return false;
}

void timers_claimed(struct tally *tally, struct build *build)
{
    struct need_set *set = FIELD_OWN(build->queue->sets[build->set]);
    struct ticket_list *list = &set->lists[build->pri];
    /* the hint goes over this build's ticket, so that nothing of it stays when the build is freed
     */
    (void)ticket_first(list);
    ticket_trim(list, &tally->state);
    if (FIELD_OWN(build->goes_back)) {
        (void)take_back(tally, build);
        return;
    }
    uint32_t ticks = ticks_of_lease(FIELD_OWN(build->lease_ms));
    /* from the clock, not from the hand of the wheel: that may lag behind many that are due */
    arm(tally, build, status_token(FIELD_OWN(build->applied)),
        FIELD_OWN(tally->shared.tick) + ticks);
}

void timers_left(struct tally *tally, struct build *build, struct worker *worker)
{
    wheel_remove(&tally->leases, &build->timer);
    /* K1: relaxed: a slot's return publishes nothing */
    atomic_fetch_sub_explicit(&worker->used, 1, memory_order_relaxed);
    FIELD_ADD(worker->left, 1);
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

void timers_offered(struct tally *tally, struct build *build)
{
    if (offer(tally, build) != 0) {
        no_memory(tally);
    }
}

void timers_delayed(struct tally *tally, struct build *build)
{
    wheel_put(&tally->delays, &build->timer, wheel_tick(build->due_ms));
}

uint32_t timers_gone(struct tally *tally, struct worker *worker)
{
    uint32_t released = 0;
    const struct worker_held *held = FIELD_OWN(worker->held);
    FIELD_ADD(worker->left, 1);
    for (uint32_t i = 0; i < held->capacity; i++) {
        struct build *build = FIELD_OWN(held->slot[i]);
        if (build != NULL && take_back(tally, build)) {
            released++;
        }
    }
    return released;
}

static void held_is_due(struct tally *tally, struct build *build, uint64_t seen)
{
    bool last = FIELD_OWN(build->attempts) >= build->tries;
    enum build_state to = last ? BUILD_FAILED : BUILD_PENDING;
    if (!keeper_step(tally, build, seen, RECORD_EXPIRE, to)) {
        wheel_put(&tally->leases, &build->timer, 0);
    }
}

static struct build *build_of(struct timer *timer)
{
    return (struct build *)((char *)timer - offsetof(struct build, timer));
}

static void lease_is_due(struct tally *tally, struct build *build)
{
    uint64_t seen = word_get(&build->word);
    uint32_t status = word_status(seen);
    if (status_token(status) != status_token(FIELD_OWN(build->applied))) {
        return; /* it has left; timers_left or a new arming will see to it */
    }
    if (FIELD_OWN(build->goes_back)) {
        (void)take_back(tally, build);
    } else if (word_deadline(seen) > tally->leases.now) {
        wheel_put(&tally->leases, &build->timer, word_deadline(seen));
    } else if (status_is_held(status)) {
        held_is_due(tally, build, seen);
    }
}

/* Only the committer steps a delayed build, so nobody is in between. */
static void delay_is_due(struct tally *tally, struct build *build)
{
    if (build->due_ms > tally->shared.time.log_ms) {
        wheel_put(&tally->delays, &build->timer, wheel_tick(build->due_ms));
        return;
    }
    uint64_t seen = word_get(&build->word);
    if (status_state(word_status(seen)) == BUILD_DELAYED &&
        !keeper_step(tally, build, seen, RECORD_DUE, BUILD_PENDING)) {
        wheel_put(&tally->delays, &build->timer, 0);
    }
}

/* Moves the lease clock by the running time that has passed; not at all while the log cannot grow.
 */
static uint32_t move_clock(struct tally *tally, uint64_t passed_ns)
{
    uint32_t tick = FIELD_OWN(tally->shared.tick);
    if (FIELD_OWN(tally->shared.space) != SPACE_PLENTY) {
        return tick;
    }
    tally->tick_rest_ns += passed_ns;
    tick += (uint32_t)(tally->tick_rest_ns / TICK_NS); /* ticks of a second at most */
    tally->tick_rest_ns %= TICK_NS;
    FIELD_PUT(tally->shared.tick, tick);
    return tick;
}

static void run_wheel(struct tally *tally, struct wheel *wheel, uint64_t tick,
                      void (*is_due)(struct tally *tally, struct build *build))
{
    for (int i = 0; i < SLICE && timers_have_room(tally); i++) {
        struct timer *timer = wheel_next(wheel, tick);
        if (timer == NULL) {
            return;
        }
        is_due(tally, build_of(timer));
    }
}

/* ---- workers that say nothing ---- */

static void look_at(struct tally *tally, struct worker *worker, uint64_t now_ms)
{
    /* K2: relaxed: a time publishes nothing */
    uint64_t seen_ms = atomic_load_explicit(&worker->seen_ms, memory_order_relaxed);
    if (seen_ms > now_ms) {
        /* by a thread that was faster than the committer to look, after both were stopped */
        FIELD_PUT(worker->seen_ms, now_ms);
    } else if (FIELD_OWN(worker->state) == WORKER_ONLINE && now_ms - seen_ms > WORKER_SILENCE_MS) {
        timers_append(tally, RECORD_OFFLINE, (const uint64_t[TIMERS_NUMS]){worker->id});
    }
}

/* At all of them once in SILENCE_LOOK_MS, a slice in each round. */
static void look_for_silence(struct tally *tally)
{
    uint64_t now_ms = time_run_at(&tally->shared.time, tally->shared.time.looked_ns);
    uint64_t id = tally->workers_next;
    if (id == 0) {
        if (now_ms - tally->workers_seen_ms < SILENCE_LOOK_MS) {
            return;
        }
        tally->workers_seen_ms = now_ms;
        id = 1;
    }
    struct worker *worker = table_next(&tally->state.worker_ids, &id);
    for (int i = 0; i < SILENCE_SLICE && worker != NULL && timers_have_room(tally); i++) {
        look_at(tally, worker, now_ms);
        id++;
        worker = table_next(&tally->state.worker_ids, &id);
    }
    tally->workers_next = worker != NULL ? id : 0;
}

void timers_run(struct tally *tally)
{
    run_wheel(tally, &tally->leases, move_clock(tally, time_look(&tally->shared.time)),
              lease_is_due);
    if (FIELD_OWN(tally->shared.space) == SPACE_PLENTY) {
        run_wheel(tally, &tally->delays, tally->shared.time.log_ms / WHEEL_TICK_MS, delay_is_due);
        gate_run_windows(tally);
        look_for_silence(tally);
        forget_run(tally);
    }
    gate_run(tally);
    (void)lane_publish(tally->own);
}

uint64_t timers_idle_ns(const struct tally *tally)
{
    bool near = forget_is_busy(tally) ||
                tally->leases.count + tally->delays.count + tally->windows.count > 0;
    if (gate_is_busy(tally) || tally->stuck.asked || tally->workers_next != 0) {
        return TICK_NS / 10;
    }
    return near || FIELD_OWN(tally->shared.space) != SPACE_PLENTY ? (uint64_t)TICK_NS
                                                                  : (uint64_t)IDLE_NS_MAX;
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
    uint64_t count = 0;
    uint64_t builds = FIELD_OWN(tally->state.builds_in_memory);
    struct build **pending = malloc((size_t)(builds + 1) * sizeof(struct build *));
    if (pending == NULL) {
        return TALLY_NOMEM;
    }
    struct build *build;
    for (uint64_t id = 1; (build = table_next(&tally->state.builds, &id)) != NULL; id++) {
        if (status_state(build->accepted) == BUILD_PENDING) {
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

static void arm_all(struct tally *tally)
{
    struct build *build;
    for (uint64_t id = 1; (build = table_next(&tally->state.builds, &id)) != NULL; id++) {
        if (status_is_held(build->accepted) && FIELD_OWN(build->goes_back)) {
            (void)take_back(tally, build);
        } else if (status_is_held(build->accepted)) {
            uint32_t ticks = ticks_of_lease(FIELD_OWN(build->lease_ms));
            arm(tally, build, status_token(build->accepted), FIELD_OWN(tally->shared.tick) + ticks);
        } else if (status_state(build->accepted) == BUILD_DELAYED) {
            timers_delayed(tally, build);
        }
    }
    uint64_t now_ms = time_run_ms(&tally->shared.time);
    struct worker *worker;
    for (uint64_t id = 1; (worker = table_next(&tally->state.worker_ids, &id)) != NULL; id++) {
        FIELD_PUT(worker->used, (uint32_t)FIELD_OWN(worker->held_count));
        FIELD_PUT(worker->seen_ms, now_ms);
    }
}

int timers_init(struct tally *tally)
{
    FIELD_PUT(tally->shared.tick, 1); /* 0 is no deadline */
    wheel_init(&tally->leases, FIELD_OWN(tally->shared.tick));
    wheel_init(&tally->delays, tally->shared.time.log_ms / WHEEL_TICK_MS);
    int err = offer_all(tally);
    if (err != 0) {
        return err;
    }
    arm_all(tally);
    gate_init(tally);
    return 0;
}
