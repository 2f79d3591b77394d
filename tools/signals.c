/* The signals that ask a program of tally to end. */
#include "tools/signals.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void signals_that_end(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    if (!is_ignored(SIGHUP)) {
        sigaddset(signals, SIGHUP);
    }
}
