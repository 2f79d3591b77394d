/* A tallyd of the test's own: started, killed and started again on one directory. */
#ifndef TALLY_TESTS_LIB_SERVER_H
#define TALLY_TESTS_LIB_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

enum {
    SERVER_PATH_MAX = 512,
    SERVER_ARGS_MAX = 24,
    SERVER_READY_MS = 60000,
    SERVER_EXIT_MS = 60000,
    SERVER_SAYS_MS = 10000
};

/* Zeroed, or made by server_init. The path of tallyd is the environment's TALLYD. What is still
 * running when a test ends, or when the test itself is stopped by a signal, is killed; its
 * directory is removed after a passed test, and kept and named, together with what the server said,
 * after a failed one. */
struct server {
    pid_t pid; /* 0: not running */
    int port;  /* the one it said on its readiness line */
    int out_fd;
    char home[SERVER_PATH_MAX];      /* holds the three below */
    char data[SERVER_PATH_MAX + 64]; /* may be replaced before the first launch */
    char said[SERVER_PATH_MAX + 64]; /* its standard error, all runs */
    const char *const *args;         /* further arguments up to a NULL; borrowed; NULL for none */
    const char *const *wrapper; /* a command that runs it (strace …) up to a NULL; borrowed */
};

/* Makes the directories and registers the server; at most 8 in one test. */
void server_init(struct server *server);

/* server_init, launch and await: a serving server on an empty directory, port 0 of 127.0.0.1. */
void server_start(struct server *server, const char *const *args);

/* Starts the process and returns before it serves. */
void server_launch(struct server *server);

/* Waits for the readiness line; fails the test when it does not come. */
void server_await_ready(struct server *server);

/* Waits until the process has ended. Returns its exit code, or 128 + the signal that ended it. */
int server_await_exit(struct server *server);

/* Sends SIGKILL and waits for the end. */
void server_kill9(struct server *server);

/* Sends SIGTERM. Returns the exit code. */
int server_term(struct server *server);

/* Starts it again on its directory. The port is a new one. */
void server_restart(struct server *server);

/* server_kill9 and server_restart: what every acceptance test is taken through. */
void server_crash(struct server *server);

/* Ends it by SIGTERM, expects exit 0, removes its directory. */
void server_stop(struct server *server);

/* Returns whether its standard error, so far, has `text` in it. */
bool server_has_said(const struct server *server, const char *text);

/* Waits until it has; fails the test when it does not come. */
void server_await_said(const struct server *server, const char *text);

#endif
