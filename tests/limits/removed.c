/* The data directory is removed while the server runs: a change that is not on disk gets no OK. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/files.h"
#include "tests/lib/proc.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_IO = 74, LOOK_MS = 50 };

static const char gone[] = "the log is not in its directory any more";

static struct server server;
static struct client client;
static uint64_t option;

static void begin(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    option = scene_option(&client, "lang", "C");
    scene_vote_times(&client, option, 0, 3);
}

/* Removes a part of the directory; "": all of it. */
static void remove_data(const char *what)
{
    static char script[sizeof(server.data) + 64];
    static const char *const argv[] = {"sh", "-c", script, NULL};
    snprintf(script, sizeof(script), "rm -r '%s'%s", server.data, what);
    EXPECT(proc_run(argv, NULL) == 0, "%s", script);
}

static unsigned times_said(const char *text)
{
    unsigned times = 0;
    char *all = files_read(server.said, NULL);
    for (const char *at = all; at != NULL && (at = strstr(at, text)) != NULL; at++) {
        times++;
    }
    free(all);
    return times;
}

/* Reads go on, changes and the ends of builds are refused, and the exit code is not 0. */
static void expect_reads_alone(void)
{
    client_expect_err(&client, "READONLY", "VOTE lang/C");
    client_expect_err(&client, "READONLY", "POLL other");
    client_send(&client, "VOTE lang/C");
    const struct reply *reply = client_next(&client);
    EXPECT(strstr(reply->line, "stderr") != NULL, "it sends nobody to the reason: %s", reply->line);
    client_expect_err(&client, "READONLY", "SNAPSHOT");
    EXPECT(scene_votes(&client, "lang", option) == 3, "it does not show what it has");
    EXPECT(times_said(gone) == 1, "it says it %u times", times_said(gone));
}

static void expect_end(void)
{
    int code = server_term(&server);
    EXPECT(code == EXIT_IO, "it ended with code %d", code);
    client_close(&client);
}

static void the_directory(void)
{
    begin();
    client_expect(&client, "OK new", "WORKER mac1");
    client_expect(&client, "OK 1", "SUBMIT ios :make");
    client_send(&client, "CLAIM mac1 ios");
    const struct reply *reply = client_next(&client);
    EXPECT(reply_is_ok(reply), "CLAIM");
    unsigned long long token = 0;
    EXPECT(sscanf(reply->line, "OK 1 %llu", &token) == 1, "CLAIM");
    client_expect(&client, "OK 60000", "BEAT 1 %llu", token);
    remove_data("");
    server_await_said(&server, gone);
    expect_reads_alone();
    client_expect_err(&client, "READONLY", "DONE 1 %llu", token);
    expect_end();
}

static void expect_empty_dir(void)
{
    struct dirent **entries;
    int count = scandir(server.data, &entries, NULL, NULL);
    for (int i = 0; i < count; i++) {
        EXPECT(entries[i]->d_name[0] == '.', "it has made %s", entries[i]->d_name);
        free(entries[i]);
    }
    EXPECT(count == 2, "%d entries", count);
    free(entries);
}

static void what_is_in_it(void)
{
    begin();
    remove_data("/*");
    server_await_said(&server, gone);
    expect_reads_alone();
    expect_end();
    expect_empty_dir();
}

/* The server has not noticed the removal when the change comes: it checks before the OK. */
static void right_before_a_snapshot(void)
{
    begin();
    remove_data("/*");
    client_expect_err(&client, "READONLY", "SNAPSHOT");
    server_await_said(&server, gone);
    expect_end();
}

/* SNAPSHOT would answer with the existing snapshot, which was removed. */
static void right_before_another_snapshot(void)
{
    begin();
    client_send(&client, "SNAPSHOT");
    EXPECT(reply_is_ok(client_next(&client)), "SNAPSHOT");
    remove_data("/*");
    client_expect_err(&client, "READONLY", "SNAPSHOT");
    expect_end();
}

/* The first change after the removal is refused or not answered, although the server was not idle
 * long enough to notice the removal before. */
static void right_before_a_change(void)
{
    begin();
    remove_data("");
    wait_ms(LOOK_MS + 1);
    client_send(&client, "VOTE lang/C");
    server_await_said(&server, gone);
    kill(server.pid, SIGTERM);
    int code = server_await_exit(&server);
    EXPECT(code == EXIT_IO, "it ended with code %d", code);
    const struct reply *reply = client_read(&client);
    EXPECT(reply == NULL || !reply_is_ok(reply), "it was told OK");
    client_close(&client);
}

static void another_name(void)
{
    static char name[sizeof(server.data)];
    begin();
    snprintf(name, sizeof(name), "%s/other", server.home);
    EXPECT(rename(server.data, name) == 0, "rename: %s", strerror(errno));
    memcpy(server.data, name, sizeof(server.data));
    wait_ms(LOOK_MS + 1);
    client_expect(&client, "OK 4", "VOTE lang/C");
    client_send(&client, "SNAPSHOT");
    EXPECT(reply_is_ok(client_next(&client)), "SNAPSHOT");
    client_close(&client);
    server_crash(&server);
    client_open(&client, &server);
    EXPECT(scene_votes(&client, "lang", option) == 4, "votes are lost");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"Without its directory it serves reads, and tells nothing else OK", the_directory},
    {"So it does when only what is in the directory has gone", what_is_in_it},
    {"A SNAPSHOT that comes right behind that is not told OK", right_before_a_snapshot},
    {"Nor one that has nothing new to save", right_before_another_snapshot},
    {"A change that comes right behind that is not told OK", right_before_a_change},
    {"A directory with another name is the same one", another_name},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
