/* The timers: they expire leases, end delays, find silent workers and offer builds. */
#include "engine/commit/timers.h"

#include "engine/base/alarm.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>

enum {
    SLICE = 1024,                   /* builds looked at in one round */
    WORKER_SILENCE_MS = 300 * 1000, /* then a worker is offline */
    SILENCE_LOOK_MS = 1000,
    SILENCE_SLICE = 1024, /* workers looked at in one round */
};

static uint32_t ticks_of_lease(uint32_t lease_ms)
{
    return lease_ms / WHEEL_TICK_MS + (lease_ms % WHEEL_TICK_MS != 0) + 1;
}

/* ---- leases and delays ---- */

/* Begins the lease of a claim: sets the deadline, unless the claim has ended, or a first heartbeat
 * has set one. */
static void arm(struct timers *timers, struct build *build, uint32_t token, uint32_t due)
{
    uint64_t seen = word_get(&build->word);
    while (status_token(word_status(seen)) == token && word_deadline(seen) == 0) {
        if (word_step(&build->word, &seen, build_word(word_status(seen), due))) {
            break;
        }
    }
    wheel_put(&timers->leases, &build->timer, due);
}

/* Steps a build back whose worker has left, without waiting for its lease. Returns whether it did.
 * When the own lane is full, the wheel of leases brings the build up again. */
static bool take_back(struct timers *timers, struct build *build)
{
    uint64_t seen = word_get(&build->word);
    enum build_state to = build->byes >= BUILD_BYES_MAX ? BUILD_FAILED : BUILD_PENDING;
    while (status_is_held(word_status(seen)) && own_lane_has_slot(timers->own)) {
        if (own_lane_step(timers->own, build, seen, RECORD_UNHOLD, to)) {
            return true;
        }
        seen = word_get(&build->word);
    }
    if (status_is_held(word_status(seen))) {
        wheel_put(&timers->leases, &build->timer, timers->leases.now + 1);
    }
    return false;
}

void timers_claimed(struct timers *timers, struct build *build)
{
    CHECK(status_is_held(FIELD_OWN(build->applied))); /* since the CLAIM whose effect this is */
    struct need_set *set = FIELD_OWN(build->queue->sets[build->set]);
    struct ticket_list *list = &set->lists[build->pri];
    /* moves the hint over this build's ticket, so that the list does not reach the build when it is
     * freed */
    (void)ticket_first(list);
    ticket_trim(list, timers->state);
    if (FIELD_OWN(build->goes_back)) {
        (void)take_back(timers, build);
        return;
    }
    uint32_t ticks = ticks_of_lease(FIELD_OWN(build->lease_ms));
    /* counted from the lease clock: the wheel's hand lags behind it while many timers are due */
    arm(timers, build, status_token(FIELD_OWN(build->applied)),
        FIELD_OWN(timers->shared->tick) + ticks);
}

void timers_left(struct timers *timers, struct build *build, struct worker *worker)
{
    CHECK(!status_is_held(FIELD_OWN(build->applied))); /* since the record whose effect this is */
    wheel_remove(&timers->leases, &build->timer);
    /* K1: relaxed: a slot's return publishes nothing */
    uint32_t used = atomic_fetch_sub_explicit(&worker->used, 1, memory_order_relaxed);
    CHECK(used > 0); /* the edge took the slot before it claimed the build */
    FIELD_ADD(worker->left, 1);
}

static int offer(struct timers *timers, struct build *build)
{
    /* the record whose effect this is, or the replay, has said so */
    CHECK(status_state(FIELD_OWN(build->applied)) == BUILD_PENDING);
    struct need_set *set = FIELD_OWN(build->queue->sets[build->set]);
    struct ticket_list *list = &set->lists[build->pri];
    if (ticket_append(list, build, FIELD_OWN(build->applied), build->pending_lsn) != 0) {
        return TALLY_NOMEM;
    }
    timers->has_offered = true;
    return 0;
}

void timers_offered(struct timers *timers, struct build *build)
{
    if (offer(timers, build) != 0) {
        alarm_fatal(timers->options, 71, "out of memory in the timers");
    }
}

void timers_delayed(struct timers *timers, struct build *build)
{
    /* the record whose effect this is, or the replay, has said so */
    CHECK(status_state(FIELD_OWN(build->applied)) == BUILD_DELAYED);
    wheel_put(&timers->delays, &build->timer, wheel_tick(build->due_ms));
}

uint32_t timers_gone(struct timers *timers, struct worker *worker)
{
    uint32_t released = 0;
    const struct worker_held *held = FIELD_OWN(worker->held);
    CHECK(FIELD_OWN(worker->state) == WORKER_GONE); /* by the BYE whose effect this is */
    FIELD_ADD(worker->left, 1);
    timers->has_offered = true; /* a waiting claim of this worker asks again, and is refused */
    for (uint32_t i = 0; i < held->capacity; i++) {
        struct build *build = FIELD_OWN(held->slot[i]);
        if (build != NULL && take_back(timers, build)) {
            released++;
        }
    }
    return released;
}

static void held_is_due(struct timers *timers, struct build *build, uint64_t seen)
{
    bool last = FIELD_OWN(build->attempts) >= build->tries;
    enum build_state to = last ? BUILD_FAILED : BUILD_PENDING;
    if (!own_lane_step(timers->own, build, seen, RECORD_EXPIRE, to)) {
        wheel_put(&timers->leases, &build->timer, 0);
    }
}

static struct build *build_of(struct timer *timer)
{
    return (struct build *)((char *)timer - offsetof(struct build, timer));
}

static void lease_is_due(struct timers *timers, struct build *build)
{
    uint64_t seen = word_get(&build->word);
    uint32_t status = word_status(seen);
    if (status_token(status) != status_token(FIELD_OWN(build->applied))) {
        return; /* the claim has ended; timers_left takes the timer out, or a new claim arms it */
    }
    if (FIELD_OWN(build->goes_back)) {
        (void)take_back(timers, build);
    } else if (word_deadline(seen) > timers->leases.now) {
        wheel_put(&timers->leases, &build->timer, word_deadline(seen));
    } else if (status_is_held(status)) {
        held_is_due(timers, build, seen);
    }
}

/* Steps a build whose delay is over: only the committer steps delayed builds, so no step comes in
 * between. */
static void delay_is_due(struct timers *timers, struct build *build)
{
    if (build->due_ms > timers->shared->time.log_ms) {
        wheel_put(&timers->delays, &build->timer, wheel_tick(build->due_ms));
        return;
    }
    uint64_t seen = word_get(&build->word);
    if (status_state(word_status(seen)) == BUILD_DELAYED &&
        !own_lane_step(timers->own, build, seen, RECORD_DUE, BUILD_PENDING)) {
        wheel_put(&timers->delays, &build->timer, 0);
    }
}

/* Moves the lease clock by the running time that has passed. The lease clock stands still while the
 * log cannot grow. */
static uint32_t move_clock(struct timers *timers, uint64_t passed_ns)
{
    uint32_t tick = FIELD_OWN(timers->shared->tick);
    if (FIELD_OWN(timers->shared->space) != SPACE_PLENTY) {
        return tick;
    }
    timers->tick_rest_ns += passed_ns;
    tick += (uint32_t)(timers->tick_rest_ns / TIMERS_TICK_NS); /* time_look: at most a second */
    timers->tick_rest_ns %= TIMERS_TICK_NS;
    FIELD_PUT(timers->shared->tick, tick);
    return tick;
}

static void run_wheel(struct timers *timers, struct wheel *wheel, uint64_t tick,
                      void (*is_due)(struct timers *timers, struct build *build))
{
    for (int i = 0; i < SLICE && own_lane_has_room(timers->own); i++) {
        struct timer *timer = wheel_next(wheel, tick);
        if (timer == NULL) {
            return;
        }
        is_due(timers, build_of(timer));
    }
}

/* ---- silent workers ---- */

static void look_at_worker(struct timers *timers, struct worker *worker, uint64_t now_ms)
{
    /* K2: relaxed: a time publishes nothing */
    uint64_t seen_ms = atomic_load_explicit(&worker->seen_ms, memory_order_relaxed);
    if (seen_ms > now_ms) {
        /* after the process was stopped, an edge has looked at the clock before the committer */
        FIELD_PUT(worker->seen_ms, now_ms);
    } else if (FIELD_OWN(worker->state) == WORKER_ONLINE && now_ms - seen_ms > WORKER_SILENCE_MS) {
        own_lane_append(timers->own, RECORD_OFFLINE, (const uint64_t[OWN_LANE_NUMS]){worker->id});
    }
}

/* Looks at all workers once in SILENCE_LOOK_MS, at a slice of them in each round. */
void timers_run_silence(struct timers *timers)
{
    uint64_t now_ms = time_run_at(&timers->shared->time, timers->shared->time.looked_ns);
    uint64_t id = timers->workers_next;
    if (id == 0) {
        if (now_ms - timers->workers_seen_ms < SILENCE_LOOK_MS) {
            return;
        }
        timers->workers_seen_ms = now_ms;
        id = 1;
    }
    struct worker *worker = table_next(&timers->state->worker_ids, &id);
    for (int i = 0; i < SILENCE_SLICE && worker != NULL && own_lane_has_room(timers->own); i++) {
        look_at_worker(timers, worker, now_ms);
        id++;
        worker = table_next(&timers->state->worker_ids, &id);
    }
    timers->workers_next = worker != NULL ? id : 0;
}

void timers_run_leases(struct timers *timers)
{
    run_wheel(timers, &timers->leases, move_clock(timers, time_look(&timers->shared->time)),
              lease_is_due);
}

void timers_run_delays(struct timers *timers)
{
    run_wheel(timers, &timers->delays, timers->shared->time.log_ms / WHEEL_TICK_MS, delay_is_due);
}

void timers_retagged(struct timers *timers)
{
    timers->has_offered = true;
}

bool timers_take_offered(struct timers *timers)
{
    bool has_offered = timers->has_offered;
    timers->has_offered = false;
    return has_offered;
}

uint64_t timers_idle_ns(const struct timers *timers)
{
    if (timers->workers_next != 0) {
        return TIMERS_BUSY_NS;
    }
    return timers->leases.count + timers->delays.count > 0 ? TIMERS_TICK_NS : TIMERS_IDLE_NS_MAX;
}

/* ---- after a replay ---- */

static int compare_offers(const void *a, const void *b)
{
    const struct build *x = *(struct build *const *)a;
    const struct build *y = *(struct build *const *)b;
    return (x->pending_lsn > y->pending_lsn) - (x->pending_lsn < y->pending_lsn);
}

/* Offers all pending builds, in the order in which they became pending. */
static int offer_all(struct timers *timers)
{
    uint64_t count = 0;
    uint64_t builds = FIELD_OWN(timers->state->builds_in_memory);
    struct build **pending = malloc((size_t)(builds + 1) * sizeof(struct build *));
    if (pending == NULL) {
        return TALLY_NOMEM;
    }
    struct build *build;
    for (uint64_t id = 1; (build = table_next(&timers->state->builds, &id)) != NULL; id++) {
        if (status_state(build->accepted) == BUILD_PENDING) {
            pending[count++] = build;
        }
    }
    qsort(pending, count, sizeof(struct build *), compare_offers);
    int err = 0;
    for (uint64_t i = 0; err == 0 && i < count; i++) {
        err = offer(timers, pending[i]);
    }
    free(pending);
    return err;
}

static void arm_all(struct timers *timers)
{
    struct build *build;
    for (uint64_t id = 1; (build = table_next(&timers->state->builds, &id)) != NULL; id++) {
        if (status_is_held(build->accepted) && FIELD_OWN(build->goes_back)) {
            (void)take_back(timers, build);
        } else if (status_is_held(build->accepted)) {
            uint32_t ticks = ticks_of_lease(FIELD_OWN(build->lease_ms));
            arm(timers, build, status_token(build->accepted),
                FIELD_OWN(timers->shared->tick) + ticks);
        } else if (status_state(build->accepted) == BUILD_DELAYED) {
            timers_delayed(timers, build);
        }
    }
    uint64_t now_ms = time_run_ms(&timers->shared->time);
    struct worker *worker;
    for (uint64_t id = 1; (worker = table_next(&timers->state->worker_ids, &id)) != NULL; id++) {
        FIELD_PUT(worker->used, (uint32_t)FIELD_OWN(worker->held_count));
        FIELD_PUT(worker->seen_ms, now_ms);
    }
}

int timers_start(struct timers *timers)
{
    FIELD_PUT(timers->shared->tick, 1); /* a deadline of 0 means none */
    wheel_init(&timers->leases, FIELD_OWN(timers->shared->tick));
    wheel_init(&timers->delays, timers->shared->time.log_ms / WHEEL_TICK_MS);
    int err = offer_all(timers);
    if (err == 0) {
        arm_all(timers);
    }
    return err;
}
