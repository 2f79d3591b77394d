/* Long reads: right, whole, and in order with the other requests of their connection. That other
 * connections are served meanwhile is tested by tests/net/turn_test.c. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS = 3000, WORKERS = 1500, BUILDS = 2500, POLLS = 700, QUEUES = 600 };

static struct server server;
static struct client client;

/* Sends `before`, a number and `behind` for each number, then expects that all are OK. */
static void send_all(const char *before, const char *behind, int count)
{
    enum { AT_ONCE = 500 };
    for (int from = 0; from < count; from += AT_ONCE) {
        int end = from + AT_ONCE < count ? from + AT_ONCE : count;
        for (int i = from; i < end; i++) {
            EXPECT(client_send(&client, "%s%d%s", before, i, behind), "%s", before);
        }
        for (int i = from; i < end; i++) {
            const struct reply *reply = client_next(&client);
            EXPECT(reply_is_ok(reply), "%s: %s", before, reply->line);
        }
    }
}

static void begin(void)
{
    static const char *const args[] = {"--threads", "1", NULL};
    server_start(&server, args);
    client_open(&client, &server);
    scene_poll(&client, "big");
    send_all("OPTION big o", "", OPTIONS);
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

/* The sum of the votes of all lines, which are in order. */
static uint64_t sum_of(const struct reply *reply)
{
    uint64_t sum = 0;
    uint64_t last = UINT64_MAX;
    for (size_t i = 1; i < reply->row_count; i++) {
        char row[128];
        snprintf(row, sizeof row, "x %s", reply->rows[i]);
        uint64_t votes = line_number(row, 2);
        EXPECT(votes <= last, "%s is not in its place", reply->rows[i]);
        last = votes;
        sum += votes;
    }
    return sum;
}

static void tally_is_one_moment(void)
{
    static struct client voter;
    begin();
    client_open(&voter, &server);
    uint64_t cast = 0;
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 50; i++) {
            client_send(&voter, "VOTE %d N %d", (round * 977 + i * 131) % OPTIONS + 1, i % 3 + 1);
            cast += (uint64_t)(i % 3) + 1;
        }
        const struct reply *reply = client_get(&client, "TALLY big");
        EXPECT(reply->row_count == OPTIONS + 1, "%zu rows", reply->row_count);
        EXPECT(sum_of(reply) == line_field_number(reply->rows[0], "total"), "%s", reply->rows[0]);
        for (int i = 0; i < 50; i++) {
            EXPECT(reply_is_ok(client_next(&voter)), "a vote");
        }
        reply = client_get(&client, "TALLY big TOP 1");
        EXPECT(reply->row_count == 2, "%zu rows", reply->row_count);
        EXPECT(line_field_number(reply->rows[0], "total") == cast, "%s", reply->rows[0]);
    }
    client_close(&voter);
    end();
}

static void a_connection_sees_its_own_past(void)
{
    begin();
    for (int i = 1; i <= 200; i++) {
        client_send(&client, "VOTE 7 N %d", i);
        client_send(&client, "TALLY big TOP 1");
        client_send(&client, "PING %d", i);
    }
    uint64_t votes = 0;
    for (int i = 1; i <= 200; i++) {
        char wanted[64];
        votes += (uint64_t)i;
        EXPECT(reply_is_ok(client_next(&client)), "VOTE");
        const struct reply *reply = client_next(&client);
        snprintf(wanted, sizeof wanted, "7 %llu 100.0 o6", (unsigned long long)votes);
        EXPECT(reply->row_count == 2 && strcmp(reply->rows[1], wanted) == 0, "%s, not %s",
               reply->rows[1], wanted);
        snprintf(wanted, sizeof wanted, "OK PONG %d", i);
        EXPECT(reply_is(client_next(&client), wanted), "out of order");
    }
    send_all("OPTION big later", "", 1);
    const struct reply *reply = client_get(&client, "TALLY big");
    EXPECT(reply->row_count == OPTIONS + 2, "%zu rows", reply->row_count);
    end();
}

static void lists_are_whole(void)
{
    begin();
    send_all("POLL p", "", POLLS);
    send_all("WORKER w", " NAME \"a name\" TAGS x,y", WORKERS);
    send_all("SUBMIT q", " :x", QUEUES);
    send_all("SUBMIT q :", "", BUILDS);
    for (int round = 0; round < 2; round++) {
        const struct reply *reply = client_get(&client, "WORKERS");
        EXPECT(reply->row_count == WORKERS, "%zu workers", reply->row_count);
        for (size_t i = 1; i < reply->row_count; i++) {
            EXPECT(strcmp(reply->rows[i - 1], reply->rows[i]) < 0, "%s", reply->rows[i]);
        }
        reply = client_get(&client, "QUEUES");
        EXPECT(reply->row_count == QUEUES + 1, "%zu queues", reply->row_count);
        reply = client_get(&client, "BUILDS q COUNT 1000 REV");
        EXPECT(reply->row_count == 1000, "%zu builds", reply->row_count);
        uint64_t last = line_field_number(reply->rows[999], "id");
        reply = client_get(&client, "BUILDS q COUNT 1000 REV AFTER %llu", (unsigned long long)last);
        EXPECT(line_field_number(reply->rows[0], "id") == last - 1, "%s", reply->rows[0]);
        reply = client_get(&client, "BUILDS * STATE failed");
        EXPECT(reply->row_count == 0, "%zu builds", reply->row_count);
        reply = client_get(&client, "POLLS AFTER p5 COUNT 1000");
        EXPECT(strncmp(reply->rows[0], "p50 ", 4) == 0, "%s", reply->rows[0]);
        EXPECT(scene_info(&client, "pending") == QUEUES + BUILDS, "pending=");
        EXPECT(scene_info(&client, "queues") == QUEUES + 1, "queues=");
        client_expect(&client, "OK *0", "POLLS AFTER zzz");
        client_expect_err(&client, "NOTFOUND", "BUILDS nowhere STATE failed");
        client_expect_err(&client, "NOTFOUND", "TALLY nowhere");
        if (round == 0) {
            EXPECT(reply_is_ok(client_get(&client, "SNAPSHOT")), "SNAPSHOT");
            client_close(&client);
            server_crash(&server);
            client_open(&client, &server);
        }
    }
    end();
}

/* A client that leaves during its read leaves no memory behind, and no other client waits. */
static void who_goes_away_is_forgotten(void)
{
    begin();
    send_all("WORKER w", "", WORKERS);
    for (int i = 0; i < 50; i++) {
        struct client gone = {0};
        client_open(&gone, &server);
        client_send(&gone, "%s", i % 2 == 0 ? "WORKERS" : "TALLY big");
        client_close(&gone);
        client_expect(&client, "OK PONG", "PING");
    }
    EXPECT(client_get(&client, "WORKERS")->row_count == WORKERS, "WORKERS");
    end();
}

static const struct check_test tests[] = {
    {"a long TALLY is one moment, and its lines are its total", tally_is_one_moment},
    {"a long TALLY behind a vote of its connection counts it", a_connection_sees_its_own_past},
    {"long lists are whole and in order, also from a snapshot", lists_are_whole},
    {"who asks for much and goes away is forgotten", who_goes_away_is_forgotten},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
