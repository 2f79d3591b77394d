/* The helper thread that makes the next segment before it is needed. */
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

#define RETRY_NS 250000000L

enum ahead_state { AHEAD_MAKING, AHEAD_WAITING, AHEAD_READY, AHEAD_FAILED };

struct wal_ahead {
    /* set once, before the helper starts */
    struct wal_io *io;
    struct wal_ahead_trouble trouble;
    const _Atomic uint64_t *reserve;
    pthread_t thread;

    /* the helper's */
    int said; /* the error that was said last of this segment; 0: none */

    pthread_mutex_t lock;   /* what follows, up to the atomics */
    pthread_cond_t wanted;  /* to the helper: taken, or stop */
    pthread_cond_t changed; /* to the writer: the state */
    enum ahead_state state;
    struct wal_segment segment; /* READY: to be taken; else head says what is being made */
    int errnum;                 /* FAILED: why */
    bool stop;

    /* written under the lock, read by anybody */
    _Atomic uint64_t ready_bytes;
    atomic_bool is_waiting;
    _Atomic uint64_t failures;
};

/* REQUIRES: the lock is held. */
static void state_set(struct wal_ahead *ahead, enum ahead_state state)
{
    uint64_t ready_bytes = state == AHEAD_READY ? ahead->segment.head.bytes : 0;
    ahead->state = state;
    /* A1: relaxed: a hint for those who plan; the segment itself is taken under the lock */
    atomic_store_explicit(&ahead->ready_bytes, ready_bytes, memory_order_relaxed);
    /* A2: relaxed: a hint, as A1 */
    atomic_store_explicit(&ahead->is_waiting, state == AHEAD_WAITING, memory_order_relaxed);
    pthread_cond_broadcast(&ahead->changed);
}

/* What can pass by itself, or by what somebody does. */
static bool can_pass(int err)
{
    switch (-err) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* a limit of the process (ulimit -f) */
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EINTR:
    case EAGAIN:
        return true;
    default:
        return false;
    }
}

static void say(const struct wal_ahead *ahead, uint64_t number, const char *what, int err)
{
    char name[WAL_NAME_BYTES];
    char text[192];
    if (ahead->trouble.say == NULL) {
        return;
    }
    wal_segment_name(name, number);
    snprintf(text, sizeof(text), "%s %s%s%s", name, what, err != 0 ? ": " : "",
             err != 0 ? strerrordesc_np(-err) : "");
    ahead->trouble.say(ahead->trouble.arg, text);
}

/* Counts a failed try, and says it unless it was said of this segment already. */
static void note_failure(struct wal_ahead *ahead, uint64_t number, int err)
{
    /* A5: relaxed: a count publishes nothing */
    atomic_fetch_add_explicit(&ahead->failures, 1, memory_order_relaxed);
    if (err != ahead->said) {
        ahead->said = err;
        say(ahead, number,
            can_pass(err) ? "cannot be made now, it is tried again" : "cannot be made, ever", err);
    }
}

/* Waits before the next try. Returns false when it is time to stop. */
static bool wait_to_try(struct wal_ahead *ahead)
{
    uint64_t until_ns = clock_mono_ns() + RETRY_NS;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000U),
                                   .tv_nsec = (long)(until_ns % 1000000000U)};
    pthread_mutex_lock(&ahead->lock);
    if (ahead->state != AHEAD_WAITING) {
        state_set(ahead, AHEAD_WAITING);
    }
    int err = 0;
    while (!ahead->stop && err != ETIMEDOUT) {
        err = pthread_cond_timedwait(&ahead->wanted, &ahead->lock, &until);
    }
    bool go_on = !ahead->stop;
    pthread_mutex_unlock(&ahead->lock);
    return go_on;
}

static bool is_stopped(struct wal_ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    bool stop = ahead->stop;
    pthread_mutex_unlock(&ahead->lock);
    return stop;
}

/* All that is not written yet has to leave what is kept free. Returns 0 or -ENOSPC. */
static int check_reserve(const struct wal_ahead *ahead, const struct wal_making *making)
{
    uint64_t left = making->head.bytes - (making->fd >= 0 ? making->done_bytes : 0);
    return wal_space_takes(ahead->io, left, ahead->reserve) ? 0 : -ENOSPC;
}

/* One attempt. Returns 0, a negative errno value, or -ECANCELED when it is time to stop. */
static int make_once(struct wal_ahead *ahead, struct wal_making *making,
                     struct wal_segment *segment)
{
    int err = wal_making_is_blank(ahead->io, making->head.number, making->head.bytes);
    if (err != 0) {
        return err < 0 ? err : wal_making_reuse(ahead->io, &making->head, segment);
    }
    do {
        err = is_stopped(ahead) ? -ECANCELED : check_reserve(ahead, making);
        err = err != 0 ? err : wal_making_step(making);
    } while (err > 0);
    return err != 0 ? err : wal_making_finish(making, segment);
}

/* Makes the segment of that head, trying again as long as what is wrong can pass. As make_once. */
static int make(struct wal_ahead *ahead, const struct wal_segment_head *head,
                struct wal_segment *segment)
{
    struct wal_making making;
    int err;
    wal_making_init(&making, ahead->io, head);
    do {
        err = make_once(ahead, &making, segment);
        if (err != 0 && err != -ECANCELED) {
            note_failure(ahead, head->number, err);
        }
    } while (can_pass(err) && wait_to_try(ahead));
    wal_making_fini(&making);
    if (err == 0 && ahead->said != 0) {
        ahead->said = 0;
        say(ahead, head->number, "is made after all", 0);
    }
    return err;
}

static void *helper(void *arg)
{
    struct wal_ahead *ahead = arg;
    pthread_mutex_lock(&ahead->lock);
    while (!ahead->stop && ahead->state == AHEAD_MAKING) {
        struct wal_segment segment;
        struct wal_segment_head head = ahead->segment.head;
        pthread_mutex_unlock(&ahead->lock);
        int err = make(ahead, &head, &segment);
        pthread_mutex_lock(&ahead->lock);
        if (err == 0) {
            ahead->segment = segment;
            state_set(ahead, AHEAD_READY);
        } else if (!ahead->stop) {
            ahead->errnum = -err;
            state_set(ahead, AHEAD_FAILED);
        }
        while (!ahead->stop && ahead->state == AHEAD_READY) {
            pthread_cond_wait(&ahead->wanted, &ahead->lock);
        }
    }
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

static void sync_fini(struct wal_ahead *ahead)
{
    pthread_cond_destroy(&ahead->wanted);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->lock);
}

int wal_ahead_new(struct wal_ahead **out, struct wal_io *io, const struct wal_segment_head *head,
                  const struct wal_ahead_trouble *trouble, const _Atomic uint64_t *reserve)
{
    struct wal_ahead *ahead = calloc(1, sizeof(*ahead));
    if (ahead == NULL) {
        return TALLY_NOMEM;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&ahead->wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&ahead->changed, NULL);
    pthread_mutex_init(&ahead->lock, NULL);
    ahead->io = io;
    ahead->trouble = *trouble;
    ahead->reserve = reserve;
    ahead->state = AHEAD_MAKING;
    ahead->segment = (struct wal_segment){.head = *head, .fd = -1};
    atomic_init(&ahead->ready_bytes, 0);
    atomic_init(&ahead->is_waiting, false);
    atomic_init(&ahead->failures, 0);
    if (thread_start(&ahead->thread, helper, ahead) != 0) {
        sync_fini(ahead);
        free(ahead);
        return TALLY_THREAD;
    }
    *out = ahead;
    return 0;
}

int wal_ahead_take(struct wal_ahead *ahead, struct wal_segment *segment, int *errnum)
{
    int err = 0;
    pthread_mutex_lock(&ahead->lock);
    while (ahead->state == AHEAD_MAKING) {
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    }
    if (ahead->state == AHEAD_WAITING) {
        err = TALLY_NOSPC;
    } else if (ahead->state == AHEAD_FAILED) {
        *errnum = ahead->errnum;
        err = TALLY_IO;
    } else {
        *segment = ahead->segment;
        ahead->segment.fd = -1;
        ahead->segment.head.number++;
        state_set(ahead, AHEAD_MAKING);
        pthread_cond_signal(&ahead->wanted);
    }
    pthread_mutex_unlock(&ahead->lock);
    return err;
}

uint64_t wal_ahead_ready_bytes(const struct wal_ahead *ahead)
{
    /* A3: relaxed: a hint, as A1 */
    return atomic_load_explicit(&ahead->ready_bytes, memory_order_relaxed);
}

bool wal_ahead_is_waiting(const struct wal_ahead *ahead)
{
    /* A4: relaxed: a hint, as A2 */
    return atomic_load_explicit(&ahead->is_waiting, memory_order_relaxed);
}

uint64_t wal_ahead_failures(const struct wal_ahead *ahead)
{
    /* A6: relaxed: a count, as A5 */
    return atomic_load_explicit(&ahead->failures, memory_order_relaxed);
}

void wal_ahead_destroy(struct wal_ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    ahead->stop = true;
    pthread_cond_signal(&ahead->wanted);
    pthread_mutex_unlock(&ahead->lock);
    pthread_join(ahead->thread, NULL);
    if (ahead->segment.fd >= 0) {
        ahead->io->ops->close(ahead->io, ahead->segment.fd);
    }
    sync_fini(ahead);
    free(ahead);
}
