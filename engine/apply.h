/* apply: the only code that changes the committed state. */
#ifndef TALLY_ENGINE_APPLY_H
#define TALLY_ENGINE_APPLY_H

#include "engine/record.h"
#include "engine/state.h"

/*
 * Applies one record. The same in a live engine, in a replay and in tests: no clock (its time is
 * the record's), no randomness, no order of a hash. A judged record is decided here; its verdict (a
 * refusal too) is the reply.
 *
 * Returns 0; CORRUPT when the record contradicts the state (a chain that does not fit, an unknown
 * entity of a step), which means a damaged log in a replay and a bug in a live engine; NOMEM. After
 * an error the state is of no use any more. Threads: the committer, inside seq_write_begin and
 * seq_write_end once readers are there.
 */
int apply(struct state *state, const struct record *record, struct verdict *verdict);

/*
 * Applies votes that follow each other, as apply would one by one, but asks for their memory first:
 * a replay waits for little else. Returns 0, or CORRUPT; *done then says how many were applied.
 */
int apply_votes(struct state *state, const struct vote_run *run, uint32_t *done);

/*
 * Ends a replay: sets each word from what was committed, so that the edges may begin. Builds that
 * are held stay held, unarmed.
 */
void apply_replay_end(struct state *state);

#endif
