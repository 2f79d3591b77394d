/* The interface to liburcu: read sections by quiescent states, and freeing in batches. */
#ifndef TALLY_ENGINE_BASE_RCU_H
#define TALLY_ENGINE_BASE_RCU_H

#include <stddef.h>
#include <stdint.h>

/*
 * Flavour: QSBR. A registered thread is a reader at all times except while it is offline or says
 * "quiescent"; so a pointer read in a pass is good until rcu_quiescent at the pass's end, and
 * reading costs nothing.
 *
 * Who frees: only the committer retires memory (rcu_retire); liburcu's helper thread frees it after
 * every reader has been quiescent once. Retired pointers are handed over in batches of RCU_BATCH,
 * because the helper sleeps between its rounds.
 */

void rcu_thread_register(void);
void rcu_thread_unregister(void);
void rcu_quiescent(void);
void rcu_offline(void); /* before blocking */
void rcu_online(void);

struct rcu_retirer; /* the committer's open batch */

/* Returns NULL without memory. */
struct rcu_retirer *rcu_retirer_new(void);

/* Flushes, waits for all grace periods, frees. Threads: the owner, registered. */
void rcu_retirer_destroy(struct rcu_retirer *retirer);

/*
 * Frees p by free_fn after a grace period. p must already be out of reach for new readers. Without
 * memory it waits for the grace period itself.
 */
void rcu_retire(struct rcu_retirer *retirer, void *p, void (*free_fn)(void *p));

/* Hands a half-full batch over. Called now and then, so that no retired pointer stays for ever. */
void rcu_retire_flush(struct rcu_retirer *retirer);

/* Returns the number of pointers retired and not freed yet. Threads: any. */
uint64_t rcu_retired(const struct rcu_retirer *retirer);

#endif
