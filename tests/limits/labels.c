/* Labels as people see them: invisible characters make no second label, and no label can control a
 * terminal. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

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

/* Expects `ERR EXISTS`, with `label` as the first of the named labels. */
static void expect_clash(const char *request, const char *label)
{
    static const char intro[] = "similar: ";
    const struct reply *reply = client_get(&client, "%s", request);
    EXPECT(reply_is_err(reply, "EXISTS"), "%s: %s", request, reply->line);
    const char *list = strstr(reply->line, intro);
    EXPECT(list != NULL && strncmp(list + sizeof(intro) - 1, label, strlen(label)) == 0, "%s: %s",
           request, reply->line);
}

static void the_unseen_makes_no_second_label(void)
{
    begin();
    scene_option(&client, "lang", "Elixir");
    expect_clash("OPTION lang \"E\u200Blixir\"", "Elixir");
    expect_clash("OPTION lang \"\u202EElixir\"", "Elixir");
    expect_clash("OPTION lang \"Elix\u00ADir\"", "Elixir");
    client_expect_err(&client, "INVAL", "OPTION lang \"\u3164\"");
    client_expect_err(&client, "INVAL", "OPTION lang \"\u200B \u200D\"");
    client_expect(&client, "OK 1", "VOTE \"lang/el\u200Bixir\"");
    client_expect(&client, "OK 2", "OPTION lang \"\U0001F469\u200D\U0001F4BB\"");
    const struct reply *reply = client_get(&client, "TALLY lang");
    EXPECT(reply->row_count == 3, "%zu rows", reply->row_count);
    EXPECT(strstr(reply->rows[2], "\"\U0001F469\u200D\U0001F4BB\"") != NULL, "%s", reply->rows[2]);
    end();
}

static void the_clash_itself_comes_first(void)
{
    begin();
    scene_option(&client, "lang", "FINAL");
    scene_option(&client, "lang", "FIN");
    scene_option(&client, "lang", "Stra\u00DFe");
    scene_option(&client, "lang", "\u03C3");
    expect_clash("OPTION lang \uFB01n", "FIN");
    expect_clash("OPTION lang \"STRA\u1E9EE\"", "\"Stra\u00DFe\"");
    expect_clash("OPTION lang \u03C2", "\"\u03C3\"");
    end();
}

static void no_bidi_control_leaves_raw(void)
{
    static const char *const raw[] = {"\u202E", "\u2066", "\u200F", "\xC2\x85"};
    begin();
    client_expect(&client,
                  "OK PONG \"a\\xE2\\x80\\xAE"
                  "b\"",
                  "PING \"a\u202E"
                  "b\"");
    client_expect_err(&client, "INVAL", "WORKER w NAME \"\u2066\u200Fx\"");
    scene_worker(&client, "w");
    uint64_t id = scene_submit(&client, "q", "TRIES 1", "x");
    struct claim claim;
    scene_claim(&claim, &client, "w", "q");
    client_get(&client, "FAIL %llu %llu TEXT \"\u202Eboom\xC2\x85\"", (unsigned long long)id,
               (unsigned long long)claim.token);
    const char *const asked[] = {"BUILD 1", "BUILDS q"};
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        const struct reply *reply = client_get(&client, "%s", asked[i]);
        const char *line = reply->row_count > 0 ? reply->rows[0] : reply->line;
        EXPECT(strstr(line, "\\x") != NULL, "%s: %s", asked[i], line);
        for (size_t c = 0; c < COUNT_OF(raw); c++) {
            EXPECT(strstr(line, raw[c]) == NULL, "%s: %s", asked[i], line);
        }
    }
    end();
}

static void a_hundred_percent_is_all_there_is(void)
{
    begin();
    scene_option(&client, "lang", "a");
    scene_option(&client, "lang", "b");
    client_expect(&client, "OK 1999", "VOTE 1 N 1999");
    client_expect(&client, "OK 1", "VOTE 2");
    const struct reply *reply = client_get(&client, "TALLY lang");
    EXPECT(strcmp(reply->rows[1], "1 1999 99.9 a") == 0, "%s", reply->rows[1]);
    EXPECT(strcmp(reply->rows[2], "2 1 0.1 b") == 0, "%s", reply->rows[2]);
    end();
}

static void similar_labels_are_never_cut(void)
{
    static char label[256];
    begin();
    for (int i = 0; i < 5; i++) {
        size_t len = 0;
        for (int c = 0; c < 17; c++) {
            memcpy(label + len, "\U0001F600", 4);
            len += 4;
        }
        label[len++] = (char)('a' + i);
        label[len++] = '!';
        label[len] = '\0';
        scene_option(&client, "lang", label);
    }
    const struct reply *reply = client_get(&client, "OPTION lang \"%s\"", label);
    size_t quotes = 0;
    for (const char *c = reply->line; *c != '\0'; c++) {
        quotes += *c == '"';
    }
    EXPECT(reply_is_err(reply, "EXISTS"), "%s", reply->line);
    EXPECT(quotes > 0 && quotes % 2 == 0, "%zu quotes: %s", quotes, reply->line);
    end();
}

static const struct check_test tests[] = {
    {"characters that cannot be seen make no second label", the_unseen_makes_no_second_label},
    {"the label that clashes is the first of those that are similar", the_clash_itself_comes_first},
    {"what turns the direction of a line never leaves raw", no_bidi_control_leaves_raw},
    {"100.0 percent are all votes there are", a_hundred_percent_is_all_there_is},
    {"a similar label is told whole or not at all", similar_labels_are_never_cut},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
