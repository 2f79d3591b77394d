/* The acts that stop a poll's votes: another mode, and RESET. */
#include "engine/edge/slice.h"
#include "tests/engine/one.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>
#include <stdio.h>

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

/* ---- RESET ---- */

static uint64_t reset_with(const char *name, const char *key, int wanted)
{
    uint64_t total = UINT64_MAX;
    int err = handle_result(&handle, edge_reset(handle.edge, span_of(name), span_of(key)), &total);
    cr_assert_eq(err, wanted, "reset: %s", tally_err_name(err));
    return total;
}

static uint64_t reset(const char *name)
{
    return reset_with(name, "", 0);
}

static void vote_times(uint64_t which, unsigned times)
{
    option = which;
    for (unsigned i = 0; i < times; i++) {
        cr_assert_eq(vote(), 0);
    }
}

/* The poll has these votes: in all, and of its first two options. */
static void expect_votes(const char *name, uint64_t first, uint64_t second)
{
    struct read_tally r;
    uint64_t seen[3] = {0};
    read_tally_init(&r, span_of(name), 100);
    cr_assert_eq(handle_read(&handle, &r.read), 0);
    for (size_t i = 0; i < r.row_count; i++) {
        cr_assert(r.rows[i].id < COUNT_OF(seen));
        seen[r.rows[i].id] = r.rows[i].votes;
    }
    cr_expect_eq(r.total, first + second, "in all %lu", r.total);
    cr_expect_eq(seen[1], first, "%lu of the first option", seen[1]);
    cr_expect_eq(seen[2], second, "%lu of the second option", seen[2]);
    read_tally_fini(&r);
}

Test(gate, a_reset_takes_all_votes_away)
{
    uint64_t second = handle_option(&handle, "p", "no");
    handle_poll(&handle, "other");
    cr_expect_eq(reset("p"), 0, "no votes yet");
    vote_times(1, 3);
    vote_times(second, 2);
    cr_expect_eq(reset("other"), 0);
    expect_votes("p", 3, 2);
    cr_expect_eq(reset("p"), 5);
    expect_votes("p", 0, 0);
    cr_expect_eq(reset("p"), 0);
    vote_times(second, 1);
    expect_votes("p", 0, 1);
    struct engine_info info;
    edge_info(handle.edge, &info);
    cr_expect_eq(info.votes, 1);
    cr_expect_eq(reset("p"), 1);
}

/* By log and by snapshot, with options that were voted for since the reset, and others. */
Test(gate, a_reset_holds_over_restarts)
{
    uint64_t second = handle_option(&handle, "p", "no");
    vote_times(1, 3);
    vote_times(second, 2);
    cr_expect_eq(reset("p"), 5);
    one_restart();
    expect_votes("p", 0, 0);
    vote_times(second, 4);
    expect_votes("p", 0, 4);
    one_restart();
    expect_votes("p", 0, 4);
    snapshot();
    one_restart();
    expect_votes("p", 0, 4);
    vote_times(1, 1);
    expect_votes("p", 1, 4);
    cr_expect_eq(reset("p"), 5);
    snapshot();
    one_restart();
    expect_votes("p", 0, 0);
    vote_times(1, 1);
    vote_times(second, 1);
    one_restart();
    expect_votes("p", 1, 1);
}

Test(gate, a_reset_of_what_is_no_poll_is_refused)
{
    cr_expect_eq(edge_reset(handle.edge, SPAN("none"), SPAN("")), TALLY_NOTFOUND);
    cr_expect_eq(edge_reset(handle.edge, SPAN("a b"), SPAN("")), TALLY_INVAL);
    char key[KEY_LEN_MAX + 1] = {0};
    cr_expect_eq(edge_reset(handle.edge, SPAN("p"), (struct span){key, sizeof key}), TALLY_INVAL);
    /* not while something is in flight either: a busy edge always has something */
    struct edge_poll ask = {SPAN("new"), EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP, EDGE_KEEP};
    cr_assert_eq(edge_poll(handle.edge, &ask), 0);
    cr_expect_eq(edge_reset(handle.edge, SPAN("new"), SPAN("")), TALLY_NOTFOUND);
    handle_settle(&handle);
    cr_expect_eq(reset("new"), 0);
}

Test(gate, a_reset_with_a_key_is_made_once)
{
    vote_times(1, 3);
    cr_expect_eq(reset_with("p", "k", 0), 3);
    vote_times(1, 2);
    cr_expect_eq(reset_with("p", "k", 0), 3, "the first reply");
    expect_votes("p", 2, 0);
    handle_poll(&handle, "other");
    (void)reset_with("other", "k", TALLY_EXISTS);
    vote_times(1, 1);
    expect_votes("p", 3, 0);
    one_restart();
    cr_expect_eq(reset_with("p", "k", 0), 3, "the first reply after a restart");
    cr_expect_eq(reset_with("p", "l", 0), 3);
    expect_votes("p", 0, 0);
}

/* Of RESETs that come at once, the first one in the log has the votes; those of other polls, and of
 * one key, each get their own. With them the poll is closed and gets another mode. */
Test(gate, resets_that_come_together_all_end)
{
    enum { TIMES = 200 };
    uint64_t pos[TIMES + 1];
    handle_poll(&handle, "q");
    vote_times(1, 7);
    for (int i = 0; i < TIMES; i++) {
        const char *name = i % 3 == 0 ? "q" : "p";
        struct span key = i % 5 == 0 ? SPAN("a") : i % 7 == 0 ? SPAN("b") : SPAN("");
        cr_assert_eq(edge_reset(handle.edge, span_of(name), key), 0);
        pos[i] = edge_tail(handle.edge);
        if (i == TIMES / 2) {
            struct edge_poll ask = {SPAN("p"), EDGE_KEEP, 1, EDGE_KEEP, EDGE_KEEP, POLL_ONCE};
            cr_assert_eq(edge_poll(handle.edge, &ask), 0);
            pos[TIMES] = edge_tail(handle.edge);
        }
    }
    uint64_t totals = 0;
    for (int i = 0; i <= TIMES; i++) {
        struct edge_result result;
        edge_publish(handle.edge);
        while (edge_applied(handle.edge) < pos[i]) {
            handle_wait(&handle);
        }
        int err;
        while ((err = edge_apply_result(handle.edge, pos[i], &result)) == TALLY_PARK) {
            handle_wait(&handle);
        }
        cr_assert(err == 0 || (err == TALLY_EXISTS && result.dup), "%s", tally_err_name(err));
        totals += err == 0 && !result.dup && i < TIMES ? result.value : 0;
    }
    edge_free(handle.edge, edge_applied(handle.edge));
    cr_expect_eq(totals, 7);
    expect_votes("p", 0, 0);
    cr_expect_eq(mode_of("p"), POLL_ONCE);
    cr_assert_eq(alter("p", EDGE_KEEP, POLL_FREE), 0);
    option = 1;
    cr_expect_eq(vote(), TALLY_CLOSED);
    cr_assert_eq(alter("p", 0, EDGE_KEEP), 0);
    cr_expect_eq(vote(), 0);
    expect_votes("p", 1, 0);
}

static int ballot(uint64_t which, const char *voter, const char *key, uint64_t *votes)
{
    struct edge_ballot ask = {.options = {which},
                              .option_count = 1,
                              .n = 1,
                              .voter = span_of(voter),
                              .key = span_of(key)};
    int err;
    HANDLE_ASK(err, &handle, edge_ballot(handle.edge, &ask));
    return handle_result(&handle, err, votes);
}

/* The votes of voters are reset with their voters: each may vote again. */
Test(gate, a_reset_forgets_who_has_voted)
{
    uint64_t votes = 0;
    (void)handle_option(&handle, "p", "no");
    cr_assert_eq(alter("p", EDGE_KEEP, POLL_ONCE), 0);
    cr_expect_eq(ballot(1, "ann", "", &votes), 0);
    cr_expect_eq(ballot(1, "bob", "", &votes), 0);
    cr_expect_eq(votes, 2);
    cr_expect_eq(ballot(2, "ann", "", &votes), TALLY_VOTED);
    cr_expect_eq(reset("p"), 2);
    expect_votes("p", 0, 0);
    cr_expect_eq(ballot(2, "ann", "", &votes), 0);
    cr_expect_eq(votes, 1);
    cr_expect_eq(ballot(1, "ann", "", &votes), TALLY_VOTED);
    one_restart();
    expect_votes("p", 0, 1);
    cr_expect_eq(ballot(1, "ann", "", &votes), TALLY_VOTED, "after a restart");
    cr_expect_eq(ballot(1, "bob", "", &votes), 0, "after a restart");
    cr_assert_eq(alter("p", EDGE_KEEP, POLL_CHANGE), 0);
    cr_expect_eq(reset("p"), 2);
    int err;
    HANDLE_ASK(err, &handle, edge_unvote(handle.edge, SPAN("p"), SPAN("ann"), SPAN("")));
    cr_expect_eq(err, 0);
    handle_settle(&handle);
    cr_expect_eq(ballot(1, "ann", "", &votes), 0);
    cr_expect_eq(ballot(2, "ann", "", &votes), 0);
    expect_votes("p", 0, 1);
    cr_assert_eq(alter("p", EDGE_KEEP, POLL_FREE), 0);
    vote_times(2, 2);
    cr_expect_eq(ballot(2, "ann", "k", &votes), 0);
    cr_expect_eq(votes, 4);
    expect_votes("p", 0, 4);
    cr_expect_eq(reset("p"), 4);
    cr_expect_eq(ballot(2, "ann", "k", &votes), 0, "the key is known");
    cr_expect_eq(votes, 4);
    expect_votes("p", 0, 0);
}

/* The votes of the leading option of a poll, and of all. */
static void expect_leader(const char *name, uint64_t id, uint64_t votes, uint64_t total)
{
    struct read_tally r;
    read_tally_init(&r, span_of(name), 2);
    cr_assert_eq(handle_read(&handle, &r.read), 0);
    cr_assert_eq(r.row_count, 2);
    cr_expect_eq(r.rows[0].id, id, "option %lu leads", r.rows[0].id);
    cr_expect_eq(r.rows[0].votes, votes, "with %lu votes", r.rows[0].votes);
    cr_expect_eq(r.total, total, "of %lu", r.total);
    read_tally_fini(&r);
}

/* A poll so large that the reader ranks it, and that its words are set in several rounds. */
Test(gate, a_reset_of_a_large_poll_begins_a_new_rank)
{
    enum { LARGE = 9000 };
    uint64_t first = 2;
    handle_poll(&handle, "large");
    _Static_assert((int)LARGE > (int)READ_SLICE, "the reader makes the TALLY");
    for (int i = 0; i < LARGE; i++) {
        char label[16];
        snprintf(label, sizeof label, "option %d", i);
        cr_assert_eq(edge_option(handle.edge, SPAN("large"), span_of(label), SPAN("")), 0);
        if (i % 1000 == 0) {
            handle_settle(&handle);
        }
    }
    handle_settle(&handle);
    for (unsigned round = 0; round < 3; round++) {
        vote_times(first + LARGE - 1 - round, 3);
        vote_times(first + round, 2);
        expect_leader("large", first + LARGE - 1 - round, 3, 5);
        cr_expect_eq(reset("large"), 5);
        expect_leader("large", first, 0, 0);
        vote_times(first + 1, 1);
        expect_leader("large", first + 1, 1, 1);
        if (round == 1) {
            one_restart();
            expect_leader("large", first + 1, 1, 1);
        }
        cr_expect_eq(reset("large"), 1);
    }
}
