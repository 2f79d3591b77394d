/* Processes under test: spawned, awaited, killed by pid, and never orphaned. */
#include "tests/lib/server.h"

#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVERS_MAX = 8, READY_LINE_MAX = 256 };

extern char **environ;

/* Read by the signal handler, so pids only, each stored in one piece. */
static volatile sig_atomic_t pids[SERVERS_MAX];
static const struct server *servers[SERVERS_MAX];
static char homes[SERVERS_MAX][SERVER_PATH_MAX];

static void kill_all(void)
{
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        if (pids[i] > 0) {
            kill((pid_t)pids[i], SIGKILL);
        }
    }
}

static void on_signal(int signal_number)
{
    kill_all();
    _exit(128 + signal_number);
}

static void note_pid(const struct server *server, pid_t pid)
{
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        if (servers[i] == server) {
            pids[i] = (sig_atomic_t)pid;
        }
    }
}

static void print_file(const char *path)
{
    char line[1024];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        printf("  | %s%s", line, strchr(line, '\n') != NULL ? "" : "\n");
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void forget(const struct server *server)
{
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        if (servers[i] == server) {
            servers[i] = NULL;
            pids[i] = 0;
        }
    }
}

/* Runs after every test. A failed test has left the frame its server stands in, so this goes by the
 * copies alone and follows no pointer to a server. */
static void end_of_test(bool failed)
{
    kill_all();
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        if (servers[i] == NULL) {
            continue;
        }
        if (pids[i] > 0) {
            waitpid((pid_t)pids[i], NULL, 0);
        }
        if (failed) {
            char said[SERVER_PATH_MAX + 16];
            snprintf(said, sizeof(said), "%s/stderr", homes[i]);
            printf("  kept %s; the server said:\n", homes[i]);
            print_file(said);
        } else {
            files_remove_tree(homes[i]);
        }
        servers[i] = NULL;
        pids[i] = 0;
    }
}

static void install_handlers(void)
{
    static bool installed;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS};
    if (installed) {
        return;
    }
    installed = true;
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

void server_init(struct server *server)
{
    memset(server, 0, sizeof(*server));
    server->out_fd = -1;
    install_handlers();
    check_at_end(end_of_test);

    files_temp_dir(server->home, sizeof(server->home));
    snprintf(server->data, sizeof(server->data), "%s/data", server->home);
    snprintf(server->said, sizeof(server->said), "%s/stderr", server->home);
    for (size_t i = 0; i < SERVERS_MAX; i++) {
        if (servers[i] == NULL) {
            servers[i] = server;
            memcpy(homes[i], server->home, sizeof(homes[i]));
            return;
        }
    }
    EXPECT(false, "more than %d servers in one test", SERVERS_MAX);
}

/* Builds `wrapper… tallyd --port 0 --data DIR args…`; the port comes first, so that args can
 * overrule it. */
static void fill_argv(const struct server *server, const char **argv)
{
    const char *tallyd = getenv("TALLYD");
    size_t used = 0;
    EXPECT(tallyd != NULL, "TALLYD is not set: it names the server under test");
    for (const char *const *w = server->wrapper; w != NULL && *w != NULL; w++) {
        argv[used++] = *w;
    }
    argv[used++] = tallyd;
    argv[used++] = "--port";
    argv[used++] = "0";
    argv[used++] = "--data";
    argv[used++] = server->data;
    for (const char *const *a = server->args; a != NULL && *a != NULL; a++) {
        EXPECT(used < SERVER_ARGS_MAX, "too many arguments");
        argv[used++] = *a;
    }
    argv[used] = NULL;
}

void server_launch(struct server *server)
{
    const char *argv[SERVER_ARGS_MAX + 1];
    int out[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;

    EXPECT(server->pid == 0, "it already runs");
    fill_argv(server, argv);
    EXPECT(pipe2(out, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, server->said,
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);

    int error =
        posix_spawnp(&server->pid, argv[0], &actions, &attributes, (char **)(void *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(out[1]);
    if (error != 0) {
        server->pid = 0;
        close(out[0]);
    }
    EXPECT(error == 0, "cannot start %s: %s", argv[0], strerror(error));
    note_pid(server, server->pid);
    server->out_fd = out[0];
}

static void take_port(struct server *server, const char *line)
{
    static const char start[] = "tallyd ready on ";
    const char *colon = strrchr(line, ':');
    EXPECT(strncmp(line, start, sizeof(start) - 1) == 0 && colon != NULL,
           "the readiness line is '%s'", line);
    unsigned long port = strtoul(colon + 1, NULL, 10);
    EXPECT(port > 0 && port < 65536, "the readiness line is '%s'", line);
    server->port = (int)port;
}

void server_await_ready(struct server *server)
{
    char line[READY_LINE_MAX];
    size_t used = 0;
    uint64_t deadline_ms = wait_now_ms() + SERVER_READY_MS;

    for (;;) {
        struct pollfd out = {.fd = server->out_fd, .events = POLLIN};
        int ready = poll(&out, 1, wait_left_ms(deadline_ms));
        EXPECT(ready != 0, "no readiness line in %d ms", SERVER_READY_MS);
        ssize_t got = read(server->out_fd, line + used, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            int code = server_await_exit(server);
            EXPECT(got > 0, "it ended with code %d before it was ready", code);
        }
        if (line[used] == '\n') {
            break;
        }
        used++;
        EXPECT(used < sizeof(line), "the readiness line has no end");
    }
    line[used] = '\0';
    take_port(server, line);
}

void server_start(struct server *server, const char *const *args)
{
    server_init(server);
    server->args = args;
    server_launch(server);
    server_await_ready(server);
}

int server_await_exit(struct server *server)
{
    int status = 0;
    EXPECT(server->pid > 0, "it does not run");
    int pidfd = pidfd_open(server->pid, 0);
    EXPECT(pidfd >= 0, "pidfd_open: %s", strerror(errno));
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    int ready = poll(&end, 1, SERVER_EXIT_MS);
    close(pidfd);
    EXPECT(ready == 1, "pid %d has not ended in %d ms", (int)server->pid, SERVER_EXIT_MS);
    EXPECT(waitpid(server->pid, &status, 0) == server->pid, "waitpid: %s", strerror(errno));
    note_pid(server, 0);
    server->pid = 0;
    server->port = 0;
    close(server->out_fd);
    server->out_fd = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void server_kill9(struct server *server)
{
    EXPECT(server->pid > 0, "it does not run");
    kill(server->pid, SIGKILL);
    int code = server_await_exit(server);
    EXPECT(code == 128 + SIGKILL, "it ended by itself, with code %d, before the kill", code);
}

int server_term(struct server *server)
{
    EXPECT(server->pid > 0, "it does not run");
    kill(server->pid, SIGTERM);
    return server_await_exit(server);
}

void server_restart(struct server *server)
{
    server_launch(server);
    server_await_ready(server);
}

void server_crash(struct server *server)
{
    server_kill9(server);
    server_restart(server);
}

void server_stop(struct server *server)
{
    int code = server_term(server);
    EXPECT(code == 0, "SIGTERM ended it with code %d", code);
    files_remove_tree(server->home);
    forget(server);
}

bool server_has_said(const struct server *server, const char *text)
{
    char *said = files_read(server->said, NULL);
    bool found = said != NULL && strcasestr(said, text) != NULL;
    free(said);
    return found;
}

void server_await_said(const struct server *server, const char *text)
{
    AWAIT(SERVER_SAYS_MS, server_has_said(server, text), "it does not say '%s'", text);
}
