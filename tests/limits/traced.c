/* A server under strace, which makes its system calls fail or wait. */
#include "tests/limits/traced.h"

#include "tests/lib/check.h"
#include "tests/lib/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void traced_set(struct server *server, const char *inject)
{
    /* -D keeps the server the test's own child, and the tracer beside it. All other calls run
     * freely. The leak checker cannot work in a traced process. */
    static const char *wrapper[] = {
        "strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-E", NULL, "-e", NULL,
        "-e",     NULL, NULL};
    static char environment[512];
    static char calls[64];
    static const char *const probe[] = {"strace", "-o", "/dev/null", "true", NULL};
    const char *options = getenv("ASAN_OPTIONS");
    if (proc_run(probe, NULL) != 0) {
        check_skip("strace is not there, or may not trace");
    }
    snprintf(environment, sizeof(environment), "ASAN_OPTIONS=%s%sdetect_leaks=0",
             options != NULL ? options : "", options != NULL ? ":" : "");
    snprintf(calls, sizeof(calls), "trace=%.*s", (int)strcspn(inject + strlen("inject="), ":"),
             inject + strlen("inject="));
    wrapper[8] = environment;
    wrapper[10] = calls;
    wrapper[12] = inject;
    server->wrapper = wrapper;
}
