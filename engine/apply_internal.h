/* What the two halves of apply share. */
#ifndef TALLY_ENGINE_APPLY_INTERNAL_H
#define TALLY_ENGINE_APPLY_INTERNAL_H

#include "engine/apply.h"

/* Says until when votes are taken, from what is committed. */
void poll_set_window(struct poll *poll, bool open);

/* Puts a new option at the end of its poll, and under its id and key. Errors: NOMEM. */
int poll_add_option(struct state *state, struct poll *poll, struct option *option);

/* What a queue keeps of its builds' states, when one goes from one to another: from BUILD_NONE when
 * it is new, to BUILD_NONE when it is forgotten. Errors: NOMEM, of what becomes pending. */
int build_count(struct build *build, enum build_state from, enum build_state to);

/* Adds a need set at the end. REQUIRES: there is room. Errors: NOMEM. */
int queue_add_set(struct state *state, struct queue *queue, struct span tags);

/* Puts a build that has ended behind those that ended before. */
void build_add_ended(struct state *state, struct build *build);

/* A build ends with this record. */
void build_end(struct state *state, struct build *build, const struct record *record);

/* As apply, for a FORGET. */
int apply_forget(struct state *state, const struct record *record);

/* Room for so many held builds. Errors: NOMEM. */
int worker_reserve(struct state *state, struct worker *worker, uint32_t slots);

/* As apply, for a VOTE. */
int apply_vote(struct state *state, const struct record *record);

#endif
