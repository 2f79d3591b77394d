/* The queue of replies in flight: in order, bounded, runs of one connection in one entry. */
#include "net/pipeline/pending.h"

#include <criterion/criterion.h>

static struct pending pending;

static void set_up(void)
{
    cr_assert_eq(pending_init(&pending), 0);
}

static void tear_down(void)
{
    pending_fini(&pending);
}

TestSuite(pending, .init = set_up, .fini = tear_down);

/* Connections are only compared here. */
static struct conn *conn_of(uintptr_t number)
{
    return (struct conn *)number;
}

static bool push(uint64_t pos, uintptr_t conn, uint8_t kind, uint8_t flags)
{
    return pending_push(
        &pending,
        &(struct pending_entry){
            .pos = pos, .conn = conn_of(conn), .held_bytes = 3, .kind = kind, .flags = flags});
}

Test(pending, what_is_alike_becomes_one_entry)
{
    cr_expect(push(1, 16, PENDING_HELD, 0));
    cr_expect_not(push(1, 16, PENDING_HELD, 0));
    cr_expect_eq(pending_head(&pending)->held_bytes, 6);
    cr_expect(push(1, 32, PENDING_HELD, 0), "another connection");
    cr_expect(push(2, 32, PENDING_HELD, 0), "another position");
    cr_expect(push(2, 32, PENDING_HELD, PENDING_CHANGE), "a change");
    cr_expect(push(2, 32, PENDING_RESULT, PENDING_CHANGE), "a result");
    cr_expect(push(2, 32, PENDING_RESULT, PENDING_CHANGE), "and one more");
    cr_expect_eq(pending_room(&pending), PENDING_MAX - 6);
}

Test(pending, it_goes_round_in_order)
{
    uint64_t next = 0;
    for (uint64_t pos = 0; pos < 3 * (uint64_t)PENDING_MAX; pos++) {
        if (pending_room(&pending) == 0) {
            cr_assert_eq(pending_head(&pending)->pos, next++);
            pending_head(&pending)->conn = NULL;
            pending_pop(&pending);
        }
        cr_assert(push(pos, 16, PENDING_HELD, 0));
    }
    while (pending_head(&pending) != NULL) {
        cr_assert_eq(pending_head(&pending)->pos, next++);
        pending_head(&pending)->conn = NULL;
        pending_pop(&pending);
    }
    cr_expect_eq(next, 3 * (uint64_t)PENDING_MAX);
}
