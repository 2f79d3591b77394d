/* dump --follow beside a running server: every record once, whole, in order, across segments. */
#include "tests/inspect/tail.h"
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/proc.h"
#include "tests/lib/scene.h"
#include "tests/lib/seed.h"
#include "tests/lib/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VOTES_A_ROUND = 200, PAYLOAD_BYTES = 1 << 20, ROUNDS_MAX = 200 };

static const char *const no_options[] = {NULL};
static const char *const one_thread[] = {"--threads", "1", NULL};
static struct server server;
static struct client client;
static struct tail tail;
static unsigned char payload[PAYLOAD_BYTES];
static uint64_t votes;

static void begin(void)
{
    votes = 0;
    server_start(&server, one_thread);
    client_open(&client, &server);
    scene_poll(&client, "p");
    EXPECT(scene_option(&client, "p", "A") == 1, "the first option is not 1");
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

static void vote(void)
{
    scene_vote_times(&client, 1, votes, VOTES_A_ROUND);
    votes += VOTES_A_ROUND;
}

/* Makes the server go on to the next segment: the first one is short, and some payloads that do not
 * compress fill it. */
static bool has_rotated(void)
{
    char path[SERVER_PATH_MAX + 128];
    snprintf(path, sizeof(path), "%s", server.data);
    const char *argv[] = {getenv("TALLY_WAL"), "stat", "--json", path, NULL};
    char *text = NULL;
    int code = proc_run(argv, &text);
    EXPECT((code == 0 || code == 4) && text != NULL, "stat ended with code %d", code);
    bool rotated = strstr(text, "\"sealed\":0") == NULL;
    free(text);
    return rotated;
}

static void submit(uint64_t round)
{
    seed_fill(round, payload, sizeof(payload));
    EXPECT(client_send_blob(&client, "SUBMIT q", payload, sizeof(payload)), "the server is gone");
    EXPECT(reply_is_ok(client_next(&client)), "SUBMIT gave '%s'", client.reply.line);
}

static void follows_across_segments(void)
{
    begin();
    tail_open(&tail, server.data, no_options);
    uint64_t rounds = 0;
    for (; rounds < 3 || !has_rotated(); rounds++) {
        EXPECT(rounds < ROUNDS_MAX, "no other segment after %d MiB", ROUNDS_MAX);
        vote();
        submit(rounds);
        vote();
        tail_await_votes(&tail, votes);
    }
    vote();
    tail_await_votes(&tail, votes);
    printf("  %llu votes, %llu MiB of payloads, %llu records\n", (unsigned long long)votes,
           (unsigned long long)rounds, (unsigned long long)tail.next_lsn - 1);
    kill(tail.pid, SIGINT);
    int code = tail_await_exit(&tail);
    EXPECT(code == 0, "SIGINT ended it with code %d", code);
    end();
}

static void follows_across_kills(void)
{
    begin();
    tail_open(&tail, server.data, no_options);
    for (int round = 0; round < 10; round++) {
        vote();
        tail_await_votes(&tail, votes);
        vote(); /* the follower reads these after the kill */
        client_close(&client);
        server_crash(&server);
        client_open(&client, &server);
    }
    vote();
    tail_await_votes(&tail, votes);
    kill(tail.pid, SIGTERM);
    int code = tail_await_exit(&tail);
    EXPECT(code == 0, "SIGTERM ended it with code %d", code);
    end();
}

/* A follower that begins before there is a log at all. */
static void follows_from_the_first_record(void)
{
    server_init(&server);
    char made[SERVER_PATH_MAX + 128];
    snprintf(made, sizeof(made), "%s", server.data);
    const char *argv[] = {"mkdir", "-m", "700", made, NULL};
    EXPECT(proc_run(argv, NULL) == 0, "mkdir");
    tail_open(&tail, server.data, no_options);
    server.args = one_thread;
    server_restart(&server);
    votes = 0;
    client_open(&client, &server);
    scene_poll(&client, "p");
    EXPECT(scene_option(&client, "p", "A") == 1, "the first option is not 1");
    vote();
    tail_await_votes(&tail, votes);
    kill(tail.pid, SIGINT);
    EXPECT(tail_await_exit(&tail) == 0, "it did not end with 0");
    end();
}

static void a_closed_pipe_ends_it(void)
{
    begin();
    tail_open(&tail, server.data, no_options);
    vote();
    tail_await_votes(&tail, votes);
    tail_hang_up(&tail);
    int code = tail_await_exit(&tail);
    EXPECT(code == 0, "the closed pipe ended it with code %d", code);
    end();
}

static void ends_at_the_lsn_it_was_told(void)
{
    static const char *const options[] = {"--to", "3", NULL};
    begin();
    tail_open(&tail, server.data, options);
    vote();
    vote();
    int code = tail_await_exit(&tail);
    EXPECT(code == 0 && tail.next_lsn == 4, "code %d, and the last lsn is %llu", code,
           (unsigned long long)tail.next_lsn - 1);
    end();
}

static void lose(const char *segment)
{
    char path[SERVER_PATH_MAX + 128];
    snprintf(path, sizeof(path), "%s/%s", server.data, segment);
    EXPECT(access(path, F_OK) != 0, "%s is still there", path);
}

/* Each start begins a segment, and after two snapshots retention removes the segments before the
 * first. The follower stands still meanwhile. */
static void says_what_it_has_missed(void)
{
    static const char *const keep_little[] = {"--threads", "1", "--retain-bytes", "1", NULL};
    int status = 0;
    votes = 0;
    server_start(&server, keep_little);
    client_open(&client, &server);
    scene_poll(&client, "p");
    EXPECT(scene_option(&client, "p", "A") == 1, "the first option is not 1");
    tail_open(&tail, server.data, no_options);
    vote();
    tail_await_votes(&tail, votes);
    kill(tail.pid, SIGSTOP);
    EXPECT(waitpid(tail.pid, &status, WUNTRACED) == tail.pid && WIFSTOPPED(status), "SIGSTOP");
    for (int round = 0; round < 4; round++) {
        vote();
        client_get(&client, "SNAPSHOT");
        client_close(&client);
        server_crash(&server);
        client_open(&client, &server);
    }
    vote();
    client_get(&client, "SNAPSHOT");
    lose("wal-0000000000000001.seg");
    lose("wal-0000000000000002.seg");
    kill(tail.pid, SIGCONT);
    int code = tail_await_exit(&tail);
    EXPECT(code == 75, "it ended with code %d", code);
    /* a follower that has the first segment open reads that one to its end */
    EXPECT(tail.votes == VOTES_A_ROUND || tail.votes == 2 * VOTES_A_ROUND, "it has seen %llu votes",
           (unsigned long long)tail.votes);
    end();
}

static const struct check_test tests[] = {
    {"dump --follow shows every record once and whole, also in the next segment",
     follows_across_segments},
    {"dump --follow goes on when the server is killed and started again", follows_across_kills},
    {"dump --follow waits for a log that is not there yet", follows_from_the_first_record},
    {"dump --follow ends with 0 when nobody reads it any more", a_closed_pipe_ends_it},
    {"dump --follow --to ends by itself", ends_at_the_lsn_it_was_told},
    {"dump --follow ends with 75 when records have left the log before it has read them",
     says_what_it_has_missed},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
