/* The acts that stop a poll's votes: another mode. */
#include "tests/engine/one.h"

#include <criterion/criterion.h>

static uint64_t option;

static void begin(void)
{
    one_begin();
    handle_poll(&handle, "p");
    option = handle_option(&handle, "p", "yes");
}

TestSuite(gate, .init = begin, .fini = one_end, .timeout = 0);

static int alter(const char *name, int64_t close_ms, int64_t mode)
{
    struct edge_poll ask = {span_of(name), EDGE_KEEP, close_ms, EDGE_KEEP, EDGE_KEEP, mode};
    return handle_result(&handle, edge_poll(handle.edge, &ask), NULL);
}

/* The mode of a poll as POLLS shows it. */
static uint32_t mode_of(const char *name)
{
    struct read_polls r;
    uint32_t mode = POLL_MODES;
    read_polls_init(&r, (struct span){NULL, 0}, 100);
    cr_assert_eq(handle_read(&handle, &r.read), 0);
    for (size_t i = 0; i < r.row_count; i++) {
        mode = span_equal(r.rows[i].name, span_of(name)) ? r.rows[i].mode : mode;
    }
    read_polls_fini(&r);
    return mode;
}

static int vote(void)
{
    struct edge_vote cast;
    int err;
    HANDLE_ASK(err, &handle, edge_vote(handle.edge, option, 1, &cast));
    edge_flush(handle.edge);
    handle_settle(&handle);
    return err;
}

static void snapshot(void)
{
    struct edge_snapshot done;
    uint64_t ticket = 0;
    int err;
    HANDLE_ASK(err, &handle, edge_snapshot(handle.edge, &ticket, &done));
    cr_assert_eq(err, 0);
}

Test(gate, a_poll_is_free_unless_it_is_said)
{
    cr_expect_eq(mode_of("p"), POLL_FREE);
    cr_expect_eq(vote(), 0);
    cr_assert_eq(alter("new", 0, EDGE_KEEP), 0);
    cr_expect_eq(mode_of("new"), POLL_FREE);
}

Test(gate, a_new_poll_has_its_mode_at_once)
{
    cr_assert_eq(alter("once", EDGE_KEEP, POLL_ONCE), 0);
    cr_assert_eq(alter("change", EDGE_KEEP, POLL_CHANGE), 0);
    cr_expect_eq(mode_of("once"), POLL_ONCE);
    cr_expect_eq(mode_of("change"), POLL_CHANGE);
    option = handle_option(&handle, "once", "yes");
    cr_expect_eq(vote(), TALLY_INVAL);
    option = handle_option(&handle, "change", "yes");
    cr_expect_eq(vote(), TALLY_INVAL);
}

Test(gate, a_mode_changes_and_stays)
{
    for (int64_t mode = POLL_MODES - 1; mode >= POLL_FREE; mode--) {
        cr_assert_eq(alter("p", EDGE_KEEP, mode), 0);
        cr_expect_eq(mode_of("p"), mode);
        cr_expect_eq(vote(), mode == POLL_FREE ? 0 : TALLY_INVAL);
        cr_assert_eq(alter("p", 0, EDGE_KEEP), 0);
        cr_expect_eq(mode_of("p"), mode, "a POLL that does not name it");
        one_restart();
        cr_expect_eq(mode_of("p"), mode, "after a restart");
        snapshot();
        one_restart();
        cr_expect_eq(mode_of("p"), mode, "after a restart from a snapshot");
        cr_expect_eq(vote(), mode == POLL_FREE ? 0 : TALLY_INVAL);
    }
}

Test(gate, a_poll_is_closed_and_gets_its_mode_with_one_request)
{
    cr_assert_eq(alter("p", 1, POLL_ONCE), 0);
    cr_expect_eq(mode_of("p"), POLL_ONCE);
    cr_assert_eq(alter("p", EDGE_KEEP, POLL_FREE), 0);
    cr_expect_eq(vote(), TALLY_CLOSED);
    cr_assert_eq(alter("p", 2, EDGE_KEEP), 0);
    cr_expect_eq(vote(), TALLY_CLOSED, "2 ms is a time as any other");
    cr_assert_eq(alter("p", 0, POLL_CHANGE), 0);
    cr_expect_eq(vote(), TALLY_INVAL);
    cr_assert_eq(alter("p", EDGE_KEEP, POLL_FREE), 0);
    cr_expect_eq(vote(), 0);
}

Test(gate, a_mode_that_is_none_is_refused)
{
    cr_expect_eq(alter("p", EDGE_KEEP, POLL_MODES), TALLY_INVAL);
    cr_expect_eq(alter("p", EDGE_KEEP, -2), TALLY_INVAL);
    cr_expect_eq(mode_of("p"), POLL_FREE);
}

/* Many POLLs of two modes at once: each is answered, and the last one in the log holds. */
Test(gate, modes_that_come_together_all_end)
{
    enum { TIMES = 64 };
    uint64_t pos[TIMES];
    for (int i = 0; i < TIMES; i++) {
        struct edge_poll ask = {SPAN("p"), EDGE_KEEP, i % 5 == 0,
                                EDGE_KEEP, EDGE_KEEP, i % POLL_MODES};
        cr_assert_eq(edge_poll(handle.edge, &ask), 0);
        pos[i] = edge_tail(handle.edge);
    }
    edge_publish(handle.edge);
    for (int i = 0; i < TIMES; i++) {
        struct edge_result result;
        int err = TALLY_PARK;
        while (edge_applied(handle.edge) < pos[i] || err == TALLY_PARK) {
            if (edge_applied(handle.edge) >= pos[i]) {
                err = edge_apply_result(handle.edge, pos[i], &result);
            }
            if (err == TALLY_PARK) {
                handle_wait(&handle);
            }
        }
        cr_assert_eq(err, 0);
    }
    edge_free(handle.edge, edge_applied(handle.edge));
    cr_expect_eq(mode_of("p"), (TIMES - 1) % POLL_MODES);
}
