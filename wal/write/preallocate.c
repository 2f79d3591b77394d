/* The preallocation thread that makes the next segment before it is needed. */
#include "wal/write/preallocate.h"

#include "wal/base/clock.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/thread.h"
#include "wal/disk/space.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_NS (250 * NS_PER_MS)

enum preallocation_state {
    PREALLOCATION_CREATING,
    PREALLOCATION_WAITING,
    PREALLOCATION_READY,
    PREALLOCATION_FAILED
};

struct wal_preallocation {
    /* set once, before the preallocation thread starts */
    struct wal_io *io;
    struct wal_preallocation_trouble trouble;
    const _Atomic uint64_t *reserve;
    pthread_t thread;

    /* the preallocation thread's */
    int said; /* the last error reported for this segment; 0: none */

    pthread_mutex_t lock;   /* guards the fields below, up to the atomics */
    pthread_cond_t wanted;  /* to the preallocation thread: taken, or stop */
    pthread_cond_t changed; /* to the writer: the state */
    enum preallocation_state state;
    struct wal_segment segment; /* READY: to be taken; else its head is that of the next one */
    int errnum;                 /* FAILED: why */
    bool stop;

    /* written under the lock, read by anybody */
    _Atomic uint64_t ready_bytes;
    atomic_bool is_waiting;
    _Atomic uint64_t failures;
};

/* REQUIRES: the lock is held. */
static void state_set(struct wal_preallocation *preallocation, enum preallocation_state state)
{
    uint64_t ready_bytes = state == PREALLOCATION_READY ? preallocation->segment.head.bytes : 0;
    preallocation->state = state;
    /* A1: relaxed: a hint for planning; the segment itself is taken under the lock */
    atomic_store_explicit(&preallocation->ready_bytes, ready_bytes, memory_order_relaxed);
    /* A2: relaxed: a hint, as A1 */
    atomic_store_explicit(&preallocation->is_waiting, state == PREALLOCATION_WAITING,
                          memory_order_relaxed);
    pthread_cond_broadcast(&preallocation->changed);
}

/* Whether an error can pass: by itself, or when somebody frees space or closes files. */
static bool can_pass(int err)
{
    int code = tally_err_of(err);
    return code == TALLY_NOSPC || code == TALLY_NOMEM || err == -EMFILE || err == -ENFILE ||
           err == -EINTR || err == -EAGAIN;
}

static void trouble_say(const struct wal_preallocation *preallocation, uint64_t number,
                        const char *what, int err)
{
    char name[WAL_NAME_BYTES];
    char text[192];
    if (preallocation->trouble.say == NULL) {
        return;
    }
    wal_segment_name(name, number);
    snprintf(text, sizeof(text), "%s %s%s%s", name, what, err != 0 ? ": " : "",
             err != 0 ? strerrordesc_np(-err) : "");
    preallocation->trouble.say(preallocation->trouble.arg, text);
}

/* Counts a failed try, and reports it unless the same error was reported for this segment. */
static void note_failure(struct wal_preallocation *preallocation, uint64_t number, int err)
{
    /* A5: relaxed: a count publishes nothing */
    atomic_fetch_add_explicit(&preallocation->failures, 1, memory_order_relaxed);
    if (err != preallocation->said) {
        preallocation->said = err;
        trouble_say(
            preallocation, number,
            can_pass(err) ? "cannot be made now, it is tried again" : "cannot be made, ever", err);
    }
}

/* Waits before the next try. Returns false when the thread has to stop. */
static bool wait_to_try(struct wal_preallocation *preallocation)
{
    uint64_t until_ns = clock_mono_ns() + RETRY_NS;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                                   .tv_nsec = (long)(until_ns % NS_PER_S)};
    pthread_mutex_lock(&preallocation->lock);
    if (preallocation->state != PREALLOCATION_WAITING) {
        state_set(preallocation, PREALLOCATION_WAITING);
    }
    int err = 0;
    while (!preallocation->stop && err != ETIMEDOUT) {
        err = pthread_cond_timedwait(&preallocation->wanted, &preallocation->lock, &until);
    }
    bool go_on = !preallocation->stop;
    pthread_mutex_unlock(&preallocation->lock);
    return go_on;
}

static bool is_told_to_stop(struct wal_preallocation *preallocation)
{
    pthread_mutex_lock(&preallocation->lock);
    bool stop = preallocation->stop;
    pthread_mutex_unlock(&preallocation->lock);
    return stop;
}

/* Checks that the reserve stays free when the rest is written. Returns 0 or -ENOSPC. */
static int check_reserve(const struct wal_preallocation *preallocation,
                         const struct wal_creation *creation)
{
    uint64_t left = creation->head.bytes - (creation->fd >= 0 ? creation->done_bytes : 0);
    return wal_space_takes(preallocation->io, left, preallocation->reserve) ? 0 : -ENOSPC;
}

/* Makes one attempt. Returns 0, a negative errno value, or -ECANCELED when the thread has to stop.
 */
static int create_once(struct wal_preallocation *preallocation, struct wal_creation *creation,
                       struct wal_segment *segment)
{
    int err = wal_create_is_blank(preallocation->io, creation->head.number, creation->head.bytes);
    if (err != 0) {
        return err < 0 ? err : wal_create_reuse(preallocation->io, &creation->head, segment);
    }
    do {
        err = is_told_to_stop(preallocation) ? -ECANCELED : check_reserve(preallocation, creation);
        err = err != 0 ? err : wal_create_step(creation);
    } while (err > 0);
    return err != 0 ? err : wal_create_finish(creation, segment);
}

/* Creates the segment of that head, and tries again as long as the error can pass. As create_once.
 */
static int create_segment(struct wal_preallocation *preallocation,
                          const struct wal_segment_head *head, struct wal_segment *segment)
{
    struct wal_creation creation;
    int err;
    wal_create_init(&creation, preallocation->io, head);
    do {
        err = create_once(preallocation, &creation, segment);
        if (err != 0 && err != -ECANCELED) {
            note_failure(preallocation, head->number, err);
        }
    } while (can_pass(err) && wait_to_try(preallocation));
    wal_create_fini(&creation);
    if (err == 0 && preallocation->said != 0) {
        preallocation->said = 0;
        trouble_say(preallocation, head->number, "is made after all", 0);
    }
    return err;
}

static void *preallocate_main(void *arg)
{
    struct wal_preallocation *preallocation = arg;
    pthread_mutex_lock(&preallocation->lock);
    while (!preallocation->stop && preallocation->state == PREALLOCATION_CREATING) {
        struct wal_segment segment;
        struct wal_segment_head head = preallocation->segment.head;
        pthread_mutex_unlock(&preallocation->lock);
        int err = create_segment(preallocation, &head, &segment);
        pthread_mutex_lock(&preallocation->lock);
        if (err == 0) {
            preallocation->segment = segment;
            state_set(preallocation, PREALLOCATION_READY);
        } else if (!preallocation->stop) {
            preallocation->errnum = -err;
            state_set(preallocation, PREALLOCATION_FAILED);
        }
        while (!preallocation->stop && preallocation->state == PREALLOCATION_READY) {
            pthread_cond_wait(&preallocation->wanted, &preallocation->lock);
        }
    }
    pthread_mutex_unlock(&preallocation->lock);
    return NULL;
}

static void preallocation_sync_fini(struct wal_preallocation *preallocation)
{
    pthread_cond_destroy(&preallocation->wanted);
    pthread_cond_destroy(&preallocation->changed);
    pthread_mutex_destroy(&preallocation->lock);
}

int wal_preallocate_new(struct wal_preallocation **out, struct wal_io *io,
                        const struct wal_segment_head *head,
                        const struct wal_preallocation_trouble *trouble,
                        const _Atomic uint64_t *reserve)
{
    struct wal_preallocation *preallocation = calloc(1, sizeof(*preallocation));
    if (preallocation == NULL) {
        return TALLY_NOMEM;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&preallocation->wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&preallocation->changed, NULL);
    pthread_mutex_init(&preallocation->lock, NULL);
    preallocation->io = io;
    preallocation->trouble = *trouble;
    preallocation->reserve = reserve;
    preallocation->state = PREALLOCATION_CREATING;
    preallocation->segment = (struct wal_segment){.head = *head, .fd = -1};
    atomic_init(&preallocation->ready_bytes, 0);
    atomic_init(&preallocation->is_waiting, false);
    atomic_init(&preallocation->failures, 0);
    if (thread_start(&preallocation->thread, preallocate_main, preallocation) != 0) {
        preallocation_sync_fini(preallocation);
        free(preallocation);
        return TALLY_THREAD;
    }
    *out = preallocation;
    return 0;
}

int wal_preallocate_take(struct wal_preallocation *preallocation, struct wal_segment *segment,
                         int *errnum)
{
    int err = 0;
    pthread_mutex_lock(&preallocation->lock);
    while (preallocation->state == PREALLOCATION_CREATING) {
        pthread_cond_wait(&preallocation->changed, &preallocation->lock);
    }
    if (preallocation->state == PREALLOCATION_WAITING) {
        err = TALLY_NOSPC;
    } else if (preallocation->state == PREALLOCATION_FAILED) {
        *errnum = preallocation->errnum;
        err = TALLY_IO;
    } else {
        *segment = preallocation->segment;
        preallocation->segment.fd = -1;
        preallocation->segment.head.number++;
        state_set(preallocation, PREALLOCATION_CREATING);
        pthread_cond_signal(&preallocation->wanted);
    }
    pthread_mutex_unlock(&preallocation->lock);
    return err;
}

uint64_t wal_preallocate_ready_bytes(const struct wal_preallocation *preallocation)
{
    /* A3: relaxed: a hint, as A1 */
    return atomic_load_explicit(&preallocation->ready_bytes, memory_order_relaxed);
}

bool wal_preallocate_is_waiting(const struct wal_preallocation *preallocation)
{
    /* A4: relaxed: a hint, as A2 */
    return atomic_load_explicit(&preallocation->is_waiting, memory_order_relaxed);
}

uint64_t wal_preallocate_failures(const struct wal_preallocation *preallocation)
{
    /* A6: relaxed: a count, as A5 */
    return atomic_load_explicit(&preallocation->failures, memory_order_relaxed);
}

void wal_preallocate_destroy(struct wal_preallocation *preallocation)
{
    pthread_mutex_lock(&preallocation->lock);
    preallocation->stop = true;
    pthread_cond_signal(&preallocation->wanted);
    pthread_mutex_unlock(&preallocation->lock);
    pthread_join(preallocation->thread, NULL);
    if (preallocation->segment.fd >= 0) {
        preallocation->io->ops->close(preallocation->io, preallocation->segment.fd);
    }
    preallocation_sync_fini(preallocation);
    free(preallocation);
}
