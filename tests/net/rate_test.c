/* Vote limits per voter, BY word or address: an exact sliding window, in memory that no address can
 * use up. */
#include "net/pipeline/rate.h"

#include "tests/lib/seed.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

static struct ledger ledger;
static struct rate *rate;

static void set_up(void)
{
    ledger = (struct ledger){.ceiling = (uint64_t)2 << 30};
    cr_assert_eq(rate_new(&rate, &ledger), 0);
}

static void tear_down(void)
{
    rate_destroy(rate);
    cr_expect_eq(ledger_sum(&ledger), 0, "every byte is given back");
}

TestSuite(rate, .init = set_up, .fini = tear_down);

static uint64_t retry_ms;
static enum rate_kind taken_by;

static int take(uint64_t now_ms, uint64_t votes, uint64_t n, uint64_t per_ms)
{
    const struct rate_ask ask = {.poll = 1,
                                 .from = {0, 5},
                                 .kind = taken_by,
                                 .name = SPAN("anna"),
                                 .n = n,
                                 .per_ms = per_ms,
                                 .votes = votes,
                                 .now_ms = now_ms};
    return rate_take(rate, &ask, &retry_ms);
}

static int take_from(uint64_t address, uint64_t poll, uint64_t now_ms)
{
    const struct rate_ask ask = {
        .poll = poll, .from = {0, address}, .n = 1, .per_ms = 60000, .votes = 1, .now_ms = now_ms};
    return rate_take(rate, &ask, &retry_ms);
}

static int take_as(enum rate_kind kind, struct span name, uint64_t address, uint64_t now_ms)
{
    const struct rate_ask ask = {.poll = 1,
                                 .from = {0, address},
                                 .kind = kind,
                                 .name = name,
                                 .n = 1,
                                 .per_ms = 60000,
                                 .votes = 1,
                                 .now_ms = now_ms};
    return rate_take(rate, &ask, &retry_ms);
}

/* A voter that nobody else has. */
static int take_invented(uint64_t number, uint64_t address, uint64_t now_ms)
{
    char name[RATE_NAME_MAX + 1];
    int len = snprintf(name, sizeof(name), "voter-%lu", (unsigned long)number);
    return take_as(RATE_BY_VOTER, (struct span){name, (size_t)len}, address, now_ms);
}

/* ---- exact ---- */

Test(rate, one_a_second_passes_each_1050_ms)
{
    for (uint64_t i = 0; i < 100; i++) {
        cr_assert_eq(take(1000 + i * 1050, 1, 1, 1000), 0, "vote %d", (int)i);
    }
}

Test(rate, one_a_day_passes_every_day)
{
    const uint64_t day_ms = 24 * 3600 * 1000;
    for (uint64_t i = 1; i < 10; i++) {
        cr_assert_eq(take(i * day_ms, 1, 1, day_ms), 0);
        cr_assert_eq(take(i * day_ms + day_ms - 1, 1, 1, day_ms), TALLY_RATE);
        cr_assert_eq(retry_ms, 1);
    }
}

Test(rate, two_votes_are_over_when_the_window_is)
{
    cr_assert_eq(take(1000, 2, 2, 3000), 0);
    cr_assert_eq(take(3999, 1, 2, 3000), TALLY_RATE);
    cr_assert_eq(retry_ms, 1);
    cr_assert_eq(take(4200, 2, 2, 3000), 0);
}

Test(rate, the_nth_last_vote_decides)
{
    for (uint64_t i = 0; i < 10; i++) {
        cr_assert_eq(take(1000 + i * 100, 1, 10, 60000), 0);
    }
    for (uint64_t i = 0; i < 10; i++) { /* each vote that leaves the window lets one pass */
        cr_assert_eq(take(60999 + i * 100, 1, 10, 60000), TALLY_RATE);
        cr_assert_eq(retry_ms, 1);
        cr_assert_eq(take(61000 + i * 100, 1, 10, 60000), 0);
    }
}

Test(rate, more_than_the_limit_at_once_is_out_of_range)
{
    cr_assert_eq(take(1000, 6, 5, 1000), TALLY_RANGE);
    cr_assert_eq(take(1000, 5, 5, 1000), 0, "and was not counted");
    cr_assert_eq(take(1000, 6, 5, 1000), TALLY_RANGE);
}

/* Checks each window, vote by vote. */
struct dated_votes {
    uint64_t at_ms;
    uint64_t votes;
};

static uint64_t held(const struct dated_votes *told, size_t count, uint64_t now_ms, uint64_t per_ms)
{
    uint64_t votes = 0;
    for (size_t i = count; i > 0 && told[i - 1].at_ms + per_ms > now_ms; i--) {
        votes += told[i - 1].votes;
    }
    return votes;
}

/* Compares with a plain list of all votes, of addresses, BY words and voters in turn; the retry_ms
 * of a refusal is exact. */
Test(rate, it_is_what_a_list_of_all_votes_says)
{
    enum { ASKS = 2000 };
    static struct dated_votes told[ASKS];
    for (uint64_t start = 1; start <= 21; start++) {
        struct seed seed = {start};
        taken_by = (enum rate_kind)(start % 3);
        uint64_t n = 1 + seed_below(&seed, start % 2 == 0 ? 8 : 100);
        uint64_t per_ms = 1 + seed_below(&seed, 5000);
        uint64_t now_ms = start * 100000000;
        size_t count = 0;
        for (int i = 0; i < ASKS; i++) {
            uint64_t votes = 1 + seed_below(&seed, n < 3 ? n : 3);
            now_ms += seed_below(&seed, 2 * per_ms / n + 2);
            int err = take(now_ms, votes, n, per_ms);
            bool fits = held(told, count, now_ms, per_ms) + votes <= n;
            cr_assert_eq(err, fits ? 0 : TALLY_RATE, "seed %d, ask %d", (int)start, i);
            if (err != 0) {
                uint64_t wait_ms = retry_ms;
                cr_assert_eq(take(now_ms + wait_ms - 1, votes, n, per_ms), TALLY_RATE);
                now_ms += wait_ms;
                cr_assert_eq(take(now_ms, votes, n, per_ms), 0, "as it was told");
            }
            told[count++] = (struct dated_votes){now_ms, votes};
        }
    }
}

/* Many times in a window are rounded to its 4096th part: never does it hold more votes. */
Test(rate, a_large_limit_is_never_passed_and_a_refusal_holds)
{
    enum { N = 20000, ASKS = 60000 };
    static struct dated_votes told[ASKS];
    const uint64_t per_ms = 3600 * 1000;
    uint64_t now_ms = 1000000;
    size_t refused = 0;
    for (size_t i = 0; i < ASKS; i++) {
        now_ms += i % 300; /* 150 ms a vote: a little faster than the limit allows */
        if (take(now_ms, 1, N, per_ms) != 0) {
            uint64_t wait_ms = retry_ms;
            refused++;
            cr_assert_leq(wait_ms, per_ms);
            now_ms += wait_ms;
            cr_assert_eq(take(now_ms, 1, N, per_ms), 0, "as it was told");
        }
        told[i] = (struct dated_votes){now_ms, 1};
        if (i % 1000 == 0) {
            cr_assert_leq(held(told, i + 1, now_ms, per_ms), N);
            cr_assert_lt(ledger_sum(&ledger), 100000, "64 KiB of times and two entries");
        }
    }
    cr_assert_gt(refused, 0);
    cr_assert_leq(now_ms - 1000000, per_ms * (ASKS / N) + per_ms / 100, "and hardly under it");
}

Test(rate, a_time_from_before_the_last_vote_does_not_clear_the_window)
{
    for (uint64_t i = 0; i < 10; i++) {
        cr_assert_eq(take(i % 2 == 0 ? 1000 : 999, 1, 10, 60000), 0);
    }
    cr_assert_eq(take(999, 1, 10, 60000), TALLY_RATE, "another thread's older time");
    cr_assert_eq(take(1000, 1, 10, 60000), TALLY_RATE);
}

Test(rate, a_limit_that_is_altered_holds_for_the_votes_before)
{
    cr_assert_eq(take(1000, 10, 10, 60000), 0);
    cr_assert_eq(take(1500, 1, 5, 60000), TALLY_RATE);
    cr_assert_eq(take(1500, 1, 11, 60000), 0);
    cr_assert_eq(take(2500, 1, 1, 1000), 0);
}

Test(rate, polls_and_addresses_count_apart)
{
    cr_assert_eq(take_from(5, 1, 1000), 0);
    cr_assert_eq(take_from(6, 1, 1000), 0);
    cr_assert_eq(take_from(6, 2, 1000), 0);
    cr_assert_eq(take_from(6, 2, 1000), TALLY_RATE);
    cr_assert_eq(take_from(5, 1, 1000), TALLY_RATE);
}

Test(rate, voters_of_one_address_count_apart)
{
    cr_assert_eq(take_as(RATE_BY_VOTER, SPAN("anna"), 5, 1000), 0);
    cr_assert_eq(take_as(RATE_BY_VOTER, SPAN("ann"), 5, 1000), 0);
    cr_assert_eq(take_as(RATE_BY_VOTER, SPAN("anna"), 5, 1001), TALLY_RATE);
    cr_assert_eq(retry_ms, 59999);
    cr_assert_eq(take_as(RATE_BY_VOTER, SPAN("ann"), 5, 1001), TALLY_RATE);
}

Test(rate, a_voter_is_one_from_whatever_address)
{
    cr_assert_eq(take_as(RATE_BY_VOTER, SPAN("anna"), 5, 1000), 0);
    cr_assert_eq(take_as(RATE_BY_VOTER, SPAN("anna"), 6, 1001), TALLY_RATE);
    cr_assert_eq(take_as(RATE_BY_WORD, SPAN("desk"), 5, 1000), 0);
    cr_assert_eq(take_as(RATE_BY_WORD, SPAN("desk"), 6, 1001), TALLY_RATE);
}

/* A name with the bytes of an address, and one name as a voter and as a BY word. */
Test(rate, the_kinds_do_not_meet)
{
    static const char address[16] = {5}; /* low: 5 */
    char as_stored[16] = {0};
    as_stored[8] = 5;
    const struct span names[] = {{address, 16}, {as_stored, 16}, SPAN("anna"), SPAN("\x01")};
    cr_assert_eq(take_as(RATE_BY_ADDRESS, (struct span){0}, 5, 1000), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_eq(take_as(RATE_BY_VOTER, names[i], 5, 1000), 0);
        cr_assert_eq(take_as(RATE_BY_WORD, names[i], 5, 1000), 0);
        cr_assert_eq(take_as(RATE_BY_VOTER, names[i], 5, 1000), TALLY_RATE);
        cr_assert_eq(take_as(RATE_BY_WORD, names[i], 5, 1000), TALLY_RATE);
    }
    cr_assert_eq(take_as(RATE_BY_ADDRESS, (struct span){0}, 5, 1000), TALLY_RATE);
}

Test(rate, a_name_may_be_any_1_to_64_bytes)
{
    char name[RATE_NAME_MAX] = {0};
    for (size_t len = 1; len <= RATE_NAME_MAX; len++) {
        cr_assert_eq(take_as(RATE_BY_VOTER, (struct span){name, len}, 5, 1000), 0);
    }
    for (size_t len = 1; len <= RATE_NAME_MAX; len++) {
        cr_assert_eq(take_as(RATE_BY_VOTER, (struct span){name, len}, 5, 1000), TALLY_RATE);
    }
}

Test(rate, refused_votes_are_given_back)
{
    for (uint64_t i = 0; i < 100000; i++) {
        const struct rate_ask ask = {
            .poll = 1, .from = {0, 5}, .n = 2, .per_ms = 60000, .votes = 2, .now_ms = 1000 + i / 3};
        cr_assert_eq(rate_take(rate, &ask, &retry_ms), 0);
        rate_give_back(rate, &ask);
    }
    cr_assert_lt(ledger_sum(&ledger), 1000, "they leave nothing behind");
}

/* ---- bounded ---- */

/* The numbers of addresses and votes in PROTOCOL.md. */
Test(rate, so_many_addresses_have_room_at_once)
{
    enum { PROMISED = 262144 };
    struct rate_ask ask = {.poll = 1, .n = 4, .per_ms = 60000, .votes = 1};
    for (uint64_t i = 1; i <= PROMISED; i++) {
        ask.from.low = i * 256;
        for (ask.now_ms = 997; ask.now_ms <= 1000; ask.now_ms++) {
            cr_assert_eq(rate_take(rate, &ask, &retry_ms), 0, "address %d", (int)i);
        }
    }
    uint64_t more = 0;
    while (take_from(((uint64_t)1 << 40) + more, 1, 1001) == 0) {
        more++;
    }
    cr_assert_eq(retry_ms, 1000);
    cr_assert_lt(more, PROMISED / 2);
    cr_assert_leq(ledger_sum(&ledger), RATE_BYTES_MAX);
    for (uint64_t i = 1; i <= PROMISED; i++) {
        cr_assert_eq(take_from(i * 256, 1, 1002), TALLY_RATE, "nobody is forgotten");
    }
    int tries = 0; /* when the windows are over there is memory again, for any address */
    while (take_from(7, 3, 70000) != 0) {
        tries++;
    }
    cr_assert_eq(tries, 0);
}

Test(rate, one_client_in_very_many_polls_leaves_room_for_all)
{
    uint64_t polls = 0;
    while (polls < 130000 && take_from(1, polls + 1, 1000) == 0) {
        polls++;
    }
    cr_assert_lt(polls, 130000, "it is refused");
    cr_assert_gt(polls, 65536);
    cr_assert_leq(ledger_sum(&ledger), RATE_BYTES_MAX / 2 / RATE_FREE_SHARE);
    for (uint64_t i = 1; i <= 65536; i++) {
        cr_assert_eq(take_from(i * 256, 1, 1000), 0, "address %d", (int)i);
    }
}

Test(rate, a_thousand_clients_in_very_many_polls_leave_room_for_others)
{
    for (uint64_t client = 1; client <= 1000; client++) {
        for (uint64_t poll = 1; take_from(client, poll, 1000) == 0; poll++) {
        }
    }
    for (uint64_t i = 4; i <= 100000; i++) {
        cr_assert_eq(take_from(i * 256, 1, 1000), 0, "address %d", (int)i);
    }
}

/* The share in PROTOCOL.md: a sixth. A new voter with each vote is refused some time; others are
 * not. */
Test(rate, one_client_that_invents_voters_leaves_room_for_all)
{
    uint64_t invented = 0;
    while (invented < 400000 && take_invented(invented, 1, 1000) == 0) {
        invented++;
    }
    cr_assert_eq(retry_ms, 1000);
    cr_assert_lt(invented, 400000, "it is refused");
    cr_assert_gt(invented, 65536, "but a web server with so many voters is not");
    cr_assert_leq(ledger_sum(&ledger), RATE_BYTES_MAX / 6 + 1024);
    for (uint64_t i = 0; i < 32768; i++) {
        cr_assert_eq(take_invented(1000000 + i, 2, 1000), 0, "voter %d", (int)i);
    }
    for (uint64_t i = 0; i < 65536; i++) {
        cr_assert_eq(take_invented(2000000 + i, i + 3, 1000), 0, "address %d", (int)i);
    }
    for (uint64_t i = 0; i < invented; i++) {
        cr_assert_eq(take_invented(i, 4, 1001), TALLY_RATE, "nobody is forgotten");
    }
    uint64_t refused = 0; /* when the windows are over, refused votes make room for others */
    for (uint64_t i = 0; i < 65536; i++) {
        refused += take_invented(3000000 + i, 1, 61000) != 0;
    }
    cr_assert_lt(refused, 1000, "%lu refused", (unsigned long)refused);
}

Test(rate, a_thousand_clients_that_invent_voters_leave_room_for_others)
{
    uint64_t invented = 0;
    for (uint64_t client = 1; client <= 1000; client++) {
        while (take_invented(invented, client, 1000) == 0) {
            invented++;
        }
    }
    cr_assert_leq(ledger_sum(&ledger), RATE_BYTES_MAX / 2 + 1000 * RATE_LITTLE_BYTES);
    for (uint64_t i = 1; i <= 100000; i++) {
        cr_assert_eq(take_invented(invented + i, 1000 + i, 1000), 0, "address %d", (int)i);
    }
}

Test(rate, what_is_over_is_given_back)
{
    for (uint64_t i = 1; i <= 100000; i++) {
        cr_assert_eq(take_from(i, 1, 1000), 0);
    }
    uint64_t before = ledger_sum(&ledger);
    for (uint64_t i = 1; i <= 100000; i++) {
        cr_assert_eq(take_from(i % 1000 + 1000000, 1, 70000 + i * 60000), 0);
    }
    cr_assert_lt(ledger_sum(&ledger), before / 10);
}

Test(rate, what_is_over_is_given_back_when_nobody_votes_any_more)
{
    for (uint64_t i = 1; i <= 100000; i++) {
        cr_assert_eq(take_from(i, 1, 1000), 0);
    }
    cr_assert(rate_sweep(rate, 60999), "nothing is over yet");
    cr_assert_gt(ledger_sum(&ledger), 100000 * 100);
    int turns = 1;
    while (rate_sweep(rate, 61000)) {
        turns++;
    }
    cr_assert_eq(ledger_sum(&ledger), 0);
    cr_assert_lt(turns, 200);
    cr_assert_eq(take_from(1, 1, 61000), 0);
}

/* ---- many threads ---- */

enum { THREADS = 4, LIMIT = 5000, NAMES = 3 };
static _Atomic uint64_t passed[NAMES];

/* Each thread has an address of its own; the voters are the same. One vote in 16 is of a voter that
 * is forgotten soon, so entries and accounts come and go meanwhile. */
static void *take_main(void *arg)
{
    static const struct span names[NAMES] = {SPAN("anna"), SPAN("bert"), SPAN("carl")};
    struct seed seed = {(uint64_t)(uintptr_t)arg};
    uint64_t retry = 0;
    for (int i = 0; i < 60000; i++) {
        size_t name = seed_below(&seed, NAMES);
        struct rate_ask ask = {.poll = 1,
                               .from = {0, (uint64_t)(uintptr_t)arg},
                               .kind = RATE_BY_VOTER,
                               .name = names[name],
                               .n = LIMIT,
                               .per_ms = 60000,
                               .votes = 1,
                               .now_ms = 1000 + seed_below(&seed, 3)};
        if (i % 16 == 0) {
            ask.kind = RATE_BY_WORD;
            ask.poll = 2 + seed_below(&seed, 1000);
            ask.per_ms = 1;
            rate_take(rate, &ask, &retry);
        } else if (rate_take(rate, &ask, &retry) == 0) {
            /* T1: relaxed: a count, read after the join */
            atomic_fetch_add_explicit(&passed[name], 1, memory_order_relaxed);
        }
    }
    return NULL;
}

Test(rate, threads_with_times_of_their_own_pass_no_more_than_the_limit)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, take_main, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < NAMES; i++) {
        cr_assert_eq(passed[i], LIMIT);
    }
}
