/* The signals that end the server: SIGTERM, SIGINT and SIGHUP, taken by a thread of their own. */
#include "tools/tallyd/stop.h"

#include "tools/signals.h"
#include "wal/base/clock.h"
#include "wal/base/thread.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAME_NS 250000000U

enum { READING, ENDING, SERVING, DRAINING };

/*
 * The first thread moves it from READING to SERVING; the signal thread from READING to ENDING and
 * from SERVING to DRAINING. Both may leave READING: one of them wins.
 */
static _Atomic int phase = READING;
static sigset_t signals;
static sem_t asked;
static int asked_by;      /* written before asked is posted */
static uint64_t again_ns; /* from then on a signal is a second one; the signal thread's */

static void end_at_once(int number, const char *why, int code)
{
    const char *clear = isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "";
    fprintf(stderr, "%stallyd: %s: %s\n", clear, strsignal(number), why);
    _exit(code);
}

/*
 * Takes the signals that belong to the first: `timeout` signals its child, then the child's group.
 * Signals that are pending already are taken here, so that they belong to the first however late
 * this thread runs.
 */
static void take_same(void)
{
    const struct timespec none = {.tv_sec = 0};
    while (sigtimedwait(&signals, NULL, &none) > 0) {
    }
    again_ns = clock_mono_ns() + SAME_NS;
}

static void heard(int number)
{
    int seen = READING;
    /* S1: relaxed: the phase alone is what matters */
    if (atomic_compare_exchange_strong_explicit(&phase, &seen, ENDING, memory_order_relaxed,
                                                memory_order_relaxed)) {
        end_at_once(number, "ending while the log is read, it is as it was", 0);
    }
    if (seen == DRAINING && clock_mono_ns() < again_ns) {
        return;
    }
    if (seen == DRAINING) {
        end_at_once(number, "ending at once, what was in flight was not answered", 128 + number);
    }
    take_same();
    asked_by = number;
    /* S2: relaxed: as S1 */
    atomic_store_explicit(&phase, DRAINING, memory_order_relaxed);
    sem_post(&asked);
}

static void *hear_signals(void *arg)
{
    (void)arg;
    for (;;) {
        int number = 0;
        if (sigwait(&signals, &number) == 0) {
            heard(number);
        }
    }
    return NULL;
}

int stop_watch(void)
{
    pthread_t thread;
    signals_that_end(&signals);
    sem_init(&asked, 0, 0);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int err = thread_start(&thread, hear_signals, NULL);
    return err != 0 ? err : pthread_detach(thread);
}

void stop_serves(void)
{
    int seen = READING;
    /* S3: relaxed: as S1 */
    while (!atomic_compare_exchange_strong_explicit(&phase, &seen, SERVING, memory_order_relaxed,
                                                    memory_order_relaxed)) {
        pause(); /* the other thread ends the process */
    }
}

int stop_await(void)
{
    while (sem_wait(&asked) != 0) {
    }
    return asked_by;
}
