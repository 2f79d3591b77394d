/* One client of the crew: votes, submits, works builds, and writes down every answer. */
#ifndef TALLY_TESTS_KILL_CREW_H
#define TALLY_TESTS_KILL_CREW_H

#include "tests/kill/arena.h"
#include "tests/kill/history.h"
#include "tests/kill/safe.h"
#include "tests/lib/seed.h"

enum { CREW = 8, CREW_PAYLOAD_MAX = 64 };

struct crew {
    struct arena *arena;
    const uint64_t *options; /* the ids of the OPTIONS options of poll `race` */
    const struct safe_options *safe_options;
    size_t index;
    struct seed seed;
    struct client client;
    struct history history;
    struct safe safe;
    struct hold *held;                 /* the hold that is open, or NULL */
    uint64_t last_token;               /* of the build below, its end not yet acknowledged */
    uint64_t last_build;               /* 0: none */
    const char *last_word;             /* DONE, FAIL or RELEASE */
    uint64_t stale_build, stale_token; /* given away, acknowledged: good for nothing any more */
    uint64_t submits_made;
    uint64_t total_seen; /* of TALLY: it never goes back */
};

/* The body of its thread; `crew` is a struct crew. */
void *crew_run(void *crew);

/* The payload of submit `number` of client `index`, and the result a holder by `token` hands in. */
void crew_payload(char payload[CREW_PAYLOAD_MAX], size_t index, uint64_t number);
void crew_result(char result[CREW_PAYLOAD_MAX], uint64_t build, uint64_t token);

#endif
