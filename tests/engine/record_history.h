/* A random history, each record one that the engine could have written. */
#ifndef TALLY_TESTS_ENGINE_RECORD_HISTORY_H
#define TALLY_TESTS_ENGINE_RECORD_HISTORY_H

#include "engine/state/state.h"
#include "engine/log/record.h"
#include "tests/lib/seed.h"

enum { HISTORY_TEXT_MAX = 24 };

struct record_history {
    struct record *records;
    char (*texts)[RECORD_TEXTS][HISTORY_TEXT_MAX];
    uint32_t count;
    uint32_t polls_until; /* number of records after which polls and options stay as they are */
    uint32_t votes_from;  /* number of records after which there are only votes */
    bool is_long;         /* it lasts for days, so keys are forgotten */
    uint64_t keys_max;    /* keys of requests that the state remembers; 0: as many as ever */
    struct seed seed;
};

/* Makes a history and applies it to a new state on the way. The caller sets all but
 * records, texts and count; 0: never. */
void record_history_init(struct record_history *h, struct state *state, uint64_t start,
                         uint32_t records);
void record_history_fini(struct record_history *h);

#endif
