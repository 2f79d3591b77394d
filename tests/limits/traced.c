/* A server under strace, which makes its system calls fail or wait. */
#include "tests/limits/traced.h"

#include "tests/lib/check.h"
#include "tests/lib/proc.h"

#include <stdio.h>
#include <stdlib.h>

void traced_set(struct server *server, const char *inject)
{
    /* -D keeps the server our own child, and the tracer beside it. The leak checker cannot work
     * while it is traced. */
    static const char *wrapper[] = {"strace", "-D", "-f", "-qq", "-o", "/dev/null",
                                    "-E",     NULL, "-e", NULL,  NULL};
    static char environment[512];
    static const char *const probe[] = {"strace", "-o", "/dev/null", "true", NULL};
    const char *options = getenv("ASAN_OPTIONS");
    if (proc_run(probe, NULL) != 0) {
        check_skip("strace is not there, or may not trace");
    }
    snprintf(environment, sizeof(environment), "ASAN_OPTIONS=%s%sdetect_leaks=0",
             options != NULL ? options : "", options != NULL ? ":" : "");
    wrapper[7] = environment;
    wrapper[9] = inject;
    server->wrapper = wrapper;
}
