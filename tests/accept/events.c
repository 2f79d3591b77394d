/* EVENTS: what is heard is what the voter was told, in order, also after crashes and snapshots. */
#include "tests/lib/check.h"
#include "tests/lib/expect.h"
#include "tests/lib/scene.h"

#include <stdlib.h>
#include <string.h>

enum { VOTERS = 20, LINES_MAX = 1000, LINE_BYTES = 400 };

static struct server server;
static struct client client;

static void begin(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

static void crash(void)
{
    client_close(&client);
    server_crash(&server);
    client_open(&client, &server);
}

/* The lines of a reply. */
struct lines {
    char at[LINES_MAX][LINE_BYTES];
    size_t count;
};

static struct lines now;
static struct lines before;

static void get(struct lines *lines, const char *request)
{
    const struct reply *reply = client_get(&client, "%s", request);
    EXPECT(reply_is_ok(reply) && reply->row_count <= LINES_MAX, "%s: %s", request, reply->line);
    lines->count = reply->row_count;
    for (size_t i = 0; i < reply->row_count; i++) {
        EXPECT(strlen(reply->rows[i]) < LINE_BYTES, "a long line");
        memcpy(lines->at[i], reply->rows[i], strlen(reply->rows[i]) + 1);
    }
}

static void expect_same_lines(const char *request)
{
    get(&now, request);
    EXPECT(now.count == before.count, "%s: %zu lines, not %zu", request, now.count, before.count);
    for (size_t i = 0; i < now.count; i++) {
        EXPECT(strcmp(now.at[i], before.at[i]) == 0, "%s: line %zu is\n%s, not\n%s", request, i,
               now.at[i], before.at[i]);
    }
}

/* Expects that a line, behind its lsn and time, is this. */
static void expect_line(const struct lines *lines, size_t i, const char *wanted)
{
    EXPECT(i < lines->count, "%zu lines", lines->count);
    const char *at = lines->at[i];
    EXPECT(strncmp(at, "> ", 2) == 0, "%s", at);
    for (int word = 0; word < 3; word++) {
        at = strchr(at, ' ');
        EXPECT(at != NULL, "%s", lines->at[i]);
        at++;
    }
    EXPECT(strcmp(at, wanted) == 0, "line %zu is\n%s, not\n%s", i, lines->at[i], wanted);
}

/* ---- votes ---- */

/* Twenty clients vote at once; told[v - 1]: one of them was told v. */
static void vote_at_once(uint64_t option, bool *told)
{
    static struct client voters[VOTERS];
    client_open_all(voters, VOTERS, &server);
    for (size_t i = 0; i < VOTERS; i++) {
        EXPECT(client_send(&voters[i], "VOTE %lu", (unsigned long)option), "closed");
    }
    for (size_t i = 0; i < VOTERS; i++) {
        uint64_t votes = line_number(client_next(&voters[i])->line, 1);
        EXPECT(votes >= 1 && votes <= VOTERS && !told[votes - 1], "told %lu", (unsigned long)votes);
        told[votes - 1] = true;
    }
    client_close_all(voters, VOTERS);
}

/* Expects that EACH tells the votes 1 to 20, in this order. */
static void expect_one_to_twenty(void)
{
    char wanted[LINE_BYTES];
    get(&now, "EVENTS COUNT 20 MATCH poll/p EACH");
    EXPECT(now.count == VOTERS, "%zu lines", now.count);
    for (size_t i = 0; i < VOTERS; i++) {
        snprintf(wanted, sizeof(wanted), "VOTE option=1 label=A poll=p votes=%zu n=1", i + 1);
        expect_line(&now, i, wanted);
    }
}

static void twenty_votes(void)
{
    bool told[VOTERS] = {false};
    begin();
    scene_poll(&client, "p");
    EXPECT(scene_option(&client, "p", "A") == 1, "another id");
    vote_at_once(1, told);
    expect_one_to_twenty();
    get(&before, "EVENTS COUNT 1000 MATCH poll/p");
    crash();
    expect_one_to_twenty();
    expect_same_lines("EVENTS COUNT 1000 MATCH poll/p");
    EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
    crash();
    expect_same_lines("EVENTS COUNT 1000 MATCH poll/p");
    client_expect(&client, "OK 21", "VOTE 1");
    crash();
    get(&now, "EVENTS COUNT 1 MATCH poll/p");
    expect_line(&now, 0, "VOTE option=1 label=A poll=p votes=21 n=1");
    end();
}

/* Votes of several connections with several N: each reply is the `votes` of an event. */
enum { CLIENTS = 4, ROUNDS = 30, OPTIONS = 3 };

static void heard_is_told(void)
{
    static struct client voters[CLIENTS];
    static bool told[OPTIONS][CLIENTS * ROUNDS * 3 + 1];
    uint64_t sums[OPTIONS] = {0};
    begin();
    scene_poll(&client, "p");
    for (size_t i = 0; i < OPTIONS; i++) {
        char label[2] = {(char)('A' + i), '\0'};
        EXPECT(scene_option(&client, "p", label) == i + 1, "another id");
    }
    client_open_all(voters, CLIENTS, &server);
    for (size_t r = 0; r < ROUNDS; r++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            size_t option = (r + i) % OPTIONS;
            size_t n = 1 + (r * 7 + i) % 3;
            sums[option] += n;
            EXPECT(client_send(&voters[i], "VOTE %zu N %zu", option + 1, n), "closed");
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            told[(r + i) % OPTIONS][line_number(client_next(&voters[i])->line, 1)] = true;
        }
    }
    client_close_all(voters, CLIENTS);
    uint64_t last[OPTIONS] = {0};
    uint64_t lsn = 0;
    get(&before, "EVENTS FROM 1 COUNT 1000 EACH");
    for (size_t i = 0; i < before.count; i++) {
        const char *line = before.at[i];
        char type[16];
        EXPECT(line_number(line, 1) >= lsn, "out of order: %s", line);
        lsn = line_number(line, 1);
        if (line_word(line, 3, type, sizeof(type)) && strcmp(type, "VOTE") == 0) {
            size_t option = line_field_number(line, "option") - 1;
            EXPECT(option < OPTIONS && line_field_number(line, "votes") == ++last[option], "%s",
                   line);
        }
    }
    for (size_t i = 0; i < OPTIONS; i++) {
        EXPECT(last[i] == sums[i] && told[i][last[i]], "%lu of %lu votes are heard",
               (unsigned long)last[i], (unsigned long)sums[i]);
    }
    crash();
    expect_same_lines("EVENTS FROM 1 COUNT 1000 EACH");
    end();
}

/* A poll's last votes stay while another one is busy, and through a start from a snapshot. */
static void quiet_poll(void)
{
    begin();
    scene_poll(&client, "quiet");
    scene_poll(&client, "busy");
    uint64_t quiet = scene_option(&client, "quiet", "\"C & Co\"");
    uint64_t busy = scene_option(&client, "busy", "B");
    for (uint64_t i = 0; i < 12; i++) {
        scene_vote_times(&client, quiet, i, 1);
    }
    get(&before, "EVENTS COUNT 10 MATCH poll/quiet");
    expect_line(&before, 9, "VOTE option=1 label=\"C & Co\" poll=quiet votes=12 n=1");
    for (uint64_t i = 0; i < 300; i++) {
        scene_vote_times(&client, busy, i * 10, 10);
    }
    expect_same_lines("EVENTS COUNT 10 MATCH poll/quiet");
    EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
    scene_vote_times(&client, busy, 3000, 10);
    expect_same_lines("EVENTS COUNT 10 MATCH poll/quiet");
    crash();
    expect_same_lines("EVENTS COUNT 10 MATCH poll/quiet");
    EXPECT(server_term(&server) == 0, "exit");
    server_restart(&server);
    client_close(&client);
    client_open(&client, &server);
    expect_same_lines("EVENTS COUNT 10 MATCH poll/quiet");
    const struct reply *reply = client_get(&client, "EVENTS FROM 1");
    EXPECT(reply_is_err(reply, "RANGE") && strstr(reply->line, "oldest=") != NULL, "%s",
           reply->line);
    char request[64];
    snprintf(request, sizeof(request), "EVENTS FROM %lu",
             (unsigned long)line_field_number(reply->line, "oldest"));
    get(&now, request);
    EXPECT(now.count >= 1, "what is behind the snapshot is there");
    end();
}

/* ---- ballots ---- */

static void ballots(void)
{
    begin();
    client_expect(&client, "OK", "POLL p MODE change");
    for (size_t i = 0; i < 3; i++) {
        (void)scene_option(&client, "p", i == 0 ? "A" : i == 1 ? "B" : "C");
    }
    client_expect(&client, "OK 1 1", "VOTE 1 2 VOTER ann");
    EXPECT(reply_is_ok(client_get(&client, "VOTE 2 3 VOTER ann")), "a vote is changed");
    client_expect(&client, "OK", "POLL q MODE once");
    (void)scene_option(&client, "q", "D");
    client_expect(&client, "OK 1", "VOTE 4 VOTER ann");
    client_expect_err(&client, "VOTED", "VOTE 4 VOTER ann");
    EXPECT(reply_is_ok(client_get(&client, "UNVOTE q VOTER ann")), "a vote is taken back");
    client_expect(&client, "NIL", "UNVOTE q VOTER ann");
    get(&before, "EVENTS MATCH poll/p");
    size_t last = before.count - 1;
    expect_line(&before, last - 3, "VOTE option=1 label=A poll=p votes=1 n=1 voter=ann");
    expect_line(&before, last - 2, "VOTE option=2 label=B poll=p votes=1 n=1 voter=ann");
    expect_line(&before, last - 1, "UNVOTE option=1 label=A poll=p votes=0 n=1 voter=ann");
    expect_line(&before, last, "VOTE option=3 label=C poll=p votes=1 n=1 voter=ann");
    get(&now, "EVENTS MATCH poll/q");
    last = now.count - 1;
    expect_line(&now, last - 1, "VOTE option=4 label=D poll=q votes=1 n=1 voter=ann");
    expect_line(&now, last, "UNVOTE option=4 label=D poll=q votes=0 n=1 voter=ann");
    scene_poll(&client, "r");
    (void)scene_option(&client, "r", "E");
    client_expect(&client, "OK 1", "VOTE 5 VOTER bob KEY k1");
    client_expect(&client, "OK 1 dup=1", "VOTE 5 VOTER bob KEY k1");
    client_expect(&client, "OK 2", "VOTE 5");
    get(&now, "EVENTS MATCH poll/r");
    EXPECT(now.count == 4, "%zu lines", now.count);
    expect_line(&now, 2, "VOTE option=5 label=E poll=r votes=1 n=1 voter=bob");
    expect_line(&now, 3, "VOTE option=5 label=E poll=r votes=2 n=1");
    client_expect(&client, "OK 12", "SEED 5 10 OVER 60000");
    get(&now, "EVENTS COUNT 1 MATCH poll/r EACH");
    expect_line(&now, 0, "SEED option=5 label=E poll=r votes=12 n=10");
    client_expect(&client, "OK 12", "RESET r");
    client_expect(&client, "OK 1", "VOTE 5");
    get(&now, "EVENTS COUNT 2 MATCH poll/r");
    expect_line(&now, 0, "RESET poll=r total=12");
    expect_line(&now, 1, "VOTE option=5 label=E poll=r votes=1 n=1");
    get(&before, "EVENTS FROM 1 COUNT 100");
    crash();
    expect_same_lines("EVENTS FROM 1 COUNT 100");
    EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
    get(&before, "EVENTS MATCH poll/p");
    crash();
    expect_same_lines("EVENTS MATCH poll/p");
    end();
}

/* ---- words ---- */

static void builds_and_workers(void)
{
    struct claim claim;
    begin();
    scene_worker(&client, "w1");
    uint64_t first = scene_submit(&client, "q", "PRI 3", "make");
    (void)scene_submit(&client, "other", "", "make");
    scene_claim(&claim, &client, "w1", "q");
    client_expect(&client, "OK", "DONE %lu %lu RESULT fine", (unsigned long)claim.id,
                  (unsigned long)claim.token);
    get(&now, "EVENTS MATCH queue/q");
    EXPECT(now.count == 3 && first == 1, "%zu lines", now.count);
    expect_line(&now, 0, "SUBMIT build=1 queue=q state=pending pri=3");
    expect_line(&now, 1, "CLAIM build=1 queue=q state=assigned worker=w1 token=2");
    expect_line(&now, 2, "DONE build=1 queue=q state=completed worker=w1 token=2");
    get(&before, "EVENTS MATCH build/1");
    EXPECT(before.count == 3, "%zu lines", before.count);
    get(&now, "EVENTS MATCH build/2");
    expect_line(&now, 0, "SUBMIT build=2 queue=other state=pending pri=5");
    get(&now, "EVENTS MATCH worker/w1");
    EXPECT(now.count == 3, "%zu lines", now.count);
    expect_line(&now, 0, "WORKER worker=w1 again=0");
    get(&now, "EVENTS MATCH worker/w2 queue/none poll/none");
    EXPECT(now.count == 0, "%zu lines", now.count);
    get(&now, "EVENTS MATCH poll/none *");
    EXPECT(now.count == 5, "%zu lines", now.count);
    get(&before, "EVENTS COUNT 3 match QUEUE/q build/2 from 1");
    EXPECT(before.count == 3, "%zu lines", before.count);
    end();
}

static void bounds(void)
{
    char request[LINE_BYTES] = "EVENTS MATCH";
    begin();
    client_expect(&client, "OK *0", "EVENTS");
    scene_poll(&client, "p");
    for (int i = 0; i < 12; i++) {
        char label[8];
        snprintf(label, sizeof(label), "o%d", i);
        (void)scene_option(&client, "p", label);
    }
    get(&now, "EVENTS");
    EXPECT(now.count == 10, "the default is 10, not %zu", now.count);
    client_expect_err(&client, "RANGE", "EVENTS COUNT 0");
    get(&now, "EVENTS COUNT 1");
    expect_line(&now, 0, "OPTION option=12 label=o11 poll=p");
    get(&now, "EVENTS COUNT 1000");
    EXPECT(now.count == 13, "%zu lines", now.count);
    client_expect_err(&client, "RANGE", "EVENTS COUNT 1001");
    client_expect_err(&client, "RANGE", "EVENTS FROM 0");
    get(&now, "EVENTS FROM 13");
    EXPECT(now.count == 1, "%zu lines", now.count);
    client_expect(&client, "OK *0", "EVENTS FROM 14");
    client_expect(&client, "OK *0", "EVENTS FROM 18446744073709551615");
    client_expect_err(&client, "INVAL", "EVENTS MATCH");
    client_expect_err(&client, "INVAL", "EVENTS MATCH p");
    client_expect_err(&client, "INVAL", "EVENTS MATCH poll/");
    client_expect_err(&client, "INVAL", "EVENTS MATCH poll/a/b");
    client_expect_err(&client, "INVAL", "EVENTS MATCH build/x");
    client_expect_err(&client, "INVAL", "EVENTS MATCH poll/p MATCH");
    client_expect_err(&client, "INVAL", "EVENTS LAST 3");
    client_expect_err(&client, "ARGS", "EVENTS COUNT");
    client_expect_err(&client, "ARGS", "EVENTS COUNT 1 COUNT 1");
    for (int i = 0; i < 16; i++) {
        strncat(request, " poll/p", sizeof(request) - strlen(request) - 1);
    }
    get(&now, request);
    EXPECT(now.count == 10, "%zu lines", now.count);
    strncat(request, " poll/p", sizeof(request) - strlen(request) - 1);
    client_expect_err(&client, "INVAL", "%s", request);
    end();
}

static const struct check_test tests[] = {
    {"A2: EACH tells 20 concurrent votes as exactly 1 to 20, also after crashes", twenty_votes},
    {"A6: what is heard is what the voters were told", heard_is_told},
    {"a quiet poll's last votes stay, also after a start from a snapshot", quiet_poll},
    {"votes that name their voter are told, refused ones are not", ballots},
    {"builds and workers are found by queue, build and worker", builds_and_workers},
    {"the bounds of COUNT, FROM and MATCH", bounds},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
