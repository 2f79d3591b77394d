/* The limits of names, numbers and the state as a whole; one list for all layers. */
#ifndef TALLY_ENGINE_LIMITS_H
#define TALLY_ENGINE_LIMITS_H

#include <stdint.h>

/*
 * Requests, records and images are checked against these limits (engine/log/bounds.h), and net/
 * takes the bounds of its arguments from here. The bound of a request may be tightened at any time;
 * the bound of a record or an image may only be widened, or old logs would be refused.
 */

/* ---- texts ---- */
enum {
    NAME_LEN_MAX = 64, /* of a poll, queue, worker or tag; of a UNIQ, too */
    VOTER_LEN_MAX = 64,
    KEY_LEN_MAX = 64,
    LABEL_CHARACTERS_MAX = 50,
    LABEL_BYTES_MAX = 4 * LABEL_CHARACTERS_MAX,
    LABEL_FOLD_BYTES_MAX = 4096,
    TAGS_MAX = 16, /* of a worker, or that a build needs */
    TAGS_BYTES_MAX = TAGS_MAX * (NAME_LEN_MAX + 1),
    WORKER_TITLE_BYTES_MAX = 256,
    /* a payload, result or error; an image holds three of them and more, a block holds an image */
    BUILD_TEXT_BYTES_MAX = 4 << 20,
};

/* ---- votes ---- */
enum {
    VOTES_BITS = 40,
    VOTE_N_MAX = 1 << 20,
    BALLOT_OPTIONS_MAX = 60, /* of one vote: so many words of a line can be options */
};
#define VOTES_MASK  (((uint64_t)1 << VOTES_BITS) - 1)
#define VOTES_RANGE ((uint64_t)1 << 39) /* an option that has as many takes no more votes */
#define COUNT_MAX   ((uint64_t)1 << 62) /* votes of all options together, and any other count */

/* ---- polls ---- */
enum {
    SEED_OVER_MS_MAX = 24 * 3600 * 1000, /* how far votes are dated back, the longest window */
    POLL_RATE_N_MAX = 1000 * 1000,
    POLL_RATE_MS_MAX = 24 * 3600 * 1000,
    POLL_OPTIONS_MAX = 1 << 24,
    POLL_SECONDS = 64, /* a poll counts the votes of each of the last 64 seconds */
};

/* ---- trends (engine/state/trend.h) ---- */
enum {
    TREND_BUCKET_MS = 5000,
    TREND_SAMPLES_MIN = 4, /* capacities of a trend's array, powers of two */
    TREND_SAMPLES_MAX = 512,
    TREND_WINDOWS = 4,     /* 5 min, 1 h, 12 h, 24 h */
    TREND_LINES_MAX = 144, /* buckets of a window */
};

/* ---- keys of requests ---- */
enum { KEYS_MAX = 1 << 20 };                        /* so many are remembered: the newest */
#define KEYS_WINDOW_MS ((uint64_t)24 * 3600 * 1000) /* ... and for so long */

/* ---- builds ---- */
enum {
    BUILD_PRIORITIES = 10, /* 0 first */
    BUILD_PRI_DEFAULT = 5,
    BUILD_TRIES_MAX = 1000,
    BUILD_TRIES_DEFAULT = 3,
    BUILD_LEASE_MS_MAX = 24 * 3600 * 1000,
    BUILD_LEASE_MS_DEFAULT = 60 * 1000,
    /* Attempts of a build that is held; one that is offered has fewer. In a live engine a build
     * fails when its tries are used up, long before this. */
    BUILD_ATTEMPTS_MAX = 30000,
    /* A build goes back by BYE so often without counting an attempt; after one more BYE it fails */
    BUILD_BYES_MAX = 100,
};
#define BUILD_DELAY_MS_MAX ((uint64_t)30 * 24 * 3600 * 1000)
#define BUILD_TOKEN_MAX    ((uint32_t)0x0fffffff)

enum {
    NEED_SETS_MAX = 64,    /* distinct sets of needed tags in a queue */
    CLAIM_QUEUES_MAX = 16, /* queues that one claim names */
    WORKER_SLOTS_MAX = 256,
};

/* ---- the state as a whole ---- */
enum {
    POLLS_MAX = 1 << 20,
    OPTIONS_MAX = 1 << 30,
    POLL_ID_MAX = (1U << 31) - 1, /* ids are given out once */
    OPTION_ID_MAX = (1U << 31) - 1,
    PURGE_OPTIONS_MAX = 256, /* of a record: it is applied in less than 1 ms */
    QUEUES_MAX = 1 << 16,
    WORKERS_MAX = 1 << 17,
    QUEUE_OPEN_MAX = 1 << 24, /* unfinished builds of a queue */
    QUEUE_KEEP = 100000,      /* finished builds a queue keeps */
};

#define TIME_MS_MAX ((uint64_t)1 << 53) /* of log time, and of every wall time */

#endif
