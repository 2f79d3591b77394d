/* Builds, tokens and claims through one edge: reads, stale tokens, and repeated requests. */
#include "tests/engine/one.h"
#include "tests/lib/count.h"
#include "wal/base/clock.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

TestSuite(builds, .init = one_begin, .fini = one_end);

static struct queue_row queue_of(const char *name)
{
    struct read_queues r;
    read_queues_init(&r, span_of(name));
    cr_assert_eq(handle_read(&handle, &r.read), 0);
    cr_assert_eq(r.row_count, 1);
    struct queue_row row = r.rows[0];
    read_queues_fini(&r);
    return row;
}

/* Lets so much time pass, commit by commit. */
static void pass_ms(uint64_t ms)
{
    uint64_t until_ns = clock_mono_ns() + ms * 1000000;
    while (clock_mono_ns() < until_ns) {
        handle_poll(&handle, "p");
    }
}

/* A claim between its step and its sync: a crash would take it back, so no read may know of it. */
Test(builds, queues_know_nothing_of_a_claim_in_flight)
{
    handle_worker(&handle, "w", 1);
    one_submit((struct edge_submit){.pri = 5});
    pass_ms(30);
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    struct edge_claimed got;
    cr_assert_eq(edge_claim(handle.edge, &ask, &got), 0);
    struct queue_row row = queue_of("q");
    cr_expect_eq(row.by_state[BUILD_PENDING], 1);
    cr_expect_geq(row.oldest_ms, 20);
    handle_settle(&handle);
    row = queue_of("q");
    cr_expect_eq(row.by_state[BUILD_PENDING], 0);
    cr_expect_eq(row.oldest_ms, 0);
}

Test(builds, the_oldest_is_the_oldest_wherever_it_stands_in_its_list)
{
    handle_worker(&handle, "w", 4);
    uint64_t old = one_submit((struct edge_submit){.pri = 5});
    uint32_t token = one_claim(old);
    pass_ms(310);
    uint64_t young = one_submit((struct edge_submit){.pri = 5});
    cr_expect_lt(queue_of("q").oldest_ms, 300);
    cr_assert_eq(one_release(old, token, 0), 0);
    cr_expect_geq(queue_of("q").oldest_ms, 300, "it stands behind the young one");
    one_restart();
    cr_expect_geq(queue_of("q").oldest_ms, 300);
    one_claim(young);
    cr_expect_geq(queue_of("q").oldest_ms, 300);
    one_claim(old);
    cr_expect_eq(queue_of("q").oldest_ms, 0);
}

/* ---- repeated requests ---- */

static int ask_fail(struct edge_fail ask, struct edge_failed *how)
{
    int err;
    HANDLE_ASK(err, &handle, edge_fail(handle.edge, &ask, how));
    handle_settle(&handle);
    return err;
}

static int ask_done(uint64_t id, uint32_t token, struct span result)
{
    int err;
    HANDLE_ASK(err, &handle, edge_done(handle.edge, id, token, result));
    handle_settle(&handle);
    return err;
}

static int ask_beat(uint64_t id, uint32_t token, int prog)
{
    uint64_t lease_ms = 0;
    int err;
    HANDLE_ASK(err, &handle, edge_beat(handle.edge, id, token, prog, &lease_ms));
    handle_settle(&handle);
    return err;
}

static void expect_failed(struct edge_fail ask, uint32_t attempts_left, bool dup)
{
    struct edge_failed how;
    cr_assert_eq(ask_fail(ask, &how), 0);
    cr_expect(!how.final && how.attempts_left == attempts_left && how.dup == dup,
              "final %d, %u left, dup %d", how.final, how.attempts_left, how.dup);
}

/* Every request but the same FAIL is stale. */
static void expect_only_fail(const struct edge_fail *first)
{
    struct edge_failed how;
    struct edge_fail dead = {.id = first->id, .token = first->token, .dead = true};
    struct edge_fail other = {.id = first->id, .token = first->token, .delay_ms = 700};
    expect_failed(*first, 2, false);
    cr_expect_eq(ask_fail(dead, &how), TALLY_STALE, "DEAD behind FAIL");
    cr_expect_eq(ask_fail(other, &how), TALLY_STALE, "another delay");
    cr_expect_eq(one_done(first->id, first->token), TALLY_STALE, "DONE behind FAIL");
    cr_expect_eq(one_release(first->id, first->token, first->delay_ms), TALLY_STALE);
    cr_expect_eq(ask_beat(first->id, first->token, 1), TALLY_STALE);
}

Test(builds, a_fail_is_repeated_until_the_next_claim_whatever_time_has_done)
{
    struct edge_failed how;
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){.tries = 3});
    struct edge_fail ask = {
        .id = id, .token = one_claim(id), .delay_ms = 100, .text = SPAN("no disk")};
    expect_failed(ask, 2, false);
    expect_only_fail(&ask);
    one_wait_for(id, BUILD_PENDING);
    expect_only_fail(&ask);
    one_restart();
    expect_only_fail(&ask);
    ask.text = SPAN("no network");
    expect_failed(ask, 2, true);
    uint32_t token = one_claim(id);
    cr_expect_eq(ask_fail(ask, &how), TALLY_STALE, "somebody has claimed it");
    ask = (struct edge_fail){.id = id, .token = token, .dead = true};
    cr_assert(ask_fail(ask, &how) == 0 && how.final);
    cr_assert(ask_fail(ask, &how) == 0 && how.final, "said once more");
    ask.dead = false;
    cr_expect_eq(ask_fail(ask, &how), TALLY_STALE, "FAIL behind FAIL DEAD");
}

Test(builds, a_release_is_repeated_until_the_next_claim)
{
    struct edge_failed how;
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){.pri = 5});
    uint32_t token = one_claim(id);
    cr_assert_eq(one_release(id, token, 100), 0);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(one_release(id, token, 100), 0, "said once more");
        cr_expect_eq(one_release(id, token, 0), TALLY_STALE, "another delay");
        cr_expect_eq(one_fail(id, token, &how), TALLY_STALE);
        cr_expect_eq(one_done(id, token), TALLY_STALE);
        one_wait_for(id, BUILD_PENDING);
    }
    one_claim(id);
    cr_expect_eq(one_release(id, token, 100), TALLY_STALE);
}

Test(builds, a_second_result_is_told_that_the_first_one_stays)
{
    struct edge_failed how;
    handle_worker(&handle, "w", 2);
    uint64_t id = one_submit((struct edge_submit){.pri = 5});
    uint32_t token = one_claim(id);
    cr_assert_eq(ask_done(id, token, SPAN("first")), 0);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(ask_done(id, token, SPAN("first")), 0);
        cr_expect_eq(ask_done(id, token, SPAN("other")), EDGE_DUP);
        cr_expect_eq(ask_done(id, token, SPAN("")), EDGE_DUP);
        cr_expect_eq(one_fail(id, token, &how), TALLY_STALE, "FAIL behind DONE");
        cr_expect_eq(one_release(id, token, 0), TALLY_STALE);
        one_restart();
    }
    id = one_submit((struct edge_submit){.pri = 5});
    token = one_claim(id);
    cr_assert_eq(ask_done(id, token, SPAN("")), 0);
    cr_expect_eq(ask_done(id, token, SPAN("")), 0);
    cr_expect_eq(ask_done(id, token, SPAN("late")), EDGE_DUP);
}

/* ---- tokens ---- */

static int compare_tokens(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The first tokens of builds are far apart, and each build has half of all tokens left. */
Test(builds, the_tokens_of_a_thousand_neighbours_are_far_apart)
{
    static uint32_t token[1000];
    static const uint64_t starts[] = {1, 1000, 123456789, (1 << 27) - 500, (1 << 30) - 1000};
    for (size_t s = 0; s < COUNT_OF(starts); s++) {
        for (uint64_t i = 0; i < 1000; i++) {
            token[i] = BUILD_TOKEN_FIRST(starts[s] + i);
            cr_assert(token[i] > 0 && token[i] <= BUILD_TOKEN_MAX / 2 + 1);
        }
        qsort(token, 1000, sizeof(token[0]), compare_tokens);
        for (int i = 1; i < 1000; i++) {
            cr_assert_gt(token[i] - token[i - 1], 50000);
        }
    }
}

Test(builds, a_token_fits_one_build_only)
{
    uint64_t id[3];
    uint32_t token[3];
    handle_worker(&handle, "w", 3);
    for (int i = 0; i < 3; i++) {
        id[i] = one_submit((struct edge_submit){.pri = 5});
        token[i] = one_claim(id[i]);
    }
    for (int i = 0; i < 9; i++) {
        cr_expect(i / 3 == i % 3 || one_done(id[i / 3], token[i % 3]) == TALLY_STALE);
    }
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(one_done(id[i], token[i]), 0);
    }
}

Test(builds, the_progress_of_one_attempt_is_not_that_of_the_next)
{
    struct edge_failed how;
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){.pri = 5});
    uint32_t token = one_claim(id);
    cr_assert_eq(ask_beat(id, token, 60), 0);
    cr_assert_eq(one_fail(id, token, &how), 0);
    cr_expect_eq(one_build(id).prog, 60);
    token = one_claim(id);
    cr_expect_eq(one_build(id).prog, 0);
    cr_assert_eq(ask_beat(id, token, -1), 0);
    cr_expect_eq(one_build(id).prog, 0);
    cr_assert_eq(ask_beat(id, token, 7), 0);
    cr_assert_eq(one_done(id, token), 0);
    cr_expect_eq(one_build(id).prog, 7);
}

/* ---- goodbyes ---- */

static void *say_bye(void *arg)
{
    struct handle other;
    uint64_t released = 0;
    (void)arg;
    handle_open(&other, tally);
    cr_assert_eq(handle_result(&other, edge_bye(other.edge, SPAN("w")), &released), 0);
    handle_close(&other);
    return NULL;
}

/* The claim is decided before the BYE, and its record comes after the BYE. */
Test(builds, a_claim_that_a_goodbye_overtakes_goes_back_uncounted)
{
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    for (int i = 0; i < 5; i++) {
        struct edge_claimed got;
        pthread_t thread;
        handle_worker(&handle, "w", 1);
        uint64_t id = one_submit((struct edge_submit){.tries = 1});
        cr_assert_eq(edge_claim(handle.edge, &ask, &got), 0);
        cr_assert_eq(pthread_create(&thread, NULL, say_bye, NULL), 0);
        pthread_join(thread, NULL);
        handle_settle(&handle);
        handle_worker(&handle, "w", 1);
        one_wait_for(id, BUILD_PENDING);
        cr_expect_eq(one_build(id).attempt, 0);
        cr_expect_eq(one_done(id, got.token), TALLY_STALE);
        uint32_t token = one_claim(id);
        cr_expect_eq(one_build(id).attempt, 1);
        cr_assert_eq(one_done(id, token), 0);
    }
}

/* A build whose workers all leave is not offered for ever. */
Test(builds, after_a_hundred_goodbyes_a_build_fails)
{
    uint64_t id = one_submit((struct edge_submit){.tries = 1});
    for (int i = 0; i < 101; i++) {
        uint64_t released = 0;
        cr_assert_eq(one_build(id).state, BUILD_PENDING, "after %d", i);
        if (i == 50) {
            one_restart();
        }
        handle_worker(&handle, "w", 1);
        one_claim(id);
        cr_assert_eq(handle_result(&handle, edge_bye(handle.edge, SPAN("w")), &released), 0);
        cr_assert_eq(released, 1);
    }
    cr_expect_eq(one_build(id).state, BUILD_FAILED);
    cr_expect_eq(one_build(id).error.len, sizeof("its workers said BYE more than 100 times") - 1);
}
