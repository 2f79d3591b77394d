/* The pending builds of a queue, so arranged that the oldest is at hand. */
#ifndef TALLY_ENGINE_STATE_OLDEST_H
#define TALLY_ENGINE_STATE_OLDEST_H

#include <stddef.h>

struct build;

/*
 * A heap by id, and ids go up with the time of SUBMIT. Apply alone changes it, so it holds what is
 * committed as pending, in whatever order the builds stand in their lists of offers. A build knows
 * its place (build->oldest_at); put and remove cost as many steps as the count has bits.
 */
struct oldest {
    struct build **at; /* owned; at[0] is the oldest */
    size_t count;
    size_t capacity;
};

void oldest_fini(struct oldest *oldest);

/* Errors: NOMEM. */
int oldest_put(struct oldest *oldest, struct build *build);

/* The build is in it. */
void oldest_remove(struct oldest *oldest, struct build *build);

#endif
