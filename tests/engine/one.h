/* An engine with one edge, for tests: each call returns when its records are applied. */
#ifndef TALLY_TESTS_ENGINE_ONE_H
#define TALLY_TESTS_ENGINE_ONE_H

#include "tests/engine/handle.h"

extern struct tally *tally;
extern struct handle handle;

/* Begins an engine in a directory of its own, with two edges or with these options; ends it. Owns:
 * the caller keeps what the options point to until the end. */
void one_begin(void);
void one_begin_with(const struct tally_options *options);
void one_end(void);

/* Stop and start the engine on the same directory; or do both. */
void one_stop(void);
void one_start(void);
void one_restart(void);

/* Submits to queue q; fields that are 0 mean 60 s of lease and 3 tries. Returns the id. */
uint64_t one_submit(struct edge_submit ask);

/* Claims from queue q for worker w. */
int one_try_claim(struct edge_claimed *got);

/* Claims the next build, which must be `id`. Returns its token. */
uint32_t one_claim(uint64_t id);

int one_done(uint64_t id, uint32_t token);
int one_release(uint64_t id, uint32_t token, uint32_t delay_ms);
int one_fail(uint64_t id, uint32_t token, struct edge_failed *how);

struct build_row one_build(uint64_t id);
void one_wait_for(uint64_t id, enum build_state state);

#endif
