/* The engine while its clocks are turned: delays, windows, ages, silence and retention. */
#include "tests/engine/one.h"
#include "tests/engine/turned_clock.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define DAY_MS  ((int64_t)24 * 3600 * 1000)
#define HOUR_MS ((int64_t)3600 * 1000)
#define YEAR_MS (365 * DAY_MS)

enum { RETAIN_S = 3600, SILENCE_MS = 300 * 1000 };

static struct turned turned;
static struct tally_clock turned_clocks;
static uint64_t option;

static void begin(void)
{
    turned_wall(&turned, 0);
    turned_clocks = turned_clock(&turned);
    one_begin_with(
        &(struct tally_options){.edges = 1, .retain_s = RETAIN_S, .clock = &turned_clocks});
    handle_poll(&handle, "votes");
    option = handle_option(&handle, "votes", "yes");
}

TestSuite(clock, .init = begin, .fini = one_end, .timeout = 0);

/* Makes a commit with one vote, so the committer looks at the clocks, too. */
static int vote(void)
{
    struct edge_vote cast;
    edge_pass_end(handle.edge);
    edge_pass_begin(handle.edge);
    int err;
    HANDLE_ASK(err, &handle, edge_vote(handle.edge, option, 1, &cast));
    edge_flush(handle.edge);
    handle_settle(&handle);
    return err;
}

/* Both clocks pass, a second at a time, while the engine runs. */
static void live(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        turned_skip(&turned, 1000);
        cr_assert_eq(vote(), 0);
    }
}

static int poll_times(const char *name, uint64_t open_ms, uint64_t close_ms)
{
    struct edge_poll ask = {span_of(name), (int64_t)open_ms, (int64_t)close_ms,
                            EDGE_KEEP,     EDGE_KEEP,        EDGE_KEEP};
    return handle_result(&handle, edge_poll(handle.edge, &ask), NULL);
}

static struct engine_info info_of(void)
{
    struct engine_info info;
    edge_info(handle.edge, &info);
    return info;
}

/* ---- leases and delays end on time; in turned time, so no stall of the test counts ---- */

Test(clock, a_heartbeat_keeps_the_lease)
{
    uint64_t lease_ms = 0;
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){0});
    uint32_t token = one_claim(id);
    for (int i = 0; i < 4; i++) { /* twice as long as the lease */
        int err;
        live(30);
        HANDLE_ASK(err, &handle, edge_beat(handle.edge, id, token, 10, &lease_ms));
        cr_assert_eq(err, 0, "%s", tally_err_name(err));
        cr_assert_eq(lease_ms, 60000);
        handle_settle(&handle);
    }
    cr_assert_eq(one_build(id).state, BUILD_BUILDING);
    cr_assert_eq(one_build(id).prog, 10);
    live(60);
    one_wait_for(id, BUILD_PENDING); /* the control */
}

Test(clock, a_delayed_build_comes_later)
{
    handle_worker(&handle, "w", 1);
    uint64_t late = one_submit((struct edge_submit){.delay_ms = 200000});
    uint64_t soon = one_submit((struct edge_submit){0});
    uint32_t token = one_claim(soon); /* the late build is still delayed */
    cr_assert_eq(one_release(soon, token, 300000), 0);
    cr_assert_eq(one_build(soon).state, BUILD_DELAYED);
    cr_assert_eq(one_release(soon, token, 300000), 0, "said once more");
    live(200);
    one_wait_for(late, BUILD_PENDING);
    cr_assert_eq(one_build(soon).state, BUILD_DELAYED);
    token = one_claim(late);
    cr_assert_eq(edge_done(handle.edge, late, token, SPAN("fine")), 0);
    handle_settle(&handle);
    one_stop();
    one_start();
    live(100);
    one_wait_for(soon, BUILD_PENDING);
    one_claim(soon);
    cr_assert_eq(one_build(soon).attempt, 1, "a release counts no attempt");
}

/* ---- delays ---- */

/* The build must be offered after the rest of the delay, which passes here a second at a time. The
 * time that the restart took may count, but not half of the delay. */
static void is_offered_after(uint64_t id, unsigned seconds)
{
    live(seconds / 2);
    cr_assert_eq(one_build(id).state, BUILD_DELAYED, "too early");
    live(seconds - seconds / 2);
    one_wait_for(id, BUILD_PENDING);
}

Test(clock, a_delay_ends_after_a_restart_with_the_clock_an_hour_back)
{
    uint64_t id = one_submit((struct edge_submit){.delay_ms = 30000});
    one_stop();
    turned_wall(&turned, -HOUR_MS);
    one_start();
    is_offered_after(id, 30);
    cr_assert_geq(info_of().wall_behind_ms, HOUR_MS - 60000);
}

Test(clock, a_delay_ends_after_a_restart_in_1970_even_when_the_clock_is_set_right)
{
    uint64_t id = one_submit((struct edge_submit){.delay_ms = 30000});
    one_stop();
    turned_wall(&turned, 5000 - (int64_t)turned_wall_ms(&turned));
    one_start();
    live(1);
    turned_wall(&turned, 0);
    is_offered_after(id, 29);
}

Test(clock, a_delay_that_is_over_ends_as_soon_as_the_clock_is_right)
{
    uint64_t id = one_submit((struct edge_submit){.delay_ms = 30000});
    one_stop();
    turned_wall(&turned, 5000 - (int64_t)turned_wall_ms(&turned));
    one_start();
    live(1);
    cr_assert_eq(one_build(id).state, BUILD_DELAYED);
    turned_wall(&turned, HOUR_MS);
    one_wait_for(id, BUILD_PENDING);
}

Test(clock, a_delay_of_thirty_days_is_one_with_the_clock_13_6_years_back)
{
    uint64_t id = one_submit((struct edge_submit){.delay_ms = 30U * 24 * 3600 * 1000});
    for (int64_t back_ms = 13 * YEAR_MS; back_ms < 14 * YEAR_MS; back_ms += 30 * DAY_MS) {
        one_stop();
        turned_wall(&turned, -back_ms);
        one_start();
        live(5);
        cr_assert_eq(one_build(id).state, BUILD_DELAYED);
    }
    /* the whole turn of 32 bits of ticks, and 3 s */
    one_stop();
    turned_wall(&turned, 30 * DAY_MS - ((int64_t)UINT32_MAX + 1) * WHEEL_TICK_MS - 3000);
    one_start();
    live(5);
    cr_assert_eq(one_build(id).state, BUILD_DELAYED);
}

/* ---- an excursion: the clock a day ahead for a second ---- */

static void excursion(void)
{
    turned_wall(&turned, DAY_MS);
    for (int i = 0; i < 10; i++) {
        turned_skip(&turned, 100);
        cr_assert_eq(vote(), 0);
    }
    turned_wall(&turned, 0);
    cr_assert_eq(vote(), 0);
}

Test(clock, an_excursion_leaves_no_age_behind)
{
    struct read_tally tallied;
    struct read_queues queues;
    struct read_workers workers;
    uint64_t lsn = 0;
    struct edge_snapshot done = {.lsn = 0};
    handle_worker(&handle, "w", 1);
    one_submit((struct edge_submit){0});
    cr_assert_eq(vote(), 0);
    int err;
    HANDLE_ASK(err, &handle, edge_snapshot(handle.edge, &lsn, &done));
    excursion();
    read_tally_init(&tallied, SPAN("votes"), 10);
    cr_assert_eq(handle_read(&handle, &tallied.read), 0);
    cr_assert_eq(tallied.rate_per_min, 12);
    read_tally_fini(&tallied);
    read_queues_init(&queues, SPAN("q"));
    cr_assert_eq(handle_read(&handle, &queues.read), 0);
    cr_assert_lt(queues.rows[0].oldest_ms, 60000);
    read_queues_fini(&queues);
    read_workers_init(&workers, SPAN("w"));
    cr_assert_eq(handle_read(&handle, &workers.read), 0);
    cr_assert_lt(workers.rows[0].seen_ms, 60000);
    read_workers_fini(&workers);
    struct engine_info info = info_of();
    cr_assert_geq(info.log_ms, info.snapshot_time_ms);
    cr_assert_lt(info.log_ms - info.snapshot_time_ms, 60000);
}

Test(clock, an_excursion_closes_no_poll_and_offers_no_build)
{
    uint64_t id = one_submit((struct edge_submit){.delay_ms = 3600 * 1000});
    cr_assert_eq(poll_times("votes", 0, turned_wall_ms(&turned) + 60000), 0);
    excursion();
    live(5);
    cr_assert_eq(vote(), 0, "the poll is open");
    cr_assert_eq(one_build(id).state, BUILD_DELAYED);
    turned_skip(&turned, 60000);
    cr_assert_eq(vote(), TALLY_CLOSED);
}

static void snapshot(void)
{
    uint64_t ticket = 0;
    struct edge_snapshot done;
    cr_assert_eq(vote(), 0);
    int err = edge_snapshot(handle.edge, &ticket, &done);
    while (err == TALLY_PARK) {
        handle_wait(&handle);
        err = edge_snapshot(handle.edge, &ticket, &done);
    }
    cr_assert_eq(err, 0);
}

Test(clock, an_excursion_removes_no_history)
{
    for (int i = 0; i < 3; i++) { /* each start begins a segment */
        cr_assert_eq(vote(), 0);
        one_stop();
        one_start();
    }
    snapshot();
    snapshot();
    turned_wall(&turned, DAY_MS);
    snapshot();
    snapshot();
    turned_wall(&turned, 0);
    cr_assert_eq(info_of().segments_removed, 0);
    turned_wall(&turned, DAY_MS);
    live(11);
    snapshot();
    snapshot();
    cr_assert_geq(info_of().segments_removed, 3, "the control: when it stands it is believed");
}

/* ---- a process that was stopped ---- */

static bool is_online(const char *name)
{
    struct read_workers workers;
    read_workers_init(&workers, span_of(name));
    cr_assert_eq(handle_read(&handle, &workers.read), 0);
    bool online = workers.rows[0].online;
    read_workers_fini(&workers);
    return online;
}

Test(clock, five_minutes_of_suspension_make_no_worker_offline)
{
    handle_worker(&handle, "w", 1);
    live(10);
    turned_skip(&turned, SILENCE_MS + 60000);
    live(10);
    cr_assert(is_online("w"));
    live(SILENCE_MS / 1000 - 30);
    cr_assert(is_online("w"), "not yet");
    live(30);
    while (is_online("w")) { /* the control */
        handle_wait(&handle);
    }
}

static size_t count_online(size_t wanted)
{
    size_t online = 0;
    struct read_workers workers;
    read_workers_init(&workers, (struct span){NULL, 0});
    cr_assert_eq(handle_read(&handle, &workers.read), 0);
    cr_assert_eq(workers.row_count, wanted);
    for (size_t i = 0; i < workers.row_count; i++) {
        online += workers.rows[i].online;
    }
    read_workers_fini(&workers);
    return online;
}

/* The committer looks at workers slice by slice, and must leave none out. */
Test(clock, all_silent_workers_go_offline)
{
    enum { WORKERS = 5000 };
    for (int i = 0; i < WORKERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "w%d", i);
        struct edge_worker ask = {.id = span_of(name), .slots = 1};
        int err;
        HANDLE_ASK(err, &handle, edge_worker(handle.edge, &ask));
        cr_assert_eq(err, 0);
    }
    handle_settle(&handle);
    live(SILENCE_MS / 1000 - 30);
    cr_assert_eq(count_online(WORKERS), WORKERS);
    live(60);
    /* so long a list is made in slices: a commit that came meanwhile is not waited for again */
    uint64_t commits = edge_commits(handle.edge);
    while (count_online(WORKERS) > 0) {
        if (edge_commits(handle.edge) == commits) {
            handle_wait(&handle);
        }
        commits = edge_commits(handle.edge);
    }
}

/* One request of the holder: 0 and 1 BEAT, 2 FAIL, 3 RELEASE, 4 DONE. */
static int speak(int how, const struct edge_claimed *got)
{
    uint64_t lease_ms = 0;
    struct edge_failed failed;
    struct edge_fail fail = {.id = got->id, .token = got->token};
    int err;
    HANDLE_ASK(err, &handle,
               how <= 1   ? edge_beat(handle.edge, got->id, got->token, 1, &lease_ms)
               : how == 2 ? edge_fail(handle.edge, &fail, &failed)
               : how == 3 ? edge_release(handle.edge, got->id, got->token, 0)
                          : edge_done(handle.edge, got->id, got->token, SPAN("fine")));
    handle_settle(&handle);
    return err;
}

Test(clock, a_word_of_its_holder_brings_an_offline_worker_back)
{
    struct edge_claim ask = {.worker = SPAN("w"), .queues = {SPAN("q")}, .queue_count = 1};
    struct edge_claimed got[5];
    handle_worker(&handle, "w", 5);
    ask.lease_ms = 24 * 3600 * 1000;
    for (int i = 0; i < 5; i++) {
        one_submit((struct edge_submit){0});
        cr_assert_eq(edge_claim(handle.edge, &ask, &got[i]), 0);
        handle_settle(&handle);
    }
    got[1] = got[0]; /* the second BEAT of a claim has no record of its own */
    for (int how = 0; how < 5; how++) {
        live(SILENCE_MS / 1000 + 10);
        while (is_online("w")) {
            handle_wait(&handle);
        }
        cr_assert_eq(speak(how, &got[how]), 0);
        cr_expect(is_online("w"), "after %d", how);
        one_stop();
        one_start();
        cr_expect(is_online("w"), "after %d and a restart", how);
    }
}

/* ---- the gate ---- */

static unsigned count_open(void)
{
    unsigned open = 0;
    struct read_polls polls;
    read_polls_init(&polls, (struct span){NULL, 0}, 1000);
    cr_assert_eq(handle_read(&handle, &polls.read), 0);
    for (size_t i = 0; i < polls.row_count; i++) {
        open += polls.rows[i].open;
    }
    read_polls_fini(&polls);
    return open;
}

Test(clock, polls_of_one_closing_time_close_through_one_gate)
{
    enum { POLLS = 100 };
    char name[16];
    uint64_t close_ms = turned_wall_ms(&turned) + HOUR_MS;
    for (int i = 0; i < POLLS; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        cr_assert_eq(poll_times(name, 0, close_ms), 0);
    }
    cr_assert_eq(count_open(), POLLS + 1);
    turned_skip(&turned, HOUR_MS + 1000);
    unsigned gates = 0;
    for (unsigned open = POLLS + 1; open > 1;) {
        unsigned now = count_open();
        gates += now < open;
        open = now;
        if (open > 1) {
            handle_wait(&handle);
        }
    }
    cr_assert_leq(gates, 2, "all in one block, or two");
}

/* The OK waits until the poll is open or closed: no later request sees the poll as before. */
Test(clock, what_ok_has_said_of_a_polls_times_holds)
{
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(poll_times("votes", 0, 1), 0);
        cr_assert_eq(count_open(), 0);
        cr_assert_eq(vote(), TALLY_CLOSED);
        cr_assert_eq(poll_times("votes", 0, 0), 0);
        cr_assert_eq(count_open(), 1);
        cr_assert_eq(vote(), 0);
    }
}

/* The result comes even if the poll is altered again and again meanwhile. */
Test(clock, the_verdict_comes_however_often_a_poll_is_altered)
{
    enum { TIMES = 400 };
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < TIMES; i++) {
            struct edge_poll ask = {SPAN("votes"), 0, i % 2, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP};
            cr_assert_eq(edge_poll(handle.edge, &ask), 0);
        }
        cr_assert_eq(handle_result(&handle, 0, NULL), 0);
        cr_assert_eq(count_open(), 0, "the last one said CLOSE 1");
    }
}
