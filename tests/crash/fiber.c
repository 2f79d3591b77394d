/* The log's helper thread as a fiber of one thread, so that a seed repeats a run to the last call.
 */
#include "tests/crash/fiber.h"

#include "tests/lib/seed.h"
#include "wal/base/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <ucontext.h>

enum { FIBERS_MAX = 4, STACK_BYTES = 256 << 10 };

enum fiber_state { FIBER_FREE, FIBER_READY, FIBER_WAITS, FIBER_ENDED };

struct fiber {
    enum fiber_state state;
    bool is_timed;
    bool timed_out;
    const pthread_cond_t *waits_for; /* WAITS */
    ucontext_t context;
    void *stack;
    void *(*run)(void *);
    void *arg;
};

static struct fiber fibers[FIBERS_MAX]; /* 0: the thread itself, the log's writer */
static int running;
static enum fiber_order run_order;
static struct seed run_seed;

static void go_to(int next)
{
    int before = running;
    if (next == before) {
        return;
    }
    running = next;
    CHECK(swapcontext(&fibers[before].context, &fibers[next].context) == 0);
}

/* Another fiber that can go on, or -1. */
static int find_other(void)
{
    for (int i = 1; i < FIBERS_MAX; i++) {
        int at = (running + i) % FIBERS_MAX;
        if (fibers[at].state == FIBER_READY) {
            return at;
        }
    }
    return -1;
}

void fiber_begin(enum fiber_order order, uint64_t seed)
{
    CHECK(running == 0);
    for (int i = 1; i < FIBERS_MAX; i++) {
        CHECK(fibers[i].state == FIBER_FREE);
    }
    fibers[0].state = FIBER_READY;
    run_order = order;
    run_seed.state = seed;
}

void fiber_point(void)
{
    int other = find_other();
    if (other < 0 || run_order == FIBER_WRITER_FIRST) {
        return;
    }
    if (run_order == FIBER_HELPER_FIRST ? running == 0 : seed_below(&run_seed, 2) == 0) {
        go_to(other);
    }
}

/* The writer lets the others run, until none can. In a mixed run they may come back to it early. */
void fiber_settle(void)
{
    enum fiber_order order = run_order;
    CHECK(running == 0);
    run_order = FIBER_WRITER_FIRST;
    for (int other = find_other(); other >= 0; other = find_other()) {
        go_to(other);
    }
    run_order = order;
}

void fiber_tick(void)
{
    for (int i = 1; i < FIBERS_MAX; i++) {
        if (fibers[i].state == FIBER_WAITS && fibers[i].is_timed) {
            fibers[i].timed_out = true;
            fibers[i].state = FIBER_READY;
        }
    }
    fiber_settle();
}

/* Nobody can go on: the log waits for itself. Only a time limit can help. */
static int find_timed(void)
{
    for (int i = 0; i < FIBERS_MAX; i++) {
        if (fibers[i].state == FIBER_WAITS && fibers[i].is_timed) {
            fibers[i].timed_out = true;
            fibers[i].state = FIBER_READY;
            return i;
        }
    }
    return -1;
}

static void leave(void)
{
    int other = find_other();
    other = other >= 0 ? other : find_timed();
    CHECK(other >= 0);
    go_to(other);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
                                  const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond);

static void fiber_main(void)
{
    struct fiber *self = &fibers[running];
    self->run(self->arg);
    self->state = FIBER_ENDED;
    __wrap_pthread_cond_broadcast(NULL); /* who joins waits for no condition */
    leave();
}

static void start(struct fiber *fiber, void *(*run)(void *), void *arg)
{
    if (fiber->stack == NULL) {
        fiber->stack = malloc(STACK_BYTES);
        CHECK(fiber->stack != NULL);
    }
    CHECK(getcontext(&fiber->context) == 0);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    fiber->run = run;
    fiber->arg = arg;
    makecontext(&fiber->context, fiber_main, 0);
    fiber->state = FIBER_READY;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    (void)attr;
    int at = 1;
    while (at < FIBERS_MAX && fibers[at].state != FIBER_FREE) {
        at++;
    }
    CHECK(at < FIBERS_MAX);
    start(&fibers[at], run, arg);
    *thread = (pthread_t)at;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    struct fiber *fiber = &fibers[(int)thread];
    (void)result;
    while (fiber->state != FIBER_ENDED) {
        fibers[running].state = FIBER_WAITS;
        fibers[running].is_timed = false;
        fibers[running].waits_for = NULL;
        int self = running;
        leave();
        fibers[self].state = FIBER_READY;
    }
    fiber->state = FIBER_FREE;
    return 0;
}

static int wait(pthread_cond_t *cond, pthread_mutex_t *lock, bool is_timed)
{
    struct fiber *self = &fibers[running];
    pthread_mutex_unlock(lock);
    self->state = FIBER_WAITS;
    self->is_timed = is_timed;
    self->timed_out = false;
    self->waits_for = cond;
    leave();
    pthread_mutex_lock(lock);
    return self->timed_out ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
    return wait(cond, lock, false);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
                                  const struct timespec *until)
{
    (void)until;
    return wait(cond, lock, true);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    for (int i = 0; i < FIBERS_MAX; i++) {
        if (fibers[i].state == FIBER_WAITS && fibers[i].waits_for == cond) {
            fibers[i].state = FIBER_READY;
        }
    }
    return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    return __wrap_pthread_cond_broadcast(cond);
}
