/* Tasks by number, run by a few threads and the caller. */
#ifndef TALLY_ENGINE_PARALLEL_H
#define TALLY_ENGINE_PARALLEL_H

#include <pthread.h>
#include <stdbool.h>

enum { PARALLEL_THREADS_MAX = 8 };

/*
 * Everything in it is under the mutex: what the caller wrote before parallel_run is seen by each
 * task, and what a task wrote by the caller after it, and by the tasks of the next run. Tasks are
 * meant to be long: each is taken and given back by itself.
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
    unsigned threads_max; /* the caller is one of them */
    unsigned threads;     /* running, besides the caller; started by the first run */
    pthread_t thread[PARALLEL_THREADS_MAX];
};

/* threads: how many may work, the caller included; 0: as many as this process has processors. */
void parallel_init(struct parallel *parallel, unsigned threads);

/* Ends the threads. Nothing is running. */
void parallel_fini(struct parallel *parallel);

/*
 * Calls run(arg, 0), run(arg, 1), ... run(arg, tasks - 1), in any order and side by side, and
 * returns when all have returned. Where no thread can be started, the caller does them all.
 * Threads: one caller at a time; blocks.
 */
void parallel_run(struct parallel *parallel, unsigned tasks, void (*run)(void *arg, unsigned task),
                  void *arg);

#endif
