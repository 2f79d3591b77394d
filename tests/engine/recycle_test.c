/* Workers, need sets and queues come and go: those that have gone leave their places to others. */
#include "engine/base/label.h"
#include "tests/engine/one.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(recycle, .init = one_begin, .fini = one_end);

static struct span name_of(char *into, const char *kind, unsigned long number)
{
    int len = snprintf(into, NAME_LEN_MAX, "%s%lu", kind, number);
    return (struct span){into, (size_t)len};
}

static uint64_t entity_bytes(void)
{
    return ledger_of(edge_ledger(handle.edge), LEDGER_ENTITIES);
}

static uint64_t workers_now(void)
{
    struct engine_info info;
    edge_info(handle.edge, &info);
    return info.workers;
}

/* ---- workers ---- */

enum { CHURN_WORKERS = 140000 };

/* Workers come and go, many in a block. */
static void churn_workers(unsigned long from, unsigned long to)
{
    char name[NAME_LEN_MAX];
    for (unsigned long i = from; i < to; i++) {
        struct edge_worker ask = {.id = name_of(name, "w", i), .slots = 1};
        while (handle_again(&handle, edge_worker(handle.edge, &ask))) {
        }
        while (handle_again(&handle, edge_bye(handle.edge, ask.id))) {
        }
    }
    handle_settle(&handle);
}

/* Waits until all workers that have left are forgotten and take no memory. */
static void wait_for_bytes(uint64_t bytes)
{
    while (entity_bytes() != bytes) {
        handle_worker(&handle, "clock", 1);
    }
}

Test(recycle, workers_that_left_leave_their_places)
{
    struct edge_claimed got;
    handle_worker(&handle, "clock", 1);
    uint64_t bytes = entity_bytes();
    churn_workers(0, CHURN_WORKERS);
    cr_assert_eq(workers_now(), 1);
    handle_worker(&handle, "w", 1);
    uint64_t id = one_submit((struct edge_submit){.pri = 1});
    cr_assert_eq(one_done(id, one_claim(id)), 0);
    cr_assert_eq(one_try_claim(&got), EDGE_NIL);
    cr_assert_eq(handle_result(&handle, edge_bye(handle.edge, SPAN("w")), NULL), 0);
    one_restart();
    cr_assert_eq(workers_now(), 1);
    handle_worker(&handle, "w", 1);
    cr_assert_eq(workers_now(), 2);
    cr_assert_gt(entity_bytes(), bytes);
}

Test(recycle, a_worker_that_left_takes_no_memory)
{
    handle_worker(&handle, "clock", 1);
    uint64_t bytes = entity_bytes();
    churn_workers(0, 3000);
    wait_for_bytes(bytes);
    one_restart();
    cr_assert_eq(entity_bytes(), bytes);
    churn_workers(0, 3000);
    wait_for_bytes(bytes);
}

Test(recycle, a_build_knows_its_worker_when_that_is_forgotten)
{
    handle_worker(&handle, "clock", 1);
    uint64_t bytes = entity_bytes();
    handle_worker(&handle, "w", 1);
    bytes = entity_bytes() - bytes;
    uint64_t id = one_submit((struct edge_submit){.pri = 1});
    cr_assert_eq(one_done(id, one_claim(id)), 0);
    uint64_t with = entity_bytes();
    cr_assert_eq(handle_result(&handle, edge_bye(handle.edge, SPAN("w")), NULL), 0);
    wait_for_bytes(with - bytes);
    for (int i = 0; i < 2; i++) {
        struct read_builds r;
        read_builds_init(&r);
        r.worker = SPAN("w");
        r.count = 10;
        cr_assert_eq(handle_read(&handle, &r.read), 0);
        cr_assert_eq(r.row_count, 1);
        cr_assert(span_equal(r.rows[0].worker, SPAN("w")));
        read_builds_fini(&r);
        one_restart();
    }
    struct read_workers r;
    handle_worker(&handle, "w", 1);
    read_workers_init(&r, SPAN("w"));
    cr_assert_eq(handle_read(&handle, &r.read), 0);
    cr_assert_eq(r.rows[0].done, 0, "what it counted is over");
    read_workers_fini(&r);
}

/* ---- need sets ---- */

static int submit_needing(unsigned long set, uint64_t *id)
{
    char name[NAME_LEN_MAX];
    struct edge_submit ask = {.queue = SPAN("q"), .need = name_of(name, "tag", set), .tries = 3};
    ask.payload = SPAN("make");
    ask.lease_ms = 60000;
    return handle_result(&handle, edge_submit(handle.edge, &ask), id);
}

/* Claims the build with this need set, and completes it. */
static void done_by(unsigned long set, uint64_t id)
{
    char name[NAME_LEN_MAX];
    struct edge_worker ask = {.id = SPAN("w"), .tags = name_of(name, "tag", set), .slots = 1};
    cr_assert_eq(handle_result(&handle, edge_worker(handle.edge, &ask), NULL), 0);
    cr_assert_eq(one_done(id, one_claim(id)), 0);
}

Test(recycle, need_sets_of_finished_builds_leave_their_places)
{
    uint64_t id[NEED_SETS_MAX];
    uint64_t last = 0;
    for (int round = 0; round < 3; round++) {
        unsigned long first = (unsigned long)round * NEED_SETS_MAX;
        for (unsigned long i = 0; i < NEED_SETS_MAX; i++) {
            cr_assert_eq(submit_needing(first + i, &id[i]), 0);
        }
        cr_assert_eq(submit_needing(first + NEED_SETS_MAX, NULL), TALLY_FULL, "64 live");
        one_restart();
        cr_assert_eq(submit_needing(first + NEED_SETS_MAX, NULL), TALLY_FULL, "64 live");
        done_by(first + 5, id[5]);
        cr_assert_eq(submit_needing(first + NEED_SETS_MAX, &last), 0, "63 live");
        cr_assert_eq(submit_needing(first + 5, NULL), TALLY_FULL, "the others live");
        done_by(first + NEED_SETS_MAX, last);
        cr_assert_eq(submit_needing(first + 5, &id[5]), 0, "and back");
        for (unsigned long i = 0; i < NEED_SETS_MAX; i++) {
            done_by(first + i, id[i]);
        }
        if (round == 1) {
            one_restart();
        }
    }
    one_submit((struct edge_submit){.pri = 1});
}

/* ---- queues ---- */

enum { CHURN_QUEUES = 70000, SLOTS = WORKER_SLOTS_MAX };

static struct span queue_of(unsigned long number)
{
    static char name[NAME_LEN_MAX];
    return name_of(name, "queue", number);
}

static int append_submit(unsigned long queue)
{
    struct edge_submit ask = {.queue = queue_of(queue), .payload = SPAN("make"), .tries = 3};
    int err;
    ask.lease_ms = 60000;
    HANDLE_ASK(err, &handle, edge_submit(handle.edge, &ask));
    return err;
}

/* Submits a build to each of these queues. */
static void submit_to(unsigned long from, unsigned long to)
{
    for (unsigned long i = from; i < to; i++) {
        cr_assert_eq(append_submit(i), 0);
    }
    handle_settle(&handle);
}

/* Completes all of them, as many at a time as a worker has slots. */
static void finish(unsigned long from, unsigned long to)
{
    struct edge_claimed got[SLOTS];
    for (unsigned long i = from; i < to; i += SLOTS) {
        unsigned long count = to - i < SLOTS ? to - i : SLOTS;
        for (unsigned long k = 0; k < count; k++) {
            struct edge_claim ask = {.worker = SPAN("all"), .queue_count = 1};
            int err;
            ask.queues[0] = queue_of(i + k);
            HANDLE_ASK(err, &handle, edge_claim(handle.edge, &ask, &got[k]));
            cr_assert_eq(err, 0);
        }
        handle_settle(&handle);
        for (unsigned long k = 0; k < count; k++) {
            struct span result = SPAN("fine");
            int err;
            while (handle_again(&handle,
                                err = edge_done(handle.edge, got[k].id, got[k].token, result))) {
            }
            cr_assert_eq(err, 0);
        }
        handle_settle(&handle);
    }
}

static uint64_t queues_now(void)
{
    struct engine_info info;
    edge_info(handle.edge, &info);
    return info.queues;
}

static int read_queue(unsigned long queue)
{
    struct read_queues r;
    read_queues_init(&r, queue_of(queue));
    int err = handle_read(&handle, &r.read);
    read_queues_fini(&r);
    return err;
}

static void expect_last_queues(unsigned long last)
{
    cr_assert_eq(queues_now(), QUEUES_MAX);
    cr_assert_eq(read_queue(0), 0, "it has an unfinished build");
    cr_assert_eq(read_queue(1), TALLY_NOTFOUND, "it had none for longest");
    cr_assert_eq(read_queue(last - QUEUES_MAX), TALLY_NOTFOUND);
    cr_assert_eq(read_queue(last - QUEUES_MAX + 1), 0);
    cr_assert_eq(read_queue(last - 1), 0);
}

Test(recycle, queues_without_unfinished_builds_make_room, .timeout = 60)
{
    handle_worker(&handle, "all", SLOTS);
    submit_to(0, 1);
    for (unsigned long i = 1; i < CHURN_QUEUES; i += 10 * SLOTS) {
        unsigned long to = i + 10 * SLOTS < CHURN_QUEUES ? i + 10 * SLOTS : CHURN_QUEUES;
        submit_to(i, to);
        finish(i, to);
    }
    expect_last_queues(CHURN_QUEUES);
    one_restart();
    expect_last_queues(CHURN_QUEUES);
    submit_to(CHURN_QUEUES, CHURN_QUEUES + QUEUES_MAX - 1);
    cr_assert_eq(handle_result(&handle, append_submit(1), NULL), TALLY_FULL, "all have one");
    finish(0, 1);
    cr_assert_eq(handle_result(&handle, append_submit(1), NULL), 0);
    cr_assert_eq(handle_result(&handle, append_submit(0), NULL), TALLY_FULL);
    cr_assert_eq(queues_now(), QUEUES_MAX);
}
