/* The heap of a queue's pending builds: the oldest is on top. */
#ifndef TALLY_ENGINE_STATE_OLDEST_H
#define TALLY_ENGINE_STATE_OLDEST_H

#include <stddef.h>

struct build;

/*
 * The heap is by id, and ids go up with the time of SUBMIT. Apply alone changes it, so it holds the
 * builds that are committed as pending, independent of the order in the ticket lists. A build knows
 * its place (build->oldest_at); put and remove cost as many steps as the count has bits.
 */
struct oldest {
    struct build **at; /* owned; at[0] is the oldest */
    size_t count;
    size_t capacity;
};

void oldest_fini(struct oldest *oldest);

/* Adds a build. Errors: NOMEM. */
int oldest_put(struct oldest *oldest, struct build *build);

/* Removes a build. REQUIRES: it is in the heap. */
void oldest_remove(struct oldest *oldest, struct build *build);

#endif
