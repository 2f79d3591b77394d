/* A tally-wal dump --follow in a process of its own, read line by line. */
#include "tests/inspect/tail.h"

#include "tests/lib/check.h"
#include "tests/lib/client.h"
#include "tests/lib/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 12 };

extern char **environ;

void tail_open(struct tail *tail, const char *dir, const char *const *options)
{
    const char *tool = getenv("TALLY_WAL");
    const char *argv[ARGS_MAX] = {tool, "dump", "--follow", dir};
    int out[2];
    posix_spawn_file_actions_t actions;
    EXPECT(tool != NULL, "TALLY_WAL is not set: it names the log inspector");
    for (size_t used = 4; *options != NULL; options++) {
        EXPECT(used + 1 < ARGS_MAX, "too many options");
        argv[used++] = *options;
    }
    *tail = (struct tail){.next_lsn = 1};
    EXPECT(pipe2(out, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    int error = posix_spawn(&tail->pid, tool, &actions, NULL, (char **)(void *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    EXPECT(error == 0, "cannot start %s: %s", tool, strerror(error));
    tail->fd = out[0];
}

/* Reads one line into tail->line. Returns whether there was one before the end. */
static bool next_line(struct tail *tail)
{
    uint64_t deadline_ms = wait_now_ms() + TAIL_WAIT_MS;
    tail->used = 0;
    for (;;) {
        struct pollfd in = {.fd = tail->fd, .events = POLLIN};
        EXPECT(poll(&in, 1, wait_left_ms(deadline_ms)) != 0, "no line in %d ms behind lsn %llu",
               TAIL_WAIT_MS, (unsigned long long)tail->next_lsn - 1);
        ssize_t got = read(tail->fd, tail->line + tail->used, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            EXPECT(tail->used == 0, "it ended in the middle of a line");
            return false;
        }
        if (tail->line[tail->used] == '\n') {
            tail->line[tail->used] = '\0';
            return true;
        }
        tail->used++;
        EXPECT(tail->used < sizeof(tail->line), "a line has no end");
    }
}

static void take_line(struct tail *tail)
{
    char type[32];
    EXPECT(line_number(tail->line, 0) == tail->next_lsn, "'%s' where record %llu was expected",
           tail->line, (unsigned long long)tail->next_lsn);
    tail->next_lsn++;
    EXPECT(line_word(tail->line, 2, type, sizeof(type)), "'%s'", tail->line);
    if (strcmp(type, "VOTE") == 0 && line_field_number(tail->line, "option") == 1) {
        uint64_t votes = line_field_number(tail->line, "votes");
        uint64_t n = line_field_number(tail->line, "n");
        EXPECT(votes == tail->votes + n, "'%s' does not go on from %llu", tail->line,
               (unsigned long long)tail->votes);
        tail->votes = votes;
    }
}

void tail_await_votes(struct tail *tail, uint64_t votes)
{
    while (tail->votes < votes) {
        EXPECT(next_line(tail), "it ended before option 1 had %llu votes",
               (unsigned long long)votes);
        take_line(tail);
    }
    EXPECT(tail->votes == votes, "option 1 has %llu votes, not %llu",
           (unsigned long long)tail->votes, (unsigned long long)votes);
}

void tail_hang_up(struct tail *tail)
{
    close(tail->fd);
    tail->fd = -1;
}

int tail_await_exit(struct tail *tail)
{
    int status = 0;
    while (tail->fd >= 0) {
        if (next_line(tail)) {
            take_line(tail);
        } else {
            tail_hang_up(tail);
        }
    }
    EXPECT(waitpid(tail->pid, &status, 0) == tail->pid, "waitpid: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
