/* The end of the process at a failed CHECK. */
#include "wal/base/check.h"

#include <stdio.h>
#include <unistd.h>

_Noreturn void tally_check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "tally: bug: %s:%d: %s does not hold\n", file, line, what);
    _exit(70);
}
