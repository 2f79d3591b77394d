/* The kernel's random numbers. */
#include "wal/base/random.h"

#include "wal/base/check.h"

#include <errno.h>
#include <sys/random.h>

void random_fill(void *into, size_t len)
{
    unsigned char *at = into;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        /* every kernel on which tally runs has this call */
        CHECK(n >= 0 || errno == EINTR);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}
