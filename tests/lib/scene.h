/* The usual requests of a test, each expecting that it goes well. */
#ifndef TALLY_TESTS_LIB_SCENE_H
#define TALLY_TESTS_LIB_SCENE_H

#include "tests/lib/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCENE_QUEUE_MAX = 80 };

/* What CLAIM hands out. */
struct claim {
    uint64_t id, token, attempt, lease_ms;
    bool again; /* held by this worker already */
    char queue[SCENE_QUEUE_MAX];
    const char *payload; /* in the client's buffer */
    size_t payload_bytes;
};

void scene_poll(struct client *client, const char *poll);

/* Returns the option's id. */
uint64_t scene_option(struct client *client, const char *poll, const char *label);

/* Returns a number of INFO, which must have it. */
uint64_t scene_info(struct client *client, const char *key);

/* Returns `total=` of TALLY. */
uint64_t scene_total(struct client *client, const char *poll);

/* Returns the votes of one option, from TALLY; expects that it is listed once. */
uint64_t scene_votes(struct client *client, const char *poll, uint64_t option);

/* Sends `count` plain votes in one go and expects votes_after `before`+1, +2, … */
void scene_vote_times(struct client *client, uint64_t option, uint64_t before, size_t count);

void scene_worker(struct client *client, const char *worker);

/* Submits with the option words in `words` ("" for none). Returns the build's id. */
uint64_t scene_submit(struct client *client, const char *queue, const char *words,
                      const char *payload);

/* Reads a reply to CLAIM. Returns false for anything that is not a handed-out build. */
bool claim_parse(struct claim *claim, const struct reply *reply);

/* Claims one build and expects to get it; or expects NIL. */
void scene_claim(struct claim *claim, struct client *client, const char *worker, const char *queue);
void scene_claim_nil(struct client *client, const char *worker, const char *queue);

/* Returns whether the build's `key=` in BUILD is `value`. */
bool scene_build_has(struct client *client, uint64_t build, const char *key, const char *value);

#endif
