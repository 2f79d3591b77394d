/* The limits: what a name, a number and the state as a whole may be; one list for all layers. */
#ifndef TALLY_ENGINE_LIMITS_H
#define TALLY_ENGINE_LIMITS_H

#include <stdint.h>

/*
 * Requests, records and images are held against these (engine/log/bounds.h), and net/ takes the
 * bounds of its words from here. A request may be bounded more tightly at any time; what a record
 * or an image can say may only be widened, or old logs would be refused.
 */

/* ---- texts ---- */
enum {
    NAME_LEN_MAX = 64, /* of a poll, queue, worker or tag; of a UNIQ, too */
    LABEL_CHARACTERS_MAX = 50,
    LABEL_BYTES_MAX = 4 * LABEL_CHARACTERS_MAX,
    LABEL_FOLD_BYTES_MAX = 4096,
    TAGS_MAX = 16, /* of a worker, or that a build needs */
    TAGS_BYTES_MAX = TAGS_MAX * (NAME_LEN_MAX + 1),
    WORKER_TITLE_BYTES_MAX = 256,
    /* a payload, result or error; three of them and more fit an image, and that a block */
    BUILD_TEXT_BYTES_MAX = 4 << 20,
};

/* ---- votes ---- */
enum { VOTES_BITS = 40, VOTE_N_MAX = 1 << 20 };
#define VOTES_MASK  (((uint64_t)1 << VOTES_BITS) - 1)
#define VOTES_RANGE ((uint64_t)1 << 39) /* of one option: no vote is begun at or above */
#define COUNT_MAX   ((uint64_t)1 << 62) /* of all options together, and of anything else */

/* ---- polls ---- */
enum {
    POLL_RATE_N_MAX = 1000 * 1000,
    POLL_RATE_MS_MAX = 24 * 3600 * 1000,
    POLL_OPTIONS_MAX = 1 << 24,
    POLL_SECONDS = 64, /* for which a poll counts its votes one by one */
};

/* ---- builds ---- */
enum {
    BUILD_PRIORITIES = 10, /* 0 first */
    BUILD_PRI_DEFAULT = 5,
    BUILD_TRIES_MAX = 1000,
    BUILD_TRIES_DEFAULT = 3,
    BUILD_LEASE_MS_MAX = 24 * 3600 * 1000,
    BUILD_LEASE_MS_DEFAULT = 60 * 1000,
    /* Of a build that is held; one that is offered has fewer. A live build comes no further than
     * its tries: beyond them it fails. */
    BUILD_ATTEMPTS_MAX = 30000,
    BUILD_BYES_MAX =
        100, /* so often a build goes back by BYE, uncounted; once more, and it fails */
};
#define BUILD_DELAY_MS_MAX ((uint64_t)30 * 24 * 3600 * 1000)
#define BUILD_TOKEN_MAX    ((uint32_t)0x0fffffff)

enum {
    NEED_SETS_MAX = 64,    /* distinct sets of needed tags in a queue */
    CLAIM_QUEUES_MAX = 16, /* that one claim names */
    WORKER_SLOTS_MAX = 256,
};

/* ---- the state as a whole ---- */
enum {
    POLLS_MAX = 1 << 20,
    OPTIONS_MAX = 1 << 30,
    QUEUES_MAX = 1 << 16,
    WORKERS_MAX = 1 << 17,
    QUEUE_OPEN_MAX = 1 << 24, /* unfinished builds of a queue */
    QUEUE_KEEP = 100000,      /* finished builds a queue keeps */
};

#define TIME_MS_MAX ((uint64_t)1 << 53) /* of log time, and of every wall time */

#endif
