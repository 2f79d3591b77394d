/* An engine with one edge, and what its tests ask of it, each call settled before it returns. */
#ifndef TALLY_TESTS_ENGINE_ONE_H
#define TALLY_TESTS_ENGINE_ONE_H

#include "tests/engine/handle.h"

extern struct tally *tally;
extern struct handle handle;

/* The engine, with room for a second handle, in a directory of its own; its end; and both on the
 * same directory. */
void begin(void);
void end(void);
void restart(void);

/* Submits to queue q, with 60 s of lease and 3 tries where nothing else is said. Returns the id. */
uint64_t submit(struct edge_submit ask);

/* Worker w claims from queue q. */
int try_claim(struct edge_claimed *got);

/* Claims what is next, which must be build id. Returns its token. */
uint32_t claim(uint64_t id);

int done(uint64_t id, uint32_t token);
int release(uint64_t id, uint32_t token, uint32_t delay_ms);
int fail(uint64_t id, uint32_t token, struct edge_failed *how);

struct build_row build_of(uint64_t id);
void wait_for(uint64_t id, enum build_state state);

#endif
