/* The list of builds that were handed out and whose replies may not have reached the client. */
#ifndef TALLY_NET_PIPELINE_HANDED_H
#define TALLY_NET_PIPELINE_HANDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handed_claim {
    uint64_t id;
    uint64_t pos; /* of the lane: the reply leaves when this is applied */
    uint64_t end; /* of the reply, counted in bytes sent on the connection */
    uint32_t token;
};

/*
 *     added -- the claim is applied --> its end is known -- acknowledged --> gone
 *       |                                     |
 *       '--------------- the connection ends -+--> the build goes back
 *
 * The list is in the order of the claims, which is that of the replies. All zero is an empty one.
 */
struct handed {
    struct handed_claim *at; /* owned */
    uint32_t count;
    uint32_t left; /* claims, from the first on, whose end is known */
    uint32_t capacity;
};

void handed_fini(struct handed *handed);

/* Makes room for at least as many claims again. Returns whether there is room. */
bool handed_grow(struct handed *handed);

/* Adds a claim. Without memory it is not noted, and its lease has to expire. */
void handed_add(struct handed *handed, const struct handed_claim *claim);

/* Notes that the replies of all claims up to `pos` may leave, and end at `end`. */
void handed_leave(struct handed *handed, uint64_t pos, uint64_t end);

/* Removes the claims whose replies end within the first `bytes` bytes, which are acknowledged. */
void handed_arrive(struct handed *handed, uint64_t bytes);

/* Moves all claims. */
void handed_move(struct handed *to, struct handed *from);

#endif
