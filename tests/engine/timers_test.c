/* The timers through one edge: leases, delays, BYE and the order of offers, also over a restart. */
#include "tests/engine/one.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(timers, .init = one_begin, .fini = one_end);

Test(timers, a_lease_that_runs_out_costs_an_attempt)
{
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){.lease_ms = 100, .tries = 2});
    uint32_t first = one_claim(id);
    one_wait_for(id, BUILD_PENDING);
    cr_assert_eq(one_done(id, first), TALLY_STALE);
    uint32_t second = one_claim(id);
    cr_assert_gt(second, first);
    cr_assert_eq(one_build(id).attempt, 2);
    one_wait_for(id, BUILD_FAILED);
    cr_assert_eq(one_build(id).error.len, sizeof("lease expired") - 1);
    cr_assert_eq(one_done(id, second), TALLY_STALE);
    struct edge_claimed got;
    cr_assert_eq(one_try_claim(&got), EDGE_NIL);
}

Test(timers, a_goodbye_gives_everything_back)
{
    uint64_t count = 0;
    handle_worker(&handle, "w", 3);
    uint64_t a = one_submit((struct edge_submit){.pri = 1});
    uint64_t b = one_submit((struct edge_submit){.pri = 1});
    uint32_t token = one_claim(a);
    one_claim(b);
    cr_assert_eq(handle_result(&handle, edge_bye(handle.edge, SPAN("w")), &count), 0);
    cr_assert_eq(count, 2);
    cr_assert_eq(one_done(a, token), TALLY_STALE);
    struct edge_claimed got;
    cr_assert_eq(one_try_claim(&got), TALLY_NOTFOUND);
    cr_assert_eq(handle_result(&handle, edge_bye(handle.edge, SPAN("w")), NULL), TALLY_NOTFOUND);
    handle_worker(&handle, "w", 3);
    one_claim(a);
    one_claim(b);
    cr_assert_eq(one_build(a).attempt, 1, "the attempt was not counted");
}

/* What waiting claims look at, once worker w has registered with these tags. */
static uint64_t offers_behind_tags(struct span tags)
{
    const struct edge_worker ask = {.id = SPAN("w"), .tags = tags, .slots = 1};
    cr_assert_eq(handle_result(&handle, edge_worker(handle.edge, &ask), NULL), 0);
    handle_poll(&handle, "p"); /* a commit later: by then the one before is published whole */
    return edge_offers(handle.edge);
}

Test(timers, waiting_claims_ask_again_for_other_tags_and_not_for_the_same)
{
    uint64_t before = offers_behind_tags(SPAN("a,b"));
    cr_assert_eq(offers_behind_tags(SPAN("a,b")), before);
    cr_assert_eq(offers_behind_tags(SPAN("b,a")), before, "in whatever order");
    cr_assert_eq(offers_behind_tags((struct span){NULL, 0}), before, "none said: they stay");
    cr_assert_gt(offers_behind_tags(SPAN("a")), before);
}

Test(timers, slots_are_neither_lost_nor_won_over_goodbyes)
{
    struct edge_claimed got;
    for (int round = 0; round < 5; round++) {
        handle_worker(&handle, "w", 2);
        uint64_t a = one_submit((struct edge_submit){.pri = 1});
        uint64_t b = one_submit((struct edge_submit){.pri = 1});
        uint64_t c = one_submit((struct edge_submit){.pri = 1});
        uint32_t token = one_claim(a);
        one_claim(b);
        cr_assert_eq(one_try_claim(&got), 0);
        cr_assert(got.again && got.id == a && got.token == token, "the limit: the oldest again");
        cr_assert_eq(handle_result(&handle, edge_bye(handle.edge, SPAN("w")), NULL), 0);
        handle_worker(&handle, "w", 3);
        for (uint64_t id = 0; one_try_claim(&got) == 0 && !got.again;) {
            id = got.id;
            cr_assert(id == a || id == b || id == c);
            cr_assert_eq(one_done(id, got.token), 0);
        }
    }
}

Test(timers, the_order_of_offers_outlives_a_restart)
{
    uint64_t id[4];
    handle_worker(&handle, "w", 1);
    for (int i = 0; i < 4; i++) {
        id[i] = one_submit((struct edge_submit){.pri = 5});
    }
    uint32_t token = one_claim(id[0]);
    cr_assert_eq(one_release(id[0], token, 0), 0);
    uint64_t urgent = one_submit((struct edge_submit){.pri = 0});
    one_restart();
    const uint64_t wanted[] = {urgent, id[1], id[2], id[3], id[0]};
    for (int i = 0; i < 5; i++) {
        token = one_claim(wanted[i]);
        cr_assert_eq(one_done(wanted[i], token), 0);
    }
}

Test(timers, who_holds_still_holds_after_a_restart)
{
    struct edge_claimed got;
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){.pri = 5});
    uint32_t token = one_claim(id);
    one_restart();
    cr_assert_eq(one_try_claim(&got), 0);
    cr_assert(got.again && got.id == id && got.token == token);
    cr_assert_eq(one_done(id, token - 1), TALLY_STALE);
    cr_assert_eq(one_done(id, token + 1), TALLY_STALE);
    cr_assert_eq(one_done(id, token), 0);
    one_restart();
    cr_assert_eq(one_done(id, token), 0, "said once more, after a restart");
    cr_assert_eq(one_done(id, token + 1), TALLY_STALE);
    cr_assert_eq(one_done(id + 1, token), TALLY_NOTFOUND);
    cr_assert_eq(one_try_claim(&got), EDGE_NIL);
}

Test(timers, failing_uses_up_the_attempts)
{
    struct edge_failed how;
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){.tries = 2});
    uint32_t token = one_claim(id);
    cr_assert_eq(one_fail(id, token, &how), 0);
    cr_assert(!how.final && how.attempts_left == 1);
    cr_assert_eq(one_fail(id, token, &how), 0, "said once more");
    token = one_claim(id);
    cr_assert_eq(one_fail(id, token, &how), 0);
    cr_assert(how.final);
    cr_assert_eq(one_build(id).state, BUILD_FAILED);
}

Test(timers, one_unfinished_build_of_a_name)
{
    uint64_t same = 0;
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){.uniq = SPAN("nightly")});
    struct edge_submit ask = {
        .queue = SPAN("q"), .uniq = SPAN("nightly"), .lease_ms = 1000, .tries = 1};
    cr_assert_eq(handle_result(&handle, edge_submit(handle.edge, &ask), &same), TALLY_EXISTS);
    cr_assert_eq(same, id);
    one_restart();
    cr_assert_eq(handle_result(&handle, edge_submit(handle.edge, &ask), &same), TALLY_EXISTS);
    cr_assert_eq(one_done(id, one_claim(id)), 0);
    cr_assert_eq(handle_result(&handle, edge_submit(handle.edge, &ask), &same), 0);
}

Test(timers, votes_are_counted_and_limited)
{
    struct edge_vote vote;
    uint64_t total = 0;
    handle_poll(&handle, "p");
    uint64_t option = handle_option(&handle, "p", " Straße ");
    cr_assert_eq(edge_vote(handle.edge, option, 0, &vote), TALLY_RANGE);
    cr_assert_eq(edge_vote(handle.edge, option, VOTE_N_MAX + 1, &vote), TALLY_RANGE);
    cr_assert_eq(edge_vote(handle.edge, option + 1, 1, &vote), TALLY_NOTFOUND);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(edge_vote(handle.edge, option, VOTE_N_MAX, &vote), 0);
        total += VOTE_N_MAX;
        edge_flush(handle.edge);
        cr_assert_eq(edge_votes_after(handle.edge, vote), total);
    }
    handle_settle(&handle);
    one_restart();
    uint64_t found = 0;
    cr_assert_eq(edge_option_find(handle.edge, SPAN("p"), SPAN("STRASSE"), &found), 0);
    cr_assert_eq(found, option);
    cr_assert_eq(edge_vote(handle.edge, option, 1, &vote), 0);
    edge_flush(handle.edge);
    cr_assert_eq(edge_votes_after(handle.edge, vote), total + 1);
}
