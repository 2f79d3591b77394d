/* Compiles every header by itself, so that each includes what it needs, and twice, so that its
 * guard guards. */
#include "tests/tidy/tidy.h"

#include <err.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A file without a name that holds the program to compile; the compiler reads it as its standard
 * input. */
static int program_open(const char *path)
{
    int fd = memfd_create("header", MFD_CLOEXEC);
    if (fd < 0)
        err(70, "memfd_create");
    dprintf(fd, "#include \"%s\"\n#include \"%s\"\n", path, path);
    if (lseek(fd, 0, SEEK_SET) != 0)
        err(70, "lseek");
    return fd;
}

/* Runs the compiler with `fd` as its input. Returns whether it was content; its complaints go to
 * stderr. */
static bool compile(char *const *compiler, int fd)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO) != 0)
        errx(70, "posix_spawn_file_actions");
    if (posix_spawnp(&pid, compiler[0], &actions, NULL, compiler, environ) != 0)
        errx(70, "cannot run %s", compiler[0]);
    posix_spawn_file_actions_destroy(&actions);
    if (waitpid(pid, &status, 0) != pid)
        err(70, "waitpid");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

size_t tidy_check_headers(const struct tree *tree, char *const *compiler, struct report *report)
{
    report->rule = "header";
    for (size_t i = 0; i < tree->count; i++) {
        const struct source *source = &tree->sources[i];
        if (source->kind != SOURCE_HEADER)
            continue;
        int fd = program_open(source->path);
        if (!compile(compiler, fd))
            report_add(report, source, 1, "does not compile alone: include in it what it uses");
        close(fd);
    }
    return report->found;
}
