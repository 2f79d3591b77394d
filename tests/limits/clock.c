/* A server whose wall clock is wrong: faketime moves it, the monotonic clock is right. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/proc.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <inttypes.h>
#include <string.h>

/* The library is preloaded: under the command faketime the server would not get its signals. */
#define FAKETIME(what)                                                                             \
    {                                                                                              \
        "env", "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1", "FAKETIME_DONT_FAKE_MONOTONIC=1", \
            "FAKETIME=" what, NULL                                                                 \
    }

static struct server server;
static struct client client;

/* Ends the server and starts it with its wall clock moved. */
static void restart_with(const char *const *faketime)
{
    client_close(&client);
    EXPECT(server_term(&server) == 0, "the server did not end well");
    server.wrapper = faketime;
    server_restart(&server);
    client_open(&client, &server);
}

static void begin(void)
{
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_worker(&client, "w");
}

static void end(void)
{
    client_close(&client);
    server_stop(&server);
}

/* The delay is 1.5 s; 20 s is for a slow machine; with the bug it took an hour. */
static void delay_with(const char *const *faketime)
{
    begin();
    uint64_t id = scene_submit(&client, "q", "DELAY 1500", "build");
    restart_with(faketime);
    struct claim claim;
    const struct reply *reply = client_get(&client, "CLAIM w q WAIT 20000");
    EXPECT(claim_parse(&claim, reply) && claim.id == id, "'%s'", reply->line);
    EXPECT(server_has_said(&server, "behind the log"), "nothing was said");
    reply = client_get(&client, "INFO server");
    bool told = false;
    for (size_t i = 0; i < reply->row_count; i++) {
        told = told || line_field_number(reply->rows[i], "wall_behind_ms") - 1 < UINT64_MAX - 1;
    }
    EXPECT(told, "INFO says nothing of the clock");
    end();
}

static void an_hour_back(void)
{
    static const char *const faketime[] = FAKETIME("-1h");
    delay_with(faketime);
}

static void in_1970(void)
{
    static const char *const faketime[] = FAKETIME("@1970-01-02 00:00:00");
    delay_with(faketime);
}

/* 30 days from now are 4,971 days from then: 3 s more than 32 bits of ticks of 100 ms hold. */
static void thirty_days_in_ticks(void)
{
    static const char *const faketime[] = FAKETIME("-426904735s");
    begin();
    scene_submit(&client, "q", "DELAY 2592000000", "build");
    restart_with(faketime);
    const struct reply *reply = client_get(&client, "CLAIM w q WAIT 7000");
    EXPECT(strcmp(reply->line, "NIL") == 0, "'%s'", reply->line);
    end();
}

static const struct check_test tests[] = {
    {"A delay ends in time after a restart with the clock an hour back", an_hour_back},
    {"A delay ends in time after a restart in 1970", in_1970},
    {"A delay of thirty days is one with the clock 13.6 years back", thirty_days_in_ticks},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
