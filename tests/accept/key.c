/* B6: on a public address no server without a key of at least 32 characters. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { EXIT_CONFIGURATION = 78 };

static const char key_32[] = "0123456789abcdef0123456789ABCDEF";
static const char key_31[] = "0123456789abcdef0123456789ABCDE";
static const char key_wrong[] = "0123456789abcdef0123456789ABCDEf";

static const char *const public_args[] = {"--bind", "0.0.0.0", NULL};

static struct server server;

/* Writes a key file as an editor would, with a line end, and returns the arguments that name it. */
static const char *const *args_with_key_file(const char *key)
{
    static char path[SERVER_PATH_MAX + 16];
    static const char *args[] = {"--bind", "0.0.0.0", "--api-key-file", path, NULL};
    snprintf(path, sizeof(path), "%s/key", server.home);
    FILE *file = fopen(path, "w");
    EXPECT(file != NULL, "cannot write %s", path);
    fprintf(file, "%s\n", key);
    fclose(file);
    return args;
}

static void expect_refusal(const char *why)
{
    server_launch(&server);
    int code = server_await_exit(&server);
    EXPECT(code == EXIT_CONFIGURATION, "%s: it ended with code %d", why, code);
    EXPECT(server_has_said(&server, "key"), "%s: it does not say why", why);
}

static void refuses_without_a_good_key(void)
{
    unsetenv("TALLY_API_KEY");
    server_init(&server);
    server.args = public_args;
    expect_refusal("no key");

    setenv("TALLY_API_KEY", "", 1);
    expect_refusal("an empty key in the environment");
    setenv("TALLY_API_KEY", key_31, 1);
    expect_refusal("31 characters in the environment");
    unsetenv("TALLY_API_KEY");

    server.args = args_with_key_file(key_31);
    expect_refusal("31 characters and a line end in the file");
    server.args = args_with_key_file("");
    expect_refusal("an empty file");
    static const char *const missing[] = {"--bind", "0.0.0.0", "--api-key-file", "/nonexistent/key",
                                          NULL};
    server.args = missing;
    expect_refusal("a file that is not there");
}

static void expect_locked(const char *first_words)
{
    struct client client;
    client_open(&client, &server);
    client_expect_err(&client, "NOAUTH", "%s", first_words);
    client_close(&client);
}

static void expect_guarded(void)
{
    struct client client;
    expect_locked("POLL lang");
    expect_locked("VOTE 1");
    expect_locked("TALLY lang");
    expect_locked("SUBMIT line build");
    expect_locked("CLAIM w1 line");
    expect_locked("INFO");

    client_open(&client, &server);
    client_expect_err(&client, "DENIED", "AUTH %s", key_wrong);
    client_close(&client);
    client_open(&client, &server);
    client_expect_err(&client, "DENIED", "AUTH %s", key_31);
    client_close(&client);

    client_open(&client, &server);
    client_expect(&client, "OK", "AUTH %s", key_32);
    scene_poll(&client, "lang");
    EXPECT(scene_total(&client, "lang") == 0, "votes in a new poll");
    client_close(&client);
}

static void key_from_the_environment(void)
{
    setenv("TALLY_API_KEY", key_32, 1);
    server_start(&server, public_args);
    unsetenv("TALLY_API_KEY");
    expect_guarded();
    EXPECT(!server_has_said(&server, key_32), "the key stands in the log");
    server_stop(&server);
}

static void key_from_a_file(void)
{
    unsetenv("TALLY_API_KEY");
    server_init(&server);
    server.args = args_with_key_file(key_32);
    server_restart(&server);
    expect_guarded();
    server_crash(&server);
    expect_guarded();
    EXPECT(!server_has_said(&server, key_32), "the key stands in the log");
    server_stop(&server);
}

/* The bytes of a payload before AUTH are never run as a command. */
static void payload_before_auth(void)
{
    struct client client;
    char payload[64];
    setenv("TALLY_API_KEY", key_32, 1);
    server_start(&server, public_args);
    unsetenv("TALLY_API_KEY");
    client_open(&client, &server);
    snprintf(payload, sizeof(payload), "\nAUTH %s\n", key_32);
    client_send_blob(&client, "SUBMIT line", payload, strlen(payload));
    client_send(&client, "POLLS");
    shutdown(client.fd, SHUT_WR);
    const struct reply *reply;
    while ((reply = client_read(&client)) != NULL) {
        EXPECT(!reply_is_ok(reply), "a payload was run: '%s'", reply->line);
    }
    EXPECT(!client.is_late, "no close behind the end of the requests");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"B6: without a key of 32 characters a public server refuses to start and says why",
     refuses_without_a_good_key},
    {"B6: with a key from the environment nothing is answered before AUTH",
     key_from_the_environment},
    {"B6: with a key from a file nothing is answered before AUTH, also after a crash",
     key_from_a_file},
    {"B6: a payload sent before AUTH is never run as commands", payload_before_auth},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
