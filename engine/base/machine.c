/* The machine: its memory, and the limits of the control groups that this process is in. */
#include "engine/base/machine.h"

#include "wal/base/number.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

/* Returns the number in a file; UINT64_MAX when there is none, as for "max". */
static uint64_t limit_in(const char *path)
{
    char line[LINE_MAX_BYTES];
    uint64_t limit = UINT64_MAX;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return UINT64_MAX;
    }
    if (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        limit = number_parse(line, &limit) ? limit : UINT64_MAX;
    }
    fclose(file);
    return limit;
}

/* Returns the least limit of a group and of the groups above it. */
static uint64_t limit_of(const char *root, char *group, const char *name)
{
    char path[2 * LINE_MAX_BYTES];
    uint64_t least = UINT64_MAX;
    for (char *slash = group; slash != NULL;) {
        snprintf(path, sizeof path, "%s%s/%s", root, strcmp(group, "/") == 0 ? "" : group, name);
        uint64_t limit = limit_in(path);
        least = limit < least ? limit : least;
        slash = strrchr(group, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
    }
    return least;
}

/* A line is "number:controllers:group"; version 2 has no controllers. */
static uint64_t limit_of_line(char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL) {
        return UINT64_MAX;
    }
    *group++ = '\0';
    controllers++;
    if (controllers[0] == '\0') {
        return limit_of("/sys/fs/cgroup", group, "memory.max");
    }
    if (strcmp(controllers, "memory") == 0) {
        return limit_of("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
    return UINT64_MAX;
}

uint64_t machine_memory_bytes(void)
{
    char line[LINE_MAX_BYTES];
    uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        uint64_t limit = limit_of_line(line);
        least = limit < least ? limit : least;
    }
    if (file != NULL) {
        fclose(file);
    }
    return least;
}
