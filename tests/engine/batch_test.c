/* A batch has so many requests that a commit does not take long, however many come at once. */
#include "tests/engine/one.h"
#include "wal/wal.h"

#include <criterion/criterion.h>
#include <stdio.h>

static char dir[256];
static uint32_t largest;

static void begin(void)
{
    files_temp_dir(dir, sizeof dir);
    tally = handle_engine(dir, 2);
    handle_open(&handle, tally);
    handle_poll(&handle, "p");
}

static void end(void)
{
    cr_expect(files_remove_tree(dir));
}

TestSuite(batch, .init = begin, .fini = end, .timeout = 0);

static int see_block(void *arg, const struct wal_block *block)
{
    (void)arg;
    largest = block->count > largest ? block->count : largest;
    return 0;
}

/* Ends the engine. Returns the records of the largest block in its log. */
static uint32_t largest_block(void)
{
    struct wal_io *io;
    struct wal_report report;
    handle_close(&handle);
    cr_assert_eq(tally_close(tally), 0);
    cr_assert_eq(wal_file_io_new(&io, dir, 0), 0);
    largest = 0;
    cr_assert_eq(wal_reader_once(io, see_block, NULL, &report), 0, "%s", report.text);
    io->ops->destroy(io);
    return largest;
}

Test(batch, options_that_come_at_once_are_of_several_commits)
{
    enum { OPTIONS = 5000, A_BATCH = 2000 };
    for (int i = 0; i < OPTIONS; i++) {
        char label[16];
        snprintf(label, sizeof label, "option %d", i);
        int err;
        HANDLE_ASK(err, &handle, edge_option(handle.edge, SPAN("p"), span_of(label), SPAN("")));
        cr_assert_eq(err, 0);
    }
    handle_settle(&handle);
    cr_expect_eq(handle_option(&handle, "p", "the next"), OPTIONS + 1);
    cr_expect_leq(largest_block(), A_BATCH);
}

/* What ends the wait is that the edge frees their slots: a caller that waited for a commit could
 * wait for ever. */
Test(batch, a_third_seed_waits_for_room)
{
    const struct edge_seed ask = {.option = handle_option(&handle, "p", "one"), .n = 1};
    cr_assert_eq(edge_seed(handle.edge, &ask), 0);
    cr_assert_eq(edge_seed(handle.edge, &ask), 0);
    cr_expect_eq(edge_seed(handle.edge, &ask), TALLY_ROOM);
    edge_publish(handle.edge);
    while (edge_applied(handle.edge) < edge_tail(handle.edge)) {
        handle_wait(&handle);
    }
    cr_expect_eq(edge_seed(handle.edge, &ask), TALLY_ROOM);
    handle_settle(&handle);
    cr_expect_eq(edge_seed(handle.edge, &ask), 0);
    handle_settle(&handle);
    handle_close(&handle);
    cr_assert_eq(tally_close(tally), 0);
}

Test(batch, votes_for_many_options_that_come_at_once_are_of_several_commits)
{
    enum { BALLOTS = 5000, A_BATCH = 2000 };
    const struct edge_poll once = {SPAN("p"), EDGE_KEEP, EDGE_KEEP,
                                   EDGE_KEEP, EDGE_KEEP, POLL_ONCE};
    cr_assert_eq(handle_result(&handle, edge_poll(handle.edge, &once), NULL), 0);
    struct edge_ballot ballot = {.option_count = BALLOT_OPTIONS_MAX, .n = 1};
    for (unsigned i = 0; i < BALLOT_OPTIONS_MAX; i++) {
        char label[16];
        snprintf(label, sizeof label, "option %u", i);
        ballot.options[i] = handle_option(&handle, "p", label);
    }
    for (int i = 0; i < BALLOTS; i++) {
        char voter[16];
        snprintf(voter, sizeof voter, "v%d", i);
        ballot.voter = span_of(voter);
        int err;
        HANDLE_ASK(err, &handle, edge_ballot(handle.edge, &ballot));
        cr_assert_eq(err, 0);
    }
    handle_settle(&handle);
    cr_expect_leq(largest_block(), A_BATCH);
}
