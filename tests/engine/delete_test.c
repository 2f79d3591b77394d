/* POLLDEL: a poll is gone for every request at once, and its memory follows. */
#include "engine/base/ledger.h"
#include "engine/tally.h"
#include "tests/engine/one.h"
#include "tests/lib/count.h"
#include "tests/lib/wait.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

TestSuite(delete, .init = one_begin, .fini = one_end, .timeout = 0);

static int delete (const char *name)
{
    return handle_result(&handle, edge_polldel(handle.edge, span_of(name)), NULL);
}

static int vote(uint64_t option)
{
    struct edge_vote cast;
    int err;
    HANDLE_ASK(err, &handle, edge_vote(handle.edge, option, 1, &cast));
    edge_flush(handle.edge);
    handle_settle(&handle);
    return err;
}

static int tally_of(const char *name, uint64_t *total, size_t *count)
{
    struct read_tally r;
    read_tally_init(&r, span_of(name), 10);
    int err = handle_read(&handle, &r.read);
    if (err == 0) {
        *total = r.total;
        *count = r.row_count;
    }
    read_tally_fini(&r);
    return err;
}

static struct engine_info info_now(void)
{
    struct engine_info info;
    edge_info(handle.edge, &info);
    return info;
}

static void snapshot(void)
{
    struct edge_snapshot done;
    uint64_t ticket = 0;
    int err;
    HANDLE_ASK(err, &handle, edge_snapshot(handle.edge, &ticket, &done));
    cr_assert_eq(err, 0);
}

/* Makes options `label 0` and so on, without waiting for each. */
static void fill(const char *poll, int options)
{
    char label[32];
    for (int i = 0; i < options; i++) {
        snprintf(label, sizeof label, "label %d", i);
        int err;
        HANDLE_ASK(err, &handle, edge_option(handle.edge, span_of(poll), span_of(label), SPAN("")));
        cr_assert_eq(err, 0);
        if (i % 1000 == 999) {
            handle_settle(&handle);
        }
    }
    handle_settle(&handle);
}

/* Waits until the memory of all deleted polls is given back. */
static void wait_purged(void)
{
    const struct state *state = handle.edge->state;
    uint64_t id = 0;
    do {
        handle_poll(&handle, "tick"); /* a commit */
        id = 1;
        for (const struct poll *poll; (poll = table_next(&state->poll_ids, &id)) != NULL; id++) {
            if (FIELD_GET(poll->is_deleted)) {
                break;
            }
        }
    } while (table_next(&state->poll_ids, &id) != NULL);
}

Test(delete, a_poll_is_gone_and_its_name_is_free)
{
    uint64_t total = 0;
    uint64_t id = 0;
    size_t count = 0;
    struct found_label rows[FOUND_MAX];
    handle_poll(&handle, "p");
    uint64_t first = handle_option(&handle, "p", "yes");
    uint64_t second = handle_option(&handle, "p", "no");
    handle_poll(&handle, "other");
    uint64_t others = handle_option(&handle, "other", "yes");
    cr_assert_eq(vote(first), 0);
    cr_assert_eq(vote(others), 0);
    cr_assert_eq(delete ("p"), 0);
    cr_expect_eq(vote(first), TALLY_NOTFOUND);
    cr_expect_eq(vote(second), TALLY_NOTFOUND);
    cr_expect_eq(edge_option_find(handle.edge, SPAN("p"), SPAN("yes"), &id), TALLY_NOTFOUND);
    cr_expect_eq(tally_of("p", &total, &count), TALLY_NOTFOUND);
    cr_expect_eq(edge_find(handle.edge, SPAN("p"), SPAN("ye"), rows), TALLY_NOTFOUND);
    cr_expect_eq(edge_polldel(handle.edge, SPAN("p")), TALLY_NOTFOUND);
    cr_expect_eq(edge_reset(handle.edge, SPAN("p"), SPAN("")), TALLY_NOTFOUND);
    cr_expect_eq(info_now().polls, 1);
    cr_expect_eq(info_now().options, 1);
    cr_expect_eq(info_now().votes, 1);
    handle_poll(&handle, "p");
    cr_expect_eq(tally_of("p", &total, &count), 0);
    cr_expect_eq(count, 0, "the new poll has no options");
    uint64_t third = handle_option(&handle, "p", "yes");
    cr_expect(third > others, "ids are never given out again");
    cr_expect_eq(vote(third), 0);
    cr_expect_eq(tally_of("p", &total, &count), 0);
    cr_expect_eq(total, 1);
    cr_expect_eq(edge_find(handle.edge, SPAN("p"), SPAN("ye"), rows), 1);
    cr_expect_eq(rows[0].id, third);
    cr_expect_eq(tally_of("other", &total, &count), 0);
    cr_expect_eq(total, 1, "the other poll is as it was");
}

Test(delete, what_is_no_poll_is_refused)
{
    cr_expect_eq(edge_polldel(handle.edge, SPAN("none")), TALLY_NOTFOUND);
    cr_expect_eq(edge_polldel(handle.edge, SPAN("a b")), TALLY_INVAL);
}

/* A restart while a part of the options is gone, by log alone and by snapshot, goes on. */
static void goes_on_after(bool by_snapshot, int options)
{
    uint64_t total = 0;
    size_t count = 0;
    handle_poll(&handle, "tick");
    uint64_t before = info_now().memory[LEDGER_ENTITIES];
    handle_poll(&handle, "p");
    fill("p", options);
    cr_assert_eq(vote(1), 0);
    cr_assert_eq(vote((uint64_t)options), 0);
    uint64_t full = info_now().memory[LEDGER_ENTITIES];
    cr_assert_eq(delete ("p"), 0);
    if (by_snapshot) {
        snapshot();
    }
    one_restart();
    cr_expect_eq(tally_of("p", &total, &count), TALLY_NOTFOUND);
    cr_expect_eq(vote(1), TALLY_NOTFOUND);
    handle_poll(&handle, "p");
    cr_expect_eq(handle_option(&handle, "p", "label 1"), (uint64_t)options + 1);
    wait_purged();
    cr_expect_eq(tally_of("p", &total, &count), 0);
    cr_expect_eq(count, 1);
    uint64_t left = info_now().memory[LEDGER_ENTITIES];
    cr_expect(full > before + 100 * (uint64_t)options && left < before + 16 * 1024,
              "%lu bytes, then %lu, then %lu", before, full, left);
    snapshot();
    one_restart();
    cr_expect_eq(handle_option(&handle, "p", "label 2"), (uint64_t)options + 2, "ids go on");
    cr_expect_eq(vote(2), TALLY_NOTFOUND);
    cr_expect_eq(info_now().options, 2);
}

Test(delete, a_restart_goes_on_with_the_log)
{
    goes_on_after(false, 5000);
}

Test(delete, a_restart_goes_on_with_a_snapshot)
{
    goes_on_after(true, 5000);
}

/* The reader has a rank of the poll: its memory is given back when the rank is. */
Test(delete, a_ranked_poll_is_deleted)
{
    uint64_t total = 0;
    size_t count = 0;
    handle_poll(&handle, "p");
    fill("p", 2000);
    cr_assert_eq(vote(7), 0);
    cr_assert_eq(tally_of("p", &total, &count), 0);
    cr_expect_eq(total, 1);
    cr_assert_eq(delete ("p"), 0);
    cr_expect_eq(tally_of("p", &total, &count), TALLY_NOTFOUND);
    wait_purged();
    handle_poll(&handle, "p");
    fill("p", 1000);
    cr_assert_eq(tally_of("p", &total, &count), 0);
    cr_expect_eq(total, 0);
    cr_expect_eq(count, 10);
}

/* Acts that come at once pass the gate together; what comes behind the POLLDEL waits for it, and
 * then finds no poll. */
Test(delete, acts_that_come_together_all_end)
{
    handle_poll(&handle, "p");
    uint64_t option = handle_option(&handle, "p", "yes");
    cr_assert_eq(vote(option), 0);
    struct edge_poll alter = {SPAN("p"), EDGE_KEEP, 1, EDGE_KEEP, EDGE_KEEP, POLL_ONCE};
    const int wanted[] = {0, 0, 0};
    cr_assert_eq(edge_reset(handle.edge, SPAN("p"), SPAN("")), 0);
    cr_assert_eq(edge_poll(handle.edge, &alter), 0);
    cr_assert_eq(edge_polldel(handle.edge, SPAN("p")), 0);
    cr_expect_eq(edge_polldel(handle.edge, SPAN("p")), TALLY_PARK);
    cr_expect_eq(edge_reset(handle.edge, SPAN("p"), SPAN("")), TALLY_PARK);
    cr_expect_eq(edge_poll(handle.edge, &alter), TALLY_PARK);
    cr_expect_eq(edge_option(handle.edge, SPAN("p"), SPAN("no"), SPAN("")), TALLY_PARK);
    uint64_t tail = edge_tail(handle.edge);
    edge_publish(handle.edge);
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        struct edge_result result;
        uint64_t pos = tail - COUNT_OF(wanted) + 1 + i;
        int err = TALLY_PARK;
        while (edge_applied(handle.edge) < pos ||
               (err = edge_apply_result(handle.edge, pos, &result)) == TALLY_PARK) {
            handle_wait(&handle);
        }
        cr_expect_eq(err, wanted[i], "request %zu: %s", i, tally_err_name(err));
    }
    edge_free(handle.edge, tail);
    handle_poll(&handle, "p");
    cr_expect_eq(vote(handle_option(&handle, "p", "yes")), 0);
    one_restart();
    cr_expect_eq(info_now().votes, 1);
}

static int ballot(uint64_t option, const char *voter, const char *key, struct edge_result *result)
{
    struct edge_ballot ask = {.options = {option},
                              .option_count = 1,
                              .n = 1,
                              .voter = span_of(voter),
                              .key = span_of(key)};
    int err;
    HANDLE_ASK(err, &handle, edge_ballot(handle.edge, &ask));
    if (err != 0) {
        return err;
    }
    uint64_t tail = edge_tail(handle.edge);
    edge_publish(handle.edge);
    while (edge_applied(handle.edge) < tail ||
           (err = edge_apply_result(handle.edge, tail, result)) == TALLY_PARK) {
        handle_wait(&handle);
    }
    edge_free(handle.edge, tail);
    return err;
}

/* A request with a KEY that was done before the deletion is told its first reply; others, that the
 * option is gone. */
Test(delete, keys_outlive_the_poll)
{
    struct edge_result result;
    struct edge_poll once = {SPAN("p"), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, POLL_ONCE};
    cr_assert_eq(handle_result(&handle, edge_poll(handle.edge, &once), NULL), 0);
    uint64_t option = handle_option(&handle, "p", "yes");
    cr_assert_eq(ballot(option, "v", "k", &result), 0);
    cr_assert_eq(ballot(option, "w", "", &result), 0);
    cr_assert_eq(delete ("p"), 0);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(ballot(option, "v", "k", &result), 0);
        cr_expect(result.dup && result.value == 1);
        cr_expect_eq(ballot(option, "v", "other", &result), TALLY_NOTFOUND);
        cr_expect_eq(ballot(option, "x", "k", &result), TALLY_EXISTS);
        cr_expect_eq(ballot(option, "x", "", &result), TALLY_NOTFOUND);
        wait_purged();
        one_restart();
    }
    cr_expect_eq(handle_result(&handle, edge_poll(handle.edge, &once), NULL), 0);
    cr_expect_eq(ballot(handle_option(&handle, "p", "yes"), "v", "", &result), 0,
                 "the voters went with the poll");
}

/* ---- by the library ---- */

static _Atomic bool over;
static unsigned met[2]; /* calls that found the poll; that did not */

static void expect_call(int err)
{
    cr_assert(err == 0 || err == TALLY_NOTFOUND || err == TALLY_EXISTS, "%s", tally_err_name(err));
    met[err == TALLY_NOTFOUND]++;
}

static void *call_main(void *arg)
{
    struct session *session;
    uint64_t option = 1;
    uint64_t number = 0;
    (void)arg;
    cr_assert_eq(tally_session_new(&session, tally), 0);
    /* T1: relaxed: the end may be seen late */
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        expect_call(tally_option(session, "p", "yes", &option));
        expect_call(tally_vote(session, option, 1, &number));
        expect_call(tally_reset(session, "p", &number));
        expect_call(tally_polldel(session, "p"));
        cr_assert_eq(tally_poll(session, "p"), 0);
    }
    tally_session_destroy(session);
    return NULL;
}

/* A blocking call waits while another thread deletes the poll that it names. */
Test(delete, calls_of_two_threads_wait_for_each_other)
{
    enum { ROUNDS = 150 };
    pthread_t thread;
    handle_poll(&handle, "p");
    cr_assert_eq(pthread_create(&thread, NULL, call_main, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        int err;
        HANDLE_ASK(err, &handle, edge_polldel(handle.edge, SPAN("p")));
        err = handle_result(&handle, err, NULL);
        cr_assert(err == 0 || err == TALLY_NOTFOUND, "%s", tally_err_name(err));
        struct edge_poll ask = {SPAN("p"), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP};
        HANDLE_ASK(err, &handle, edge_poll(handle.edge, &ask));
        cr_assert_eq(handle_result(&handle, err, NULL), 0);
        handle_settle(&handle);
    }
    /* T1: relaxed: the end may be seen late */
    atomic_store_explicit(&over, true, memory_order_relaxed);
    while (pthread_tryjoin_np(thread, NULL) != 0) {
        handle_poll(&handle, "other"); /* ends this thread's pass, for which the gate waits */
    }
    cr_expect(met[0] > 0, "no call found the poll");
}
