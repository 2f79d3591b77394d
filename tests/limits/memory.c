/* The memory that clients can make the server hold: its counts, its ceiling, and the payloads that
 * finished builds give back. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/proc.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_IS_KEPT true /* freed memory stays in use for a while */
#endif
#endif
#ifndef MEMORY_IS_KEPT
#define MEMORY_IS_KEPT false
#endif

enum { MIB = 1024 * 1024, CEILING = 32 * MIB, ROOM_MS = 60000 };

static const char *const small[] = {"--memory", "32M", "--threads", "2", NULL};
static const char *const smaller[] = {"--memory", "16M", "--threads", "2", NULL};

static struct server server;
static struct client client;
static char bytes[MIB];

static void start(void)
{
    memset(bytes, 'x', sizeof(bytes));
    server_start(&server, small);
    client_open(&client, &server);
    scene_worker(&client, "w1");
}

static void restart(const char *const *args)
{
    client_close(&client);
    server_kill9(&server);
    server.args = args;
    server_restart(&server);
    client_open(&client, &server);
}

static void stop(void)
{
    client_close(&client);
    server_stop(&server);
}

static const struct reply *submit(size_t len_bytes)
{
    EXPECT(client_send_blob(&client, "SUBMIT ios", bytes, len_bytes), "cut off");
    return client_next(&client);
}

/* Claims the next build and ends it with a result. Returns its id. */
static uint64_t finish(size_t result_bytes)
{
    char prefix[128];
    struct claim claim;
    scene_claim(&claim, &client, "w1", "ios");
    snprintf(prefix, sizeof(prefix), "DONE %" PRIu64 " %" PRIu64 " RESULT", claim.id, claim.token);
    EXPECT(client_send_blob(&client, prefix, bytes, result_bytes), "cut off");
    const struct reply *reply = client_next(&client);
    EXPECT(reply_is(reply, "OK"), "DONE gave '%s'", reply->line);
    return claim.id;
}

/* Payloads that are given back are freed a moment later: after a commit and a grace period. */
static void await_room(uint64_t room_bytes)
{
    AWAIT(ROOM_MS, scene_info(&client, "memory_bytes") + room_bytes <= CEILING,
          "it stays at %" PRIu64, scene_info(&client, "memory_bytes"));
}

static void expect_blob(const char *verb, uint64_t id, size_t len_bytes)
{
    const struct reply *reply = client_get(&client, "%s %" PRIu64, verb, id);
    EXPECT(reply_is_ok(reply) && reply->blob_bytes == len_bytes, "%s %" PRIu64 " gave '%s'", verb,
           id, reply->line);
}

/* ---- counted ---- */

static void results_are_counted(void)
{
    enum { RESULTS = 5 };
    start();
    uint64_t before = scene_info(&client, "result_bytes");
    uint64_t sum = scene_info(&client, "memory_bytes");
    for (int i = 0; i < RESULTS; i++) {
        EXPECT(reply_is_ok(submit(1)), "SUBMIT");
        finish(MIB);
    }
    uint64_t grown = scene_info(&client, "result_bytes") - before;
    EXPECT(grown >= RESULTS * (uint64_t)MIB && grown < (RESULTS + 1) * (uint64_t)MIB,
           "%d results of 1 MiB are counted as %" PRIu64, RESULTS, grown);
    EXPECT(scene_info(&client, "memory_bytes") >= sum + grown, "the sum does not have them");
    EXPECT(scene_info(&client, "memory_bytes_max") == CEILING, "the ceiling is %" PRIu64,
           scene_info(&client, "memory_bytes_max"));
    restart(small);
    EXPECT(scene_info(&client, "result_bytes") >= RESULTS * (uint64_t)MIB,
           "behind a start they are not counted");
    stop();
}

static void entities_are_counted(void)
{
    enum { OPTIONS = 2000 };
    char line[64];
    start();
    scene_poll(&client, "lang");
    uint64_t before = scene_info(&client, "entity_bytes");
    for (int i = 0; i < OPTIONS; i++) {
        snprintf(line, sizeof(line), "OPTION lang option-%d\n", i);
        EXPECT(client_write(&client, line, strlen(line)), "cut off");
    }
    for (int i = 0; i < OPTIONS; i++) {
        EXPECT(reply_is_ok(client_next(&client)), "OPTION");
    }
    uint64_t each = (scene_info(&client, "entity_bytes") - before) / OPTIONS;
    EXPECT(each >= 200 && each <= 600, "an option counts as %" PRIu64, each);
    EXPECT(scene_info(&client, "in_flight_bytes") == 0, "something is still in flight");
    stop();
}

/* ---- payloads that finished builds give back ---- */

static void expect_given_back(const uint64_t *ids, size_t count)
{
    await_room(CEILING / 4);
    EXPECT(scene_info(&client, "memory_bytes") < CEILING * 3 / 4, "they hold %" PRIu64,
           scene_info(&client, "memory_bytes"));
    for (size_t i = 0; i < 2; i++) {
        client_expect_err(&client, "NOTFOUND", "PAYLOAD %" PRIu64, ids[i]);
        client_expect_err(&client, "NOTFOUND", "RESULT %" PRIu64, ids[i]);
        EXPECT(scene_build_has(&client, ids[i], "state", "completed"), "the build has left, too");
    }
    expect_blob("PAYLOAD", ids[count - 1], MIB);
    expect_blob("RESULT", ids[count - 1], 3);
}

static void finished_builds_give_back(void)
{
    enum { BUILDS = 48 }; /* of 1 MiB each: more than the ceiling */
    uint64_t ids[BUILDS];
    start();
    for (int i = 0; i < BUILDS; i++) {
        const struct reply *reply = submit(MIB);
        EXPECT(reply_is_ok(reply), "build %d gave '%s'", i, reply->line);
        ids[i] = finish(3);
    }
    expect_given_back(ids, BUILDS);
    restart(small); /* from the log */
    expect_given_back(ids, BUILDS);
    EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
    restart(small); /* from the snapshot */
    expect_given_back(ids, BUILDS);
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT behind it");
    stop();
}

/* A start with less memory: the log is read, and finished builds give payloads back. */
static void less_memory_than_before(void)
{
    start();
    for (int i = 0; i < 12; i++) {
        EXPECT(reply_is_ok(submit(MIB)), "SUBMIT");
        if (i < 6) {
            finish(3);
        }
    }
    for (int i = 0; i < 10; i++) {
        EXPECT(reply_is_ok(submit(MIB)), "SUBMIT");
    }
    restart(smaller);
    client_expect_err(&client, "FULL", "SUBMIT ios :x");
    for (int i = 0; i < 16; i++) {
        finish(0);
    }
    await_room(CEILING - 8 * MIB);
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT, when all are finished");
    stop();
}

/* ---- the ceiling ---- */

/* Submits builds until there is no room for a small one. Returns how many. */
static size_t fill(void)
{
    static const size_t sizes[] = {MIB, 64 * 1024, 4096, 1};
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        while (reply_is_ok(submit(sizes[i]))) {
            EXPECT(++count < 1000, "it takes everything");
        }
        EXPECT(reply_is_err(&client.reply, "FULL") && strstr(client.reply.line, "--memory") != NULL,
               "'%s'", client.reply.line);
    }
    return count;
}

/* Repeats the request until it is FULL: it needs less than a build, so it may fit a few times. */
static void expect_full(const char *request)
{
    for (int i = 0; !reply_is_err(client_get(&client, "%s%d", request, i), "FULL"); i++) {
        EXPECT(reply_is_ok(&client.reply) && i < 16, "%s%d gave '%s'", request, i,
               client.reply.line);
    }
}

static void the_ceiling(void)
{
    char text[128];
    struct claim claim;
    start();
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    size_t count = fill();
    EXPECT(count > 24 && scene_info(&client, "memory_bytes") <= CEILING,
           "%zu builds, %" PRIu64 " bytes", count, scene_info(&client, "memory_bytes"));

    /* requests that need more memory are refused */
    expect_full("POLL other");
    expect_full("OPTION lang label");
    expect_full("WORKER other");
    /* all others go on */
    scene_vote_times(&client, option, 0, 100);
    client_expect(&client, "OK", "POLL lang RATE 0");
    client_expect(&client, "OK again", "WORKER w1");
    EXPECT(scene_votes(&client, "lang", option) == 100, "the votes");
    scene_claim(&claim, &client, "w1", "ios");
    client_expect(&client, "OK", "RELEASE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    /* ends of claims have a reserve for their results and texts */
    scene_claim(&claim, &client, "w1", "ios");
    snprintf(text, sizeof(text), "FAIL %" PRIu64 " %" PRIu64 " DEAD TEXT :why", claim.id,
             claim.token);
    client_expect(&client, "OK failed", "%s", text);
    finish(1024);
    scene_claim(&claim, &client, "w1", "ios");
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);

    restart(small);
    EXPECT(scene_votes(&client, "lang", option) == 100, "the votes");
    for (size_t i = 0; i < 6; i++) { /* the first ones make room already */
        finish(0);
    }
    await_room(CEILING / 8 + 2 * MIB); /* also for the input buffer with the request */
    scene_poll(&client, "other");
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT, when some are finished");
    for (size_t i = 9; i < count; i++) {
        finish(0);
    }
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT, when all are finished");
    stop();
}

/* Results of held builds can use the reserve up; then they are refused, and DONE without a result
 * still ends the build. */
static void the_reserve(void)
{
    char prefix[128];
    struct claim claim;
    start();
    for (int i = 0; i < 4; i++) {
        EXPECT(reply_is_ok(submit(1)), "SUBMIT");
    }
    client_expect(&client, "OK again", "WORKER w1 SLOTS 8");
    EXPECT(client_send(&client, "CLAIM w1 ios COUNT 4"), "cut off");
    const struct reply *reply = client_next(&client);
    EXPECT(reply->row_count == 4, "'%s'", reply->line);
    uint64_t ids[4];
    uint64_t tokens[4];
    for (size_t i = 0; i < 4; i++) {
        ids[i] = line_number(reply->rows[i], 0);
        tokens[i] = line_number(reply->rows[i], 1);
    }
    fill();
    bool was_full = false;
    for (size_t i = 0; i < 4; i++) {
        snprintf(prefix, sizeof(prefix), "DONE %" PRIu64 " %" PRIu64 " RESULT", ids[i], tokens[i]);
        EXPECT(client_send_blob(&client, prefix, bytes, MIB), "cut off");
        reply = client_next(&client);
        EXPECT(reply_is(reply, "OK") || reply_is_err(reply, "FULL"), "'%s'", reply->line);
        if (reply_is_err(reply, "FULL")) {
            was_full = true;
            EXPECT(scene_info(&client, "memory_bytes") <= CEILING, "%" PRIu64 " bytes",
                   scene_info(&client, "memory_bytes"));
            client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, ids[i], tokens[i]);
        } else {
            EXPECT(i < 3, "the reserve has no end");
        }
    }
    EXPECT(was_full, "no result was refused");
    scene_claim(&claim, &client, "w1", "ios");
    stop();
}

/* ---- replies that nobody reads ---- */

enum { ERROR_BYTES = 4000, BUILDS = 256, READERS = 40, ASKS = 3 };

/* Makes failed builds with lines of about 16 KiB each: every byte of the error is escaped. */
static void make_long_lines(void)
{
    char prefix[128];
    char error[ERROR_BYTES];
    uint64_t tokens[BUILDS + 1];
    memset(error, 1, sizeof(error));
    client_expect(&client, "OK again", "WORKER w1 SLOTS 256");
    for (int i = 0; i < BUILDS; i++) {
        EXPECT(client_send(&client, "SUBMIT ios x"), "cut off");
    }
    for (int i = 0; i < BUILDS; i++) {
        EXPECT(reply_is_ok(client_next(&client)), "SUBMIT");
    }
    for (int taken = 0; taken < BUILDS;) {
        const struct reply *reply = client_get(&client, "CLAIM w1 ios COUNT 64");
        EXPECT(reply->row_count > 0, "CLAIM gave '%s'", reply->line);
        for (size_t i = 0; i < reply->row_count; i++) {
            tokens[line_number(reply->rows[i], 0)] = line_number(reply->rows[i], 1);
        }
        taken += (int)reply->row_count;
    }
    for (uint64_t id = 1; id <= BUILDS; id++) {
        snprintf(prefix, sizeof(prefix), "FAIL %" PRIu64 " %" PRIu64 " DEAD TEXT", id, tokens[id]);
        EXPECT(client_send_blob(&client, prefix, error, sizeof(error)), "cut off");
    }
    for (int i = 0; i < BUILDS; i++) {
        EXPECT(reply_is(client_next(&client), "OK failed"), "'%s'", client.reply.line);
    }
}

static uint64_t resident_bytes(void)
{
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)server.pid);
    FILE *file = fopen(path, "r");
    EXPECT(file != NULL && fscanf(file, "%*u %lu", &pages) == 1, "cannot read %s", path);
    fclose(file);
    return (uint64_t)pages * 4096;
}

/* Lets the kernel hold little for a client that does not read. */
static void set_window(struct client *reader)
{
    int window_bytes = 128 * 1024;
    EXPECT(setsockopt(reader->fd, SOL_SOCKET, SO_RCVBUF, &window_bytes, sizeof(window_bytes)) == 0,
           "SO_RCVBUF");
}

/* 40 replies of 12 MB that nobody reads use no more than a share of the memory. A client that reads
 * in the end gets its whole reply. */
static void readers_that_do_not_read(void)
{
    static struct client readers[READERS];
    size_t whole = 0;
    start();
    make_long_lines();
    uint64_t before = resident_bytes();
    client_open_all(readers, READERS, &server);
    for (size_t i = 0; i < READERS; i++) {
        set_window(&readers[i]);
        for (int k = 0; k < ASKS; k++) { /* the kernel holds about one of the replies */
            EXPECT(client_send(&readers[i], "BUILDS ios COUNT 1000"), "cut off");
        }
    }
    for (int i = 0; i < 200; i++) {
        client_expect(&client, "OK PONG", "PING");
        uint64_t held =
            scene_info(&client, "reply_bytes") + scene_info(&client, "connection_bytes");
        EXPECT(held < CEILING / 4, "replies hold %" PRIu64, held);
    }
    EXPECT(MEMORY_IS_KEPT || resident_bytes() - before < 2 * CEILING, "it has grown by %" PRIu64,
           resident_bytes() - before);
    for (size_t i = 0; i < READERS * ASKS; i++) {
        const struct reply *reply = client_next(&readers[i / ASKS]);
        if (reply_is_err(reply, "BUSY")) {
            EXPECT(strstr(reply->line, "retry_ms=") != NULL, "'%s'", reply->line);
            continue;
        }
        EXPECT(reply->row_count == BUILDS, "reader %zu has %zu rows", i, reply->row_count);
        for (size_t row = 0; row < BUILDS; row++) {
            EXPECT(line_field_number(reply->rows[row], "id") == row + 1 &&
                       strlen(reply->rows[row]) > 4 * (size_t)ERROR_BYTES,
                   "row %zu of reader %zu is '%.100s'", row, i, reply->rows[row]);
        }
        whole++;
    }
    EXPECT(whole > 0, "nobody was answered");
    client_close_all(readers, READERS);
    client_expect(&client, "OK PONG", "PING");
    stop();
}

/* A payload is sent without a copy; one that its build gives back meanwhile is sent to its end. */
static void a_result_read_slowly(void)
{
    struct client reader;
    char first;
    start();
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT");
    uint64_t id = finish(MIB);
    client_open(&reader, &server);
    set_window(&reader);
    for (int i = 0; i < 8; i++) { /* more bytes than the sockets hold */
        EXPECT(client_send(&reader, "%s %" PRIu64, i % 2 == 0 ? "RESULT" : "PAYLOAD", id), "send");
    }
    EXPECT(client_send(&reader, "PING"), "send");
    EXPECT(recv(reader.fd, &first, 1, MSG_PEEK) == 1, "no reply"); /* the first is under way */
    for (int i = 0; i < 12; i++) {
        EXPECT(reply_is_ok(submit(MIB)), "SUBMIT");
        finish(1);
    }
    EXPECT(scene_info(&client, "reply_bytes") < 4 * (uint64_t)MIB, "replies hold %" PRIu64,
           scene_info(&client, "reply_bytes"));
    for (int i = 0; i < 8; i++) {
        const struct reply *reply = client_next(&reader);
        bool is_gone = reply_is_err(reply, "NOTFOUND"); /* run after the payload was given back */
        EXPECT((is_gone && i > 0) ||
                   (reply->blob_bytes == MIB && memcmp(reply->blob, bytes, sizeof(bytes)) == 0),
               "reply %d is '%.100s'", i, reply->line);
    }
    EXPECT(reply_is(client_next(&reader), "OK PONG"), "'%s'", reader.reply.line);
    client_close(&reader);
    stop();
}

/* Many short requests whose replies nobody reads. */
static void echoes_that_nobody_reads(void)
{
    enum { SENDERS = 40, PINGS = 80, TEXT_BYTES = 60000 };
    static struct client senders[SENDERS];
    start();
    client_open_all(senders, SENDERS, &server);
    bytes[TEXT_BYTES] = '\0';
    for (size_t i = 0; i < SENDERS; i++) {
        struct timeval a_moment = {.tv_usec = 20000};
        setsockopt(senders[i].fd, SOL_SOCKET, SO_SNDTIMEO, &a_moment, sizeof(a_moment));
        set_window(&senders[i]);
        for (int k = 0; k < PINGS && client_send(&senders[i], "PING %s", bytes); k++) {
        }
    }
    for (int i = 0; i < 100; i++) {
        uint64_t held =
            scene_info(&client, "reply_bytes") + scene_info(&client, "connection_bytes");
        EXPECT(held < CEILING / 4 + 8 * (uint64_t)MIB, "replies hold %" PRIu64, held);
    }
    client_expect(&client, "OK PONG", "PING");
    client_close_all(senders, SENDERS);
    stop();
}

/* 240 claims of a build of 1 MiB that the worker holds already; nobody reads the replies. */
static void claims_that_nobody_reads(void)
{
    enum { CLAIMERS = 40, CLAIMS = 6 };
    static struct client claimers[CLAIMERS];
    struct claim claim;
    size_t given = 0;
    start();
    EXPECT(reply_is_ok(submit(MIB)), "SUBMIT");
    scene_claim(&claim, &client, "w1", "ios");
    client_open_all(claimers, CLAIMERS, &server);
    for (size_t i = 0; i < CLAIMERS; i++) {
        set_window(&claimers[i]);
        for (int k = 0; k < CLAIMS; k++) {
            EXPECT(client_send(&claimers[i], "CLAIM w1 ios"), "cut off");
        }
    }
    for (int i = 0; i < 100; i++) {
        uint64_t held =
            scene_info(&client, "reply_bytes") + scene_info(&client, "connection_bytes");
        EXPECT(held < CEILING / 4 + 4 * (uint64_t)MIB, "replies hold %" PRIu64, held);
    }
    for (size_t i = 0; i < CLAIMERS * CLAIMS; i++) {
        const struct reply *reply = client_next(&claimers[i / CLAIMS]);
        EXPECT(reply_is_err(reply, "BUSY") || reply->blob_bytes == MIB, "'%.100s'", reply->line);
        given += reply_is_ok(reply);
    }
    EXPECT(given >= 4, "only %zu claims were answered", given);
    client_close_all(claimers, CLAIMERS);
    client_expect(&client, "OK", "RELEASE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    scene_claim(&claim, &client, "w1", "ios");
    stop();
}

/* 40 half payloads of 1 MiB: they get a share of the memory, the rest waits unread. Every request
 * that becomes whole is done in the end. */
static void payloads_half_sent(void)
{
    enum { SENDERS = 40, PART = MIB / 4 };
    static struct client senders[SENDERS];
    start();
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "Elixir");
    client_open_all(senders, SENDERS, &server);
    for (size_t i = 0; i < SENDERS; i++) {
        EXPECT(client_send(&senders[i], "SUBMIT ios $%d", MIB), "cut off");
        EXPECT(client_write(&senders[i], bytes, PART), "cut off");
    }
    for (int i = 0; i < 200; i++) {
        client_expect(&client, "OK PONG", "PING");
        EXPECT(scene_info(&client, "connection_bytes") < CEILING / 4 + 4 * (uint64_t)MIB,
               "input holds %" PRIu64, scene_info(&client, "connection_bytes"));
    }
    scene_vote_times(&client, option, 0, 10);
    for (size_t i = 0; i < SENDERS; i++) {
        EXPECT(client_write(&senders[i], bytes, MIB - PART) && client_write(&senders[i], "\n", 1),
               "cut off");
    }
    size_t taken = 0;
    for (size_t i = 0; i < SENDERS; i++) {
        const struct reply *reply = client_next(&senders[i]);
        EXPECT(reply_is_ok(reply) || reply_is_err(reply, "FULL"), "'%s'", reply->line);
        taken += reply_is_ok(reply);
    }
    EXPECT(taken >= 8, "only %zu were taken", taken);
    client_close_all(senders, SENDERS);
    stop();
}

/* ---- the option ---- */

static void the_default(void)
{
    uint64_t machine_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    const char *const too_small[] = {getenv("TALLYD"), "--memory", "15M", NULL};
    server_start(&server, NULL);
    client_open(&client, &server);
    uint64_t ceiling = scene_info(&client, "memory_bytes_max");
    EXPECT(ceiling > 0 && ceiling <= machine_bytes / 2, "%" PRIu64 " of %" PRIu64, ceiling,
           machine_bytes);
    stop();
    int code = proc_run(too_small, NULL);
    EXPECT(code == 64, "--memory 15M ends with %d", code);
}

static const struct check_test tests[] = {
    {"The ceiling is half of the memory, or what --memory says, 16M at least", the_default},
    {"Results are counted, also behind a start", results_are_counted},
    {"What entities take is counted, and nothing stays in flight", entities_are_counted},
    {"Finished builds give payload and result back, so SUBMIT always goes on; a start and a "
     "snapshot keep it so",
     finished_builds_give_back},
    {"A log that was accepted with more memory loads, and what is finished gives back",
     less_memory_than_before},
    {"At the ceiling what grows is FULL; votes, reads, claims and their ends go on", the_ceiling},
    {"Results pass while the reserve lasts, then FULL; without a result the build ends",
     the_reserve},
    {"Long replies that nobody reads are made in pieces: all of them hold a share of the memory",
     readers_that_do_not_read},
    {"A result that is read slowly comes whole, also when the build gives it back meanwhile",
     a_result_read_slowly},
    {"Short requests whose replies nobody reads hold a share of the memory",
     echoes_that_nobody_reads},
    {"Claims whose replies nobody reads hold a share of the memory, then they are BUSY",
     claims_that_nobody_reads},
    {"Payloads that are half sent hold a share of the memory, and all come through",
     payloads_half_sent},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
