/* The ERR of a refusal: the code, and what the client can do about it. */
#ifndef TALLY_NET_COMMANDS_REFUSAL_H
#define TALLY_NET_COMMANDS_REFUSAL_H

#include "net/protocol/reply.h"

/* Writes `ERR code text`; `what` names the object that NOTFOUND has not found. NOMEM is sent as
 * BUSY, and MEMORY as FULL. */
void refusal_put(struct reply *reply, int err, const char *what);

/* Writes the ERR of a refusal that says when to try again: RATE, BUSY. */
void refusal_put_retry(struct reply *reply, int err, uint64_t retry_ms);

#endif
