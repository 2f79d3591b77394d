/* Builds, tokens and claims through one edge: what may be seen, said and repeated, and when. */
#include "tests/engine/one.h"
#include "wal/base/clock.h"

#include <criterion/criterion.h>

TestSuite(builds, .init = begin, .fini = end);

static struct queue_row queue_of(const char *name)
{
    struct read_queues r;
    read_queues_init(&r, span_of(name));
    cr_assert_eq(door_read(&door, &r.read), 0);
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
        door_poll(&door, "p");
    }
}

/* A claim between its step and its sync: a crash would take it back, so no read may know of it. */
Test(builds, queues_know_nothing_of_a_claim_in_flight)
{
    door_worker(&door, "w", 1);
    submit((struct edge_submit){.pri = 5});
    pass_ms(30);
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    struct edge_claimed got;
    cr_assert_eq(edge_claim(door.edge, &ask, &got), 0);
    struct queue_row row = queue_of("q");
    cr_expect_eq(row.by_state[BUILD_PENDING], 1);
    cr_expect_geq(row.oldest_ms, 20);
    door_settle(&door);
    row = queue_of("q");
    cr_expect_eq(row.by_state[BUILD_PENDING], 0);
    cr_expect_eq(row.oldest_ms, 0);
}

Test(builds, the_oldest_is_the_oldest_wherever_it_stands_in_its_list)
{
    door_worker(&door, "w", 4);
    uint64_t old = submit((struct edge_submit){.pri = 5});
    uint32_t token = claim(old);
    pass_ms(310);
    uint64_t young = submit((struct edge_submit){.pri = 5});
    cr_expect_lt(queue_of("q").oldest_ms, 300);
    cr_assert_eq(release(old, token, 0), 0);
    cr_expect_geq(queue_of("q").oldest_ms, 300, "it stands behind the young one");
    restart();
    cr_expect_geq(queue_of("q").oldest_ms, 300);
    claim(young);
    cr_expect_geq(queue_of("q").oldest_ms, 300);
    claim(old);
    cr_expect_eq(queue_of("q").oldest_ms, 0);
}
