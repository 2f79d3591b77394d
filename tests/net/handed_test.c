/* Builds that were handed out: arrived ones leave the list, in the order of the claims. */
#include "net/pipeline/handed.h"

#include <criterion/criterion.h>

static void add(struct handed *handed, uint64_t id, uint64_t pos)
{
    handed_add(handed, &(struct handed_claim){.id = id, .token = (uint32_t)id + 7, .pos = pos});
}

Test(handed, only_what_may_leave_can_arrive)
{
    struct handed handed = {0};
    add(&handed, 1, 10);
    add(&handed, 2, 11);
    handed_arrive(&handed, UINT64_MAX);
    cr_expect_eq(handed.count, 2, "neither reply may leave yet");
    handed_leave(&handed, 9, 100);
    handed_arrive(&handed, UINT64_MAX);
    cr_expect_eq(handed.count, 2);
    handed_leave(&handed, 10, 100);
    handed_arrive(&handed, 99);
    cr_expect_eq(handed.count, 2, "a byte is missing");
    handed_arrive(&handed, 100);
    cr_assert_eq(handed.count, 1);
    cr_expect_eq(handed.at[0].id, 2);
    handed_fini(&handed);
}

Test(handed, several_claims_of_one_reply_arrive_together)
{
    struct handed handed = {0};
    for (uint64_t id = 1; id <= 5; id++) {
        add(&handed, id, 20);
    }
    add(&handed, 6, 30);
    handed_leave(&handed, 20, 500);
    handed_arrive(&handed, 499);
    cr_expect_eq(handed.count, 6);
    handed_arrive(&handed, 500);
    cr_expect_eq(handed.count, 1);
    handed_leave(&handed, 30, 600);
    handed_arrive(&handed, 700);
    cr_expect_eq(handed.count, 0);
    cr_expect_null(handed.at, "an empty list keeps no memory");
}

Test(handed, what_is_left_moves_in_its_order)
{
    struct handed from = {0};
    struct handed to = {0};
    for (uint64_t id = 1; id <= 100; id++) {
        add(&from, id, id);
    }
    handed_leave(&from, 50, 1000);
    handed_arrive(&from, 1000);
    add(&to, 7, 0);
    handed_move(&to, &from);
    cr_expect_eq(from.count, 0);
    cr_assert_eq(to.count, 51);
    for (uint32_t i = 1; i < to.count; i++) {
        cr_expect_eq(to.at[i].id, 50 + i);
        cr_expect_eq(to.at[i].token, 57 + i);
    }
    handed_fini(&to);
}
