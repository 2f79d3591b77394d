/* The bounds of votes with voters: names, options, modes; what is refused changes nothing. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { VOTER_MAX = 64, OPTIONS_MAX = 60, LINE_BYTES = 1024 };

static struct server server;
static struct client client;

/* Polls `once`, `change` and `free`, the options `a` and `b` of each; their ids are 1 to 6. */
static void set_up(void)
{
    static const char *const modes[] = {"once", "change", "free"};
    server_start(&server, NULL);
    client_open(&client, &server);
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        client_expect(&client, "OK", "POLL %s MODE %s", modes[i], modes[i]);
        EXPECT(scene_option(&client, modes[i], "a") == 2 * i + 1, "ids");
        EXPECT(scene_option(&client, modes[i], "b") == 2 * i + 2, "ids");
    }
}

static void tear_down(void)
{
    client_close(&client);
    server_stop(&server);
}

static void crash(void)
{
    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
}

static void voters_names(void)
{
    char name[VOTER_MAX + 2];
    set_up();
    memset(name, 'v', sizeof(name));
    name[VOTER_MAX + 1] = '\0';
    client_expect_err(&client, "INVAL", "VOTE 1 VOTER %s", name);
    client_expect_err(&client, "INVAL", "UNVOTE once VOTER %s", name);
    client_expect_err(&client, "INVAL", "VOTE 1 VOTER \"\"");
    name[VOTER_MAX] = '\0';
    client_expect(&client, "OK 1", "VOTE 1 VOTER %s", name);
    name[VOTER_MAX - 1] = '\0';
    client_expect(&client, "OK 2", "VOTE 1 VOTER %s", name);
    client_expect(&client, "OK 3", "VOTE 1 VOTER v");
    client_expect(&client, "OK 4", "VOTE 1 VOTER V");
    client_expect(&client, "OK 5", "VOTE 1 VOTER \"v \"");
    client_expect(&client, "OK 6", "VOTE 1 VOTER \"\\x00\\xff\\n\"");
    crash();
    client_expect_err(&client, "VOTED", "VOTE 1 VOTER \"\\x00\\xFF\\n\"");
    client_expect_err(&client, "VOTED", "VOTE 2 VOTER \"v \"");
    client_expect_err(&client, "VOTED", "VOTE 2 VOTER \"v\"");
    client_expect(&client, "OK 7", "VOTE 1 VOTER \"\\x00\\xFF\"");
    client_expect_err(&client, "ARGS", "VOTE 1 VOTER");
    client_expect_err(&client, "ARGS", "VOTE 1 VOTER x VOTER y");
    client_expect_err(&client, "ARGS", "UNVOTE once");
    EXPECT(scene_total(&client, "once") == 7, "a refused vote was counted");
    tear_down();
}

static void needs_a_voter(void)
{
    set_up();
    for (int id = 1; id <= 4; id++) {
        client_expect_err(&client, "INVAL", "VOTE %d", id);
        client_expect_err(&client, "INVAL", "VOTE %d N 1", id);
        client_expect_err(&client, "INVAL", "VOTE %d KEY k", id);
        client_expect_err(&client, "INVAL", "VOTE %d VOTER v N 2", id);
        client_expect_err(&client, "RANGE", "VOTE %d VOTER v N 0", id);
    }
    client_expect(&client, "OK 1", "VOTE 1 VOTER v N 1");
    client_expect(&client, "OK 3", "VOTE 5 VOTER v N 3");
    client_expect(&client, "OK 4", "VOTE 5 VOTER v");
    EXPECT(scene_total(&client, "once") == 1 && scene_total(&client, "change") == 0,
           "a refused vote was counted");
    tear_down();
}

/* One option that cannot be voted for, and none is. */
static void all_or_none(void)
{
    set_up();
    client_expect_err(&client, "INVAL", "VOTE 1 1 VOTER v");
    client_expect_err(&client, "INVAL", "VOTE 1 2 1 VOTER v");
    client_expect_err(&client, "INVAL", "VOTE 1 3 VOTER v");
    client_expect_err(&client, "INVAL", "VOTE 1 5 VOTER v");
    client_expect_err(&client, "INVAL", "VOTE 1 12abc VOTER v");
    client_expect_err(&client, "NOTFOUND", "VOTE 1 2 99999 VOTER v");
    client_expect_err(&client, "NOTFOUND", "VOTE once/a once/c VOTER v");
    client_expect_err(&client, "INVAL", "VOTE 1 2");
    client_expect_err(&client, "INVAL", "VOTE 5 6");
    client_expect_err(&client, "INVAL", "VOTE 5 6 VOTER v");
    client_expect(&client, "OK 1 1", "VOTE once/a 2 VOTER v");
    client_expect_err(&client, "VOTED", "VOTE 1 VOTER v");
    client_expect_err(&client, "VOTED", "VOTE 2 1 VOTER v");
    EXPECT(scene_total(&client, "once") == 2 && scene_total(&client, "change") == 0 &&
               scene_total(&client, "free") == 0,
           "a refused vote was counted");
    tear_down();
}

/* Appends the ids `first` to `end` - 1, each with `before` in front. */
static void add_ids(char line[LINE_BYTES], uint64_t first, uint64_t end, const char *before)
{
    for (uint64_t id = first; id < end; id++) {
        size_t len = strlen(line);
        snprintf(line + len, LINE_BYTES - len, "%s%" PRIu64, id > first ? before : "", id);
    }
}

static void add(char line[LINE_BYTES], const char *text)
{
    size_t len = strlen(line);
    snprintf(line + len, LINE_BYTES - len, "%s", text);
}

static void sixty_options(void)
{
    char label[16], line[LINE_BYTES] = "VOTE ", reply[LINE_BYTES] = "OK";
    set_up();
    uint64_t first = scene_option(&client, "change", "o0");
    for (int i = 1; i <= OPTIONS_MAX; i++) {
        snprintf(label, sizeof(label), "o%d", i);
        EXPECT(scene_option(&client, "change", label) == first + (uint64_t)i, "ids");
    }
    add_ids(line, first, first + OPTIONS_MAX + 1, " ");
    client_expect_err(&client, "RANGE", "%s VOTER v", line);
    line[5] = '\0';
    add_ids(line, first, first + OPTIONS_MAX, " ");
    for (int i = 0; i < OPTIONS_MAX; i++) {
        add(reply, " 1");
    }
    client_expect(&client, reply, "%s VOTER v KEY k", line);
    EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "no snapshot");
    crash();
    add(reply, " dup=1");
    client_expect(&client, reply, "%s VOTER v KEY k", line);
    /* the vote goes from all of them to one */
    snprintf(reply, sizeof(reply), "OK 1 prev=");
    add_ids(reply, first, first + OPTIONS_MAX, ",");
    client_expect(&client, reply, "VOTE %" PRIu64 " VOTER v", first + OPTIONS_MAX);
    EXPECT(scene_total(&client, "change") == 1, "not one vote");
    crash();
    client_expect(&client, "OK 0", "UNVOTE change VOTER v");
    client_expect(&client, "NIL", "UNVOTE change VOTER v");
    tear_down();
}

static void moving(void)
{
    set_up();
    client_expect(&client, "OK 1", "VOTE 3 VOTER v");
    client_expect(&client, "OK 1 prev=3", "VOTE 3 VOTER v");
    client_expect(&client, "OK 1 prev=3", "VOTE 4 VOTER v");
    client_expect(&client, "OK 1 1 prev=4", "VOTE 3 4 VOTER v");
    crash();
    client_expect(&client, "OK 1 1 prev=3,4", "VOTE 4 3 VOTER v");
    client_expect(&client, "OK 0 0", "UNVOTE change VOTER v");
    client_expect(&client, "NIL", "UNVOTE change VOTER v");
    client_expect_err(&client, "INVAL", "UNVOTE free VOTER v");
    client_expect_err(&client, "NOTFOUND", "UNVOTE nowhere VOTER v");
    client_expect(&client, "OK 1", "VOTE 4 VOTER v");
    client_expect(&client, "OK", "POLL change CLOSE 1");
    client_expect_err(&client, "CLOSED", "VOTE 3 VOTER v");
    client_expect_err(&client, "CLOSED", "UNVOTE change VOTER v");
    client_expect_err(&client, "CLOSED", "UNVOTE change VOTER nobody");
    EXPECT(scene_votes(&client, "change", 4) == 1, "a closed poll has lost a vote");
    tear_down();
}

/* Voters are kept while a poll is free; what it counts meanwhile has none. */
static void other_modes(void)
{
    set_up();
    client_expect(&client, "OK 1", "VOTE 1 VOTER v");
    client_expect(&client, "OK", "POLL once MODE change");
    client_expect(&client, "OK 1 prev=1", "VOTE 2 VOTER v");
    client_expect(&client, "OK", "POLL once MODE free");
    client_expect(&client, "OK 2", "VOTE 2");
    client_expect(&client, "OK 3", "VOTE 2 VOTER v");
    client_expect_err(&client, "INVAL", "UNVOTE once VOTER v");
    client_expect(&client, "OK", "POLL once MODE once");
    crash();
    client_expect_err(&client, "INVAL", "VOTE 2");
    client_expect_err(&client, "VOTED", "VOTE 1 VOTER v");
    client_expect(&client, "OK 2", "UNVOTE once VOTER v");
    client_expect(&client, "OK 1", "VOTE 1 VOTER v");
    EXPECT(scene_total(&client, "once") == 3, "three votes");
    tear_down();
}

static const struct check_test tests[] = {
    {"A voter is 1 to 64 bytes of any kind, and differs by each", voters_names},
    {"A poll of voters takes no vote without one, and one vote at a time", needs_a_voter},
    {"One option that cannot be voted for, and none of the request is", all_or_none},
    {"60 options are one vote, 61 are refused", sixty_options},
    {"A vote moves, is taken back, and stays where the poll is closed", moving},
    {"The mode of a poll changes, and its voters are kept", other_modes},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
