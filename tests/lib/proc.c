/* Small helpers around processes, files and time. */
#include "tests/lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READ_STEP_BYTES = 65536, OPEN_DIRS_MAX = 16 };

extern char **environ;

static char *read_all(int fd)
{
    size_t used = 0, room = READ_STEP_BYTES;
    char *bytes = malloc(room + 1);
    while (bytes != NULL) {
        ssize_t got = read(fd, bytes + used, room - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            bytes[used] = '\0';
            break;
        }
        used += (size_t)got;
        if (used == room) {
            room *= 2;
            bytes = realloc(bytes, room + 1);
        }
    }
    return bytes;
}

int proc_run(const char *const *argv, char **output)
{
    int out[2], status = 0;
    pid_t pid;
    posix_spawn_file_actions_t actions;

    if (pipe2(out, O_CLOEXEC) != 0) {
        return -1;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    int error = posix_spawnp(&pid, argv[0], &actions, NULL, (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    char *text = error == 0 ? read_all(out[0]) : NULL;
    close(out[0]);
    if (output != NULL) {
        *output = text;
    } else {
        free(text);
    }
    if (error != 0 || waitpid(pid, &status, 0) != pid) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *proc_read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    char *bytes = read_all(fd);
    close(fd);
    return bytes;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

void proc_remove_tree(const char *path)
{
    nftw(path, remove_entry, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

uint64_t proc_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int proc_left_ms(uint64_t deadline_ms)
{
    uint64_t now_ms = proc_now_ms();
    if (now_ms >= deadline_ms) {
        return 0;
    }
    uint64_t left_ms = deadline_ms - now_ms;
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}
