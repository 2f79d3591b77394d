/* Framing: words, quotes, payloads, and the same request wherever it was cut. */
#include "net/protocol/parse.h"
#include "net/protocol/reply.h"
#include "net/protocol/word.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct parser parser;
static struct request request;

static struct payload_rule rule(struct span verb)
{
    if (word_equal(verb, "SUBMIT")) {
        return (struct payload_rule){PAYLOAD_LAST, NULL};
    }
    if (word_equal(verb, "DONE")) {
        return (struct payload_rule){PAYLOAD_AFTER, "RESULT"};
    }
    if (word_equal(verb, "FAIL")) {
        return (struct payload_rule){PAYLOAD_AFTER, "TEXT"};
    }
    bool is_known = word_equal(verb, "PING") || word_equal(verb, "VOTE");
    return (struct payload_rule){is_known ? PAYLOAD_NEVER : PAYLOAD_UNKNOWN_VERB, NULL};
}

static struct parse_limits limits = {
    .line_bytes_max = PARSE_LINE_BYTES_MAX, .payload_bytes_max = 1000, .rule = rule};

static void set_up(void)
{
    cr_assert_eq(parser_init(&parser), 0);
}

static void tear_down(void)
{
    parser_fini(&parser);
}

TestSuite(parse, .init = set_up, .fini = tear_down);

static struct parsed parse_bytes(const char *bytes, size_t len)
{
    return parse(&parser, (struct span){bytes, len}, &limits, &request);
}

static struct parsed parse_text(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void expect_word(struct span word, const char *text)
{
    cr_expect(span_equal(word, span_of(text)), "'%.*s' instead of '%s'", (int)word.len, word.at,
              text);
}

static void expect_error(const char *text, int err, bool then_close)
{
    struct parsed how = parse_text(text);
    cr_expect_eq(how.kind, PARSE_ERROR, "'%s'", text);
    cr_expect_eq(how.err, err, "'%s' gave %s", text, tally_err_name(how.err));
    cr_expect_eq(how.then_close, then_close, "'%s'", text);
    cr_expect_eq(how.consumed, strlen(text), "'%s'", text);
}

Test(parse, words_are_parted_by_blanks)
{
    struct parsed how = parse_text("  vote  12   N 3 \r\nPING\n");
    cr_assert_eq(how.kind, PARSE_REQUEST);
    cr_expect_eq(how.consumed, 19);
    expect_word(request.verb, "vote");
    cr_assert_eq(request.count, 3);
    expect_word(request.words[0], "12");
    expect_word(request.words[1], "N");
    expect_word(request.words[2], "3");
    cr_expect_not(request.has_payload);
}

Test(parse, quoted_words_are_unquoted)
{
    struct parsed how = parse_text("VOTE \"a \\\"b\\\" \\\\ \\n\\r\\t\\x41\\xfF\" \"\" b\"c\n");
    cr_assert_eq(how.kind, PARSE_REQUEST);
    cr_assert_eq(request.count, 3);
    expect_word(request.words[0], "a \"b\" \\ \n\r\tA\xFF");
    expect_word(request.words[1], "");
    expect_word(request.words[2], "b\"c");
}

Test(parse, bad_quotes_are_an_error_in_step)
{
    expect_error("PING \"no end\n", TALLY_SYNTAX, false);
    expect_error("PING \"no end\\\"\n", TALLY_SYNTAX, false);
    expect_error("PING \"no end\\\n", TALLY_SYNTAX, false);
    expect_error("PING \"bad \\q\"\n", TALLY_SYNTAX, false);
    expect_error("PING \"bad \\xZZ\"\n", TALLY_SYNTAX, false);
    expect_error("PING \"bad \\x4\"\n", TALLY_SYNTAX, false);
    expect_error("PING \"quoted\"bare\n", TALLY_SYNTAX, false);
    expect_error("\n", TALLY_SYNTAX, false);
    expect_error("   \r\n", TALLY_SYNTAX, false);
    expect_error("\"\"\n", TALLY_UNKNOWN, false);
    expect_error("NONSENSE :$5\n", TALLY_UNKNOWN, false);
}

Test(parse, a_nul_is_an_error_and_a_close)
{
    struct parsed how = parse_bytes("VOTE 1\0\nPING\n", 13);
    cr_expect_eq(how.kind, PARSE_ERROR);
    cr_expect_eq(how.err, TALLY_SYNTAX);
    cr_expect_eq(how.consumed, 8);
    cr_expect(how.then_close);
}

static void expect_payload(const char *text, const char *payload, size_t words)
{
    struct parsed how = parse_text(text);
    cr_assert_eq(how.kind, PARSE_REQUEST, "'%s'", text);
    cr_expect_eq(how.consumed, strlen(text), "'%s'", text);
    cr_expect_eq(request.count, words, "'%s'", text);
    cr_assert(request.has_payload, "'%s'", text);
    expect_word(request.payload, payload);
}

Test(parse, a_payload_has_four_forms)
{
    expect_payload("SUBMIT q bare\n", "bare", 1);
    expect_payload("SUBMIT q \"a b\"\n", "a b", 1);
    expect_payload("SUBMIT q PRI 2 :the rest, \"as\" it is $5 \r\n", "the rest, \"as\" it is $5 ",
                   3);
    expect_payload("SUBMIT q $5\r\na\nb\r\n\r\n", "a\nb\r\n", 1);
    expect_payload("SUBMIT q $0\n\n", "", 1);
    expect_payload("SUBMIT q \"$5\"\n", "$5", 1);
    expect_payload("DONE 1 2 RESULT $2\nok\n", "ok", 2);
    expect_payload("DONE 1 2 result :ok\n", "ok", 2);
    expect_payload("FAIL 1 2 DELAY 5 TEXT TEXT\n", "TEXT", 4);
}

Test(parse, a_payload_stands_only_where_its_verb_takes_it)
{
    cr_expect_eq(parse_text("DONE 1 2\n").kind, PARSE_REQUEST);
    cr_expect_not(request.has_payload);
    cr_expect_eq(parse_text("DONE 1 2 $2\nok\n").consumed, 15, "its bytes are no requests");
    cr_expect_not(request.has_payload);
    expect_error("PING $5\n", TALLY_SYNTAX, true);
    expect_error("PING :text\n", TALLY_SYNTAX, false);
    expect_error("NONSENSE $5\n", TALLY_UNKNOWN, true);
    expect_error("SUBMIT $5 q\n", TALLY_SYNTAX, true);
    expect_error("SUBMIT q \"bad \\q\" $5\n", TALLY_SYNTAX, true);
}

Test(parse, a_malformed_length_closes)
{
    expect_error("SUBMIT q $\n", TALLY_SYNTAX, true);
    expect_error("SUBMIT q $-1\n", TALLY_SYNTAX, true);
    expect_error("SUBMIT q $5x\n", TALLY_SYNTAX, true);
    expect_error("SUBMIT q $ 5\n", TALLY_SYNTAX, true);
    expect_error("SUBMIT q $67108865\n", TALLY_TOOBIG, true);
    expect_error("SUBMIT q $123456789012345678901234567890\n", TALLY_TOOBIG, true);
    cr_expect(parse_text("SUBMIT q $2\nabc\n").then_close, "no line end where it has to be");
}

Test(parse, too_large_a_payload_is_dropped_in_step)
{
    struct parsed how = parse_text("SUBMIT q $1000\n");
    cr_expect_eq(how.kind, PARSE_MORE);
    cr_expect_eq(how.need, 15 + 1000 + 1);
    how = parse_text("SUBMIT q $1001\nVOTE 1\n");
    cr_expect_eq(how.kind, PARSE_DROP);
    cr_expect_eq(how.err, TALLY_TOOBIG);
    cr_expect_eq(how.drop, 1001);
    cr_expect_eq(how.consumed, 15);
    limits.locked = true;
    how = parse_text("SUBMIT q $5\nVOTE 1\n");
    limits.locked = false;
    cr_expect_eq(how.kind, PARSE_DROP);
    cr_expect_eq(how.err, TALLY_NOAUTH);
}

Test(parse, lines_have_a_bound)
{
    char *line = malloc(PARSE_LINE_BYTES_MAX + 8);
    memset(line, '1', PARSE_LINE_BYTES_MAX + 8);
    memcpy(line, "VOTE ", 5);
    cr_expect_eq(parse_bytes(line, PARSE_LINE_BYTES_MAX + 1).kind, PARSE_MORE, "a CR may be last");
    struct parsed how = parse_bytes(line, PARSE_LINE_BYTES_MAX + 2);
    cr_expect_eq(how.err, TALLY_TOOLONG);
    cr_expect(how.then_close);
    line[PARSE_LINE_BYTES_MAX] = '\n';
    cr_expect_eq(parse_bytes(line, PARSE_LINE_BYTES_MAX + 8).kind, PARSE_REQUEST);
    memcpy(line + PARSE_LINE_BYTES_MAX, "\r\n", 2);
    cr_expect_eq(parse_bytes(line, PARSE_LINE_BYTES_MAX + 8).kind, PARSE_REQUEST);
    memcpy(line + PARSE_LINE_BYTES_MAX, "1\n", 2);
    cr_expect_eq(parse_bytes(line, PARSE_LINE_BYTES_MAX + 8).err, TALLY_TOOLONG);
    free(line);
}

Test(parse, words_have_a_bound)
{
    char line[4 * PARSE_WORDS_MAX];
    size_t len = 4;
    memcpy(line, "VOTE", 4);
    for (int i = 0; i < PARSE_WORDS_MAX; i++) {
        memcpy(line + len, " 1", 2);
        len += 2;
    }
    memcpy(line + len, "\n", 1);
    cr_expect_eq(parse_bytes(line, len + 1).kind, PARSE_REQUEST);
    cr_expect_eq(request.count, PARSE_WORDS_MAX);
    memcpy(line + len, " 1\n", 3);
    cr_expect_eq(parse_bytes(line, len + 3).err, TALLY_SYNTAX);
}

Test(parse, a_browser_is_told_nothing)
{
    cr_expect_eq(parse_text("POST / HTTP/1.1\n").kind, PARSE_FOREIGN);
    cr_expect_eq(parse_text("GET / HTTP/1.1\r\n").kind, PARSE_FOREIGN);
    cr_expect_eq(parse_text("Host: x\r\n").kind, PARSE_FOREIGN);
    cr_expect_eq(parse_text("POST / \"\n").kind, PARSE_FOREIGN, "also with a bad quote");
}

Test(parse, a_first_line_begins_with_letters)
{
    limits.is_first = true;
    cr_expect_eq(parse_text("*1").kind, PARSE_FOREIGN, "before it ends");
    cr_expect_eq(parse_text("\x16\x03\x01\nPING\n").kind, PARSE_FOREIGN);
    cr_expect_eq(parse_bytes("PING\0\n", 6).kind, PARSE_FOREIGN);
    cr_expect_eq(parse_text("NONSENSE \xff\n").kind, PARSE_FOREIGN);
    cr_expect_eq(parse_text("PI").kind, PARSE_MORE);
    cr_expect_eq(parse_text("  PING \xff\r\n").kind, PARSE_REQUEST);
    cr_expect_eq(parse_text("\r\n").err, TALLY_SYNTAX);
    cr_expect_eq(parse_text("NONSENSE\n").err, TALLY_UNKNOWN);
    limits.is_first = false;
    cr_expect_eq(parse_text("\x16\x03\x01\n").err, TALLY_UNKNOWN);
}

static const char script[] = "PING\r\nVOTE 12 N 3\nSUBMIT q PRI 1 $12\r\n\nPING\nVOTE 1\r\n"
                             "SUBMIT q \"a \\x41\" :b\nDONE 1 2 RESULT $3\nabc\nNONSENSE\n\n"
                             "FAIL 1 2 TEXT :late \r\n";

/* Writes one line for each whole request of the script. */
static size_t note(char *text, size_t room, size_t len)
{
    size_t at = 0, used = 0;
    while (at < len) {
        struct parsed how = parse_bytes(script + at, len - at);
        if (how.kind == PARSE_MORE) {
            cr_expect(how.need == 0 || how.need > len - at, "it needs less than there is");
            break;
        }
        used += (size_t)snprintf(text + used, room - used, "%d %d %zu", how.kind, how.err,
                                 how.consumed);
        for (size_t i = 0; how.kind == PARSE_REQUEST && i < request.count; i++) {
            used += (size_t)snprintf(text + used, room - used, " [%.*s]", (int)request.words[i].len,
                                     request.words[i].at);
        }
        if (how.kind == PARSE_REQUEST && request.has_payload) {
            used += (size_t)snprintf(text + used, room - used, " <%.*s>", (int)request.payload.len,
                                     request.payload.at);
        }
        used += (size_t)snprintf(text + used, room - used, "\n");
        at += how.consumed;
    }
    return at;
}

Test(parse, wherever_it_is_cut_the_requests_are_the_same)
{
    static char whole[4096], part[4096];
    size_t len = sizeof(script) - 1;
    cr_assert_eq(note(whole, sizeof(whole), len), len);
    for (size_t cut = 0; cut < len; cut++) {
        size_t done = note(part, sizeof(part), cut);
        cr_expect(done <= cut);
        cr_expect(strncmp(whole, part, strlen(part)) == 0, "cut at %zu", cut);
    }
}

Test(parse, what_a_reply_quotes_is_read_as_it_was)
{
    char line[4096];
    for (unsigned first = 0; first < 256; first++) {
        char bytes[8] = {(char)first, 'a', (char)(first * 7), ' ', '"', '\\', (char)(255 - first)};
        struct span text = {bytes, 1 + first % 7};
        size_t len = 5;
        memcpy(line, "VOTE ", 5);
        len += reply_quote(line + len, sizeof(line) - len, text);
        line[len++] = '\n';
        cr_assert_eq(parse_bytes(line, len).kind, PARSE_REQUEST, "byte %u", first);
        cr_assert_eq(request.count, 1);
        cr_expect(span_equal(request.words[0], text), "byte %u", first);
    }
}
