/* The shapes of replies, byte by byte. */
#include "net/protocol/reply.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>

static struct buf buf;
static struct reply reply;

static void set_up(void)
{
    reply = (struct reply){.to = &buf};
}

static void tear_down(void)
{
    buf_fini(&buf);
}

TestSuite(reply, .init = set_up, .fini = tear_down);

static void expect_text(const char *text)
{
    cr_expect(buf_len(&buf) == strlen(text) && memcmp(buf.at + buf.start, text, strlen(text)) == 0,
              "'%.*s' instead of '%s'", (int)buf_len(&buf), buf.at + buf.start, text);
    buf_take(&buf, buf_len(&buf));
}

Test(reply, short_ones)
{
    reply_ok(&reply);
    expect_text("OK\r\n");
    reply_nil(&reply);
    expect_text("NIL\r\n");
    reply_ok_number(&reply, 18446744073709551615u);
    expect_text("OK 18446744073709551615\r\n");
    reply_ok_number(&reply, 0);
    expect_text("OK 0\r\n");
}

Test(reply, fields_and_a_blob)
{
    reply_begin(&reply);
    reply_number(&reply, NULL, 7);
    reply_name(&reply, "queue", SPAN("ios"));
    reply_text(&reply, "error", SPAN("two words"));
    reply_end(&reply);
    expect_text("OK 7 queue=ios error=\"two words\"\r\n");
    reply_begin(&reply);
    reply_blob(&reply, (struct span){"a\r\n\0b", 5});
    cr_expect_eq(buf_len(&buf), 14);
    cr_expect(memcmp(buf.at, "OK $5\r\na\r\n\0b\r\n", 14) == 0);
    buf_take(&buf, buf_len(&buf));
    reply_begin(&reply);
    reply_blob(&reply, SPAN(""));
    expect_text("OK $0\r\n\r\n");
}

Test(reply, rows)
{
    reply_rows(&reply, 2);
    reply_row(&reply);
    reply_number(&reply, "lsn", 1);
    reply_end(&reply);
    reply_row(&reply);
    reply_number(&reply, NULL, 2);
    reply_blob(&reply, SPAN("xy"));
    expect_text("OK *2\r\nlsn=1\r\n2 $2\r\nxy\r\n");
    reply_rows(&reply, 0);
    expect_text("OK *0\r\n");
}

Test(reply, a_hundred_percent_is_all_there_is)
{
    static const struct {
        uint64_t part, whole;
        const char *text;
    } rows[] = {{0, 0, "0.0"},
                {0, 5, "0.0"},
                {1, 3, "33.3"},
                {2, 3, "66.7"},
                {5, 5, "100.0"},
                {1, 2000, "0.1"},
                {1, 2001, "0.0"},
                {1999, 2000, "99.9"},
                {999999, 1000000, "99.9"},
                {(uint64_t)1 << 39, (uint64_t)1 << 40, "50.0"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        reply_row(&reply);
        reply_percent(&reply, rows[i].part, rows[i].whole);
        expect_text(rows[i].text);
    }
}

Test(reply, an_error_is_one_line_whatever_is_in_it)
{
    reply_err(&reply, TALLY_NOTFOUND, "no such %s", "poll");
    expect_text("ERR NOTFOUND no such poll\r\n");
    reply_err(&reply, TALLY_INVAL, "%s", "a\r\nOK 5\x1b[0m\x7f");
    expect_text("ERR INVAL a??OK 5?[0m?\r\n");
    reply_err(&reply, TALLY_INVAL, "%s", "\xC3\xA9\u202E\xC2\x9B\xFF");
    expect_text("ERR INVAL \xC3\xA9??????\r\n");
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    reply_err(&reply, TALLY_INVAL, "%s", text);
    cr_expect(buf_len(&buf) < 420);
}

Test(reply, names_are_bare_and_the_rest_is_quoted)
{
    char text[64];
    static const char *const pairs[][2] = {
        {"Elixir-1.15_x", "Elixir-1.15_x"},
        {"", "\"\""},
        {"a b", "\"a b\""},
        {"$5", "\"$5\""},
        {":x", "\":x\""},
        {"a\"b", "\"a\\\"b\""},
        {"\x01\n", "\"\\x01\\n\""},
        {"C++", "\"C++\""},
        {"\xC3\xA9", "\"\xC3\xA9\""},
        {"a\xC2\x85z", "\"a\\xC2\\x85z\""},
        {"a\u202Eb", "\"a\\xE2\\x80\\xAE"
                     "b\""},
        {"\u2066\u2028", "\"\\xE2\\x81\\xA6\\xE2\\x80\\xA8\""},
        {"\xFF\xC3", "\"\\xFF\\xC3\""},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        text[reply_quote(text, sizeof(text) - 1, span_of(pairs[i][0]))] = '\0';
        cr_expect_str_eq(text, pairs[i][1]);
    }
    cr_expect(reply_quote(text, 10, SPAN("longer than its room")) <= 10);
}

Test(reply, buffers_are_exchanged_when_they_can)
{
    struct buf held = {0};
    buf_put(&held, "abcdef", 6);
    const char *at = held.at;
    buf_move(&buf, &held, 6);
    cr_expect_eq(buf.at, at);
    cr_expect_eq(buf_len(&held), 0);
    buf_put(&held, "ghi", 3);
    buf_move(&buf, &held, 2);
    expect_text("abcdefgh");
    cr_expect_eq(buf_len(&held), 1);
    buf_fini(&held);
}
