/* A server under strace, which makes its system calls fail or wait. */
#ifndef TALLY_TESTS_LIMITS_TRACED_H
#define TALLY_TESTS_LIMITS_TRACED_H

#include "tests/lib/server.h"

/* Lets the server's next starts run under strace with that `-e` (inject=...), until its wrapper is
 * NULL again. Skips the test where strace is missing or may not trace. One server in a program. */
void traced_set(struct server *server, const char *inject);

#endif
