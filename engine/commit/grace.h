/* A grace period that the committer waits for without blocking. */
#ifndef TALLY_ENGINE_COMMIT_GRACE_H
#define TALLY_ENGINE_COMMIT_GRACE_H

#include "engine/base/rcu.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 *     committer      begin ─────────── has_passed? no ── has_passed? yes, once
 *     edges          ··· each ends the pass that it had begun before ···
 *     RCU's thread                              passed = true
 *
 * When has_passed returns true, every edge has ended the pass in which it was at the begin; so all
 * records of that pass are published in its lane, and the committer sees them.
 *
 * Synchronization table
 *   is_asked   the committer alone
 *   passed     set by RCU's thread behind the grace period (G1 release), read by the committer (G2
 *              acquire): the edges' earlier writes are seen. The committer clears it before it
 *              registers the callback, which is then the only writer (G3).
 * Reclamation: the struct must stay until rcu_retirer_destroy, which waits for the callback.
 */
struct grace {
    bool is_asked;
    _Atomic bool passed;
};

/* Begins a grace period. REQUIRES: none is under way. Threads, of both: the committer. */
void grace_begin(struct grace *grace, struct rcu_retirer *retirer);

/* Returns true once after each begin. */
bool grace_has_passed(struct grace *grace);

#endif
