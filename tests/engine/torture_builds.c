/* The torture's submitter and workers. */
#include "tests/engine/torture.h"

#include "wal/base/clock.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { STOPPED_NS = 700 * 1000 * 1000, STOPPED_ONE_IN = 200 };

/* ---- traces of builds ---- */

static struct trace *trace_of(struct torture *t, uint64_t id)
{
    EXPECT(id > 0 && id < BUILDS_MAX, "build %lu", (unsigned long)id);
    return &t->builds[id];
}

/*
 * Notes a fresh claim that is durable now; asked_ns is from before the request. Claims are noted in
 * any order: a thread that was stopped between its claim and here may come after its lease has
 * expired and the build was given to others. Then the lease must have expired before they got it.
 */
static void trace_claim(struct torture *t, const struct edge_claimed *got, uint64_t asked_ns)
{
    struct trace *trace = trace_of(t, got->id);
    unsigned long id = (unsigned long)got->id;
    uint64_t till_ns = asked_ns + got->lease_ms * 1000000;
    pthread_mutex_lock(&t->noting);
    EXPECT(trace->token != got->token, "build %lu: token %u was given twice", id, got->token);
    if (trace->token < got->token) {
        uint64_t now_ns = clock_mono_ns();
        EXPECT(trace->held_till <= now_ns, "build %lu was claimed while its lease runs", id);
        trace->token = got->token;
        trace->noted_ns = now_ns;
        trace->held_till = till_ns;
    } else {
        EXPECT(till_ns <= trace->noted_ns, "build %lu: token %u was given while %u held it", id,
               trace->token, got->token);
        torture_count(&t->late);
    }
    pthread_mutex_unlock(&t->noting);
    torture_count(&t->claims);
}

/* Notes that the holder is about to give the build up: from now on any other claim may hold it. */
static void trace_give_up(struct torture *t, uint64_t id, uint32_t token)
{
    struct trace *trace = trace_of(t, id);
    pthread_mutex_lock(&t->noting);
    if (trace->token == token) {
        trace->held_till = 0;
    }
    pthread_mutex_unlock(&t->noting);
}

static void trace_done(struct torture *t, uint64_t id, uint32_t token)
{
    uint32_t none = 0;
    /* T6: acq_rel; acquire on failure; pairs with T6 */
    if (atomic_compare_exchange_strong_explicit(&trace_of(t, id)->done, &none, token,
                                                memory_order_acq_rel, memory_order_acquire)) {
        torture_count(&t->done);
    } else {
        EXPECT(none == token, "build %lu was done with token %u and with %u", (unsigned long)id,
               none, token);
    }
}

/* ---- the submitter ---- */

static int submit_one(struct actor *actor, struct handle *handle, uint64_t number)
{
    char payload[64];
    bool fifo = number % 4 == 0;
    snprintf(payload, sizeof(payload), "%lu", (unsigned long)number);
    struct edge_submit ask = {.queue = fifo ? SPAN("fifo") : SPAN("work"),
                              .payload = span_of(payload),
                              .pri = 5,
                              .lease_ms = fifo ? 600000 : 100,
                              .tries = 3};
    if (!fifo) {
        ask.pri = (uint32_t)seed_below(&actor->seed, BUILD_PRIORITIES);
        ask.need = seed_below(&actor->seed, 4) == 0 ? SPAN("gpu") : (struct span){NULL, 0};
        ask.delay_ms = seed_below(&actor->seed, 30) == 0 ? 150 : 0;
        ask.tries = 20;
    }
    return edge_submit(handle->edge, &ask);
}

void actor_submit(struct actor *actor, struct handle *handle)
{
    struct torture *t = actor->t;
    uint64_t number = 0;
    while (torture_goes_on(t) && number + 16 < BUILDS_MAX) {
        uint64_t ended = torture_get(&t->done) + torture_get(&t->failed);
        if (torture_get(&t->submitted) > ended + OPEN_MAX) {
            handle_wait(handle);
            continue;
        }
        for (uint64_t some = seed_below(&actor->seed, 16); some > 0; some--) {
            int err = submit_one(actor, handle, ++number);
            EXPECT(err == 0, "submit: %s", tally_err_name(err));
        }
        handle_settle(handle);
        /* T2: relaxed: a count publishes nothing */
        atomic_store_explicit(&t->submitted, number, memory_order_relaxed);
    }
}

/* ---- one worker, one queue: strictly in order ---- */

static int claim(struct handle *handle, const struct edge_claim *ask, struct edge_claimed *got)
{
    int err;
    HANDLE_ASK(err, handle, edge_claim(handle->edge, ask, got));
    return err;
}

static uint64_t number_of(struct span payload)
{
    char text[64];
    EXPECT(payload.len > 0 && payload.len < sizeof(text), "a payload of %zu bytes", payload.len);
    memcpy(text, payload.at, payload.len);
    text[payload.len] = '\0';
    return strtoull(text, NULL, 10);
}

static int done(struct handle *handle, uint64_t id, uint32_t token)
{
    int err;
    HANDLE_ASK(err, handle, edge_done(handle->edge, id, token, SPAN("done")));
    return err;
}

void actor_fifo(struct actor *actor, struct handle *handle)
{
    struct torture *t = actor->t;
    struct edge_claim ask = {.worker = SPAN("fifo"), .queues = {SPAN("fifo")}, .queue_count = 1};
    uint64_t last = 0;
    handle_worker(handle, "fifo", 1);
    while (torture_goes_on(t)) {
        struct edge_claimed got;
        uint64_t asked_ns = clock_mono_ns();
        int err = claim(handle, &ask, &got);
        if (err == EDGE_NIL) {
            handle_wait(handle);
            continue;
        }
        EXPECT(err == 0 && !got.again, "claim: %s, again %d", tally_err_name(err), got.again);
        uint64_t number = number_of(got.payload);
        EXPECT(number == last + 4, "fifo: build %lu comes after build %lu", (unsigned long)number,
               (unsigned long)last);
        last = number;
        handle_settle(handle);
        trace_claim(t, &got, asked_ns);
        err = done(handle, got.id, got.token);
        EXPECT(err == 0, "done by the only worker: %s", tally_err_name(err));
        handle_settle(handle);
        trace_done(t, got.id, got.token);
        torture_count(&t->fifo);
    }
}

/* ---- workers that do everything a worker can do ---- */

static void heartbeat(struct handle *handle, const struct edge_claimed *got)
{
    uint64_t lease_ms = 0;
    int err;
    HANDLE_ASK(err, handle, edge_beat(handle->edge, got->id, got->token, 50, &lease_ms));
    EXPECT(err == 0 || err == TALLY_STALE, "beat: %s", tally_err_name(err));
}

static void give_back(struct actor *actor, struct handle *handle, const struct edge_claimed *got)
{
    uint32_t delay_ms = seed_below(&actor->seed, 8) == 0 ? 150 : 0;
    trace_give_up(actor->t, got->id, got->token);
    int err;
    HANDLE_ASK(err, handle, edge_release(handle->edge, got->id, got->token, delay_ms));
    EXPECT(err == 0 || err == TALLY_STALE, "release: %s", tally_err_name(err));
    handle_settle(handle);
}

static void fail_build(struct actor *actor, struct handle *handle, const struct edge_claimed *got)
{
    struct edge_fail ask = {.id = got->id, .token = got->token, .text = SPAN("broken")};
    struct edge_failed how = {.final = false};
    ask.dead = seed_below(&actor->seed, 3) == 0;
    trace_give_up(actor->t, got->id, got->token);
    int err;
    HANDLE_ASK(err, handle, edge_fail(handle->edge, &ask, &how));
    EXPECT(err == 0 || err == TALLY_STALE, "fail: %s", tally_err_name(err));
    handle_settle(handle);
    if (err == 0 && how.final) {
        torture_count(&actor->t->failed);
    }
}

/* Behaves as if the reply to the claim was lost. */
static void lose(struct actor *actor, struct handle *handle, const struct edge_claimed *got)
{
    trace_give_up(actor->t, got->id, got->token);
    int err;
    HANDLE_ASK(err, handle, edge_take_back(handle->edge, got->id, got->token));
    EXPECT(err == 0 || err == TALLY_STALE, "take back: %s", tally_err_name(err));
    EXPECT(err != 0 || !got->again, "taken back from one who was told again");
    handle_settle(handle);
    err = done(handle, got->id, got->token);
    EXPECT(err == 0 || err == TALLY_STALE, "done after that: %s", tally_err_name(err));
    handle_settle(handle);
    if (err == 0) {
        trace_done(actor->t, got->id, got->token);
    }
}

/* Sleeps until the lease has expired: the build is offered again, and the late DONE is refused. */
static void expire(struct actor *actor, struct handle *handle, const struct edge_claimed *got)
{
    struct read_builds r;
    enum build_state state = BUILD_ASSIGNED;
    uint32_t attempt = got->attempt;
    while ((state == BUILD_ASSIGNED || state == BUILD_BUILDING) && attempt == got->attempt) {
        handle_wait(handle);
        read_builds_init(&r);
        r.id = got->id;
        int err = handle_read(handle, &r.read);
        EXPECT(err == 0 && r.row_count == 1, "BUILD: %s", tally_err_name(err));
        state = r.rows[0].state;
        attempt = r.rows[0].attempt;
        read_builds_fini(&r);
    }
    int err = done(handle, got->id, got->token);
    EXPECT(err == TALLY_STALE, "done after the lease: %s", tally_err_name(err));
    torture_count(&actor->t->stale);
}

static void finish(struct actor *actor, struct handle *handle, const struct edge_claimed *got)
{
    trace_give_up(actor->t, got->id, got->token);
    int err = done(handle, got->id, got->token);
    EXPECT(err == 0 || err == TALLY_STALE, "done: %s", tally_err_name(err));
    if (err == 0 && seed_below(&actor->seed, 4) == 0) {
        err = done(handle, got->id, got->token);
        EXPECT(err == 0, "done once more: %s", tally_err_name(err));
    }
    handle_settle(handle);
    if (err == 0) {
        trace_done(actor->t, got->id, got->token);
    }
}

static void work(struct actor *actor, struct handle *handle, const struct edge_claimed *got)
{
    switch (seed_below(&actor->seed, 24)) {
    case 0:
        expire(actor, handle, got);
        break;
    case 1:
        give_back(actor, handle, got);
        break;
    case 2:
        fail_build(actor, handle, got);
        break;
    case 3:
        lose(actor, handle, got);
        break;
    case 4:
    case 5:
        heartbeat(handle, got);
        finish(actor, handle, got);
        break;
    default:
        finish(actor, handle, got);
        break;
    }
}

/* A worker leaves and comes back; its build is offered to others at once. */
static void leave(struct actor *actor, struct handle *handle, const char *name,
                  const struct edge_claimed *held)
{
    trace_give_up(actor->t, held->id, held->token);
    uint64_t value = 0;
    int err = handle_result(handle, edge_bye(handle->edge, span_of(name)), &value);
    EXPECT(err == 0, "bye: %s", tally_err_name(err));
    handle_worker(handle, name, 3);
    torture_count(&actor->t->byes);
}

/* Stops this thread for longer than a lease, as the machine might. */
static void stop_a_while(void)
{
    uint64_t until_ns = clock_mono_ns() + STOPPED_NS;
    while (clock_mono_ns() < until_ns) {
        sched_yield();
    }
}

void actor_claim(struct actor *actor, struct handle *handle)
{
    char name[32];
    snprintf(name, sizeof(name), "worker-%u", actor->number);
    struct edge_worker me = {.id = span_of(name), .slots = 3, .tags = SPAN("gpu,linux")};
    int err = handle_result(handle, edge_worker(handle->edge, &me), NULL);
    EXPECT(err == 0, "worker: %s", tally_err_name(err));
    struct edge_claim ask = {
        .worker = span_of(name), .queues = {SPAN("none"), SPAN("work")}, .queue_count = 2};
    while (torture_goes_on(actor->t)) {
        struct edge_claimed got;
        uint64_t asked_ns = clock_mono_ns();
        ask.lease_ms = 100 + (uint32_t)seed_below(&actor->seed, 3) * 100;
        err = claim(handle, &ask, &got);
        if (err == EDGE_NIL) {
            handle_wait(handle);
            continue;
        }
        EXPECT(err == 0, "claim: %s", tally_err_name(err));
        handle_settle(handle);
        if (seed_below(&actor->seed, STOPPED_ONE_IN) == 0) {
            stop_a_while();
        }
        if (!got.again) {
            trace_claim(actor->t, &got, asked_ns);
        }
        if (seed_below(&actor->seed, 40) == 0) {
            leave(actor, handle, name, &got);
            me.slots = 0;
            err = handle_result(handle, edge_worker(handle->edge, &me), NULL);
            EXPECT(err == 0, "worker: %s", tally_err_name(err));
        } else {
            work(actor, handle, &got);
        }
    }
}

/* Threads that share a worker of one slot: a second claim is told the same build again. */
void actor_share(struct actor *actor, struct handle *handle)
{
    struct edge_claim ask = {
        .worker = SPAN("shared"), .queues = {SPAN("work")}, .queue_count = 1, .lease_ms = 60000};
    handle_worker(handle, "shared", 1);
    while (torture_goes_on(actor->t)) {
        struct edge_claimed got;
        uint64_t asked_ns = clock_mono_ns();
        int err = claim(handle, &ask, &got);
        EXPECT(err == 0 || err == EDGE_NIL, "claim: %s", tally_err_name(err));
        if (err == EDGE_NIL) {
            continue;
        }
        uint64_t id = got.id;
        handle_settle(handle);
        if (!got.again) {
            trace_claim(actor->t, &got, asked_ns);
        }
        trace_give_up(actor->t, id, got.token);
        err = done(handle, id, got.token);
        EXPECT(err == 0, "done with a long lease: %s", tally_err_name(err));
        handle_settle(handle);
        trace_done(actor->t, id, got.token);
    }
}
