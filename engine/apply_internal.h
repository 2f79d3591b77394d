/* What the two halves of apply share. */
#ifndef TALLY_ENGINE_APPLY_INTERNAL_H
#define TALLY_ENGINE_APPLY_INTERNAL_H

#include "engine/apply.h"

/* Says until when votes are taken, from what is committed. */
void poll_set_window(struct poll *poll, bool open);

/* Puts a new option at the end of its poll, and under its id and key. Errors: NOMEM. */
int poll_add_option(struct state *state, struct poll *poll, struct option *option);

/* A queue's counts, when a build of it goes from one state to another; from BUILD_NONE when new. */
void build_count(struct build *build, enum build_state from, enum build_state to);

/* Adds a need set at the end. REQUIRES: there is room. Errors: NOMEM. */
int queue_add_set(struct state *state, struct queue *queue, struct span tags);

/* Puts a build that has ended behind those that ended before. */
void build_add_ended(struct state *state, struct build *build);

/* Room for so many held builds. Errors: NOMEM. */
int worker_reserve(struct state *state, struct worker *worker, uint32_t slots);

/* As apply, for a VOTE. */
int apply_vote(struct state *state, const struct record *record);

#endif
