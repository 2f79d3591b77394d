/* Lines that are too long, cut off, empty, of another protocol, or many at once. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/limits/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LONG_LINE_BYTES = 10 * 1000 * 1000, LINE_BYTES_MAX = 65536, LOCKED_LINE_BYTES_MAX = 1024 };

static struct server server;
static struct client client; /* reads the state, which must not have changed */
static uint64_t option;

static void start(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    option = scene_option(&client, "lang", "Elixir");
    scene_vote_times(&client, option, 0, 2);
}

static void stop(void)
{
    client_close(&client);
    server_stop(&server);
}

/* `VOTE 1111…` of this many bytes, LF not counted. */
static char *long_vote(size_t len_bytes)
{
    char *line = malloc(len_bytes + 2);
    memset(line, '1', len_bytes);
    memcpy(line, "VOTE ", 5);
    line[len_bytes] = '\n';
    line[len_bytes + 1] = '\0';
    return line;
}

/* The server may close while the line is still being sent; its reply has to arrive all the same. */
static void expect_too_long(size_t len_bytes)
{
    struct client other;
    char *line = long_vote(len_bytes);
    client_open(&other, &server);
    client_write(&other, line, len_bytes + 1);
    const struct reply *reply = client_next(&other);
    EXPECT(reply_is_err(reply, "TOOLONG"), "%zu bytes gave '%s'", len_bytes, reply->line);
    client_expect_close(&other);
    client_close(&other);
    free(line);
}

static void over_long_lines(void)
{
    start();
    char *before = state_read(&client);
    expect_too_long(LONG_LINE_BYTES);
    expect_too_long(LINE_BYTES_MAX + 8);
    state_expect(&client, before, "an over-long line");

    /* a line of the longest allowed length is one wrong request, and the connection stays */
    char *line = long_vote(LINE_BYTES_MAX - 8);
    client_write(&client, line, LINE_BYTES_MAX - 8 + 1);
    const struct reply *reply = client_next(&client);
    EXPECT(strncmp(reply->line, "ERR ", 4) == 0, "a long number gave '%.60s'", reply->line);
    client_expect(&client, "OK PONG", "PING");
    free(line);
    state_expect(&client, before, "a long line");
    free(before);
    stop();
}

/* Text has no NUL: it is never the end of a request, and the bytes behind it are not run. */
static void nul_bytes(void)
{
    static const struct {
        const char *bytes;
        size_t len_bytes;
    } lines[] = {
        {"VOTE 1\0\n", 8},
        {"VOTE\0 1\n", 8},
        {"VOTE \0\n", 7},
        {"POLL la\0ng\n", 11},
        {"\0\n", 2},
        {"OPTION lang a\0b\n", 16},
        {"OPTION lang \"\0\"\n", 16},
        {"VOTE lang/Eli\0xir\n", 18},
    };
    start();
    char *before = state_read(&client);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct client other;
        client_open(&other, &server);
        client_expect(&other, "OK PONG", "PING");
        client_write(&other, lines[i].bytes, lines[i].len_bytes);
        client_write(&other, "POLL behind\n", 12);
        const struct reply *reply = client_next(&other);
        EXPECT(reply_is_err(reply, "SYNTAX"), "NUL line %zu gave '%s'", i, reply->line);
        client_expect_close(&other);
        client_close(&other);
        state_expect(&client, before, "a line with a NUL");
    }
    free(before);
    stop();
}

/* Sends the bytes, ends the sending side, expects that no request of them is answered with OK, and
 * that the server closes. */
static void expect_no_ok(const char *bytes)
{
    struct client other;
    const struct reply *reply;
    client_open(&other, &server);
    client_write(&other, bytes, strlen(bytes));
    shutdown(other.fd, SHUT_WR);
    while ((reply = client_read(&other)) != NULL) {
        EXPECT(!reply_is_ok(reply), "'%s' gave '%s'", bytes, reply->line);
    }
    EXPECT(!other.is_late && !other.is_broken, "'%s': the server does not close", bytes);
    client_close(&other);
}

static void half_lines(void)
{
    start();
    char *before = state_read(&client);
    expect_no_ok("VOTE 1");
    expect_no_ok("VOTE lang/Elixir");
    expect_no_ok("VOTE lang/Elixir\r");
    expect_no_ok("POLL half");
    expect_no_ok("SUBMIT line :half a");
    state_expect(&client, before, "half a line");
    free(before);
    stop();
}

static void empty_lines(void)
{
    static const char *const lines[] = {"\n", "\r\n", " \n", "   \r\n", "\"\"\n", "\t\n"};
    start();
    char *before = state_read(&client);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        client_write(&client, lines[i], strlen(lines[i]));
        const struct reply *reply = client_next(&client);
        EXPECT(strncmp(reply->line, "ERR ", 4) == 0, "empty line %zu gave '%s'", i, reply->line);
        client_expect(&client, "OK PONG", "PING");
    }
    state_expect(&client, before, "an empty line");
    free(before);
    stop();
}

/* A browser that was made to post to the server changes nothing, whatever its body is. */
static void http_requests(void)
{
    start();
    char *before = state_read(&client);
    expect_no_ok("POST / HTTP/1.1\r\nHost: x\r\n\r\nVOTE lang/Elixir\r\n");
    expect_no_ok("POST / HTTP/1.1\nVOTE lang/Elixir\n");
    expect_no_ok("Host: x\r\nVOTE lang/Elixir\r\n");
    expect_no_ok("GET / HTTP/1.1\r\nHost: x\r\nVOTE lang/Elixir\r\n");
    state_expect(&client, before, "an HTTP request");
    free(before);
    stop();
}

/* The table of bad lines in PROTOCOL.md, row by row. */
static void bad_lines(void)
{
    static const struct {
        const char *line, *code;
        bool is_close;
    } rows[] = {
        {"\n", "SYNTAX", false},
        {"PING \"x\n", "SYNTAX", false},
        {"NONSENSE\n", "UNKNOWN", false},
        {"NONSENSE $5\n", "UNKNOWN", true},
        {"PING \"x $5\n", "SYNTAX", true},
        {"PING $5\n", "SYNTAX", true},
        {"BEAT 9 1 $8\n", "SYNTAX", true},
        {"BEAT 9 1 TEXT $8\n", "SYNTAX", true},
        {"BEAT 9 1 TEXT :on my way\n", "SYNTAX", false},
        {"VOTE 1 $8\n", "SYNTAX", true},
        {"SUBMIT $5 line\n", "SYNTAX", true},
        {"SUBMIT line $x\n", "SYNTAX", true},
        {"SUBMIT line $67108865\n", "TOOBIG", true},
        {"DONE 9 1 $8\nVOTE 1\n\n\n", "INVAL", false},
        {"FAIL 9 1 $8\nVOTE 1\n\n\n", "INVAL", false},
        {"SUBMIT line $2\nabc\n", "SYNTAX", true},
    };
    start();
    char *before = state_read(&client);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client other;
        client_open(&other, &server);
        client_write(&other, rows[i].line, strlen(rows[i].line));
        client_write(&other, "PING\n", 5);
        const struct reply *reply = client_next(&other);
        EXPECT(reply_is_err(reply, rows[i].code), "'%s' gave '%s'", rows[i].line, reply->line);
        if (rows[i].is_close) {
            client_expect_close(&other);
        } else {
            EXPECT(reply_is(client_next(&other), "OK PONG"), "'%s': '%s'", rows[i].line,
                   other.reply.line);
        }
        client_close(&other);
    }
    state_expect(&client, before, "a bad line");
    free(before);
    stop();
}

static void line_ends_and_case(void)
{
    start();
    client_write(&client, "VOTE lang/Elixir\r\n", 18);
    EXPECT(reply_is(client_next(&client), "OK 3"), "CR LF");
    client_expect(&client, "OK 4", "vote lang/ELIXIR n 1");
    client_expect(&client, "OK 5", "VoTe \"lang/Eli\\x78ir\"");
    client_expect(&client, "OK", "QUIT");
    client_expect_close(&client);
    stop();
}

/* Good and bad requests in one piece: the replies come in their order, one each. */
static void errors_in_a_pipeline(void)
{
    static const struct {
        const char *request, *reply; /* a reply that ends in a blank is only its beginning */
    } lines[] = {
        {"PING", "OK PONG"},
        {"VOTE lang/Elixir", "OK 3"},
        {"VOTE 12abc", "ERR INVAL "},
        {"VOTE lang/Elixir", "OK 4"},
        {"NONSENSE", "ERR UNKNOWN "},
        {"OPTION lang elixir", "ERR EXISTS "},
        {"VOTE lang/Elixir N 0", "ERR RANGE "},
        {"TALLY nowhere", "ERR NOTFOUND "},
        {"VOTE lang/Elixir N 2", "OK 6"},
        {"WORKER w1", "OK new"},
        {"CLAIM ghost line", "ERR NOTFOUND "},
        {"CLAIM w1 line", "NIL"},
        {"BEAT 999999 1", "ERR NOTFOUND "},
        {"VOTE lang/Elixir", "OK 7"},
        {"POLL lang", "OK"},
        {"PING", "OK PONG"},
    };
    char all[2048];
    size_t used = 0;
    start();
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s\n", lines[i].request);
    }
    EXPECT(used < sizeof(all), "the script is too long");
    client_write(&client, all, used);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        const struct reply *reply = client_next(&client);
        size_t length = strlen(lines[i].reply);
        bool open_end = lines[i].reply[length - 1] == ' ';
        EXPECT(open_end ? strncmp(reply->line, lines[i].reply, length) == 0
                        : reply_is(reply, lines[i].reply),
               "'%s' gave '%s'", lines[i].request, reply->line);
    }
    EXPECT(scene_total(&client, "lang") == 7, "the errors changed the count");
    stop();
}

static void lines_before_auth(void)
{
    static const char *const args[] = {"--bind", "0.0.0.0", NULL};
    setenv("TALLY_API_KEY", "0123456789abcdef0123456789ABCDEF", 1);
    server_start(&server, args);
    unsetenv("TALLY_API_KEY");
    expect_too_long(LOCKED_LINE_BYTES_MAX + 8);
    expect_too_long(LONG_LINE_BYTES);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"A line of 10 MB, and one a little too long, is ERR TOOLONG and a close", over_long_lines},
    {"A NUL in a line is one error and a close", nul_bytes},
    {"Half a line and a disconnect do nothing", half_lines},
    {"An empty line is one error", empty_lines},
    {"An HTTP request closes the connection and does nothing", http_requests},
    {"Each row of the table of bad lines is as PROTOCOL.md says", bad_lines},
    {"LF and CR LF, large and small letters and quoted words are the same request",
     line_ends_and_case},
    {"Errors in the middle of a pipeline leave the stream in step", errors_in_a_pipeline},
    {"Before AUTH a line of more than 1 KiB is ERR TOOLONG and a close", lines_before_auth},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
