/* What the two halves of apply share. */
#ifndef TALLY_ENGINE_APPLY_INTERNAL_H
#define TALLY_ENGINE_APPLY_INTERNAL_H

#include "engine/apply.h"

/* Verdicts go to v; the return value is apply's own (0, CORRUPT, NOMEM). */
int apply_submit(struct state *state, const struct record *record, struct verdict *v);
int apply_build_step(struct state *state, const struct record *record);
int apply_worker(struct state *state, const struct record *record, struct verdict *v);
int apply_bye(struct state *state, const struct record *record, struct verdict *v);
int apply_offline(struct state *state, const struct record *record);

#endif
