/* The wake word: blocks on it by futex. */
#include "engine/base/wake.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void futex(struct wake *wake, int op, uint32_t value, const struct timespec *timeout)
{
    (void)syscall(SYS_futex, &wake->state, op | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

void wake_block(struct wake *wake, uint64_t timeout_ns)
{
    DCHECK(timeout_ns > 0);
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / NS_PER_S),
        .tv_nsec = (long)(timeout_ns % NS_PER_S),
    };
    futex(wake, FUTEX_WAIT, WAKE_SLEEPS, &timeout);
}

void wake_unblock(struct wake *wake)
{
    futex(wake, FUTEX_WAKE, 1, NULL);
}

void wake_up(struct wake *wake)
{
    if (wake_signal(wake)) {
        wake_unblock(wake);
    }
}
