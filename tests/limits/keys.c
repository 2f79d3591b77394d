/* The keys of requests: they take a share of the memory, then the oldest are forgotten. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/count.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>

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

static const struct check_test tests[] = {
    {"Keys take a quarter of the memory at most: the oldest are forgotten, nothing is refused",
     a_share_of_the_memory},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
