/* Starting a thread of ours. */
#ifndef TALLY_WAL_BASE_THREAD_H
#define TALLY_WAL_BASE_THREAD_H

#include <pthread.h>

/* pthread_create for a thread that takes no signals: they belong to the program's own threads.
 * Returns 0 or a positive errno value. */
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
