/* A turn of an I/O thread: it is bounded in time, and its steps are published. */
#include "engine/edge/slice.h"
#include "engine/tally.h"
#include "net/io/conn_io.h"
#include "net/io/loop.h"
#include "net/io/run.h"
#include "net/pipeline/pipeline.h"
#include "net/pipeline/reading.h"
#include "tests/lib/files.h"
#include "tests/lib/wait.h"
#include "wal/base/clock.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char dir[128];
static struct service service;
static struct tally *tally;
static struct loop *loop;
static struct conn_io *io;
static struct conn *conn; /* of io */
static int client_fd;

static void no_wake(void *arg)
{
    (void)arg;
}

/* Makes a loop on this thread, with an edge and one connection; no thread runs its passes. */
static void set_up(void)
{
    struct tally_report report;
    int pair[2];
    files_temp_dir(dir, sizeof(dir));
    const struct tally_options options = {.dir = dir, .create = true, .edges = 2};
    cr_assert_eq(tally_open(&tally, &options, &report), 0, "%s", report.text);
    service.tally = tally;
    service.options = (struct server_options){.payload_bytes_max = 1024, .threads = 1};
    service.options.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(listen(service.options.listen_fd, 1), 0);
    cr_assert_eq(loop_new(&loop, &service, 0), 0);
    cr_assert_eq(edge_new(&loop->pipeline.edge, tally, no_wake, NULL), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    client_fd = pair[1];
    conn_io_open(loop, pair[0], (struct rate_address){0});
    io = TAILQ_FIRST(&loop->all);
    conn = &io->conn;
    edge_pass_begin(loop->pipeline.edge);
}

static void wait_applied(void)
{
    AWAIT(20000, edge_applied(loop->pipeline.edge) >= edge_tail(loop->pipeline.edge),
          "nobody knows of what was stepped");
}

static void tear_down(void)
{
    wait_applied();
    edge_pass_end(loop->pipeline.edge);
    edge_free(loop->pipeline.edge, edge_applied(loop->pipeline.edge));
    edge_destroy(loop->pipeline.edge);
    cr_assert_eq(tally_close(tally), 0);
    close(client_fd);
    files_remove_tree(dir);
}

TestSuite(turn, .init = set_up, .fini = tear_down);

/* Runs `count` times `request`. Returns how many of them run_input has done. */
static size_t run_times(const char *request, size_t count)
{
    size_t len = strlen(request);
    char *text = malloc(len * count);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * len, request, len);
    }
    size_t done = run_input(io, text, len * count) / len;
    free(text);
    return done;
}

Test(turn, ends_soon_after_its_time_however_much_input_there_is)
{
    loop->turn_until_ns = 0; /* the turn is over, but the clock was not read yet */
    size_t done = run_times("PING\n", 4096);
    cr_expect_leq(done, LOOP_LOOK_WORK / LOOP_REQUEST_WORK);
    cr_expect_eq(conn->stop, STOP_TURN);
    cr_expect(loop->pipeline.again, "the next pass must not sleep");
    cr_expect_not(conn_may_resume(conn));
    loop->pipeline.turns++;
    cr_expect(conn_may_resume(conn), "another turn, another try");
}

Test(turn, takes_all_while_there_is_time)
{
    loop->turn_until_ns = UINT64_MAX;
    cr_expect_eq(run_times("PING\n", 4096), 4096);
    cr_expect_eq(conn->stop, STOP_NONE);
}

/* Three connections that always have input; one of them fills a turn. */
Test(turn, goes_round_among_those_who_always_have_something_to_say)
{
    enum { CONNS = 3, PINGS = LOOP_LOOK_WORK / LOOP_REQUEST_WORK };
    int clients[CONNS];
    struct epoll_event events[CONNS];
    char pings[PINGS * 5 + 1];
    for (int i = 0; i < PINGS; i++) {
        memcpy(pings + i * 5, "PING\n", 6);
    }
    for (int i = 0; i < CONNS; i++) {
        int pair[2];
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        conn_io_open(loop, pair[0], (struct rate_address){0});
        clients[i] = pair[1];
        events[i] = (struct epoll_event){.events = EPOLLIN,
                                         .data.ptr = TAILQ_LAST(&loop->all, conn_io_list)};
    }
    for (int turn = 0; turn < CONNS; turn++) {
        for (int i = 0; i < CONNS; i++) {
            cr_assert_eq(write(clients[i], pings, sizeof(pings) - 1), (ssize_t)sizeof(pings) - 1);
        }
        loop_turn_begin(loop, 0); /* the turn is over when the clock is read first */
        loop_handle(loop, events, CONNS);
    }
    for (int i = 0; i < CONNS; i++) {
        const struct conn_io *heard = events[i].data.ptr;
        cr_expect_gt(buf_len(&heard->conn.out), 0, "connection %d was not heard in %d turns", i,
                     CONNS);
    }
}

static void make_option(void)
{
    loop->turn_until_ns = UINT64_MAX;
    cr_assert_eq(run_times("POLL p\nOPTION p a\n", 1), 1);
    edge_publish(loop->pipeline.edge);
    wait_applied();
    pipeline_release(&loop->pipeline);
}

Test(turn, publishes_with_each_flush)
{
    make_option();
    cr_assert_eq(run_times("VOTE 1\n", VOTES_MAX + 1), VOTES_MAX + 1);
    cr_assert_eq(loop->pipeline.votes.cast_count, 1,
                 "the table was full, and is flushed between requests");
    wait_applied();
    votes_flush(&loop->pipeline);
    wait_applied();
    pipeline_release(&loop->pipeline);
    cr_expect_eq(conn->in_flight, 0);
}

Test(turn, room_that_was_not_written_is_never_sent)
{
    make_option();
    run_times("VOTE 1\nVOTE 1\n", 1);
    votes_flush(&loop->pipeline);
    wait_applied();
    size_t before = buf_len(&conn->out);
    pipeline_release(&loop->pipeline);
    cr_expect_eq(buf_len(&conn->out) - before, strlen("OK 1\r\nOK 2\r\n"));
    cr_expect_eq(buf_len(&conn->held), 0);
#ifdef BUF_FENCED
    cr_expect(__asan_address_is_poisoned(conn->out.at + conn->out.end), "the rest can be read");
#endif
}

static void wait_read(void)
{
    AWAIT(20000, read_is_done(conn->reading->read), "the read is not made");
}

/* An I/O thread makes no more than a slice of a long read: another thread makes the rest, and the
 * I/O thread serves other connections in the same turn. */
static void expect_others_are_served(const char *request)
{
    int pair[2];
    size_t before = buf_len(&conn->out);
    cr_expect_eq(run_times(request, 1), 0, "%s", request);
    cr_assert_eq(conn->stop, STOP_READING, "%s", request);
    cr_expect_eq(buf_len(&conn->out), before, "nothing is answered yet");

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    conn_io_open(loop, pair[0], (struct rate_address){0});
    struct conn_io *other = TAILQ_LAST(&loop->all, conn_io_list);
    cr_expect_eq(run_input(other, "PING\n", 5), 5);
    cr_expect_gt(buf_len(&other->conn.out), 0, "the other one is answered");

    wait_read();
    conn_resume(conn);
    cr_expect_eq(run_times(request, 1), 1, "%s", request);
    cr_expect_gt(buf_len(&conn->out), before, "%s", request);
}

Test(turn, serves_others_while_a_long_read_is_made)
{
    enum { AT_ONCE = 27, LINE_BYTES = 32 };
    loop->turn_until_ns = UINT64_MAX;
    for (int i = 0; i <= READ_SLICE; i += AT_ONCE) {
        char requests[AT_ONCE * LINE_BYTES];
        size_t len = 0;
        for (int k = 0; k < AT_ONCE; k++) {
            len += (size_t)snprintf(requests + len, LINE_BYTES, "WORKER w%d\nSUBMIT q :\n", i + k);
        }
        cr_assert_eq(run_times(requests, 1), 1);
        edge_publish(loop->pipeline.edge);
        wait_applied();
        pipeline_release(&loop->pipeline);
    }
    expect_others_are_served("WORKERS\n");
    expect_others_are_served("BUILDS * STATE failed\n");
}

static uint64_t silent_ms(const char *name)
{
    struct read_workers workers;
    read_workers_init(&workers, span_of(name));
    cr_assert_eq(edge_read(loop->pipeline.edge, &workers.read), 0);
    uint64_t ms = workers.rows[0].seen_ms;
    read_workers_fini(&workers);
    return ms;
}

static void live_ms(unsigned ms)
{
    uint64_t until_ns = clock_mono_ns() + ms * NS_PER_MS;
    while (clock_mono_ns() < until_ns) {
        edge_pass_end(loop->pipeline.edge);
        sched_yield();
        edge_pass_begin(loop->pipeline.edge);
    }
}

/* A worker is called silent after 300 s, and a claim may wait for an hour. */
Test(turn, a_claim_that_waits_is_a_sign_of_life)
{
    loop->turn_until_ns = UINT64_MAX;
    loop->pipeline.now_ns = clock_mono_ns();
    cr_assert_eq(run_times("WORKER w\n", 1), 1);
    edge_publish(loop->pipeline.edge);
    wait_applied();
    pipeline_release(&loop->pipeline);
    pipeline_sample(&loop->pipeline);
    cr_assert_eq(run_times("CLAIM w q WAIT 3600000\n", 1), 0);
    cr_assert_eq(conn->stop, STOP_OFFERS);
    for (int i = 0; i < 3; i++) {
        uint64_t due_ns = conn_io_deadline_ns(io);
        cr_assert_leq(due_ns - loop->pipeline.now_ns, 100 * NS_PER_S);
        live_ms(30);
        cr_assert_geq(silent_ms("w"), 30);
        loop->pipeline.now_ns = due_ns;
        conn_io_due(io);
        cr_assert_lt(silent_ms("w"), 30);
        cr_assert_eq(conn->stop, STOP_OFFERS, "it still waits");
    }
}
