/* Parallel tasks: a few threads and the caller take them by number. */
#include "engine/base/parallel.h"

#include "wal/base/check.h"
#include "wal/base/thread.h"

#include <sched.h>

static unsigned processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    /* the call fails only where there are more processors than the set can hold */
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set)
                                                       : PARALLEL_THREADS_MAX;
}

void parallel_init(struct parallel *parallel, unsigned threads)
{
    threads = threads == 0 ? processors() : threads;
    *parallel = (struct parallel){
        .threads_max = threads < PARALLEL_THREADS_MAX ? threads : PARALLEL_THREADS_MAX};
    pthread_mutex_init(&parallel->mutex, NULL);
    pthread_cond_init(&parallel->wanted, NULL);
    pthread_cond_init(&parallel->done, NULL);
}

/* Runs tasks until none is left. REQUIRES: the mutex is held; it is released while a task runs. */
static void take_tasks(struct parallel *parallel)
{
    while (parallel->taken < parallel->tasks) {
        DCHECK(parallel->ended <= parallel->taken);
        unsigned task = parallel->taken++;
        pthread_mutex_unlock(&parallel->mutex);
        parallel->run(parallel->arg, task);
        pthread_mutex_lock(&parallel->mutex);
        if (++parallel->ended == parallel->tasks) {
            pthread_cond_signal(&parallel->done);
        }
    }
}

static void *thread_main(void *arg)
{
    struct parallel *parallel = arg;
    pthread_mutex_lock(&parallel->mutex);
    while (!parallel->is_over) {
        take_tasks(parallel);
        if (!parallel->is_over) {
            pthread_cond_wait(&parallel->wanted, &parallel->mutex);
        }
    }
    pthread_mutex_unlock(&parallel->mutex);
    return NULL;
}

static void start_threads(struct parallel *parallel)
{
    DCHECK(parallel->threads_max > 0 && parallel->threads_max <= PARALLEL_THREADS_MAX);
    while (parallel->threads + 1 < parallel->threads_max) {
        if (thread_start(&parallel->thread[parallel->threads], thread_main, parallel) != 0) {
            parallel->threads_max = parallel->threads + 1;
            return;
        }
        parallel->threads++;
    }
}

void parallel_fini(struct parallel *parallel)
{
    pthread_mutex_lock(&parallel->mutex);
    parallel->is_over = true;
    DCHECK(parallel->taken == parallel->tasks && parallel->ended == parallel->tasks);
    pthread_cond_broadcast(&parallel->wanted);
    pthread_mutex_unlock(&parallel->mutex);
    for (unsigned i = 0; i < parallel->threads; i++) {
        pthread_join(parallel->thread[i], NULL);
    }
    pthread_cond_destroy(&parallel->done);
    pthread_cond_destroy(&parallel->wanted);
    pthread_mutex_destroy(&parallel->mutex);
}

void parallel_start(struct parallel *parallel, unsigned tasks,
                    void (*run)(void *arg, unsigned task), void *arg)
{
    start_threads(parallel);
    pthread_mutex_lock(&parallel->mutex);
    DCHECK(parallel->ended == parallel->tasks); /* no task is under way */
    parallel->run = run;
    parallel->arg = arg;
    parallel->tasks = tasks;
    parallel->taken = 0;
    parallel->ended = 0;
    pthread_cond_broadcast(&parallel->wanted);
    pthread_mutex_unlock(&parallel->mutex);
}

void parallel_wait(struct parallel *parallel)
{
    pthread_mutex_lock(&parallel->mutex);
    take_tasks(parallel);
    while (parallel->ended < parallel->tasks) {
        pthread_cond_wait(&parallel->done, &parallel->mutex);
    }
    pthread_mutex_unlock(&parallel->mutex);
}
