/* tally-wal dump: the plain lines, every filter, and JSON with the same fields. */
#include "tests/inspect/made.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 256, ARGS = 12 };

static struct log_dir disk;

static void setup(void)
{
    made_scene(&disk);
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(inspect_dump, .init = setup, .fini = teardown);

/* Dumps with these options and writes the lsns of the records: "4,5,10". */
static void lsns_of(char list[LIST_MAX], const char *const *options)
{
    const char *args[ARGS] = {"dump"};
    size_t used = 1;
    char *text;
    for (; *options != NULL; options++) {
        args[used++] = *options;
    }
    args[used] = disk.path;
    int code = made_run(&text, args);
    cr_assert_eq(code, 0, "exit code %d", code);
    list[0] = '\0';
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        size_t len = strlen(list);
        snprintf(list + len, LIST_MAX - len, "%s%.*s", len > 0 ? "," : "", (int)strcspn(line, " "),
                 line);
    }
    free(text);
}

static const struct filter_case {
    const char *options[8];
    const char *lsns;
} filter_cases[] = {
    {{NULL}, "1,2,3,4,5,6,7,8,9,10,11,12"},
    {{"--from", "10"}, "10,11,12"},
    {{"--to", "2"}, "1,2"},
    {{"--from=4", "--to=5"}, "4,5"},
    {{"--from", "13"}, ""},
    {{"--since", "2026-11-21T10:00:05Z"}, "11,12"},
    {{"--since", "2026-11-21T10:00:05.001Z"}, "12"},
    {{"--since", "1795255205000"}, "11,12"},
    {{"--until", "2026-11-21T10:00:00Z"}, "1,2,3"},
    {{"--until", "2026-11-21T10:00:01.999Z"}, "1,2,3,4,5"},
    {{"--until", "1795255201000ms"}, "1,2,3,4,5"},
    {{"--since", "2026-11-21T10:00:01Z", "--until", "2026-11-21T10:00:03Z"}, "4,5,6,7,8,9"},
    {{"--until", "1999-12-31T23:59:59Z"}, ""},
    {{"--type", "VOTE"}, "4,5,10,12"},
    {{"--type", "submit,Claim"}, "7,8,9"},
    {{"--type", "BEAT"}, ""},
    {{"--option", "1"}, "2,4,10,12"},
    {{"--option", "p/a"}, "2,4,10,12"},
    {{"--option", "p/\"Ü\""}, "3,5"},
    {{"--option", "p/none"}, ""},
    {{"--build", "1"}, "7,9,11"},
    {{"--build", "2"}, "8"},
    {{"--option", "2", "--build", "2"}, "3,5,8"},
    {{"--option", "1", "--type", "VOTE", "--from", "5"}, "10,12"},
};

Test(inspect_dump, each_filter_shows_what_it_says)
{
    for (size_t i = 0; i < COUNT_OF(filter_cases); i++) {
        char list[LIST_MAX];
        lsns_of(list, filter_cases[i].options);
        cr_expect_str_eq(list, filter_cases[i].lsns, "%s %s: %s, not %s",
                         filter_cases[i].options[0], filter_cases[i].options[1], list,
                         filter_cases[i].lsns);
    }
}

Test(inspect_dump, the_plain_lines_are_these)
{
    char *text;
    cr_assert_eq(made_run(&text, (const char *const[]){"dump", disk.path, NULL}), 0);
    cr_expect_str_eq(
        text, "1 1795255200000 POLL keep=0 open_ms=0 close_ms=0 rate_n=0 rate_ms=0 poll=\"p\"\n"
              "2 1795255200000 OPTION poll=\"p\" label=\"A\" fold=\"a\" id=1\n"
              "3 1795255200000 OPTION poll=\"p\" label=\"\\\"ü\\\"\" fold=\"\\\"ü\\\"\" id=2\n"
              "4 1795255201000 VOTE option=1 label=\"A\" poll=p votes=5 n=5\n"
              "5 1795255201000 VOTE option=2 label=\"\\\"ü\\\"\" poll=p votes=1 n=1\n"
              "6 1795255202000 WORKER slots=1 keep=0 worker=\"w\"\n"
              "7 1795255202000 SUBMIT pri=5 delay_ms=0 lease_ms=1000 tries=3 queue=\"q\" "
              "payload_bytes=3 id=1\n"
              "8 1795255202000 SUBMIT pri=5 delay_ms=0 lease_ms=1000 tries=3 queue=\"q\" "
              "payload_bytes=8 id=2\n"
              "9 1795255203000 CLAIM build=1 queue=q from=pending to=assigned token=2 worker=w "
              "lease_ms=1000\n"
              "10 1795255204000 VOTE option=1 label=\"A\" poll=p votes=7 n=2\n"
              "11 1795255205000 DONE build=1 queue=q from=assigned to=completed token=3 "
              "result_bytes=2\n"
              "12 1795255206000 VOTE option=1 label=\"A\" poll=p votes=8 n=1 voter=\"v\"\n");
    free(text);
}

/* ---- JSON ---- */

static void expect_text(const json_t *line, const char *key, const char *wanted)
{
    const char *got = json_string_value(json_object_get(line, key));
    cr_expect(got != NULL && strcmp(got, wanted) == 0, "%s is %s, not %s", key,
              got != NULL ? got : "missing", wanted);
}

static void expect_number(const json_t *line, const char *key, json_int_t wanted)
{
    const json_t *got = json_object_get(line, key);
    cr_expect(json_is_integer(got) && json_integer_value(got) == wanted, "%s is not %lld", key,
              (long long)wanted);
}

Test(inspect_dump, json_is_one_object_a_line_and_parses_back)
{
    char *text;
    json_t *lines[12];
    size_t count = 0;
    cr_assert_eq(made_run(&text, (const char *const[]){"dump", "--json", disk.path, NULL}), 0);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        json_error_t error;
        cr_assert_lt(count, 12);
        lines[count] = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        cr_assert_not_null(lines[count], "'%s': %s", line, error.text);
        expect_number(lines[count], "lsn", (json_int_t)count + 1);
        count++;
    }
    cr_assert_eq(count, 12);
    expect_text(lines[0], "time", "2026-11-21T10:00:00.000Z");
    expect_number(lines[0], "time_ms", (json_int_t)MADE_MS);
    expect_text(lines[2], "label", "\"ü\"");
    expect_text(lines[4], "type", "VOTE");
    expect_text(lines[4], "label", "\"ü\"");
    expect_number(lines[9], "votes", 7);
    expect_number(lines[9], "n", 2);
    expect_number(lines[6], "payload_bytes", 3);
    expect_text(lines[6], "payload_base64", "/wAi");
    cr_expect_null(json_object_get(lines[6], "payload"));
    expect_text(lines[7], "payload", "make app");
    expect_number(lines[8], "build", 1);
    expect_text(lines[8], "worker", "w");
    expect_text(lines[10], "result", "ok");
    expect_text(lines[10], "to", "completed");
    expect_text(lines[11], "voter", "v");
    for (size_t i = 0; i < count; i++) {
        json_decref(lines[i]);
    }
    free(text);
}
