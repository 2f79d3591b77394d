/* Trends as apply keeps them: in step with votes and polls, and with room for those of today. */
#include "engine/apply/apply.h"
#include "engine/apply/snapshot_load.h"
#include "engine/state/trend.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { OPTIONS = 320 }; /* of the first poll; the second one has option OPTIONS + 1 */

static struct state state;
static uint64_t now_ms;

static uint64_t take(struct record record)
{
    struct apply_result result;
    record.lsn = FIELD_GET(state.lsn) + 1;
    record.time_ms = now_ms;
    cr_assert_eq(apply(&state, &record, &result), 0);
    cr_assert_eq(result.err, 0);
    return result.reply.value;
}

static void vote(uint64_t option, uint64_t n)
{
    take((struct record){.type = RECORD_VOTE,
                         .num = {option, option_votes_now(state_option(&state, option)), n}});
}

static void make_option(const char *poll, unsigned number)
{
    char label[16];
    int len = snprintf(label, sizeof label, "o%u", number);
    take((struct record){.type = RECORD_OPTION,
                         .text = {{poll, 1}, {label, (size_t)len}, {label, (size_t)len}}});
}

static void setup(void)
{
    now_ms = 1700000000000;
    cr_assert_eq(state_init(&state), 0);
    take((struct record){.type = RECORD_POLL, .text = {{"p", 1}}});
    take((struct record){.type = RECORD_POLL, .text = {{"q", 1}}});
    for (unsigned i = 0; i < OPTIONS; i++) {
        make_option("p", i);
    }
    make_option("q", 0);
}

static void teardown(void)
{
    state_fini(&state);
}

TestSuite(trend_apply, .init = setup, .fini = teardown);

static uint64_t count_at(const struct trend_view *view, uint64_t bucket)
{
    struct trend_at at = {0};
    return trend_count(view, &at, bucket);
}

/* As TREND reads it (engine/edge/read_trend.c). */
static uint64_t option_at(uint64_t id, uint64_t bucket)
{
    const struct option *option = state_option(&state, id);
    const struct poll *poll = option->poll;
    struct trend_view view =
        trend_view(&option->samples, &option->trend_until_ms, FIELD_GET(option->votes));
    const struct trend_view resets =
        trend_view(&poll->reset_samples, &poll->reset_until_ms, FIELD_GET(poll->generation));
    if (FIELD_GET(option->generation) != FIELD_GET(poll->generation)) {
        view.void_from = trend_first_above(&resets, FIELD_GET(option->generation));
    }
    return count_at(&view, bucket);
}

static uint64_t poll_at(uint64_t id, uint64_t bucket)
{
    const struct poll *poll = table_get(&state.poll_ids, id);
    const struct trend_view view =
        trend_view(&poll->samples, &poll->trend_until_ms, FIELD_GET(poll->total));
    return count_at(&view, bucket);
}

static uint64_t bucket_now(void)
{
    return now_ms / TREND_BUCKET_MS;
}

Test(trend_apply, options_and_their_poll_change_together)
{
    uint64_t first = bucket_now();
    vote(1, 3);
    vote(2, 4);
    now_ms += TREND_BUCKET_MS;
    vote(2, 10);
    now_ms += 2 * TREND_BUCKET_MS;
    vote(OPTIONS + 1, 1);
    cr_expect_eq(option_at(1, first - 1), 0);
    cr_expect_eq(option_at(1, first), 3);
    cr_expect_eq(option_at(1, first + 3), 3);
    cr_expect_eq(option_at(2, first), 4);
    cr_expect_eq(option_at(2, first + 1), 14);
    cr_expect_eq(poll_at(1, first - 1), 0);
    cr_expect_eq(poll_at(1, first), 7);
    cr_expect_eq(poll_at(1, first + 2), 17);
    cr_expect_eq(poll_at(2, first + 2), 0);
    cr_expect_eq(poll_at(2, first + 3), 1);
}

Test(trend_apply, a_seed_adds_to_votes_by_second)
{
    now_ms += 200 * 1000 - now_ms % 1000;
    vote(1, 5);
    take((struct record){.type = RECORD_SEED, .num = {1, 5, 1200, 120 * 1000}});
    const struct poll *poll = table_get(&state.poll_ids, 1);
    uint64_t sum = 0;
    for (unsigned i = 0; i < POLL_SECONDS; i++) {
        bool is_last_minute = FIELD_GET(poll->second[i]) + 60 >= now_ms / 1000;
        sum += is_last_minute ? FIELD_GET(poll->second_votes[i]) : 0;
    }
    cr_expect_eq(sum, 5 + 600);
    cr_expect_eq(FIELD_GET(poll->total), 1205);
    /* 10 a second: 50 in each bucket that lies wholly in the two minutes */
    cr_expect_eq(option_at(1, bucket_now() - 12), option_at(1, bucket_now() - 13) + 50);
    cr_expect_eq(option_at(1, bucket_now() - 25), 0);
}

static void reset(void)
{
    take((struct record){.type = RECORD_RESET, .num = {1}});
}

Test(trend_apply, a_reset_is_0_from_its_bucket_on_and_the_past_stays)
{
    uint64_t first = bucket_now();
    vote(1, 5);
    vote(2, 7);
    now_ms += TREND_BUCKET_MS;
    vote(2, 1);
    reset();
    for (int is_changed_again = 0; is_changed_again < 2; is_changed_again++) {
        cr_expect_eq(option_at(1, first), 5);
        cr_expect_eq(option_at(2, first), 7);
        cr_expect_eq(poll_at(1, first), 12);
        for (uint64_t bucket = first + 1; bucket < first + 4; bucket++) {
            cr_expect_eq(option_at(1, bucket), 0);
            cr_expect_eq(option_at(2, bucket), 0);
            cr_expect_eq(poll_at(1, bucket), 0);
        }
        if (is_changed_again == 0) {
            now_ms += 3 * TREND_BUCKET_MS;
            reset(); /* one more, behind which the votes come */
            vote(1, 3);
            vote(2, 4);
        }
    }
    cr_expect_eq(option_at(1, first + 4), 3);
    cr_expect_eq(option_at(2, first + 4), 4);
    cr_expect_eq(poll_at(1, first + 4), 7);
}

Test(trend_apply, a_seed_is_not_dated_before_a_reset)
{
    uint64_t first = bucket_now();
    vote(1, 5);
    reset();
    now_ms += 10 * TREND_BUCKET_MS + 2500;
    take((struct record){.type = RECORD_SEED, .num = {1, 0, 1000, SEED_OVER_MS_MAX}});
    cr_expect_eq(option_at(1, first - 1), 0);
    cr_expect_eq(option_at(1, first), 0);
    cr_expect(option_at(1, first + 1) >= 100 && option_at(1, first + 9) < 1000);
    cr_expect_eq(option_at(1, first + 10), 1000);
    now_ms += TREND_BUCKET_MS;
    reset();
    take((struct record){.type = RECORD_SEED, .num = {1, 0, 10, 1000}});
    cr_expect_eq(option_at(1, first + 10), 1000);
    cr_expect_eq(option_at(1, first + 11), 10);
}

/* ---- a snapshot of an earlier tally ---- */

static void load(struct snapshot_load *by, struct image image)
{
    cr_assert_eq(snapshot_load_image(by, &image), 0, "%s", by->proof.why);
}

Test(trend_apply, votes_of_a_snapshot_without_trends_are_there_in_all_windows)
{
    struct snapshot_load by;
    teardown();
    cr_assert_eq(state_init(&state), 0);
    snapshot_load_init(&by, &state);
    load(&by, (struct image){.kind = IMAGE_HEAD,
                             .num = {[HEAD_LSN] = 3,
                                     [HEAD_TIME_MS] = now_ms,
                                     [HEAD_VOTES] = 5,
                                     [HEAD_POLLS] = 1,
                                     [HEAD_OPTIONS] = 1,
                                     [HEAD_BUILD_NEXT] = 1}});
    load(&by, (struct image){.kind = IMAGE_POLL,
                             .num = {[IPOLL_ID] = 1, [IPOLL_TOTAL] = 5, [IPOLL_OPEN] = 1},
                             .text = {{"p", 1}}});
    load(&by,
         (struct image){
             .kind = IMAGE_OPTION,
             .num =
                 {[IOPTION_ID] = 1, [IOPTION_POLL] = 1, [IOPTION_VOTES] = 5, [IOPTION_CHANGES] = 1},
             .text = {{"A", 1}, {"a", 1}}});
    load(&by, (struct image){.kind = IMAGE_END, .num = {[END_IMAGES] = 3}});
    cr_assert_eq(snapshot_load_end(&by), 0, "%s", by.proof.why);
    snapshot_load_fini(&by);
    const struct poll *poll = table_get(&state.poll_ids, 1);
    uint64_t first = bucket_now();
    now_ms += 3 * TREND_BUCKET_MS;
    for (int has_voted = 0; has_voted < 2; has_voted++) {
        const struct trend_view view =
            trend_view(&poll->samples, &poll->trend_until_ms, FIELD_GET(poll->total));
        cr_expect_eq(trend_exact_from(&view), first + 1);
        cr_expect_eq(option_at(1, first - 17000), 5);
        cr_expect_eq(poll_at(1, first - 17000), 5);
        cr_expect_eq(poll_at(1, first + 2), 5);
        cr_expect_eq(poll_at(1, first + 3), has_voted ? 7 : 5);
        cr_expect_eq(option_at(1, first + 3), has_voted ? 7 : 5);
        if (!has_voted) {
            vote(1, 2);
        }
    }
}

/* Fills the arrays of all options and of the first poll, then lets them rest. */
static void let_the_past_be_full(uint64_t rest_ms)
{
    for (unsigned i = 0; i < 40; i++) {
        for (uint64_t id = 1; id <= OPTIONS; id++) {
            vote(id, 1);
        }
        now_ms += TREND_BUCKET_MS;
    }
    for (unsigned i = 0; i < TREND_POOLS; i++) {
        uint64_t max = i == TREND_POOL_OF_POLLS ? TREND_POOL_POLLS_MAX : TREND_POOL_MAX;
        cr_assert(state.trend_pools[i] > 0);
        state.trend_pools[i] += max; /* as if others had taken all */
    }
    now_ms += rest_ms;
}

static unsigned arrays(void)
{
    unsigned count = 0;
    for (uint64_t id = 1; id <= OPTIONS; id++) {
        count += FIELD_GET(state_option(&state, id)->samples) != NULL;
    }
    return count;
}

Test(trend_apply, votes_of_today_take_the_room_of_polls_of_the_past)
{
    let_the_past_be_full(26 * 3600 * (uint64_t)1000);
    cr_assert_eq(arrays(), OPTIONS);
    uint64_t last = bucket_now();
    for (unsigned i = 0; i < 20; i++) {
        for (uint64_t id = 1; id <= 2 * TREND_OPTION_POOLS; id++) {
            vote(id, 1);
        }
        now_ms += TREND_BUCKET_MS;
    }
    cr_expect_eq(arrays(), 2 * TREND_OPTION_POOLS);
    cr_expect_eq(option_at(OPTIONS, last), 40); /* its count of the past is its count now */
    cr_expect_eq(option_at(1, last - 1), 40);
    cr_expect_eq(option_at(1, last), 41);
    for (unsigned i = 0; i < TREND_POOLS; i++) { /* else the end would find them wrong */
        uint64_t max = i == TREND_POOL_OF_POLLS ? TREND_POOL_POLLS_MAX : TREND_POOL_MAX;
        state.trend_pools[i] -= max;
    }
}

Test(trend_apply, what_a_window_may_show_is_not_dropped)
{
    let_the_past_be_full(23 * 3600 * (uint64_t)1000);
    for (unsigned i = 0; i < 20; i++) {
        for (uint64_t id = 1; id <= 2 * TREND_OPTION_POOLS; id++) {
            vote(id, 1);
        }
        now_ms += TREND_BUCKET_MS;
    }
    cr_expect_eq(arrays(), OPTIONS);
}
