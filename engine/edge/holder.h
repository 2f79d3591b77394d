/* The checks that claim, heartbeat and completion share about a worker that holds a build. */
#ifndef TALLY_ENGINE_EDGE_HOLDER_H
#define TALLY_ENGINE_EDGE_HOLDER_H

#include "engine/edge/edge_internal.h"
#include "engine/log/record.h"
#include "wal/base/check.h"

/* Notes a sign of life of a worker; if the worker is offline, appends a record that brings it back.
 * NULL: no worker holds the build any more, and nothing is done. */
void holder_seen(struct edge *edge, struct worker *worker);

/* Returns what is left of the lease of a build with this word. */
uint64_t holder_lease_left_ms(const struct edge *edge, const struct build *build, uint64_t word);

/* Returns the tick at which a lease that begins now expires. */
uint32_t holder_deadline(const struct edge *edge, uint32_t lease_ms);

/*
 * Finds a build and checks a token. Returns 0 when the token holds the build (*seen is its word), 1
 * when it does not and that is committed, NOTFOUND, STALE, PARK while a step of this claim is in
 * flight.
 *
 * With 1, `applied` had already left the token. So a later read of `ending` gives the ending of
 * this token's claim or of a later claim, or says that a later claim runs; it never gives the
 * ending of an earlier claim.
 */
int holder_find(const struct edge *edge, uint64_t id, uint32_t token, struct build **out,
                uint64_t *seen);

/* Whether a step of a holder may be made, with so many bytes of text. Errors: READONLY, ROOM. */
int holder_may_append(const struct edge *edge, uint64_t bytes);

/* Appends the record of a step that was made on a build's word. REQUIRES: there is room. */
static inline void holder_append(struct edge *edge, struct build *build, struct lane_step step,
                                 uint32_t before, uint32_t after)
{
    DCHECK(edge_room(edge) > 0 && word_transition_is_legal(step.type, before, after));
    step.build = build;
    step.before = before;
    step.after = after;
    lane_append(edge->lane)->step = step;
}

#endif
