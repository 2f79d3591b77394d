/* The signals by which somebody asks a program of ours to end. */
#ifndef TALLY_TOOLS_SIGNALS_H
#define TALLY_TOOLS_SIGNALS_H

#include <signal.h>

/* SIGTERM, SIGINT, and SIGHUP, which a closed terminal sends; SIGHUP not where it is ignored, as
 * nohup makes it: who blocks a signal and waits for it hears it all the same. */
void signals_that_end(sigset_t *signals);

#endif
