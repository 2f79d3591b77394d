/* An engine with one edge, and what its tests ask of it, each call settled before it returns. */
#ifndef TALLY_TESTS_ENGINE_ONE_H
#define TALLY_TESTS_ENGINE_ONE_H

#include "tests/engine/handle.h"

extern struct tally *tally;
extern struct handle handle;

/* The engine, with room for a second handle or with these options, in a directory of its own; and
 * its end. Owns: what the options point to lives until then. */
void one_begin(void);
void one_begin_with(const struct tally_options *options);
void one_end(void);

/* The end and the start of it on the same directory; and one behind the other. */
void one_stop(void);
void one_start(void);
void one_restart(void);

/* Submits to queue q, with 60 s of lease and 3 tries where nothing else is said. Returns the id. */
uint64_t one_submit(struct edge_submit ask);

/* Worker w claims from queue q. */
int one_try_claim(struct edge_claimed *got);

/* Claims what is next, which must be build id. Returns its token. */
uint32_t one_claim(uint64_t id);

int one_done(uint64_t id, uint32_t token);
int one_release(uint64_t id, uint32_t token, uint32_t delay_ms);
int one_fail(uint64_t id, uint32_t token, struct edge_failed *how);

struct build_row one_build(uint64_t id);
void one_wait_for(uint64_t id, enum build_state state);

#endif
