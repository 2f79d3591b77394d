/* Each request has one reply, whole and in its place, however many are in flight. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/limits/traced.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { VOTES_OF_A_FLUSH = 8192, TEXT_ROOM = 1 << 20 };

static struct server server;
static struct client client;

/* Requests that are sent in one write. */
struct text {
    char *at;
    size_t len;
};

static void text_begin(struct text *text)
{
    *text = (struct text){.at = malloc(TEXT_ROOM)};
    EXPECT(text->at != NULL, "no memory");
}

static void text_add(struct text *text, const char *line)
{
    size_t len = strlen(line);
    EXPECT(text->len + len < TEXT_ROOM, "the text is too long");
    memcpy(text->at + text->len, line, len);
    text->len += len;
}

static void text_send(struct text *text, struct client *to)
{
    EXPECT(client_write(to, text->at, text->len), "the server has closed");
    free(text->at);
}

static void expect_line(struct client *from, const char *line)
{
    const struct reply *reply = client_next(from);
    EXPECT(reply_is(reply, line), "'%s' came, not '%s'", reply->line, line);
}

static void expect_numbers(struct client *from, size_t count)
{
    char line[32];
    for (size_t i = 1; i <= count; i++) {
        snprintf(line, sizeof(line), "OK %zu", i);
        expect_line(from, line);
    }
}

static void begin(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
    client_expect(&client, "OK", "POLL lang");
    client_expect(&client, "OK 1", "OPTION lang C");
    client_expect(&client, "OK new", "WORKER w");
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

/*
 * Votes that wait behind a claim, all at once, as many as one flush takes; then a request that is
 * refused, and more. `odd` is a vote as people write it, which is a command of its own.
 */
static void full_table(size_t votes, const char *odd, const char *odd_reply)
{
    struct text text;
    begin();
    text_begin(&text);
    text_add(&text, "CLAIM w q WAIT 100\n");
    for (size_t i = 0; i < votes; i++) {
        text_add(&text, "VOTE 1\n");
    }
    text_add(&text, odd);
    text_add(&text, "PING after\n");
    text_send(&text, &client);
    expect_line(&client, "NIL");
    expect_numbers(&client, votes);
    const struct reply *reply = client_next(&client);
    EXPECT(strncmp(reply->line, odd_reply, strlen(odd_reply)) == 0, "'%s' came, not '%s'",
           reply->line, odd_reply);
    expect_line(&client, "OK PONG after");
    client_expect(&client, "OK PONG", "PING");
    end();
}

static void refused_at_a_full_table(void)
{
    for (size_t more = 0; more < 3; more++) {
        full_table(VOTES_OF_A_FLUSH - 1 + more, "vote 999\n", "ERR NOTFOUND");
    }
}

static void voted_at_a_full_table(void)
{
    char reply[32];
    snprintf(reply, sizeof(reply), "OK %d", VOTES_OF_A_FLUSH + 1);
    full_table(VOTES_OF_A_FLUSH, "vote lang/c N 1\n", reply);
}

/* Fifty connections that vote in long windows, with a refusal now and then: plain load. */
static void refusals_among_many_votes(void)
{
    enum { CLIENTS = 50, WINDOW = 256, WINDOWS = 12, REFUSED_EVERY = 97 };
    static struct client clients[CLIENTS];
    begin();
    client_open_all(clients, CLIENTS, &server);
    size_t sent = 0, refused = 0;
    for (int w = 0; w < WINDOWS; w++) {
        for (int c = 0; c < CLIENTS; c++) {
            struct text text;
            text_begin(&text);
            for (int i = 0; i < WINDOW; i++) {
                text_add(&text,
                         (sent + (size_t)i) % REFUSED_EVERY == 0 ? "vote 999\n" : "VOTE 1\n");
            }
            sent += WINDOW;
            text_send(&text, &clients[c]);
        }
        for (int c = 0; c < CLIENTS; c++) {
            uint64_t last = 0;
            for (int i = 0; i < WINDOW; i++) {
                const struct reply *reply = client_next(&clients[c]);
                bool is_refused = reply_is_err(reply, "NOTFOUND");
                uint64_t number = is_refused ? last + 1 : line_number(reply->line, 1);
                EXPECT(number != UINT64_MAX && number > last, "'%s' after %" PRIu64, reply->line,
                       last);
                refused += is_refused;
                last = is_refused ? last : number;
            }
        }
    }
    EXPECT(refused == (sent + REFUSED_EVERY - 1) / REFUSED_EVERY, "%zu of %zu were refused",
           refused, sent);
    EXPECT(scene_total(&client, "lang") == sent - refused, "not every vote was counted once");
    client_close_all(clients, CLIENTS);
    end();
}

/* Sends votes without a pause, and reads all replies: a writer and a reader. */
struct flood {
    struct client client;
    pthread_t writer, reader;
};

static void *flood_write(void *arg)
{
    struct flood *flood = arg;
    char votes[7 * 8192 + 1];
    for (size_t i = 0; i < sizeof(votes) - 1; i += 7) {
        memcpy(votes + i, "VOTE 1\n", 8);
    }
    while (client_write(&flood->client, votes, sizeof(votes) - 1)) {
    }
    return NULL;
}

static void *flood_read(void *arg)
{
    struct flood *flood = arg;
    char replies[65536];
    while (recv(flood->client.fd, replies, sizeof(replies), 0) > 0) {
    }
    return NULL;
}

/* One I/O thread, more to read than a turn takes, all the time: each connection has its turn. */
static void floods_starve_nobody(void)
{
    enum { FLOODS = 8, PINGS = 30 };
    static const char *const one_thread[] = {"--threads", "1", NULL};
    static struct flood floods[FLOODS];
    struct client late;
    server_start(&server, one_thread);
    client_open(&client, &server);
    client_expect(&client, "OK", "POLL lang");
    client_expect(&client, "OK 1", "OPTION lang C");
    for (int i = 0; i < FLOODS; i++) {
        client_open(&floods[i].client, &server);
        EXPECT(pthread_create(&floods[i].reader, NULL, flood_read, &floods[i]) == 0, "thread");
        EXPECT(pthread_create(&floods[i].writer, NULL, flood_write, &floods[i]) == 0, "thread");
    }
    client_open(&late, &server);
    for (int i = 0; i < PINGS; i++) {
        client_expect(&late, "OK PONG", "PING");
    }
    for (int i = 0; i < FLOODS; i++) {
        shutdown(floods[i].client.fd, SHUT_RDWR);
        pthread_join(floods[i].writer, NULL);
        pthread_join(floods[i].reader, NULL);
        client_close(&floods[i].client);
    }
    client_close(&late);
    end();
}

/* Waits until so many requests were run, and then for a while only this test's own. */
static void wait_until_stopped(struct client *observer, uint64_t requests)
{
    enum { QUIET_ASKS = 20 };
    uint64_t last = 0;
    for (int quiet = 0; quiet < QUIET_ASKS; quiet++) {
        uint64_t now = scene_info(observer, "requests");
        quiet = now == last + 1 && now > requests ? quiet : 0;
        last = now;
    }
}

/*
 * While a sync takes its time, heartbeats and pings fill the queue of replies in flight, for they
 * take no room in the log. Two connections then end a payload that was too long.
 */
static void dropped_payloads_at_a_full_queue(void)
{
    enum { PAIRS = 33000, QUEUE_IS_FULL = 65500, DROPPED_BYTES = 1100000 };
    struct client droppers[2], observer;
    static const char *const one_thread[] = {"--threads", "1", NULL};
    struct text text;
    struct claim claim;
    server_init(&server);
    server.args = one_thread;
    traced_set(&server, "inject=fdatasync:delay_enter=1000000:when=5+");
    server_restart(&server);
    client_open(&client, &server);
    client_open(&observer, &server);
    client_open_all(droppers, 2, &server);
    client_expect(&client, "OK", "POLL lang");
    client_expect(&client, "OK 1", "OPTION lang C");
    client_expect(&client, "OK new", "WORKER w");
    uint64_t id = scene_submit(&client, "q", "LEASE 3600000", "build");
    scene_claim(&claim, &client, "w", "q");
    char beat[64];
    snprintf(beat, sizeof(beat), "BEAT %" PRIu64 " %" PRIu64 "\nPING\n", id, claim.token);
    client_expect(&client, "OK 3600000", "BEAT %" PRIu64 " %" PRIu64, id, claim.token);
    char *zeros = calloc(1, DROPPED_BYTES);
    EXPECT(zeros != NULL, "no memory");
    for (int i = 0; i < 2; i++) {
        client_send(&droppers[i], "VOTE 1");
        client_send(&droppers[i], "SUBMIT q $%d", DROPPED_BYTES);
        EXPECT(client_write(&droppers[i], zeros, DROPPED_BYTES), "closed");
    }
    free(zeros);
    text_begin(&text);
    text_add(&text, "VOTE 1\n");
    for (int i = 0; i < PAIRS; i++) {
        text_add(&text, beat);
    }
    text_send(&text, &client);
    wait_until_stopped(&observer, QUEUE_IS_FULL);
    for (int i = 0; i < 2; i++) {
        client_write(&droppers[i], "\n", 1);
    }
    for (int i = 0; i < 2; i++) {
        EXPECT(reply_is_ok(client_next(&droppers[i])), "a vote was not counted");
        EXPECT(reply_is_err(client_next(&droppers[i]), "TOOBIG"), "no word of the payload");
    }
    EXPECT(reply_is_ok(client_next(&client)), "a vote was not counted");
    for (int i = 0; i < PAIRS; i++) {
        expect_line(&client, "OK 3600000");
        expect_line(&client, "OK PONG");
    }
    client_close_all(droppers, 2);
    client_close(&observer);
    client_close(&client);
    server_kill9(&server);
}

static const struct check_test tests[] = {
    {"A refused vote behind exactly as many as one flush takes has one reply",
     refused_at_a_full_table},
    {"A vote by label behind as many as one flush takes has one reply", voted_at_a_full_table},
    {"Refusals among long windows of votes leave every connection in step",
     refusals_among_many_votes},
    {"Payloads that are dropped while the queue of replies is full end nothing",
     dropped_payloads_at_a_full_queue},
    {"Floods of votes on one thread starve nobody", floods_starve_nobody},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
