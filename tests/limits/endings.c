/* How the server ends: a cause that the operator can mend has its own exit code and a line that
 * says how; a signal ends the server while the log is read, and a second one while it drains. */
#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/files.h"
#include "tests/lib/proc.h"
#include "tests/lib/scene.h"
#include "tests/lib/server.h"
#include "tests/lib/wait.h"
#include "tests/limits/traced.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 64,
    EXIT_MISSING = 66,
    EXIT_ADDRESS = 69,
    EXIT_NO_THREAD = 71,
    EXIT_IN_USE = 73,
    EXIT_FORBIDDEN = 77
};
enum { SOON_MS = 10000, PAYLOAD_BYTES = 1 << 20, UNREAD = 40, SAME_MS = 250 };

static struct server server;
static struct server other;
static struct client client;

/* Drops the capabilities by which root may do more than the owner of a file. */
static const char *const plain[] = {"setpriv", "--bounding-set",
                                    "-net_bind_service,-dac_override,-dac_read_search", NULL};

static void run_plain(struct server *it)
{
    it->wrapper = geteuid() == 0 ? plain : NULL;
}

static void expect_end(struct server *it, int code, const char *remedy)
{
    server_launch(it);
    int got = server_await_exit(it);
    EXPECT(got == code, "it ended with code %d, not with %d", got, code);
    EXPECT(server_has_said(it, remedy), "it does not say '%s'", remedy);
}

static void port_in_use(void)
{
    static char port[8];
    static const char *const args[] = {"--port", port, NULL};
    server_start(&server, NULL);
    snprintf(port, sizeof(port), "%d", server.port);
    server_init(&other);
    other.args = args;
    expect_end(&other, EXIT_ADDRESS, "take another with --port");
    server_stop(&server);
}

static void port_of_others(void)
{
    static const char *const args[] = {"--port", "80", NULL};
    char *first = files_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", NULL);
    bool is_free = first != NULL && strtoul(first, NULL, 10) <= 80;
    free(first);
    if (is_free) {
        check_skip("port 80 is for everybody here");
    }
    server_init(&server);
    server.args = args;
    run_plain(&server);
    expect_end(&server, EXIT_FORBIDDEN, "CAP_NET_BIND_SERVICE");
}

static void directory_missing(void)
{
    server_init(&server);
    snprintf(server.data, sizeof(server.data), "%s/missing/data", server.home);
    expect_end(&server, EXIT_MISSING, "make the directory above it");
}

static void directory_is_something_else(void)
{
    static const char *const no_directory[] = {"--data", "", NULL};
    static const char else_text[] = "a file, a link to nothing): take another with --data";
    server_init(&server);
    snprintf(server.data, sizeof(server.data), "%s/stderr", server.home);
    expect_end(&server, EXIT_MISSING, else_text);
    EXPECT(unlink(server.said) == 0, "unlink: %s", strerror(errno));
    snprintf(server.data, sizeof(server.data), "%s/link", server.home);
    EXPECT(symlink("nothing", server.data) == 0, "symlink: %s", strerror(errno));
    expect_end(&server, EXIT_MISSING, else_text);
    snprintf(server.data, sizeof(server.data), "/proc");
    expect_end(&server, EXIT_FORBIDDEN, "no file can be made there");
    server.args = no_directory;
    expect_end(&server, EXIT_USAGE, "--data must not be empty");
}

static void directory_forbidden(void)
{
    server_init(&server);
    run_plain(&server);
    EXPECT(mkdir(server.data, 0000) == 0, "mkdir: %s", strerror(errno));
    expect_end(&server, EXIT_FORBIDDEN, "let this user read and write there");
    EXPECT(chmod(server.data, 0500) == 0, "chmod: %s", strerror(errno));
    expect_end(&server, EXIT_FORBIDDEN, "let this user read and write there");
    EXPECT(chmod(server.data, 0700) == 0, "chmod: %s", strerror(errno));
}

static void directory_in_use(void)
{
    char lock[sizeof(server.data) + 8];
    server_start(&server, NULL);
    server_init(&other);
    memcpy(other.data, server.data, sizeof(other.data));
    expect_end(&other, EXIT_IN_USE, "stop that one");
    snprintf(lock, sizeof(lock), "%s/LOCK", server.data);
    EXPECT(unlink(lock) == 0, "unlink: %s", strerror(errno));
    expect_end(&other, EXIT_IN_USE, "stop that one");

    client_open(&client, &server);
    scene_poll(&client, "lang");
    uint64_t option = scene_option(&client, "lang", "C");
    scene_vote_times(&client, option, 0, 5);
    server_crash(&server);
    client_close(&client);
    client_open(&client, &server);
    EXPECT(scene_votes(&client, "lang", option) == 5, "acknowledged votes are lost");
    client_close(&client);
    server_stop(&server);
}

/* Lets the start of each thread fail in turn, up to the I/O threads. */
static void a_thread_cannot_be_started(void)
{
    static const char *const args[] = {"--threads", "2", NULL};
    char path[64];
    char inject[64];
    server_start(&server, args);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)server.pid);
    struct stat tasks;
    EXPECT(stat(path, &tasks) == 0, "stat: %s", strerror(errno));
    unsigned threads = (unsigned)tasks.st_nlink - 2; /* without . and .. */
    EXPECT(server_term(&server) == 0, "it did not drain");
    for (unsigned i = 1; i < threads; i++) {
        snprintf(inject, sizeof(inject), "inject=clone3,clone:error=EAGAIN:when=%u", i);
        traced_set(&server, inject);
        expect_end(&server, EXIT_NO_THREAD, "how many threads are allowed (ulimit -u");
        EXPECT(unlink(server.said) == 0, "unlink: %s", strerror(errno));
    }
    server.wrapper = NULL;
    server_restart(&server);
    server_stop(&server);
}

/* ---- signals ---- */

/* The names and checksums of all files. */
static char *sums(void)
{
    static char script[sizeof(server.data) + 64];
    static const char *const argv[] = {"sh", "-c", script, NULL};
    char *output = NULL;
    snprintf(script, sizeof(script), "cd '%s' && cksum -- *", server.data);
    EXPECT(proc_run(argv, &output) == 0, "cksum");
    return output;
}

static void stopped_while_reading(int signal_number)
{
    server_start(&server, NULL);
    client_open(&client, &server);
    scene_poll(&client, "lang");
    scene_vote_times(&client, scene_option(&client, "lang", "C"), 0, 3);
    client_close(&client);
    server_kill9(&server);
    char *before = sums();
    /* the server stands still for a while in the middle of the log, so that the test is in time */
    traced_set(&server, "inject=fadvise64:delay_enter=2000000");
    EXPECT(unlink(server.said) == 0, "what the first run said is in the way");
    server_launch(&server);
    server_await_said(&server, "reading");
    uint64_t began_ms = wait_now_ms();
    kill(server.pid, signal_number);
    int code = server_await_exit(&server);
    uint64_t took_ms = wait_now_ms() - began_ms;
    EXPECT(code == 0, "it ended with code %d", code);
    EXPECT(took_ms < SOON_MS, "it took %llu ms", (unsigned long long)took_ms);
    EXPECT(server_has_said(&server, "while the log is read"), "it does not say so");
    char *after = sums();
    EXPECT(strcmp(before, after) == 0, "the log is not as it was: %s, %s", before, after);
    free(before);
    free(after);
    server.wrapper = NULL;
    server_restart(&server);
    client_open(&client, &server);
    EXPECT(scene_total(&client, "lang") == 3, "votes are lost");
    client_close(&client);
    server_stop(&server);
}

static void term_while_reading(void)
{
    stopped_while_reading(SIGTERM);
}

static void interrupted_while_reading(void)
{
    stopped_while_reading(SIGINT);
}

/* Gives SIGHUP its default effect, whatever it is where this test is run. */
static void hung_up_while_reading(void)
{
    signal(SIGHUP, SIG_DFL);
    stopped_while_reading(SIGHUP);
}

static void hung_up(void)
{
    signal(SIGHUP, SIG_DFL);
    server_start(&server, NULL);
    client_open(&client, &server);
    client_expect(&client, "OK", "POLL lang");
    kill(server.pid, SIGHUP);
    int code = server_await_exit(&server);
    EXPECT(code == 0, "it ended with code %d", code);
    EXPECT(server_has_said(&server, "Hangup: draining"), "it did not drain");
    client_close(&client);
}

static void hung_up_with_nohup(void)
{
    static const char *const nohup[] = {"nohup", NULL};
    server_init(&server);
    server.wrapper = nohup;
    server_restart(&server);
    client_open(&client, &server);
    kill(server.pid, SIGHUP);
    client_expect(&client, "OK", "POLL lang");
    EXPECT(server_term(&server) == 0, "it did not drain");
    EXPECT(!server_has_said(&server, "Hangup"), "it has heard SIGHUP");
    client_close(&client);
}

/* A client that does not read its replies keeps the drain waiting. */
static void start_with_unread(void)
{
    static unsigned char payload[PAYLOAD_BYTES];
    server_start(&server, NULL);
    client_open(&client, &server);
    EXPECT(client_send_blob(&client, "SUBMIT big", payload, sizeof(payload)), "cut off");
    EXPECT(reply_is(client_next(&client), "OK 1"), "SUBMIT");
    for (int i = 0; i < UNREAD; i++) {
        client_send(&client, "PAYLOAD 1");
    }
    EXPECT(reply_is_ok(client_next(&client)), "PAYLOAD");
}

static void a_second_signal(void)
{
    start_with_unread();
    kill(server.pid, SIGTERM);
    server_await_said(&server, "draining");
    wait_ms(SAME_MS + 1); /* an earlier signal would belong to the first */
    uint64_t began_ms = wait_now_ms();
    kill(server.pid, SIGTERM);
    int code = server_await_exit(&server);
    uint64_t took_ms = wait_now_ms() - began_ms;
    EXPECT(code == 128 + SIGTERM, "it ended with code %d", code);
    EXPECT(took_ms < SOON_MS / 2, "it took %llu ms", (unsigned long long)took_ms);
    EXPECT(server_has_said(&server, "ending at once"), "it does not say so");
    client_close(&client);
    server_restart(&server);
    client_open(&client, &server);
    EXPECT(scene_build_has(&client, 1, "state", "pending"), "the build is lost");
    client_close(&client);
    server_stop(&server);
}

/* As timeout does it: its child, then the child's group. */
static void two_signals_in_a_row(void)
{
    start_with_unread();
    /* both signals are pending before the stopped server takes one */
    kill(server.pid, SIGSTOP);
    kill(server.pid, SIGTERM);
    kill(server.pid, SIGINT);
    kill(server.pid, SIGCONT);
    server_await_said(&server, "draining");
    for (int i = 1; i < UNREAD; i++) {
        EXPECT(reply_is_ok(client_next(&client)), "reply %d is missing", i);
    }
    int code = server_await_exit(&server);
    EXPECT(code == 0, "it ended with code %d", code);
    EXPECT(!server_has_said(&server, "at once"), "it did not drain");
    client_close(&client);
    server_restart(&server);
    server_stop(&server);
}

/* A limit on the size of files (ulimit -f) is treated as a full disk. */
static void no_file_may_grow(void)
{
    static const char *const small_files[] = {"prlimit", "--fsize=102400", NULL};
    server_init(&server);
    server.wrapper = small_files;
    server_restart(&server);
    server_await_said(&server, "new changes are refused");
    client_open(&client, &server);
    client_expect_err(&client, "READONLY", "POLL lang");
    client_expect(&client, "OK PONG", "PING");
    client_close(&client);
    EXPECT(server_term(&server) == 0, "it did not drain");
    server.wrapper = NULL;
    server_restart(&server);
    client_open(&client, &server);
    client_expect(&client, "OK", "POLL lang");
    client_close(&client);
    server_stop(&server);
}

static const struct check_test tests[] = {
    {"A port in use has its own code, and a line that says what to do", port_in_use},
    {"A port that takes a right has its own code, and a line that says what to do", port_of_others},
    {"A missing directory has its own code, and a line that says what to do", directory_missing},
    {"Something else in its place has its own line, and so has a place without files",
     directory_is_something_else},
    {"A forbidden directory has its own code, and a line that says what to do",
     directory_forbidden},
    {"A directory in use is refused without LOCK, too, and no vote is lost", directory_in_use},
    {"A thread that cannot be started has its own words, whichever it is",
     a_thread_cannot_be_started},
    {"SIGTERM while the log is read ends it at once, and the log is as it was", term_while_reading},
    {"SIGINT while the log is read ends it at once, and the log is as it was",
     interrupted_while_reading},
    {"SIGHUP while the log is read ends it at once, and the log is as it was",
     hung_up_while_reading},
    {"SIGHUP drains, as SIGTERM does", hung_up},
    {"SIGHUP under nohup changes nothing", hung_up_with_nohup},
    {"A second signal during the drain ends it at once", a_second_signal},
    {"Two signals in a row are one: it drains, and all is answered", two_signals_in_a_row},
    {"Where files may not grow it serves READONLY, and is ended by no signal", no_file_may_grow},
};

int main(int argc, char **argv)
{
    return check_main(argc, argv, tests, COUNT_OF(tests));
}
