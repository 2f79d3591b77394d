/* How the library makes a session. The calls of a session are in engine/tally.h. */
#ifndef TALLY_ENGINE_EDGE_SESSION_H
#define TALLY_ENGINE_EDGE_SESSION_H

#include "engine/edge/edges.h"
#include "engine/tally.h"

/* Takes an edge for the calling thread. Errors: FULL, NOMEM. Ended by tally_session_destroy. */
int session_new(struct session **out, struct edges *edges);

#endif
