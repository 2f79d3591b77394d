/* A grace period as a callback that sets a flag. */
#include "engine/commit/grace.h"

#include "wal/base/check.h"

static void grace_is_over(void *arg)
{
    struct grace *grace = arg;
    /* G1: release; pairs with G2 */
    atomic_store_explicit(&grace->passed, true, memory_order_release);
}

void grace_begin(struct grace *grace, struct rcu_retirer *retirer)
{
    CHECK(!grace->is_asked); /* each user looks at its own phase before it begins */
    grace->is_asked = true;
    /* G3: relaxed: the callback that sets it is not registered yet */
    atomic_store_explicit(&grace->passed, false, memory_order_relaxed);
    rcu_retire(retirer, grace, grace_is_over);
    rcu_retire_flush(retirer);
}

bool grace_has_passed(struct grace *grace)
{
    /* G2: acquire; pairs with G1 */
    if (!grace->is_asked || !atomic_load_explicit(&grace->passed, memory_order_acquire)) {
        return false;
    }
    grace->is_asked = false;
    return true;
}
