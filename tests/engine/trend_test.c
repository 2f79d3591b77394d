/* Trends: all windows show what a list of all changes says. */
#include "engine/state/state.h"
#include "tests/lib/seed.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { CHANGES_MAX = 8192, SEEDS_MAX = 64 };

/* A trend, and beside it all that was ever done to it. */
struct trend_twin {
    struct state state;
    struct option option;
    struct {
        uint64_t bucket;
        uint64_t count; /* at its end, but for what was seeded */
    } changes[CHANGES_MAX];
    struct trend_seed seeds[SEEDS_MAX];
    uint32_t change_count, seed_count;
    uint64_t base;  /* the count, but for what was seeded */
    uint64_t count; /* the count */
    uint64_t now_ms;
};

static struct trend_twin twin;

static void setup(void)
{
    twin = (struct trend_twin){.now_ms = 1700000000000};
    cr_assert_eq(state_init(&twin.state), 0);
    twin.option.id = 7;
}

static void teardown(void)
{
    ledger_sub(&twin.state.ledger, LEDGER_ENTITIES, trend_weight(FIELD_OWN(twin.option.samples)));
    free(FIELD_OWN(twin.option.samples));
    cr_assert_eq(ledger_of(&twin.state.ledger, LEDGER_ENTITIES), 0, "an array was miscounted");
    state_fini(&twin.state);
}

static struct trend its_trend(void)
{
    return option_trend(&twin.state, &twin.option);
}

static uint64_t bucket_now(void)
{
    return twin.now_ms / TREND_BUCKET_MS;
}

static void change(int64_t by)
{
    cr_assert(twin.change_count < CHANGES_MAX);
    cr_assert_eq(trend_touch(&twin.state, its_trend(), twin.count, twin.now_ms), 0);
    twin.base += (uint64_t)by;
    twin.count += (uint64_t)by;
    twin.changes[twin.change_count].bucket = bucket_now();
    twin.changes[twin.change_count++].count = twin.base;
}

static void seed_back(uint64_t n, uint64_t over_ms)
{
    cr_assert(twin.seed_count < SEEDS_MAX);
    const struct trend_seed more = {n, twin.now_ms - over_ms, twin.now_ms};
    cr_assert_eq(trend_touch_seed(&twin.state, its_trend(), twin.count, &more), 0);
    twin.seeds[twin.seed_count++] = more;
    twin.count += n;
}

/* The count at the end of a bucket, from the lists. */
static uint64_t count_at(uint64_t bucket)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < twin.change_count && twin.changes[i].bucket <= bucket; i++) {
        count = twin.changes[i].count;
    }
    for (uint32_t i = 0; i < twin.seed_count; i++) {
        count += trend_seeded(&twin.seeds[i], (bucket + 1) * TREND_BUCKET_MS);
    }
    return count;
}

static struct trend_view its_view(void)
{
    return trend_view(&twin.option.samples, &twin.option.trend_until_ms, twin.count);
}

/* Compares the ends of all buckets of a window, from some bucket on. */
static void expect_window(unsigned which, uint64_t from)
{
    const struct trend_window *window = &trend_windows[which];
    const struct trend_view view = its_view();
    struct trend_at at = {0};
    uint64_t last = bucket_now() / window->unit;
    for (uint64_t k = last + 1 - window->lines; k <= last; k++) {
        uint64_t end = k * window->unit + window->unit - 1;
        uint64_t is = trend_count(&view, &at, end);
        if (end >= from) {
            cr_assert_eq(is, count_at(end), "window %u, %lu buckets ago: %lu, not %lu", which,
                         (unsigned long)(bucket_now() - end), (unsigned long)is,
                         (unsigned long)count_at(end));
        }
    }
}

static void expect_windows(uint64_t from)
{
    for (unsigned i = 0; i < TREND_WINDOWS; i++) {
        expect_window(i, from);
    }
}

/* Time goes on: mostly a little, seldom by hours. */
static void wait_a_while(struct seed *seed, uint64_t longest_ms)
{
    uint64_t most = seed_below(seed, 100) == 0  ? longest_ms
                    : seed_below(seed, 10) == 0 ? 400000
                                                : 9000;
    twin.now_ms += seed_below(seed, most);
}

TestSuite(trend, .init = setup, .fini = teardown);

Test(trend, windows_show_what_a_list_of_all_changes_says)
{
    static const uint64_t longest[] = {1, 100000, 7200000, 200000000};
    for (uint64_t start = 1; start <= 16; start++) {
        struct seed seed = {start};
        for (uint32_t i = 0; i < 3000; i++) {
            bool is_less = twin.base > 0 && seed_below(&seed, 5) == 0;
            change(is_less ? -(int64_t)seed_below(&seed, twin.base + 1)
                           : (int64_t)seed_below(&seed, 1000));
            wait_a_while(&seed, longest[start % 4]);
            if (i % 50 == 0) {
                expect_windows(0);
            }
        }
        expect_windows(0);
        teardown();
        setup();
    }
}

Test(trend, a_change_in_every_bucket_for_two_days_takes_one_array)
{
    for (uint32_t i = 0; i < 8000; i++) {
        change(1);
        twin.now_ms += i % 2 == 0 ? TREND_BUCKET_MS : 20000;
        if (i % 500 == 0) {
            expect_windows(0);
        }
    }
    expect_windows(0);
    cr_assert_eq(FIELD_OWN(twin.option.samples)->capacity, TREND_SAMPLES_MAX);
    cr_assert_eq(trend_exact_from(&(struct trend_view){.samples = FIELD_OWN(twin.option.samples)}),
                 0);
}

Test(trend, a_count_that_rests_for_days_is_small_again)
{
    for (uint32_t i = 0; i < 3000; i++) {
        change(1);
        twin.now_ms += TREND_BUCKET_MS;
    }
    uint64_t was = twin.state.trend_pools[7];
    for (uint32_t i = 0; i < 600; i++) {
        twin.now_ms += 30000000;
        change(1);
    }
    expect_windows(0);
    cr_assert(was >= 252 && twin.state.trend_pools[7] <= 4, "%lu, then %lu", (unsigned long)was,
              (unsigned long)twin.state.trend_pools[7]);
}

Test(trend, seeds_are_spread_over_their_time)
{
    for (uint64_t start = 1; start <= 20; start++) {
        struct seed seed = {start};
        for (uint32_t i = 0; i < 400; i++) {
            if (seed_below(&seed, 4) != 0) {
                change((int64_t)seed_below(&seed, 1000));
            }
            if (seed_below(&seed, 10) == 0 && twin.seed_count < SEEDS_MAX) {
                seed_back(1 + seed_below(&seed, 100000), seed_below(&seed, 86400001));
            }
            wait_a_while(&seed, start % 2 == 0 ? 7200000 : 100000);
            if (i % 20 == 0) {
                expect_windows(0);
            }
        }
        expect_windows(0);
        teardown();
        setup();
    }
}

Test(trend, a_seed_is_counted_from_its_first_moment_to_now)
{
    const struct trend_seed seed = {10, 1000, 2000};
    cr_expect_eq(trend_seeded(&seed, 0), 0);
    cr_expect_eq(trend_seeded(&seed, 1000), 0);
    cr_expect_eq(trend_seeded(&seed, 1099), 0);
    cr_expect_eq(trend_seeded(&seed, 1100), 1);
    cr_expect_eq(trend_seeded(&seed, 1999), 9);
    cr_expect_eq(trend_seeded(&seed, 2000), 10);
    const struct trend_seed at_once = {10, 2000, 2000};
    cr_expect_eq(trend_seeded(&at_once, 1999), 0);
    cr_expect_eq(trend_seeded(&at_once, 2000), 10);
}

Test(trend, at_the_limit_it_is_coarser_and_says_from_when_on_it_is_exact)
{
    for (uint64_t start = 1; start <= 8; start++) {
        struct seed seed = {start};
        uint64_t capacity = (uint64_t)TREND_SAMPLES_MIN << start % 4;
        for (uint32_t i = 0; i < capacity; i++) {
            change(1);
            twin.now_ms += TREND_BUCKET_MS;
        }
        twin.state.trend_pools[7] += TREND_POOL_MAX; /* as if others had taken all */
        for (uint32_t i = 0; i < 2000; i++) {
            change((int64_t)seed_below(&seed, 100));
            wait_a_while(&seed, 1000000);
            const struct trend_view view = its_view();
            cr_assert(view.samples->capacity <= capacity);
            cr_assert(trend_exact_from(&view) < view.until);
            expect_windows(trend_exact_from(&view));
        }
        cr_assert(
            trend_exact_from(&(struct trend_view){.samples = FIELD_OWN(twin.option.samples)}) > 0);
        cr_assert(twin.state.trend_pools[7] <= TREND_POOL_MAX + capacity);
        teardown();
        setup();
    }
}

Test(trend, the_first_bucket_above_a_count)
{
    cr_expect_eq(trend_first_above(&(struct trend_view){.count = 0}, 0), UINT64_MAX);
    for (uint64_t i = 0; i < 300; i++) {
        change(1);
        twin.now_ms += TREND_BUCKET_MS;
    }
    const struct trend_view view = its_view();
    uint64_t last = bucket_now() - 1;
    cr_expect_eq(trend_first_above(&view, 300), UINT64_MAX);
    cr_expect_eq(trend_first_above(&view, 299), last);
    cr_expect_eq(trend_first_above(&view, 260), last - 39);
    uint64_t old = trend_first_above(&view, 20); /* in the same longer bucket as the true one */
    cr_expect(old / 120 == (last - 279) / 120 && old >= last - 279);
}

static void expect_loaded(void)
{
    static unsigned char bytes[TREND_TEXT_MAX];
    static unsigned char again[TREND_TEXT_MAX];
    struct option other = {.id = 7};
    const struct trend_view view = its_view();
    struct span text = trend_text(&view, bytes);
    uint64_t pool = twin.state.trend_pools[7];
    cr_assert_eq(trend_text_until(text), view.until);
    cr_assert_eq(trend_load(&twin.state, option_trend(&twin.state, &other), text), 0);
    cr_assert_eq(twin.state.trend_pools[7] % TREND_POOL_MAX, 2 * pool % TREND_POOL_MAX);
    const struct trend_view loaded = trend_view(&other.samples, &other.trend_until_ms, twin.count);
    struct span text_again = trend_text(&loaded, again);
    cr_assert(span_equal(text, text_again));
    ledger_sub(&twin.state.ledger, LEDGER_ENTITIES, trend_weight(FIELD_OWN(other.samples)));
    free(FIELD_OWN(other.samples));
    twin.state.trend_pools[7] = pool;
}

Test(trend, a_text_loads_as_the_same_trend)
{
    expect_loaded();
    for (uint32_t i = 0; i < 1000; i++) {
        change(i % 3 == 0 ? 1 : 100);
        expect_loaded();
        twin.now_ms += i % 7 * 2000;
    }
}
