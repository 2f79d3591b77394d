/* The error column of the protocol, row by row: one ERR, nothing changed, in step. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/limits/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_MAX = 1024 };

/* `{word}` in a request stands for an id or a token of the scene below. */
struct error_case {
    const char *request, *code;
};

#define CHARS_50 "12345678901234567890123456789012345678901234567890"
#define UMLAUTS_10                                                                                 \
    "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
#define UMLAUTS_50 UMLAUTS_10 UMLAUTS_10 UMLAUTS_10 UMLAUTS_10 UMLAUTS_10
#define DIGITS_30  "123456789012345678901234567890"
#define CHARS_64   CHARS_50 "12345678901234"

static const struct error_case line_rows[] = {
    {"NONSENSE", "UNKNOWN"},
    {"VOTES 1", "UNKNOWN"},
    {"VOTE", "ARGS"},
    {"POLL", "ARGS"},
    {"OPTION lang", "ARGS"},
    {"TALLY", "ARGS"},
    {"TALLY lang TOP", "ARGS"},
    {"SUBMIT line", "ARGS"},
    {"CLAIM w1", "ARGS"},
    {"BEAT {held}", "ARGS"},
    {"DONE {held}", "ARGS"},
    {"FAIL {held}", "ARGS"},
    {"RELEASE {held}", "ARGS"},
    {"BUILD", "ARGS"},
    {"BUILDS", "ARGS"},
    {"PAYLOAD", "ARGS"},
    {"RESULT", "ARGS"},
    {"WORKER", "ARGS"},
    {"BYE", "ARGS"},
    {"BYE w1 w2", "ARGS"},
    {"PING \"no end", "SYNTAX"},
    {"PING \"bad \\q escape\"", "SYNTAX"},
    {"PING \"bad \\xZZ escape\"", "SYNTAX"},
    {"PING \"half\\x4\"", "SYNTAX"},
    {"PING \"quoted\"bare", "SYNTAX"},
};

static const struct error_case poll_rows[] = {
    {"POLL bad/name", "INVAL"},
    {"POLL \"\"", "INVAL"},
    {"POLL \"two words\"", "INVAL"},
    {"POLL " CHARS_64 "5", "INVAL"},
    {"POLL new MODE wrong", "INVAL"},
    {"POLL new MODE onc", "INVAL"},
    {"POLL new MODE \"\"", "INVAL"},
    {"POLL new MODE", "ARGS"},
    {"RESET", "ARGS"},
    {"RESET nowhere", "NOTFOUND"},
    {"RESET \"two words\"", "INVAL"},
    {"RESET lang KEY", "ARGS"},
    {"RESET lang KEY \"\"", "INVAL"},
    {"RESET lang KEY " CHARS_64 "5", "INVAL"},
    {"RESET lang NOPE 3", "INVAL"},
    {"POLLDEL", "ARGS"},
    {"POLLDEL nowhere", "NOTFOUND"},
    {"POLLDEL \"two words\"", "INVAL"},
    {"POLLDEL lang KEY k", "ARGS"},
    {"POLL new NOPE 3", "INVAL"},
    {"SUBMIT q TEXT x :p", "INVAL"},
    {"OPTION nowhere Yes", "NOTFOUND"},
    {"OPTION lang Elixir", "EXISTS"},
    {"OPTION lang eLIXIR", "EXISTS"},
    {"OPTION lang \"  ELIXIR \"", "EXISTS"},
    {"OPTION lang \xC3\xA9"
     "clair",
     "EXISTS"},
    {"OPTION lang \"\"", "INVAL"},
    {"OPTION lang \"   \"", "INVAL"},
    {"OPTION lang " CHARS_50 "1", "INVAL"},
    {"OPTION lang " UMLAUTS_50 "u", "INVAL"},
    {"OPTION lang \"a\\x01b\"", "INVAL"},
    {"OPTION lang \"a\\nb\"", "INVAL"},
    {"OPTION lang \"a\\tb\"", "INVAL"},
    {"OPTION lang \"a\\x00b\"", "INVAL"},
    {"OPTION lang \"a\\x7Fb\"", "INVAL"},
    {"OPTION lang \"a\\xC2\\x85z\"", "INVAL"},
    {"OPTION lang \"a\\xFF\"", "INVAL"},
    {"OPTION lang \"a\\xC0\\xAF\"", "INVAL"},
    {"OPTION lang \"a\\xE2\\x82\"", "INVAL"},
    {"OPTION lang \"a\\xED\\xA0\\x80\"", "INVAL"},
    {"OPTION lang \"a\\xF4\\x90\\x80\\x80\"", "INVAL"},
    {"TALLY nowhere", "NOTFOUND"},
    {"TALLY lang TOP 12abc", "INVAL"},
    {"POLLS COUNT 12abc", "INVAL"},
};

static const struct error_case vote_rows[] = {
    {"VOTE 999999", "NOTFOUND"},
    {"VOTE 0", "NOTFOUND|INVAL|RANGE"},
    {"VOTE nowhere/Elixir", "NOTFOUND"},
    {"VOTE lang/Nothing", "NOTFOUND"},
    {"VOTE abc", "INVAL"},
    {"VOTE 12abc", "INVAL"},
    {"VOTE {option}abc", "INVAL"},
    {"VOTE -{option}", "INVAL"},
    {"VOTE +{option}", "INVAL"},
    {"VOTE {option}.0", "INVAL"},
    {"VOTE 0x1", "INVAL"},
    {"VOTE \"\"", "INVAL"},
    {"VOTE \" {option}\"", "INVAL"},
    {"VOTE \"{option} \"", "INVAL"},
    {"VOTE " DIGITS_30, "INVAL|RANGE|NOTFOUND"},
    {"VOTE 18446744073709551616", "INVAL|RANGE|NOTFOUND"},
    {"VOTE {option} N 0", "RANGE"},
    {"VOTE {option} N 1048577", "RANGE"},
    {"VOTE {option} N " DIGITS_30, "RANGE"},
    {"VOTE {option} N 18446744073709551617", "RANGE"},
    {"VOTE {option} N -1", "INVAL"},
    {"VOTE {option} N +1", "INVAL"},
    {"VOTE {option} N 1x", "INVAL"},
    {"VOTE {option} N \"\"", "INVAL"},
    {"VOTE {option} N \" 1\"", "INVAL"},
    {"VOTE {option} N", "ARGS"},
    {"VOTE {option} NOPE 1", "INVAL"},
};

static const struct error_case build_rows[] = {
    {"SUBMIT bad/queue build", "INVAL"},
    {"SUBMIT \"\" build", "INVAL"},
    {"SUBMIT line PRI 10 build", "RANGE"},
    {"SUBMIT line PRI -1 build", "INVAL"},
    {"SUBMIT line PRI " DIGITS_30 " build", "RANGE"},
    {"SUBMIT line LEASE 99 build", "RANGE"},
    {"SUBMIT line LEASE 86400001 build", "RANGE"},
    {"SUBMIT line LEASE 12abc build", "INVAL"},
    {"SUBMIT line TRIES 0 build", "RANGE"},
    {"SUBMIT line TRIES 1001 build", "RANGE"},
    {"SUBMIT line DELAY 12abc build", "INVAL"},
    {"SUBMIT line NEED a,,b build", "INVAL"},
    {"SUBMIT line NOPE 3 build", "INVAL"},
    {"SUBMIT line UNIQ taken build", "EXISTS"},
    {"CLAIM ghost line", "NOTFOUND"},
    {"CLAIM w1 bad/queue", "INVAL"},
    {"CLAIM w1 line WAIT 3600001", "RANGE"},
    {"CLAIM w1 line WAIT 12abc", "INVAL"},
    {"CLAIM w1 line COUNT 0", "RANGE"},
    {"CLAIM w1 line COUNT 65", "RANGE"},
    {"CLAIM w1 line LEASE 99", "RANGE"},
    {"CLAIM w1 line NOPE 1", "INVAL"},
    {"BUILD 999999", "NOTFOUND"},
    {"BUILD 12abc", "INVAL"},
    {"BUILDS line STATE nonsense", "INVAL"},
    {"BUILDS line COUNT 12abc", "INVAL"},
    {"PAYLOAD 999999", "NOTFOUND"},
    {"PAYLOAD 12abc", "INVAL"},
    {"RESULT 999999", "NOTFOUND"},
    {"RESULT {pending}", "STATE"},
    {"RESULT {held}", "STATE"},
};

static const struct error_case holder_rows[] = {
    {"BEAT 999999 1", "NOTFOUND"},
    {"BEAT 12abc 1", "INVAL"},
    {"BEAT {held} 12abc", "INVAL"},
    {"BEAT {held} {old}", "STALE"},
    {"BEAT {pending} {token}", "STALE"},
    {"BEAT {done} {token}", "STALE"},
    {"BEAT {held} {token} PROG 101", "RANGE"},
    {"BEAT {held} {token} PROG -1", "INVAL"},
    {"DONE 999999 1", "NOTFOUND"},
    {"DONE {held} {old}", "STALE"},
    {"DONE {held} {old} RESULT late", "STALE"},
    {"DONE {pending} {token}", "STALE"},
    {"DONE {done} {token}", "STALE"},
    {"DONE {held} 12abc", "INVAL"},
    {"FAIL 999999 1", "NOTFOUND"},
    {"FAIL {held} {old}", "STALE"},
    {"FAIL {held} {old} DEAD", "STALE"},
    {"FAIL {pending} {token}", "STALE"},
    {"FAIL {held} {token} NOPE 1", "INVAL"},
    {"FAIL {held} {token} DELAY 12abc", "INVAL"},
    {"RELEASE 999999 1", "NOTFOUND"},
    {"RELEASE {held} {old}", "STALE"},
    {"RELEASE {pending} {token}", "STALE"},
    {"RELEASE {done} {token}", "STALE"},
    {"RELEASE {held} {token} DELAY 12abc", "INVAL"},
    {"BYE ghost", "NOTFOUND"},
    {"WORKER bad/name", "INVAL"},
    {"WORKER \"\"", "INVAL"},
    {"WORKER " CHARS_64 "5", "INVAL"},
    {"WORKER w3 SLOTS 0", "RANGE"},
    {"WORKER w3 SLOTS 257", "RANGE"},
    {"WORKER w3 SLOTS 12abc", "INVAL"},
    {"WORKER w3 TAGS a,,b", "INVAL"},
    {"WORKER w3 TAGS \"a b\"", "INVAL"},
    {"WORKER w3 NOPE 1", "INVAL"},
    {"WORKER w3 NAME \"\"", "INVAL"},
    {"WORKER w3 NAME \"a\\x1Bb\"", "INVAL"},
    {"WORKER w3 NAME \"a\\xC2\\x9Bb\"", "INVAL"},
    {"WORKER w3 NAME a\xC2\x85z", "INVAL"},
    {"WORKER w3 NAME a\xFF", "INVAL"},
    {"WORKER w3 NAME a\xE2\x82", "INVAL"},
    {"WORKER w3 NAME a\xE2\x80\xAEz", "INVAL"},
};

static struct server server;
static struct client client;

/* The scene: the objects that the rows name. */
static struct {
    uint64_t option, pending, held, token, old, done;
} scene;

static void set_up_scene(void)
{
    struct claim claim;
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    scene.option = scene_option(&client, "lang", "Elixir");
    scene_option(&client, "lang",
                 "\xC3\x89"
                 "clair");
    scene_vote_times(&client, scene.option, 0, 3);

    scene_worker(&client, "w1");
    scene_worker(&client, "w2");
    scene_submit(&client, "line", "", "first");
    scene_claim(&claim, &client, "w1", "line");
    scene.done = claim.id;
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64 " RESULT right", claim.id,
                  claim.token);

    scene_submit(&client, "line", "LEASE 3600000", "second");
    scene_claim(&claim, &client, "w1", "line");
    scene.old = claim.token;
    client_expect(&client, "OK", "RELEASE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    scene_claim(&claim, &client, "w1", "line");
    scene.held = claim.id;
    scene.token = claim.token;
    /* builds count their tokens apart: that of a second claim is wrong for a build that was claimed
     * once */
    EXPECT(scene.old < scene.token, "token %" PRIu64 " after %" PRIu64, scene.token, scene.old);
    scene.pending = scene_submit(&client, "line", "PRI 9 UNIQ taken", "third");
}

static uint64_t scene_number(const char *word)
{
    static const struct {
        const char *word;
        const uint64_t *number;
    } words[] = {
        {"{option}", &scene.option}, {"{pending}", &scene.pending}, {"{held}", &scene.held},
        {"{token}", &scene.token},   {"{old}", &scene.old},         {"{done}", &scene.done},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strncmp(word, words[i].word, strlen(words[i].word)) == 0) {
            return *words[i].number;
        }
    }
    EXPECT(false, "what is '%s'?", word);
}

static void fill_in(char request[REQUEST_MAX], const char *format)
{
    size_t used = 0;
    while (*format != '\0' && used + 24 < REQUEST_MAX) {
        if (*format == '{') {
            used += (size_t)snprintf(request + used, REQUEST_MAX - used, "%" PRIu64,
                                     scene_number(format));
            format = strchr(format, '}') + 1;
        } else {
            request[used++] = *format++;
        }
    }
    request[used] = '\0';
}

static bool has_one_of(const struct reply *reply, const char *codes)
{
    char code[32];
    while (*codes != '\0') {
        size_t length = strcspn(codes, "|");
        snprintf(code, sizeof(code), "%.*s", (int)length, codes);
        if (reply_is_err(reply, code)) {
            return true;
        }
        codes += length + (codes[length] == '|' ? 1 : 0);
    }
    return false;
}

/* Goes on after a wrong row, so that one run names every wrong row. */
static void run_rows(const struct error_case *rows, size_t count)
{
    char request[REQUEST_MAX];
    size_t wrong = 0;
    set_up_scene();
    char *before = state_read(&client);
    for (size_t i = 0; i < count; i++) {
        fill_in(request, rows[i].request);
        const struct reply *reply = client_get(&client, "%s", request);
        if (!has_one_of(reply, rows[i].code)) {
            printf("  '%s' gave '%s', not ERR %s\n", request, reply->line, rows[i].code);
            wrong++;
        }
        client_expect(&client, "OK PONG", "PING");
        state_expect(&client, before, request);
    }
    EXPECT(wrong == 0, "%zu of %zu rows are answered wrongly", wrong, count);
    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
    state_expect(&client, before, "the restart after them");
    free(before);
    client_close(&client);
    server_stop(&server);
}

static void bad_lines(void)
{
    run_rows(line_rows, COUNT_OF(line_rows));
}

static void bad_polls(void)
{
    run_rows(poll_rows, COUNT_OF(poll_rows));
}

static void bad_votes(void)
{
    run_rows(vote_rows, COUNT_OF(vote_rows));
}

static void bad_builds(void)
{
    run_rows(build_rows, COUNT_OF(build_rows));
}

static void bad_holders(void)
{
    run_rows(holder_rows, COUNT_OF(holder_rows));
}

static void similar_labels(void)
{
    set_up_scene();
    const struct reply *reply = client_get(&client, "OPTION lang elixir");
    EXPECT(reply_is_err(reply, "EXISTS") && strstr(reply->line, "Elixir") != NULL,
           "the clash does not name what it clashes with: '%s'", reply->line);
    client_close(&client);
    server_stop(&server);
}

/* Sends the lines on a new connection until it closes: each request and error is counted once. */
static void expect_counts(const char *lines, size_t lines_bytes)
{
    struct client other;
    const struct reply *reply;
    uint64_t replies = 0;
    uint64_t refused = 0;
    uint64_t requests = scene_info(&client, "requests");
    uint64_t errors = scene_info(&client, "errors");
    client_open(&other, &server);
    client_write(&other, lines, lines_bytes);
    while ((reply = client_read(&other)) != NULL) {
        replies++;
        refused += strncmp(reply->line, "ERR ", 4) == 0;
    }
    EXPECT(!other.is_late && !other.is_broken, "the last line closes");
    client_close(&other);
    errors = scene_info(&client, "errors") - errors;
    requests = scene_info(&client, "requests") - requests - 3; /* three were INFO */
    EXPECT(errors == refused, "errors=%" PRIu64 " for %" PRIu64, errors, refused);
    EXPECT(requests == replies, "requests=%" PRIu64 " for %" PRIu64, requests, replies);
}

/* Errors behind votes, of a command, of the parser, of the apply, of a read, and behind a drop. */
static void counted_once(void)
{
    static const char *const scripts[] = {
        "VOTE lang/Elixir\nVOTE 999999\nVOTE lang/Elixir\nVOTE lang/nobody\nVOTE 1\nVOTE 1 N 0\n"
        "VOTE 1\nPOLL bad/name\nVOTE 1\nVOTE\nVOTE 1\nVOTE 1 N 4 M 3\nQUIT\n",
        "\nNONSENSE\nPING \"x\nPING :x\nPING\nSUBMIT line $2\nabc\n",
        "OPTION lang elixir\nOPTION lang Rust\nOPTION lang RUST\nOPTION nowhere x\n"
        "OPTION lang \"\"\nSUBMIT line UNIQ x :a\nSUBMIT line UNIQ x :b\nBYE nobody\nQUIT\n",
        "TALLY nowhere\nBUILD 999\nPAYLOAD 999\nRESULT 999\nQUEUES nowhere\nWORKERS nobody\n"
        "BUILDS nowhere\nPOLLS COUNT 0\nINFO nothing\nHELP nothing\nHELP\nQUIT\n",
        "BEAT 999 1\nDONE 999 1\nFAIL 999 1\nRELEASE 999 1\nCLAIM nobody line\nSUBMIT line\nQUIT\n",
    };
    static char dropped[2000000 + 64] = "SUBMIT line $2000000\n";
    size_t head = strlen(dropped);
    set_up_scene();
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        expect_counts(scripts[i], strlen(scripts[i]));
    }
    memset(dropped + head, '\n', 2000001);
    memcpy(dropped + head + 2000001, "PING\nQUIT\n", 10);
    expect_counts(dropped, head + 2000001 + 10);
    client_close(&client);
    server_stop(&server);
}

/* The largest good values, one below the first bad ones above. */
static void good_limits(void)
{
    set_up_scene();
    client_expect(&client, "OK", "POLL " CHARS_64);
    scene_option(&client, "lang", CHARS_50);
    scene_option(&client, "lang", UMLAUTS_50);
    client_expect(&client, "OK 1048579", "VOTE %" PRIu64 " N 1048576", scene.option);
    client_expect(&client, "OK 1048580", "VOTE %" PRIu64 " N 1", scene.option);
    client_expect(&client, "OK 1048581", "vote lang/ELIXIR n 1");
    scene_submit(&client, "edge", "PRI 0 LEASE 100 TRIES 1", "build");
    scene_submit(&client, "edge", "PRI 9 LEASE 86400000 TRIES 1000", "build");
    client_expect(&client, "OK new", "WORKER edge SLOTS 256 TAGS a,b-c,D_1");
    client_expect(&client, "OK new", "WORKER " CHARS_64 " SLOTS 1");
    client_expect(&client, "NIL", "CLAIM w2 nothing WAIT 0 COUNT 64 LEASE 100");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"Unknown verbs, missing words and bad quotes are an error each", bad_lines},
    {"Every error of POLL, OPTION and TALLY is one ERR and changes nothing", bad_polls},
    {"Every error of VOTE is one ERR and changes nothing", bad_votes},
    {"Every error of SUBMIT, CLAIM and the reads of builds is one ERR and changes nothing",
     bad_builds},
    {"Every error of BEAT, DONE, FAIL, RELEASE and the workers is one ERR and changes nothing",
     bad_holders},
    {"A label that is taken is named in the error", similar_labels},
    {"Each reply is counted once in requests, each ERR once in errors", counted_once},
    {"The last good value of each bound is good", good_limits},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
