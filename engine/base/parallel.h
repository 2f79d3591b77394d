/* Tasks by number, run by a few threads and the caller. */
#ifndef TALLY_ENGINE_BASE_PARALLEL_H
#define TALLY_ENGINE_BASE_PARALLEL_H

#include <pthread.h>
#include <stdbool.h>

enum { PARALLEL_THREADS_MAX = 8 };

/*
 * The threads share these fields under the mutex. So each task sees what the caller wrote before
 * parallel_start, and the caller, and the tasks that it starts later, see what the tasks wrote
 * before parallel_wait returned. Tasks should be long, since each takes the mutex twice.
 */
struct parallel {
    pthread_mutex_t mutex;
    pthread_cond_t wanted; /* there are tasks to take, or the threads must end */
    pthread_cond_t done;   /* the last task has ended */
    void (*run)(void *arg, unsigned task);
    void *arg;
    unsigned tasks;
    unsigned taken;
    unsigned ended;
    bool is_over;
    /* the caller's alone */
    unsigned threads_max; /* the caller is one of them */
    unsigned threads;     /* running, besides the caller; started with the first tasks */
    pthread_t thread[PARALLEL_THREADS_MAX];
};

/* Makes the pool; its threads start with the first tasks. threads: how many may work, the caller
 * included; 0: as many as this process has processors. */
void parallel_init(struct parallel *parallel, unsigned threads);

/* Ends the threads. REQUIRES: no task is under way. */
void parallel_fini(struct parallel *parallel);

/*
 * Starts the tasks run(arg, 0), run(arg, 1), ... run(arg, tasks - 1), in any order and in parallel.
 * REQUIRES: no task is under way. Where no thread can be started, parallel_wait runs them all.
 * Threads: the one that calls parallel_wait.
 */
void parallel_start(struct parallel *parallel, unsigned tasks,
                    void (*run)(void *arg, unsigned task), void *arg);

/* Runs the tasks that no thread has taken yet, and returns when all tasks have ended: at once if
 * there are none. */
void parallel_wait(struct parallel *parallel);

#endif
