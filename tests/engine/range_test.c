/* A count near its end: what counts in the word is on its way, and may stand behind the ballot that
 * asks. */
#include "tests/engine/one.h"

#include <criterion/criterion.h>

static uint64_t option;

static void begin(void)
{
    one_begin();
    handle_poll(&handle, "p");
    option = handle_option(&handle, "p", "yes");
}

TestSuite(range, .init = begin, .fini = one_end, .timeout = 0);

static void vote(uint64_t n)
{
    struct edge_vote cast;
    int err;
    HANDLE_ASK(err, &handle, edge_vote(handle.edge, option, n, &cast));
    cr_assert_eq(err, 0);
}

/* Votes until the option lacks `left` votes to the end of the range. */
static void fill(uint64_t left)
{
    for (uint64_t votes = 0; votes < VOTES_RANGE - left;) {
        uint64_t n = VOTES_RANGE - left - votes;
        n = n < VOTE_N_MAX ? n : VOTE_N_MAX;
        vote(n);
        votes += n;
        if (votes % ((uint64_t)1 << 31) == 0) {
            edge_flush(handle.edge);
            handle_settle(&handle);
        }
    }
    edge_flush(handle.edge);
    handle_settle(&handle);
}

static uint64_t ask_ballot(const char *key)
{
    struct edge_ballot ballot = {
        .options = {option}, .option_count = 1, .n = 1, .key = span_of(key)};
    cr_assert_eq(edge_ballot(handle.edge, &ballot), 0);
    return edge_tail(handle.edge);
}

static int hear(uint64_t pos)
{
    struct edge_result result;
    int err = edge_apply_result(handle.edge, pos, &result);
    while (err == TALLY_PARK) {
        handle_wait(&handle);
        err = edge_apply_result(handle.edge, pos, &result);
    }
    return err;
}

/* Publishes a ballot and `n` votes behind it in one lane. Returns what the ballot is told. */
static int ballot_before(uint64_t n)
{
    uint64_t pos = ask_ballot("a");
    vote(n);
    edge_flush(handle.edge);
    edge_publish(handle.edge);
    while (edge_applied(handle.edge) < edge_tail(handle.edge)) {
        handle_wait(&handle);
    }
    int err = hear(pos);
    edge_free(handle.edge, edge_applied(handle.edge));
    return err;
}

Test(range, a_ballot_waits_for_votes_behind_it_that_fill_the_count)
{
    fill(5);
    cr_expect_eq(ballot_before(5), TALLY_RANGE);
}

Test(range, a_ballot_takes_the_last_vote_beside_those_behind_it)
{
    fill(5);
    cr_expect_eq(ballot_before(4), 0);
    uint64_t pos = ask_ballot("b");
    edge_publish(handle.edge);
    while (edge_applied(handle.edge) < pos) {
        handle_wait(&handle);
    }
    cr_expect_eq(hear(pos), TALLY_RANGE);
    edge_free(handle.edge, edge_applied(handle.edge));
}
