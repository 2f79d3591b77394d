/* The functions over liburcu's QSBR flavour, with the annotations that ThreadSanitizer needs. */
#include "engine/base/rcu.h"

#include "wal/base/check.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

/*
 * liburcu is not built with ThreadSanitizer's annotations. The sanitizer learns the order that it
 * gives (a reader's section happens before the frees after the grace period) through one token:
 * readers release it before each quiescent state, and the thread that frees acquires it after the
 * grace period.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#endif

#ifdef RCU_TSAN
void __tsan_acquire(void *p);
void __tsan_release(void *p);
static char rcu_token;
static void section_ends(void)
{
    __tsan_release(&rcu_token);
}
static void grace_period_over(void)
{
    __tsan_acquire(&rcu_token);
}
#else
static void section_ends(void)
{
}
static void grace_period_over(void)
{
}
#endif

enum { RCU_BATCH = 256, RCU_PENDING_MAX = 4 << 20 };

struct retired {
    void *p;
    void (*free_fn)(void *p);
};

struct batch {
    struct rcu_head head;
    struct rcu_retirer *retirer;
    unsigned count;
    struct retired items[RCU_BATCH];
};

struct rcu_retirer {
    struct batch *open;
    _Atomic uint64_t pending;
};

void rcu_thread_register(void)
{
    urcu_qsbr_register_thread();
}

void rcu_thread_unregister(void)
{
    section_ends();
    urcu_qsbr_unregister_thread();
}

void rcu_quiescent(void)
{
    section_ends();
    urcu_qsbr_quiescent_state();
}

void rcu_offline(void)
{
    section_ends();
    urcu_qsbr_thread_offline();
}

void rcu_online(void)
{
    urcu_qsbr_thread_online();
}

struct rcu_retirer *rcu_retirer_new(void)
{
    return calloc(1, sizeof(struct rcu_retirer));
}

static void free_items(struct batch *batch)
{
    grace_period_over();
    DCHECK(batch->count > 0 && batch->count <= RCU_BATCH);
    for (unsigned i = 0; i < batch->count; i++) {
        batch->items[i].free_fn(batch->items[i].p);
    }
    /* R1: relaxed: a count publishes nothing */
    atomic_fetch_sub_explicit(&batch->retirer->pending, batch->count, memory_order_relaxed);
    free(batch);
    section_ends(); /* for a thread that waits with a barrier */
}

static void batch_is_due(struct rcu_head *head)
{
    free_items((struct batch *)((char *)head - offsetof(struct batch, head)));
}

void rcu_retire_flush(struct rcu_retirer *retirer)
{
    struct batch *batch = retirer->open;
    if (batch == NULL) {
        return;
    }
    retirer->open = NULL;
    urcu_qsbr_call_rcu(&batch->head, batch_is_due);
    if (rcu_retired(retirer) > RCU_PENDING_MAX) {
        urcu_qsbr_barrier(); /* too much is retired: a slow commit is better than endless memory */
    }
}

void rcu_retire(struct rcu_retirer *retirer, void *p, void (*free_fn)(void *p))
{
    DCHECK(p != NULL && free_fn != NULL);
    if (retirer->open == NULL) {
        retirer->open = malloc(sizeof *retirer->open);
        if (retirer->open == NULL) {
            urcu_qsbr_synchronize_rcu();
            grace_period_over();
            free_fn(p);
            return;
        }
        retirer->open->retirer = retirer;
        retirer->open->count = 0;
    }
    struct batch *batch = retirer->open;
    DCHECK(batch->count < RCU_BATCH); /* a full batch is flushed at once */
    batch->items[batch->count++] = (struct retired){p, free_fn};
    /* R1: relaxed: a count publishes nothing */
    atomic_fetch_add_explicit(&retirer->pending, 1, memory_order_relaxed);
    if (batch->count == RCU_BATCH) {
        rcu_retire_flush(retirer);
    }
}

uint64_t rcu_retired(const struct rcu_retirer *retirer)
{
    /* R1: relaxed: a count publishes nothing */
    return atomic_load_explicit(&retirer->pending, memory_order_relaxed);
}

void rcu_retirer_destroy(struct rcu_retirer *retirer)
{
    rcu_retire_flush(retirer);
    rcu_offline();
    urcu_qsbr_barrier();
    grace_period_over();
    rcu_online();
    DCHECK(rcu_retired(retirer) == 0);
    free(retirer);
}
