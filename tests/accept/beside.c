/* A request whose reply waits for the gate holds up its own connection, and no other one of its
 * thread. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <poll.h>
#include <string.h>

enum { ROUNDS = 60, LITTLE_MS = 1 };

static struct server server;
static struct client slow, other;

static bool has_reply(const struct client *client)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    return poll(&fd, 1, LITTLE_MS) > 0;
}

/* The vote is sent behind the other request, and its record stands before the one that the gate
 * appends. Returns whether its reply came first. */
static bool overtakes(const char *request)
{
    EXPECT(client_send(&slow, "PING"), "cut off");
    EXPECT(client_send(&slow, "%s", request), "cut off");
    EXPECT(client_send(&slow, "PING behind"), "cut off");
    EXPECT(strcmp(client_next(&slow)->line, "OK PONG") == 0, "no PONG");
    (void)client_get(&other, "VOTE 1");
    bool is_first = !has_reply(&slow);
    EXPECT(reply_is_ok(client_next(&slow)), "%s", request);
    EXPECT(strcmp(client_next(&slow)->line, "OK PONG behind") == 0, "out of order");
    return is_first;
}

static void expect_overtaken(const char *first, const char *second)
{
    unsigned overtaken = 0;
    for (int i = 0; i < ROUNDS; i++) {
        overtaken += overtakes(i % 2 == 0 ? first : second);
    }
    EXPECT(overtaken >= ROUNDS / 4, "%u of %d votes overtook %s", overtaken, ROUNDS, first);
}

static void gate(void)
{
    static const char *const one_thread[] = {"--threads", "1", NULL};
    server_start(&server, one_thread);
    client_open(&slow, &server);
    client_open(&other, &server);
    client_expect(&other, "OK", "POLL votes");
    client_expect(&other, "OK 1", "OPTION votes one");
    client_expect(&other, "OK", "POLL gated");
    client_expect(&other, "OK 2", "OPTION gated one");
    expect_overtaken("RESET gated", "RESET gated");
    expect_overtaken("POLL gated MODE once", "POLL gated MODE free");
    client_close(&slow);
    client_close(&other);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"A RESET and a new MODE hold up no other connection of their thread", gate},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
