/* Running a program to its end. */
#include "tests/lib/proc.h"

#include "tests/lib/files.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

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
    char *text = error == 0 ? files_read_fd(out[0], NULL) : NULL;
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
