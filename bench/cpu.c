/* CPU time from /proc/PID/stat: fields are counted from the end of the name, which may have blanks.
 */
#include "bench/cpu.h"

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

double cpu_of_process_us(pid_t pid)
{
    char path[64];
    char line[1024];
    unsigned long user_ticks;
    unsigned long system_ticks;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL || fgets(line, sizeof line, f) == NULL) {
        err(EX_UNAVAILABLE, "%s", path);
    }
    fclose(f);
    const char *behind_name = strrchr(line, ')');
    if (behind_name == NULL ||
        sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user_ticks,
               &system_ticks) != 2) {
        errx(EX_OSERR, "%s: not as expected", path);
    }
    return (double)(user_ticks + system_ticks) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static double time_us(struct timeval t)
{
    return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

double cpu_of_self_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return time_us(usage.ru_utime) + time_us(usage.ru_stime);
}
