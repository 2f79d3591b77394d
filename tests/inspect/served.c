/* replay --until beside a running server: a second server on the new directory gives the answers of
 * that moment. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/proc.h"
#include "tests/lib/files.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "wal/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWERS_MAX = 4096 };

static struct server server;
static struct server second;
static struct client client;

/* Adds a reply to the answers, without fields that depend on the clock. */
static void add(char *answers, const struct reply *reply)
{
    size_t len = strlen(answers);
    len += (size_t)snprintf(answers + len, ANSWERS_MAX - len, "%s\n", reply->line);
    for (size_t i = 0; i < reply->row_count; i++) {
        char total[32];
        bool is_head = line_field(reply->rows[i], "total", total, sizeof(total));
        len += (size_t)snprintf(answers + len, ANSWERS_MAX - len, "%s\n",
                                is_head ? total : reply->rows[i]);
    }
    EXPECT(len < ANSWERS_MAX, "long answers");
}

/* Collects a server's answers about state of every kind. Returns its lsn. */
static uint64_t ask_all(struct client *from, char answers[ANSWERS_MAX])
{
    answers[0] = '\0';
    add(answers, client_get(from, "TALLY p"));
    add(answers, client_get(from, "BUILD 1"));
    add(answers, client_get(from, "BUILD 2"));
    add(answers, client_get(from, "BUILD 3"));
    const struct reply *reply = client_get(from, "TALLY p TOP 1");
    EXPECT(reply->row_count > 0, "TALLY gave '%s'", reply->line);
    return line_field_number(reply->rows[0], "lsn");
}

/* Makes polls, votes, a completed build, a held one and a pending one. */
static void make_past(void)
{
    struct claim claim;
    scene_poll(&client, "p");
    EXPECT(scene_option(&client, "p", "A") == 1, "the first option is not 1");
    scene_option(&client, "p", "B");
    scene_vote_times(&client, 1, 0, 500);
    scene_vote_times(&client, 2, 0, 100);
    scene_worker(&client, "w");
    scene_submit(&client, "q", "", ":one");
    scene_submit(&client, "q", "", ":two");
    scene_submit(&client, "q", "", ":three");
    scene_claim(&claim, &client, "w", "q");
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64 " RESULT :made", claim.id,
                  claim.token);
    scene_claim(&claim, &client, "w", "q");
}

/* Changes all of these. */
static void make_present(void)
{
    struct claim claim;
    scene_vote_times(&client, 2, 100, 1000);
    scene_option(&client, "p", "C");
    scene_claim(&claim, &client, "w", "q");
    client_expect(&client, "OK", "DONE %" PRIu64 " %" PRIu64, claim.id, claim.token);
    scene_submit(&client, "q", "", ":four");
}

/* The time of the record with this lsn in the log. */
static uint64_t time_of(uint64_t lsn)
{
    char number[32];
    char *text = NULL;
    snprintf(number, sizeof(number), "%" PRIu64, lsn);
    const char *argv[] = {getenv("TALLY_WAL"), "dump", "--from", number, "--to", number,
                          server.data,         NULL};
    EXPECT(proc_run(argv, &text) == 0, "dump of record %s", number);
    uint64_t time_ms = line_number(text, 1);
    EXPECT(line_number(text, 0) == lsn && time_ms != UINT64_MAX, "'%s'", text);
    free(text);
    return time_ms;
}

/* Replays into the second server's directory, starts it, compares, and votes on. */
static void expect_past(const char *until, const char *wanted, uint64_t votes)
{
    char answers[ANSWERS_MAX];
    struct client past;
    server_init(&second);
    const char *argv[] = {getenv("TALLY_WAL"), "replay", server.data, "--until", until, "--into",
                          second.data,         NULL};
    int code = proc_run(argv, NULL);
    EXPECT(code == 0, "replay --until %s ended with code %d", until, code);
    server_restart(&second);
    client_open(&past, &second);
    ask_all(&past, answers);
    EXPECT(strcmp(answers, wanted) == 0, "--until %s, it was\n%sand is\n%s", until, wanted,
           answers);
    scene_vote_times(&past, 1, votes, 10);
    client_close(&past);
    server_stop(&second);
}

static void serves_the_past(void)
{
    char wanted[ANSWERS_MAX];
    char now[ANSWERS_MAX];
    char again[ANSWERS_MAX];
    char until[64];
    server_start(&server, NULL);
    client_open(&client, &server);
    make_past();
    uint64_t lsn = ask_all(&client, wanted);
    uint64_t time_ms = time_of(lsn);
    while (clock_wall_ms() <= time_ms) {
        client_get(&client, "PING"); /* so that later records have another time */
    }
    make_present();
    ask_all(&client, now);
    EXPECT(strcmp(now, wanted) != 0, "nothing has changed");

    snprintf(until, sizeof(until), "%" PRIu64, lsn);
    expect_past(until, wanted, 500);
    snprintf(until, sizeof(until), "%" PRIu64 "ms", time_ms);
    expect_past(until, wanted, 500);
    ask_all(&client, again);
    EXPECT(strcmp(now, again) == 0, "the server of the present says now\n%s", again);
    client_close(&client);
    server_stop(&server);
}

/* Two snapshots hold the records of the first run, so retention removes its segments. */
static void lose_the_beginning(void)
{
    char path[SERVER_PATH_MAX + 128];
    make_past();
    client_close(&client);
    server_crash(&server);
    client_open(&client, &server);
    for (int i = 0; i < 2; i++) {
        scene_vote_times(&client, 1, 500 + 10 * (uint64_t)i, 10);
        client_get(&client, "SNAPSHOT");
    }
    scene_vote_times(&client, 1, 520, 10);
    snprintf(path, sizeof(path), "%s/wal-0000000000000001.seg", server.data);
    EXPECT(access(path, F_OK) != 0, "%s is still there", path);
}

/* A moment in the log behind the snapshots. */
static void replays_what_is_left(uint64_t lsn, const char *wanted)
{
    char until[32];
    snprintf(until, sizeof(until), "%" PRIu64, lsn);
    expect_past(until, wanted, 530);
    server_init(&second);
    const char *argv[] = {getenv("TALLY_WAL"), "replay", server.data, "--until", "1", "--into",
                          second.data,         NULL};
    EXPECT(proc_run(argv, NULL) == 64, "record 1 is gone");
    EXPECT(access(second.data, F_OK) != 0, "something was left behind");
    files_remove_tree(second.home);
}

static void reads_what_is_left(void)
{
    static const char *const args[] = {"--retain-bytes", "1", NULL};
    char wanted[ANSWERS_MAX];
    char *text = NULL;
    server_start(&server, args);
    client_open(&client, &server);
    lose_the_beginning();
    uint64_t lsn = ask_all(&client, wanted);
    scene_vote_times(&client, 1, 530, 10);
    client_close(&client);
    EXPECT(server_term(&server) == 0, "SIGTERM");

    const char *verify[] = {getenv("TALLY_WAL"), "verify", server.data, NULL};
    EXPECT(proc_run(verify, NULL) == 0, "verify");
    const char *dump[] = {getenv("TALLY_WAL"), "dump", "--option", "p/A", server.data, NULL};
    EXPECT(proc_run(dump, &text) == 0, "dump");
    EXPECT(strstr(text, "votes=510 ") != NULL && strstr(text, "votes=540 ") != NULL, "%s", text);
    EXPECT(strstr(text, "votes=500 ") == NULL, "%s", text);
    free(text);
    replays_what_is_left(lsn, wanted);

    server_restart(&server);
    client_open(&client, &server);
    EXPECT(scene_votes(&client, "p", 1) == 540, "counts never leave");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"a server on what replay --until has written answers as the first one did then",
     serves_the_past},
    {"where old log has gone the inspector and replay begin with a snapshot", reads_what_is_left},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
