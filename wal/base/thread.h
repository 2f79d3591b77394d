/* Starting a helper thread. */
#ifndef TALLY_WAL_BASE_THREAD_H
#define TALLY_WAL_BASE_THREAD_H

#include <pthread.h>

/* As pthread_create, for a thread that blocks all signals: the program's own threads take them.
 * Returns 0 or a positive errno value. */
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
