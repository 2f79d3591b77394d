/* The signals that ask a program of tally to end. */
#ifndef TALLY_TOOLS_SIGNALS_H
#define TALLY_TOOLS_SIGNALS_H

#include <signal.h>

/* Fills the set: SIGTERM, SIGINT, and SIGHUP, which a closed terminal sends. An ignored SIGHUP, as
 * nohup makes it, is left out: a thread that waits for a blocked signal gets it even if ignored. */
void signals_that_end(sigset_t *signals);

#endif
