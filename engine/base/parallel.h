/* Tasks by number, run by a few threads and the caller. */
#ifndef TALLY_ENGINE_BASE_PARALLEL_H
#define TALLY_ENGINE_BASE_PARALLEL_H

#include <pthread.h>
#include <stdbool.h>

enum { PARALLEL_THREADS_MAX = 8 };

/*
 * What the threads share is under the mutex: what the caller wrote before parallel_start is seen by
 * each task, and what a task wrote by the caller after parallel_wait, and by the tasks that it
 * starts then. Tasks are meant to be long: each is taken and given back by itself.
 */
struct parallel {
    pthread_mutex_t mutex;
    pthread_cond_t wanted; /* there are tasks to take, or it is over */
    pthread_cond_t done;   /* the last one has ended */
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

/* threads: how many may work, the caller included; 0: as many as this process has processors. */
void parallel_init(struct parallel *parallel, unsigned threads);

/* Ends the threads. Nothing is running. */
void parallel_fini(struct parallel *parallel);

/*
 * Has run(arg, 0), run(arg, 1), ... run(arg, tasks - 1) called, in any order and side by side.
 * REQUIRES: nothing is under way. Where no thread can be started, parallel_wait does them all.
 * Threads: the one that waits.
 */
void parallel_start(struct parallel *parallel, unsigned tasks,
                    void (*run)(void *arg, unsigned task), void *arg);

/* Runs the tasks that no thread has taken yet, and returns when all tasks have ended: at once if
 * there are none. */
void parallel_wait(struct parallel *parallel);

#endif
