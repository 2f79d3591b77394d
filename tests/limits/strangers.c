/* Peers without a key, of another protocol, or idle: they get few resources, and not for long. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"
#include "tests/limits/state.h"

#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct server server;
static struct client client; /* the one that asks for INFO */

static const char key[] = "0123456789abcdef0123456789ABCDEF";

static void start(const char *const *args)
{
    /* a sanitizer keeps freed memory, which is no fault of the server */
    setenv("ASAN_OPTIONS", "quarantine_size_mb=1", 1);
    server_start(&server, args);
    unsetenv("ASAN_OPTIONS");
    client_open(&client, &server);
}

static void stop(void)
{
    client_close(&client);
    server_stop(&server);
}

/* The memory of the server that is in use, in KiB. */
static long resident_kib(void)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)server.pid);
    FILE *file = fopen(path, "re");
    EXPECT(file != NULL && fscanf(file, "%*d %ld", &pages) == 1, "%s", path);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static uint64_t connections(void)
{
    return scene_info(&client, "connections");
}

/* ---- before the key ---- */

enum { CROWD = 100, HELPS = 2500, CROWD_KIB_MAX = 24 * 1024, AUTH_MS = 5000, AUTH_LATE_MS = 25000 };

static void ask_for_help(struct client *other)
{
    static char lines[HELPS * 5];
    for (size_t i = 0; i < HELPS; i++) {
        memcpy(lines + i * 5, "HELP\n", 5);
    }
    client_open(other, &server);
    client_write(other, lines, sizeof(lines));
}

/* The time for AUTH ends also behind a reply that nobody reads, with wrong keys or none. */
static void before_the_key(void)
{
    static struct client crowd[CROWD];
    setenv("TALLY_API_KEY", key, 1);
    start(NULL);
    unsetenv("TALLY_API_KEY");
    client_expect(&client, "OK", "AUTH %s", key);
    long before_kib = resident_kib();
    uint64_t since_ms = wait_now_ms();
    for (size_t i = 0; i < CROWD; i++) {
        ask_for_help(&crowd[i]);
        if (i % 2 == 1) {
            client_write(&crowd[i], "AUTH x\nAUTH x\nAUTH x\n", 21);
        }
    }
    while (scene_info(&client, "accepted") <= CROWD) {
        sched_yield();
        EXPECT(wait_now_ms() - since_ms < AUTH_LATE_MS, "they are not accepted");
    }
    long most_kib = 0;
    uint64_t spent_ms = 0;
    while (connections() > 1) {
        long now_kib = resident_kib();
        most_kib = now_kib > most_kib ? now_kib : most_kib;
        spent_ms = wait_now_ms() - since_ms;
        EXPECT(spent_ms < AUTH_LATE_MS, "%" PRIu64 " connections after %" PRIu64 " ms",
               connections(), spent_ms);
        sched_yield();
    }
    spent_ms = wait_now_ms() - since_ms;
    EXPECT(spent_ms > AUTH_MS - 500, "closed after %" PRIu64 " ms already", spent_ms);
    EXPECT(most_kib - before_kib < CROWD_KIB_MAX, "%ld KiB more", most_kib - before_kib);
    client_close_all(crowd, CROWD);
    stop();
}

/* ---- another protocol ---- */

struct bytes {
    const char *at;
    size_t len;
};
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define THEN "\nSUBMIT owned :x\nVOTE 1\n"

static const struct bytes foreign_first[] = {
    BYTES("POST / HTTP/1.1\r\nHost: x\r\n\r" THEN),
    BYTES("POST / \"" THEN),
    BYTES("post /x" THEN),
    BYTES("GET /\r" THEN),
    BYTES("PUT /\\ \"\\q\" $5" THEN),
    BYTES("HEAD / HTTP/1.1" THEN),
    BYTES("OPTIONS * HTTP/1.1" THEN),
    BYTES("CONNECT x:1 HTTP/1.1" THEN),
    BYTES("DELETE / HTTP/1.1" THEN),
    BYTES("PATCH /" THEN),
    BYTES("TRACE /" THEN),
    BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r" THEN),
    BYTES("PROPFIND /a HTTP/1.1" THEN),
    BYTES("Host: x" THEN),
    BYTES("  Accept: */*" THEN),
    BYTES("SSH-2.0-OpenSSH_9.2" THEN),
    BYTES("*1\r\n$4\r\nPING\r" THEN),
    BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" THEN),
    BYTES("\x16\x03\x01\x02\x01\x01" THEN),
    BYTES("\0" THEN),
    BYTES("\x80\x2e\x01" THEN),
    BYTES("\xff\xfe" THEN),
    BYTES("PING\0" THEN),
    BYTES("VOTE 1\0" THEN),
    BYTES("NONSENSE \x01" THEN),
    BYTES("NONSENSE \xc3\x28" THEN),
    BYTES("PING\x01" THEN),
    BYTES("PING \"\x1b[2J" THEN),
    BYTES("\n\r\n  \nPOST / \"" THEN),
    BYTES("NONSENSE\nSSH-2.0-x" THEN),
};

/* A good first line does not make a line of another protocol good. */
static const struct bytes foreign_later[] = {
    BYTES("POST / HTTP/1.1" THEN), BYTES("Host: x" THEN), BYTES("GET / \"" THEN),
    BYTES("PUT / $9" THEN),        BYTES("PRI *" THEN),
};

/* Expects the close, and before it only so many errors `SYNTAX` or `UNKNOWN`. */
static void expect_closed(const struct bytes *bytes, size_t index, size_t errors)
{
    struct client other;
    const struct reply *reply;
    size_t got = 0;
    client_open(&other, &server);
    client_write(&other, bytes->at, bytes->len);
    while ((reply = client_read(&other)) != NULL) {
        EXPECT(reply_is_err(reply, "SYNTAX") || reply_is_err(reply, "UNKNOWN") ||
                   reply_is(reply, "OK PONG"),
               "%zu gave '%s'", index, reply->line);
        got++;
    }
    EXPECT(!other.is_late && !other.is_broken, "%zu: the server does not close", index);
    EXPECT(got == errors, "%zu got %zu replies", index, got);
    client_close(&other);
}

static void foreign_protocols(void)
{
    start(NULL);
    scene_poll(&client, "lang");
    scene_option(&client, "lang", "C");
    char *before = state_read(&client);
    for (size_t i = 0; i < COUNT_OF(foreign_first); i++) {
        size_t errors = i + 2 == COUNT_OF(foreign_first)   ? 3
                        : i + 1 == COUNT_OF(foreign_first) ? 1
                                                           : 0;
        expect_closed(&foreign_first[i], i, errors);
    }
    for (size_t i = 0; i < COUNT_OF(foreign_later); i++) {
        char all[128] = "PING\n";
        memcpy(all + 5, foreign_later[i].at, foreign_later[i].len);
        expect_closed(&(struct bytes){all, 5 + foreign_later[i].len}, 100 + i, 1);
    }
    state_expect(&client, before, "another protocol");
    free(before);
    stop();
}

/* The beginning of a handshake: closed at the first bytes that tell, not at the end of the line. */
static void foreign_beginnings(void)
{
    static const struct bytes begins[] = {BYTES("\x16\x03\x01\x02"), BYTES("SSH-2.0"), BYTES("*1"),
                                          BYTES("\0"), BYTES("Host:")};
    start(NULL);
    for (size_t i = 0; i < COUNT_OF(begins); i++) {
        expect_closed(&begins[i], i, 0);
    }
    stop();
}

/* A client that mistypes its first line gets an error, and goes on. */
static void mistyped(void)
{
    static const struct bytes lines[] = {BYTES("\n"), BYTES("NONSENSE\n"), BYTES("  ping\tx\n"),
                                         BYTES("PING \"\n"), BYTES("vot lang/1.2\n")};
    start(NULL);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct client other;
        client_open(&other, &server);
        client_write(&other, lines[i].at, lines[i].len);
        const struct reply *reply = client_next(&other);
        EXPECT(strncmp(reply->line, "ERR ", 4) == 0, "%zu gave '%s'", i, reply->line);
        client_expect(&other, "OK PONG", "PING");
        client_close(&other);
    }
    struct client other;
    client_open(&other, &server);
    client_write(&other, "SUBMIT q :raw \x01\x1b\xff bytes\n", 24);
    EXPECT(reply_is(client_next(&other), "OK 1"), "'%s'", other.reply.line);
    client_close(&other);
    stop();
}

/* ---- memory that stays ---- */

enum { READERS = 50, BLOB_BYTES = (1 << 20) - 4096, READERS_KIB_MAX = 16 * 1024 };

/* Makes an idle connection after much traffic, at last two large payloads in one write. */
static void use_much(struct client *reader)
{
    static char pings[64 * 1024];
    for (size_t i = 0; i < sizeof(pings); i += 8) {
        memcpy(pings + i, "PING abc", 8);
        pings[i + 7] = '\n';
    }
    client_open(reader, &server);
    client_write(reader, pings, sizeof(pings));
    for (size_t n = 0; n < sizeof(pings) / 8; n++) {
        EXPECT(reply_is(client_next(reader), "OK PONG ab"), "PING");
    }
    client_write(reader, "PAYLOAD 1\nPAYLOAD 1\n", 20);
    for (int i = 0; i < 2; i++) {
        EXPECT(client_next(reader)->blob_bytes == BLOB_BYTES, "PAYLOAD");
    }
}

static void idle_after_much(void)
{
    static struct client readers[READERS];
    static char blob[BLOB_BYTES];
    start(NULL);
    memset(blob, 'x', sizeof(blob));
    client_send_blob(&client, "SUBMIT big", blob, sizeof(blob));
    EXPECT(reply_is(client_next(&client), "OK 1"), "SUBMIT");
    use_much(&readers[0]);
    long before_kib = resident_kib();
    for (size_t i = 1; i < READERS; i++) {
        use_much(&readers[i]);
    }
    long more_kib = resident_kib() - before_kib;
    EXPECT(more_kib < READERS_KIB_MAX, "%ld KiB stay", more_kib);
    client_close_all(readers, READERS);
    stop();
}

/* ---- half a request ---- */

static void expect_timeout(const char *begin, const char *more)
{
    struct client other;
    client_open(&other, &server);
    client_expect(&other, "OK PONG", "PING");
    uint64_t since_ms = wait_now_ms();
    client_write(&other, begin, strlen(begin));
    for (int i = 0; i < 100 && more != NULL && client_write(&other, more, strlen(more)); i++) {
        struct pollfd answer = {.fd = other.fd, .events = POLLIN};
        if (poll(&answer, 1, 40) == 1) {
            break; /* sending without a pause would never end */
        }
    }
    const struct reply *reply = client_next(&other);
    EXPECT(reply_is_err(reply, "TIMEOUT"), "'%s' gave '%s'", begin, reply->line);
    EXPECT(wait_now_ms() - since_ms > 900, "'%s' was ended too early", begin);
    client_expect_close(&other);
    client_close(&other);
}

/* Ends the half PING that has begun since `since_ms`, with `end`. Returns false when the server was
 * first, which it may be only when the time is over: then this machine is too slow for it. */
static bool is_ended_in_time(const char *end, uint64_t since_ms, unsigned seconds)
{
    client_write(&client, end, strlen(end));
    const struct reply *reply = client_next(&client);
    bool is_pong = reply_is(reply, "OK PONG");
    bool is_over = wait_now_ms() - since_ms >= (uint64_t)seconds * 1000;
    EXPECT(is_pong || (is_over && reply_is_err(reply, "TIMEOUT")), "'%s'", reply->line);
    return is_pong;
}

/* The server lets the claim wait: the time of the half line behind it begins after that. */
static bool behind_a_claim(unsigned seconds)
{
    char lines[64];
    unsigned wait_ms = seconds * 1500;
    uint64_t began_ms = wait_now_ms();
    scene_worker(&client, "w");
    snprintf(lines, sizeof(lines), "CLAIM w q WAIT %u\nPI", wait_ms);
    client_write(&client, lines, strlen(lines));
    EXPECT(reply_is(client_next(&client), "NIL"), "'%s'", client.reply.line);
    return is_ended_in_time("NG\n", began_ms + wait_ms, seconds);
}

/* Each request has a time of its own, however they are cut. */
static bool one_after_the_other(unsigned seconds)
{
    uint64_t began_ms = wait_now_ms();
    uint64_t since_ms = began_ms;
    bool is_in_time = true;
    client_write(&client, "PI", 2);
    while (is_in_time && since_ms - began_ms < (uint64_t)seconds * 1500) {
        uint64_t next_ms = wait_now_ms();
        is_in_time = is_ended_in_time("NG\nPI", since_ms, seconds);
        since_ms = next_ms;
    }
    return is_in_time && is_ended_in_time("NG\n", since_ms, seconds);
}

/* Returns whether the machine was fast enough to tell. */
static bool own_times(unsigned seconds)
{
    static char text[16];
    static const char *const args[] = {"--request-seconds", text, NULL};
    snprintf(text, sizeof(text), "%u", seconds);
    start(args);
    bool is_told = behind_a_claim(seconds) && one_after_the_other(seconds);
    stop();
    return is_told;
}

static void half_requests(void)
{
    static const char *const args[] = {"--request-seconds", "1", NULL};
    start(args);
    expect_timeout("PI", NULL);
    expect_timeout("SUBMIT q $100\nhalf", NULL);
    expect_timeout("SUBMIT q $2000000\nto be dropped", "more");
    stop();
    for (unsigned seconds = 1; !own_times(seconds); seconds *= 2) {
    }
}

/* Reads a little now and then, and never the rest. Returns whether the server has closed the
 * connection; bytes that the kernel holds already still come. */
static bool is_ended_reading_slowly(const struct client *other)
{
    static char bytes[2048];
    uint64_t until_ms = wait_now_ms() + 10000;
    while (connections() > 1 && wait_now_ms() < until_ms) {
        struct pollfd end = {.fd = other->fd, .events = POLLRDHUP};
        if (poll(&end, 1, 250) == 1 || recv(other->fd, bytes, sizeof(bytes), 0) <= 0) {
            return true;
        }
    }
    return connections() == 1;
}

static void slow_readers(void)
{
    static const char *const args[] = {"--request-seconds", "1", NULL};
    static char blob[BLOB_BYTES];
    int room = 8192;
    struct client other;
    start(args);
    memset(blob, 'x', sizeof(blob));
    client_send_blob(&client, "SUBMIT big", blob, sizeof(blob));
    EXPECT(reply_is(client_next(&client), "OK 1"), "SUBMIT");
    client_open(&other, &server);
    client_expect(&other, "OK PONG", "PING"); /* then the server has accepted it */
    setsockopt(other.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    for (int i = 0; i < 8; i++) {
        client_write(&other, "PAYLOAD 1\n", 10);
    }
    EXPECT(is_ended_reading_slowly(&other), "it may read on for ever");
    client_close(&other);
    stop();
}

static const struct check_test tests[] = {
    {"Before AUTH unread output stops at a few KiB, and the 5 s end whatever stands in the way",
     before_the_key},
    {"What another protocol says closes the connection without a word", foreign_protocols},
    {"A first line that is not ours is closed before it ends", foreign_beginnings},
    {"A mistyped first line is one error, and a payload may hold any byte", mistyped},
    {"An idle connection keeps no memory of what went through it", idle_after_much},
    {"A request that has begun and does not end is ERR TIMEOUT and a close", half_requests},
    {"A reader that takes a little now and then is closed", slow_readers},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
