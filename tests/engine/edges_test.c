/* The registry of edges, and a grace period that does not block the thread that began it. */
#include "engine/base/rcu.h"
#include "engine/commit/grace.h"
#include "engine/edge/edges.h"
#include "engine/state/state.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <sched.h>

static void nothing(void *arg)
{
    (void)arg;
}

Test(edges, one_that_was_given_back_is_taken_again)
{
    static struct state state;
    static struct shared shared = {.state = &state};
    static struct edges edges;
    struct edge *edge = NULL;
    struct edge *other = NULL;
    edges_init(&edges, &shared, 1);
    cr_assert_eq(edges_count(&edges), 0);
    cr_assert_eq(edges_take(&edges, &edge, nothing, NULL), 0);
    cr_assert_eq(edges_count(&edges), 1);
    cr_assert(!edges_are_idle(&edges));
    const struct lane *lane = edges_lane(&edges, 0);
    cr_assert_eq(edges_take(&edges, &other, nothing, NULL), TALLY_FULL);
    edge_destroy(edge);
    cr_assert(edges_are_idle(&edges));
    cr_assert_eq(edges_take(&edges, &other, nothing, NULL), 0);
    cr_assert_eq(other, edge);
    cr_assert_eq(edges_count(&edges), 1, "a lane once counted stays");
    cr_assert_eq(edges_lane(&edges, 0), lane);
    edge_destroy(other);
    edges_fini(&edges);
}

Test(grace, passes_once_when_every_reader_has_ended_its_pass)
{
    static struct grace grace;
    rcu_thread_register();
    struct rcu_retirer *retirer = rcu_retirer_new();
    cr_assert_not_null(retirer);
    for (int round = 0; round < 3; round++) {
        cr_assert(!grace_has_passed(&grace), "none was asked for");
        grace_begin(&grace, retirer);
        cr_assert(!grace_has_passed(&grace), "this thread is in a pass");
        rcu_offline();
        bool has_passed = false;
        while (!has_passed) { /* the timeout of the test ends the loop */
            sched_yield();
            has_passed = grace_has_passed(&grace);
        }
        rcu_online();
    }
    rcu_retirer_destroy(retirer);
    rcu_thread_unregister();
}
