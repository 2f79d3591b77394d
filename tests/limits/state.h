/* The state as a client can read it, as one text: an error must not change it. */
#ifndef TALLY_TESTS_LIMITS_STATE_H
#define TALLY_TESTS_LIMITS_STATE_H

#include "tests/lib/client.h"

/* Reads polls with their tallies, queues, builds and workers, without fields that change by
 * themselves (times, lsn, rates). Owns: the caller frees the text. */
char *state_read(struct client *client);

/* Expects that the state is still `before`; `after_what` names the request to blame. */
void state_expect(struct client *client, const char *before, const char *after_what);

#endif
