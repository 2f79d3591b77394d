/* FIND: what somebody means who is typing a label, in any script. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/count.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <stdio.h>
#include <string.h>

static struct server server;
static struct client client;

static void begin(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

static void add_all(const char *const *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char reply[32];
        snprintf(reply, sizeof(reply), "OK %zu", i + 1);
        client_expect(&client, reply, "OPTION lang \"%s\"", labels[i]);
    }
}

/* Expects these rows, with `, ` between. */
static void expect_found(const char *text, const char *wanted)
{
    char told[1024] = "";
    char head[32];
    size_t used = 0;
    const struct reply *reply = client_get(&client, "FIND lang \"%s\"", text);
    snprintf(head, sizeof(head), "OK *%zu", reply->row_count);
    EXPECT(reply_is(reply, head), "%s: %s", text, reply->line);
    for (size_t i = 0; i < reply->row_count; i++) {
        used += (size_t)snprintf(told + used, sizeof(told) - used, "%s%s", i > 0 ? ", " : "",
                                 reply->rows[i]);
    }
    EXPECT(strcmp(told, wanted) == 0, "%s: found %s, not %s", text, told, wanted);
}

static const char *const languages[] = {"Elixir", "Elixir 1.18", "Elm",  "Eliza",
                                        "Java",   "JavaScript",  "Rust", "Objective-C"};

static void find_languages(void)
{
    expect_found("e", "3 Elm, 4 Eliza, 1 Elixir, 2 \"Elixir 1.18\"");
    expect_found("ELI", "4 Eliza, 1 Elixir, 2 \"Elixir 1.18\"");
    expect_found("elixir", "1 Elixir, 2 \"Elixir 1.18\"");
    expect_found(" elixir  1 ", "2 \"Elixir 1.18\", 1 Elixir");
    expect_found("elxir", "1 Elixir, 2 \"Elixir 1.18\"");
    expect_found("script", "6 JavaScript");
    expect_found("c", "8 Objective-C");
    expect_found("cobol", "");
}

static void what_is_typed(void)
{
    begin();
    expect_found("e", "");
    add_all(languages, COUNT_OF(languages));
    find_languages();
    EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "no snapshot");
    client_expect(&client, "OK 9", "OPTION lang Zig");
    for (int run = 0; run < 2; run++) { /* the options come from the snapshot, and from the log */
        client_close(&client);
        server_crash(&server);
        client_open(&client, &server);
        find_languages();
        expect_found("z", "9 Zig");
    }
    const struct reply *reply = client_get(&client, "OPTION lang ELIXIR");
    EXPECT(reply_is(reply,
                    "ERR EXISTS id=1 the poll has this label already; similar: Elixir \"Elixir "
                    "1.18\" Eliza"),
           "%s", reply->line);
    end();
}

static void any_script(void)
{
    static const char *const labels[] = {"\uFB01ne \u00c9cole", /* a ligature */
                                         "Stra\u00dfe",
                                         "\u039f\u03b4\u03bf\u03c2 \u0391\u03b8\u03ae\u03bd\u03b1",
                                         "\U0001F680 Rocket",
                                         "\U0001F469\u200D\U0001F4BB Coder",
                                         "\u6771\u4eac\u30bf\u30ef\u30fc",
                                         "\u041c\u043e\u0441\u043a\u0432\u0430"};
    begin();
    add_all(labels, COUNT_OF(labels));
    expect_found("FIN", "1 \"\uFB01ne \u00c9cole\"");
    expect_found("\uFB01", "1 \"\uFB01ne \u00c9cole\"");
    expect_found("e\u0301co", "1 \"\uFB01ne \u00c9cole\""); /* decomposed */
    expect_found("ecole", "1 \"\uFB01ne \u00c9cole\"");     /* without the accent */
    expect_found("STRASS", "2 \"Stra\u00dfe\"");
    expect_found("\u03bf\u03b4\u03bf\u03c3",
                 "3 \"\u039f\u03b4\u03bf\u03c2 \u0391\u03b8\u03ae\u03bd\u03b1\"");
    expect_found("\u03b1\u03b8", "3 \"\u039f\u03b4\u03bf\u03c2 \u0391\u03b8\u03ae\u03bd\u03b1\"");
    expect_found("\U0001F680", "4 \"\U0001F680 Rocket\"");
    expect_found("rock", "4 \"\U0001F680 Rocket\"");
    expect_found("\U0001F469\u200D", "5 \"\U0001F469\u200D\U0001F4BB Coder\"");
    expect_found("\U0001F469\u200D\U0001F4BB", "5 \"\U0001F469\u200D\U0001F4BB Coder\"");
    expect_found("\u6771", "6 \"\u6771\u4eac\u30bf\u30ef\u30fc\"");
    expect_found("\u30bf\u30ef\u30fc", "6 \"\u6771\u4eac\u30bf\u30ef\u30fc\"");
    expect_found("\u043c\u043e\u0441", "7 \"\u041c\u043e\u0441\u043a\u0432\u0430\"");
    end();
}

static void refusals(void)
{
    char text[52];
    memset(text, 'x', sizeof(text));
    text[51] = '\0';
    begin();
    client_expect_err(&client, "NOTFOUND", "FIND none x");
    client_expect_err(&client, "INVAL", "FIND no/name x");
    client_expect_err(&client, "INVAL", "FIND lang \"\"");
    client_expect_err(&client, "INVAL", "FIND lang \" \u200B\"");
    client_expect_err(&client, "INVAL", "FIND lang \"\\x01\"");
    client_expect_err(&client, "INVAL", "FIND lang \"\\xff\"");
    client_expect_err(&client, "INVAL", "FIND lang %s", text);
    text[50] = '\0';
    client_expect(&client, "OK *0", "FIND lang %s", text);
    client_expect_err(&client, "ARGS", "FIND lang");
    client_expect_err(&client, "ARGS", "FIND lang two words");
    end();
}

/* The rules of requirements.md for a label, at their bounds. */
static void label_rules(void)
{
    char label[64];
    memset(label, 'x', sizeof(label));
    label[51] = '\0';
    begin();
    client_expect_err(&client, "INVAL", "OPTION lang %s", label);
    client_expect_err(&client, "INVAL", "OPTION lang \"\"");
    client_expect_err(&client, "INVAL", "OPTION lang \"  \"");
    client_expect_err(&client, "INVAL", "OPTION lang \"a\\x07\"");
    client_expect_err(&client, "NOTFOUND", "OPTION none a");
    label[50] = '\0';
    client_expect(&client, "OK 1", "OPTION lang \"  %s \"", label);
    client_expect_err(&client, "EXISTS", "OPTION lang %s", label);
    client_expect(&client, "OK 2", "OPTION lang a");
    client_expect(&client, "OK *1", "FIND lang a");
    client_expect_err(&client, "EXISTS", "OPTION lang \" A\"");
    client_expect(&client, "OK", "POLL other");
    client_expect(&client, "OK 3", "OPTION other a");
    client_expect(&client, "OK 4", "OPTION lang \"50 %% + 1/2\"");
    client_expect(&client, "OK 1", "VOTE \"lang/50 %% + 1/2\"");
    end();
}

static const struct check_test tests[] = {
    {"FIND has the same label first, then those that begin so, then typing errors", what_is_typed},
    {"FIND folds ligatures, Greek, accents and emoji as labels are folded", any_script},
    {"FIND refuses what is no poll or no text", refusals},
    {"A label is 1 to 50 characters, trimmed, and unique without regard to case", label_rules},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
