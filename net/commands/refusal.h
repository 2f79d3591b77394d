/* What a refused client is told: the code, and what it can do about it. */
#ifndef TALLY_NET_COMMANDS_REFUSAL_H
#define TALLY_NET_COMMANDS_REFUSAL_H

#include "net/protocol/reply.h"

/* Writes `ERR code text`; `what` names what NOTFOUND has not found. NOMEM is told as BUSY, and
 * MEMORY as FULL. */
void refusal_put(struct reply *reply, int err, const char *what);

#endif
