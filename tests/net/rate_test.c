/* Votes per address: so many in a window, wherever the window is laid. */
#include "net/rate.h"

#include "wal/base/err.h"

#include <criterion/criterion.h>

static struct rate *rate;

static void set_up(void)
{
    cr_assert_eq(rate_new(&rate), 0);
}

static void tear_down(void)
{
    rate_destroy(rate);
}

TestSuite(rate, .init = set_up, .fini = tear_down);

static struct rate_ask ask_at(uint64_t now_ms)
{
    return (struct rate_ask){
        .poll = 1, .from = {0, 5}, .n = 10, .per_ms = 60000, .votes = 1, .now_ms = now_ms};
}

Test(rate, ten_pass_and_the_eleventh_is_told_when)
{
    uint64_t retry_ms = 0;
    for (uint64_t i = 0; i < 10; i++) {
        struct rate_ask ask = ask_at(1000 + i);
        cr_expect_eq(rate_take(rate, &ask, &retry_ms), 0);
    }
    struct rate_ask ask = ask_at(2000);
    cr_assert_eq(rate_take(rate, &ask, &retry_ms), TALLY_RATE);
    cr_assert(retry_ms > 0 && retry_ms <= 120000);
    ask.now_ms += retry_ms - 1;
    uint64_t again_ms = 0;
    cr_expect_eq(rate_take(rate, &ask, &again_ms), TALLY_RATE, "a moment too early");
    ask.now_ms += 1;
    cr_expect_eq(rate_take(rate, &ask, &again_ms), 0, "as it was told; %d more", (int)again_ms);
}

Test(rate, a_border_between_windows_gives_no_fresh_votes)
{
    uint64_t retry_ms = 0;
    for (uint64_t i = 0; i < 10; i++) {
        struct rate_ask ask = ask_at(1000 + 59000);
        ask.now_ms = i == 0 ? 1000 : ask.now_ms;
        cr_expect_eq(rate_take(rate, &ask, &retry_ms), 0);
    }
    struct rate_ask ask = ask_at(1000 + 60001);
    cr_expect_eq(rate_take(rate, &ask, &retry_ms), TALLY_RATE);
    ask.now_ms = 1000 + 60000 + 30000;
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(rate_take(rate, &ask, &retry_ms), 0, "half of the old ones have slid out");
    }
    cr_expect_eq(rate_take(rate, &ask, &retry_ms), TALLY_RATE);
}

Test(rate, polls_and_addresses_count_apart)
{
    uint64_t retry_ms = 0;
    struct rate_ask ask = ask_at(1000);
    ask.votes = 10;
    cr_expect_eq(rate_take(rate, &ask, &retry_ms), 0);
    ask.from.low = 6;
    cr_expect_eq(rate_take(rate, &ask, &retry_ms), 0);
    ask.poll = 2;
    cr_expect_eq(rate_take(rate, &ask, &retry_ms), 0);
    cr_expect_eq(rate_take(rate, &ask, &retry_ms), TALLY_RATE);
}

Test(rate, refused_votes_are_given_back)
{
    uint64_t retry_ms = 0;
    struct rate_ask ask = ask_at(1000);
    for (int i = 0; i < 50; i++) {
        cr_expect_eq(rate_take(rate, &ask, &retry_ms), 0);
        rate_give_back(rate, &ask);
    }
}

Test(rate, a_time_from_before_the_window_does_not_clear_it)
{
    uint64_t retry_ms = 0;
    for (uint64_t i = 0; i < 10; i++) {
        struct rate_ask ask = ask_at(i % 2 == 0 ? 1000 : 999);
        cr_expect_eq(rate_take(rate, &ask, &retry_ms), 0);
    }
    struct rate_ask ask = ask_at(999);
    cr_expect_eq(rate_take(rate, &ask, &retry_ms), TALLY_RATE, "another thread's older time");
    ask.now_ms = 1000;
    cr_expect_eq(rate_take(rate, &ask, &retry_ms), TALLY_RATE);
}

Test(rate, a_full_table_refuses_and_forgets_nobody)
{
    uint64_t retry_ms = 0;
    struct rate_ask first = ask_at(1000);
    first.votes = 10;
    cr_expect_eq(rate_take(rate, &first, &retry_ms), 0);
    bool busy = false;
    for (uint64_t i = 100; i < 200000; i++) {
        struct rate_ask ask = ask_at(1001);
        ask.from.low = i;
        int err = rate_take(rate, &ask, &retry_ms);
        cr_assert(err == 0 || (err == TALLY_BUSY && retry_ms > 0));
        busy = busy || err == TALLY_BUSY;
    }
    cr_expect(busy);
    first.votes = 1;
    first.now_ms = 1002;
    cr_expect_eq(rate_take(rate, &first, &retry_ms), TALLY_RATE);
}
