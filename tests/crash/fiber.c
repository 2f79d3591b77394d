/* The log's threads as fibers of one thread, so that a seed repeats a run to the last call. */
#include "tests/crash/fiber.h"

#include "tests/lib/seed.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <ucontext.h>

enum { FIBERS_MAX = 4, STACK_BYTES = 256 << 10 };

/* Longer than the log waits for anything but the next scrub. */
#define TICK_NS ((uint64_t)60 * 1000000000)

enum fiber_state { FIBER_FREE, FIBER_READY, FIBER_WAITS, FIBER_ENDED };

struct fiber {
    enum fiber_state state;
    bool is_timed;
    bool timed_out;
    const void *waits_for; /* WAITS: a condition, a semaphore; NULL: the end of a fiber */
    ucontext_t context;
    void *stack;
    void *(*run)(void *);
    void *arg;
};

static struct fiber fibers[FIBERS_MAX]; /* 0: the thread itself, the log's writer */
static int running;
static enum fiber_order run_order;
static struct seed run_seed;
static uint64_t now_ns;

static void go_to(int next)
{
    int before = running;
    if (next == before) {
        return;
    }
    running = next;
    CHECK(swapcontext(&fibers[before].context, &fibers[next].context) == 0);
}

/* Returns another fiber that can go on, or -1. */
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
    now_ns = TICK_NS;
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

/* Lets the other fibers run until none can. In a mixed run the writer may go on earlier. */
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
    now_ns += TICK_NS;
    for (int i = 1; i < FIBERS_MAX; i++) {
        if (fibers[i].state == FIBER_WAITS && fibers[i].is_timed) {
            fibers[i].timed_out = true;
            fibers[i].state = FIBER_READY;
        }
    }
    fiber_settle();
}

/* No fiber can go on: the log waits for itself. Only the end of a timed wait can help. */
static int find_timed(void)
{
    now_ns += TICK_NS;
    for (int i = 1; i <= FIBERS_MAX; i++) {
        struct fiber *fiber = &fibers[(running + i) % FIBERS_MAX];
        if (fiber->state == FIBER_WAITS && fiber->is_timed) {
            fiber->timed_out = true;
            fiber->state = FIBER_READY;
            return (running + i) % FIBERS_MAX;
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
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until);
int __real_sem_post(sem_t *sem);
int __wrap_sem_post(sem_t *sem);
uint64_t __wrap_clock_mono_ns(void);
int __wrap_sched_setscheduler(pid_t pid, int policy, const struct sched_param *param);
int __wrap_setpriority(int which, id_t who, int priority);

static void wake(const void *waits_for)
{
    for (int i = 0; i < FIBERS_MAX; i++) {
        if (fibers[i].state == FIBER_WAITS && fibers[i].waits_for == waits_for) {
            fibers[i].state = FIBER_READY;
        }
    }
}

static void fiber_main(void)
{
    struct fiber *self = &fibers[running];
    self->run(self->arg);
    self->state = FIBER_ENDED;
    wake(NULL);
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

/* Waits. Returns true if another fiber has ended the wait, false if the time has. */
static bool wait(const void *waits_for, bool is_timed)
{
    struct fiber *self = &fibers[running];
    self->state = FIBER_WAITS;
    self->is_timed = is_timed;
    self->timed_out = false;
    self->waits_for = waits_for;
    leave();
    return !self->timed_out;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
    pthread_mutex_unlock(lock);
    (void)wait(cond, false);
    return __wrap_pthread_mutex_lock(lock);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
                                  const struct timespec *until)
{
    (void)until;
    pthread_mutex_unlock(lock);
    bool is_woken = wait(cond, true);
    __wrap_pthread_mutex_lock(lock);
    return is_woken ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    wake(cond);
    return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    wake(cond);
    return 0;
}

/* The fiber that has the lock may be in a file call: then it can go on. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
    while (pthread_mutex_trylock(lock) != 0) {
        int other = find_other();
        CHECK(other >= 0);
        go_to(other);
    }
    return 0;
}

int __wrap_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    (void)clock;
    (void)until;
    while (sem_trywait(sem) != 0) {
        if (!wait(sem, true)) {
            errno = ETIMEDOUT;
            return -1;
        }
    }
    return 0;
}

int __wrap_sem_post(sem_t *sem)
{
    int err = __real_sem_post(sem);
    wake(sem);
    return err;
}

uint64_t __wrap_clock_mono_ns(void)
{
    return now_ns;
}

/* A fiber has no priority of its own. */
int __wrap_sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
    (void)pid;
    (void)policy;
    (void)param;
    return 0;
}

int __wrap_setpriority(int which, id_t who, int priority)
{
    (void)which;
    (void)who;
    (void)priority;
    return 0;
}
