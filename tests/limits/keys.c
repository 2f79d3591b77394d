/* The keys of requests: they take a share of the memory, then the oldest are forgotten. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/count.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <string.h>

enum { KEYS = 100000, TURN = 500, MEMORY_BYTES = 16 << 20 };

static const char *const small[] = {"--memory", "16M", "--threads", "1", NULL};
static struct server server;
static struct client client;

static void vote_with_keys(size_t from, size_t to)
{
    for (size_t i = from; i < to; i += TURN) {
        for (size_t k = i; k < i + TURN; k++)
            EXPECT(client_send(&client, "VOTE 1 KEY key-%zu", k), "cut off");
        for (size_t k = i; k < i + TURN; k++) {
            const struct reply *reply = client_next(&client);
            EXPECT(reply_is_ok(reply) && line_number(reply->line, 1) == k + 1, "key %zu: '%s'", k,
                   reply->line);
        }
    }
}

/* Of more keys than fit their share the newest are known. Nothing is ever refused for them. */
static void a_share_of_the_memory(void)
{
    server_start(&server, small);
    client_open(&client, &server);
    scene_poll(&client, "p");
    EXPECT(scene_option(&client, "p", "A") == 1, "another id");
    vote_with_keys(0, KEYS);
    uint64_t bytes = scene_info(&client, "entity_bytes");
    EXPECT(bytes < MEMORY_BYTES / 3, "they take %" PRIu64, bytes);
    client_expect(&client, "OK 100000 dup=1", "VOTE 1 KEY key-%d", KEYS - 1);
    client_expect(&client, "OK 90001 dup=1", "VOTE 1 KEY key-%d", KEYS - 10000);
    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
    client_expect(&client, "OK 90001 dup=1", "VOTE 1 KEY key-%d", KEYS - 10000);
    client_expect(&client, "OK 100001", "VOTE 1 KEY key-0");
    client_expect(&client, "OK 100001 dup=1", "VOTE 1 KEY key-0");
    client_close(&client);
    server_stop(&server);
}

/* Where there is no memory for new work, what was done is told once more. */
static void no_memory(void)
{
    enum { BUILDS_MAX = 100000 };
    static char payload[64 * 1024];
    server_start(&server, small);
    client_open(&client, &server);
    scene_poll(&client, "p");
    client_expect(&client, "OK", "POLL once MODE once");
    client_expect(&client, "OK 1", "OPTION p A KEY option");
    client_expect(&client, "OK 2", "OPTION once A");
    client_expect(&client, "OK 1", "SUBMIT q KEY build make");
    client_expect(&client, "OK 1", "VOTE 1 KEY vote");
    client_expect(&client, "OK 1", "VOTE 2 VOTER v KEY once");
    memset(payload, 'p', sizeof(payload));
    bool is_full = false;
    for (int i = 0; i < BUILDS_MAX && !is_full; i++) {
        client_send_blob(&client, "SUBMIT q", payload, sizeof(payload));
        is_full = reply_is_err(client_next(&client), "FULL");
    }
    for (int i = 0; i < BUILDS_MAX && is_full; i++) /* ... and what is left */
        is_full = !reply_is_err(client_get(&client, "SUBMIT q make"), "FULL");
    for (int i = 0; i < BUILDS_MAX && !is_full; i++)
        is_full = reply_is_err(client_get(&client, "VOTE 1 KEY fill-%d", i), "FULL");
    EXPECT(is_full, "it does not fill up");
    uint64_t votes = scene_votes(&client, "p", 1);
    client_expect(&client, "OK 1 dup=1", "OPTION p A KEY option");
    client_expect(&client, "OK 1 dup=1", "SUBMIT q KEY build make");
    client_expect(&client, "OK 1 dup=1", "VOTE 1 KEY vote");
    client_expect(&client, "OK 1 dup=1", "VOTE 2 VOTER v KEY once");
    client_expect_err(&client, "EXISTS", "SUBMIT q KEY build clean");
    client_expect_err(&client, "EXISTS", "VOTE 1 N 2 KEY vote");
    client_expect_err(&client, "FULL", "OPTION p B KEY option2");
    client_expect_err(&client, "FULL", "SUBMIT q KEY build2 make");
    client_expect_err(&client, "FULL", "VOTE 1 KEY vote2");
    EXPECT(scene_votes(&client, "p", 1) == votes, "a vote that was refused");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"Keys take a quarter of the memory at most: the oldest are forgotten, nothing is refused",
     a_share_of_the_memory},
    {"Where memory is used up, a repetition still gets its first reply", no_memory},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
