/* The record: one mutation, the same shape at the edge, in the log and in apply. */
#ifndef TALLY_ENGINE_LOG_RECORD_H
#define TALLY_ENGINE_LOG_RECORD_H

#include "wal/base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum { RECORD_NUMS = 8, RECORD_TEXTS = 5 };

/*
 * The schema. Each type: name, number on disk, class, domain, and what it makes. Encoder, decoder,
 * bounds (bounds.c), apply, the replay and the inspector are made from these lists. Code that must
 * know every type has a switch without default, so a new type does not compile until that code
 * handles it. A number once given is never used for anything else.
 *
 * Class: a STEP is decided by the thread that changes the entity's word, and carries the word
 * before and after; an ORDERED record is decided by apply, in log order.
 * Domain: the entities that it touches. VOTE: options and their polls' sums; BUILD and WORKER:
 * queues, builds and workers; POLL: polls, and the fields that votes read. A replay runs votes
 * beside builds (replay.c).
 * Makes: the entity whose id is the result of an ordered record.
 */
#define RECORD_BUILD_STEPS(X)                                                                      \
    X(CLAIM, 16, STEP, BUILD, NOTHING)                                                             \
    X(BEAT, 17, STEP, BUILD, NOTHING)                                                              \
    X(DONE, 18, STEP, BUILD, NOTHING)                                                              \
    X(FAIL, 19, STEP, BUILD, NOTHING)                                                              \
    X(RELEASE, 20, STEP, BUILD, NOTHING)                                                           \
    X(EXPIRE, 21, STEP, BUILD, NOTHING)                                                            \
    X(DUE, 22, STEP, BUILD, NOTHING)                                                               \
    X(UNHOLD, 23, STEP, BUILD, NOTHING)

#define RECORD_ORDERED(X)                                                                          \
    X(POLL, 2, ORDERED, POLL, NOTHING)                                                             \
    X(OPTION, 3, ORDERED, POLL, OPTION)                                                            \
    X(SUBMIT, 4, ORDERED, BUILD, BUILD)                                                            \
    X(WORKER, 5, ORDERED, WORKER, NOTHING)                                                         \
    X(BYE, 6, ORDERED, WORKER, NOTHING)                                                            \
    X(OFFLINE, 7, ORDERED, WORKER, NOTHING)                                                        \
    X(POLL_WINDOW, 8, ORDERED, POLL, NOTHING)                                                      \
    X(FORGET, 9, ORDERED, BUILD, NOTHING)                                                          \
    X(SEEN, 10, ORDERED, WORKER, NOTHING)                                                          \
    X(BALLOT, 11, ORDERED, POLL, NOTHING)                                                          \
    X(UNVOTE, 12, ORDERED, POLL, NOTHING)                                                          \
    X(SEED, 13, ORDERED, POLL, NOTHING)                                                            \
    X(RESET, 14, ORDERED, POLL, NOTHING)                                                           \
    X(POLLDEL, 15, ORDERED, POLL, NOTHING)                                                         \
    X(PURGE, 24, ORDERED, POLL, NOTHING)

#define RECORD_LIST(X)                                                                             \
    X(VOTE, 1, STEP, VOTE, NOTHING)                                                                \
    RECORD_ORDERED(X)                                                                              \
    RECORD_BUILD_STEPS(X)

/*
 * The fields of each type, numbers and texts. New ones go to the end of their list; the decoder
 * reads a missing one as 0 or empty, so old logs stay readable.
 *
 * N(index, name, what, at most): `what` (enum record_num) says how the inspector shows the number;
 * bounds.c refuses more than `at most`. T(index, name, shown, is): `shown` says how the inspector
 * shows the text (enum record_shown); `is` is its form (bounds.h, enum bounds_text).
 */
#define VOTE_NUMS(N)                                                                               \
    N(VOTE_OPTION, "option", OPTION, BOUNDS_ANY)                                                   \
    N(VOTE_BEFORE, "before", VOTES_BEFORE, BOUNDS_ANY)                                             \
    N(VOTE_N, "n", PLAIN, BOUNDS_ANY)
#define VOTE_TEXTS(T) T(VOTE_VOTER, "voter", QUOTED, VOTER) T(VOTE_KEY, "key", QUOTED, KEY)

#define POLL_NUMS(N)                                                                               \
    N(POLL_KEEP_MASK, "keep", PLAIN, BOUNDS_ANY)                                                   \
    N(POLL_OPEN_MS, "open_ms", PLAIN, TIME_MS_MAX)                                                 \
    N(POLL_CLOSE_MS, "close_ms", PLAIN, TIME_MS_MAX)                                               \
    N(POLL_RATE_N, "rate_n", PLAIN, BOUNDS_ANY)                                                    \
    N(POLL_RATE_MS, "rate_ms", PLAIN, BOUNDS_ANY)                                                  \
    N(POLL_MODE, "mode", MODE, POLL_MODES - 1)
#define POLL_TEXTS(T) T(POLL_NAME, "poll", QUOTED, NAME)

#define OPTION_NUMS(N)
#define OPTION_TEXTS(T)                                                                            \
    T(OPTION_POLL, "poll", QUOTED, NAME)                                                           \
    T(OPTION_LABEL, "label", QUOTED, LABEL)                                                        \
    T(OPTION_FOLD, "fold", QUOTED, FOLD)                                                           \
    T(OPTION_KEY, "key", QUOTED, KEY)

/* a vote that apply decides: engine/log/ballot.h. The first texts are those of VOTE. */
#define BALLOT_NUMS(N)                                                                             \
    N(BALLOT_OPTION, "option", OPTION, BOUNDS_ANY)                                                 \
    N(BALLOT_N, "n", PLAIN, VOTE_N_MAX)
#define BALLOT_TEXTS(T)                                                                            \
    T(BALLOT_VOTER, "voter", QUOTED, VOTER)                                                        \
    T(BALLOT_KEY, "key", QUOTED, KEY)                                                              \
    T(BALLOT_MORE, "more", QUOTED, OPTIONS)

#define UNVOTE_NUMS(N)
#define UNVOTE_TEXTS(T)                                                                            \
    T(UNVOTE_POLL, "poll", QUOTED, NAME)                                                           \
    T(UNVOTE_VOTER, "voter", QUOTED, VOTER)                                                        \
    T(UNVOTE_KEY, "key", QUOTED, KEY)

/* votes that are dated back; a step of the committer. The first numbers are those of VOTE. */
#define SEED_NUMS(N)                                                                               \
    N(SEED_OPTION, "option", OPTION, BOUNDS_ANY)                                                   \
    N(SEED_BEFORE, "before", VOTES_BEFORE, VOTES_MASK)                                             \
    N(SEED_N, "n", PLAIN, VOTE_N_MAX)                                                              \
    N(SEED_OVER_MS, "over_ms", PLAIN, SEED_OVER_MS_MAX)
#define SEED_TEXTS(T) T(SEED_KEY, "key", QUOTED, KEY)

#define SUBMIT_NUMS(N)                                                                             \
    N(SUBMIT_PRI, "pri", PLAIN, BUILD_PRIORITIES - 1)                                              \
    N(SUBMIT_DELAY_MS, "delay_ms", PLAIN, BUILD_DELAY_MS_MAX)                                      \
    N(SUBMIT_LEASE_MS, "lease_ms", PLAIN, BUILD_LEASE_MS_MAX)                                      \
    N(SUBMIT_TRIES, "tries", PLAIN, BUILD_TRIES_MAX)
#define SUBMIT_TEXTS(T)                                                                            \
    T(SUBMIT_QUEUE, "queue", QUOTED, NAME)                                                         \
    T(SUBMIT_NEED, "need", QUOTED, TAGS)                                                           \
    T(SUBMIT_UNIQ, "uniq", QUOTED, UNIQ)                                                           \
    T(SUBMIT_PAYLOAD, "payload", BYTES, BLOB)                                                      \
    T(SUBMIT_KEY, "key", QUOTED, KEY)

#define WORKER_NUMS(N)                                                                             \
    N(WORKER_SLOTS, "slots", PLAIN, WORKER_SLOTS_MAX)                                              \
    N(WORKER_KEEP, "keep", PLAIN, BOUNDS_ANY)
#define WORKER_TEXTS(T)                                                                            \
    T(WORKER_ID, "worker", QUOTED, NAME)                                                           \
    T(WORKER_NAME, "name", QUOTED, TITLE)                                                          \
    T(WORKER_TAGS, "tags", QUOTED, TAGS)

#define BYE_NUMS(N)
#define BYE_TEXTS(T)    T(BYE_WORKER, "worker", QUOTED, ANY)

#define OFFLINE_NUMS(N) N(OFFLINE_WORKER, "worker", PLAIN, BOUNDS_ANY)
#define OFFLINE_TEXTS(T)

#define POLL_WINDOW_NUMS(N)                                                                        \
    N(POLL_WINDOW_POLL, "poll", PLAIN, BOUNDS_ANY)                                                 \
    N(POLL_WINDOW_OPEN, "open", PLAIN, BOUNDS_ANY)                                                 \
    N(POLL_WINDOW_MODE, "mode", MODE, POLL_MODES - 1)
#define POLL_WINDOW_TEXTS(T)

/* lsns: builds that ended, workers that left, and keys that were put, up to this lsn */
#define FORGET_NUMS(N)                                                                             \
    N(FORGET_BYTES_UNTIL, "bytes_until", PLAIN, BOUNDS_ANY)                                        \
    N(FORGET_BUILDS_UNTIL, "builds_until", PLAIN, BOUNDS_ANY)                                      \
    N(FORGET_WORKERS_UNTIL, "workers_until", PLAIN, BOUNDS_ANY)                                    \
    N(FORGET_KEYS_UNTIL, "keys_until", SELDOM, BOUNDS_ANY)
#define FORGET_TEXTS(T)

#define SEEN_NUMS(N) N(SEEN_WORKER, "worker", PLAIN, BOUNDS_ANY)
#define SEEN_TEXTS(T)

#define RESET_NUMS(N)   N(RESET_POLL, "poll", PLAIN, BOUNDS_ANY)
#define RESET_TEXTS(T)  T(RESET_KEY, "key", QUOTED, KEY)

#define POLLDEL_NUMS(N) N(POLLDEL_POLL, "poll", PLAIN, BOUNDS_ANY)
#define POLLDEL_TEXTS(T)

/* the last options of a poll that is deleted, so many of them, leave the memory; and the poll with
 * the last one */
#define PURGE_NUMS(N)                                                                              \
    N(PURGE_POLL, "poll", PLAIN, BOUNDS_ANY)                                                       \
    N(PURGE_OPTIONS, "options", PLAIN, PURGE_OPTIONS_MAX)
#define PURGE_TEXTS(T)

/* the fields with which all build steps begin */
#define STEP_NUMS(N, type)                                                                         \
    N(type##_BUILD, "build", BUILD, BOUNDS_ANY)                                                    \
    N(type##_BEFORE, "before", STATUS_BEFORE, UINT32_MAX)                                          \
    N(type##_AFTER, "after", STATUS_AFTER, UINT32_MAX)

#define CLAIM_NUMS(N)                                                                              \
    STEP_NUMS(N, CLAIM)                                                                            \
    N(CLAIM_WORKER, "worker", WORKER, BOUNDS_ANY)                                                  \
    N(CLAIM_LEASE_MS, "lease_ms", LEASE_MS, BUILD_LEASE_MS_MAX)
#define CLAIM_TEXTS(T)

#define BEAT_NUMS(N) STEP_NUMS(N, BEAT)
#define BEAT_TEXTS(T)

#define DONE_NUMS(N)  STEP_NUMS(N, DONE)
#define DONE_TEXTS(T) T(DONE_RESULT, "result", BYTES, BLOB)

/* dead is 1 when no further attempt is wanted */
#define FAIL_NUMS(N)                                                                               \
    STEP_NUMS(N, FAIL)                                                                             \
    N(FAIL_DELAY_MS, "delay_ms", DELAY_MS, BUILD_DELAY_MS_MAX)                                     \
    N(FAIL_DEAD, "dead", DEAD, 1)
#define FAIL_TEXTS(T) T(FAIL_ERROR, "error", QUOTED_ALWAYS, BLOB)

#define RELEASE_NUMS(N)                                                                            \
    STEP_NUMS(N, RELEASE)                                                                          \
    N(RELEASE_DELAY_MS, "delay_ms", DELAY_MS, BUILD_DELAY_MS_MAX)
#define RELEASE_TEXTS(T)

#define EXPIRE_NUMS(N) STEP_NUMS(N, EXPIRE)
#define EXPIRE_TEXTS(T)

#define DUE_NUMS(N) STEP_NUMS(N, DUE)
#define DUE_TEXTS(T)

#define UNHOLD_NUMS(N) STEP_NUMS(N, UNHOLD)
#define UNHOLD_TEXTS(T)

/* ---- made from the lists ---- */

enum record_type {
    RECORD_NONE = 0,
#define X(name, number, ...) RECORD_##name = number,
    RECORD_LIST(X)
#undef X
};

enum { RECORD_TYPES = 32 }; /* all types are below this number */

/* A type with this bit may be skipped by a reader that does not know it. */
enum { RECORD_SKIPPABLE = 0x80 };

/* The indexes of the numbers and texts of each type: VOTE_OPTION, VOTE_NUM_COUNT, VOTE_VOTER ... */
#define FIELD_INDEX(index, ...) index,
#define X(name, ...)                                                                               \
    enum { name##_NUMS(FIELD_INDEX) name##_NUM_COUNT };                                            \
    enum { name##_TEXTS(FIELD_INDEX) name##_TEXT_COUNT };                                          \
    _Static_assert((int)name##_NUM_COUNT <= (int)RECORD_NUMS, "so many a record has");             \
    _Static_assert((int)name##_TEXT_COUNT <= (int)RECORD_TEXTS, "so many a record has");
RECORD_LIST(X)
#undef X
#undef FIELD_INDEX

_Static_assert((int)SEED_OPTION == (int)VOTE_OPTION && (int)SEED_BEFORE == (int)VOTE_BEFORE &&
                   (int)SEED_N == (int)VOTE_N,
               "SEED and VOTE are told alike");
_Static_assert((int)POLLDEL_POLL == (int)RESET_POLL, "the gate takes both: gate.h");

/* The indexes of any build step; a step without a delay or a text has 0 or an empty text there. */
enum {
    STEP_BUILD,
    STEP_BEFORE,
    STEP_AFTER,
    STEP_DELAY_MS = FAIL_DELAY_MS,
};
enum { STEP_TEXT = DONE_RESULT };
#define X(name, ...)                                                                               \
    _Static_assert((int)name##_BUILD == (int)STEP_BUILD && (int)name##_AFTER == (int)STEP_AFTER,   \
                   "a build step begins with STEP_NUMS");
RECORD_BUILD_STEPS(X)
#undef X
_Static_assert((int)RELEASE_DELAY_MS == (int)STEP_DELAY_MS && (int)FAIL_ERROR == (int)STEP_TEXT,
               "a delay and a text stand in one place");

enum { WORKER_KEEP_NAME = 1, WORKER_KEEP_TAGS = 2 };

enum record_class { RECORD_CLASS_STEP, RECORD_CLASS_ORDERED };
enum record_domain {
    RECORD_DOMAIN_VOTE,
    RECORD_DOMAIN_POLL,
    RECORD_DOMAIN_BUILD,
    RECORD_DOMAIN_WORKER
};
enum record_makes { RECORD_MAKES_NOTHING, RECORD_MAKES_OPTION, RECORD_MAKES_BUILD };

enum record_num {
    RECORD_NUM_PLAIN,
    RECORD_NUM_OPTION,        /* an id; shown with label and poll */
    RECORD_NUM_VOTES_BEFORE,  /* shown as the votes after */
    RECORD_NUM_BUILD,         /* an id; shown with the queue */
    RECORD_NUM_STATUS_BEFORE, /* shown as the state */
    RECORD_NUM_STATUS_AFTER,  /* shown as state and token */
    RECORD_NUM_WORKER,        /* an id; shown as the name */
    RECORD_NUM_LEASE_MS,      /* of a step */
    RECORD_NUM_DELAY_MS,      /* of a step; shown where it is not 0 */
    RECORD_NUM_DEAD,          /* not shown: the state after shows it */
    RECORD_NUM_SELDOM,        /* shown where it is not 0 */
    RECORD_NUM_MODE,          /* of a poll; its name is shown, but not that of 0 */
};

enum record_shown {
    RECORD_TEXT_QUOTED, /* unless it is empty */
    RECORD_TEXT_QUOTED_ALWAYS,
    RECORD_TEXT_BYTES, /* its length; in JSON length and text */
};

/* The schema of one type. */
struct record_schema {
    const char *name; /* "VOTE" */
    enum record_class class;
    enum record_domain domain;
    enum record_makes makes;
    unsigned num_count;
    unsigned text_count;
    struct {
        const char *name; /* "option" */
        enum record_num what;
    } nums[RECORD_NUMS];
    struct {
        const char *name; /* "voter" */
        enum record_shown shown;
    } texts[RECORD_TEXTS];
};

/* Returns the schema; NULL for a number that is no type. Static storage. */
const struct record_schema *record_schema(unsigned type);

/* Returns "VOTE" ...; NULL for a number that is no type. Static storage. */
const char *record_type_name(unsigned type);

/* Returns which text of a type is the key of the request (its form is KEY); -1: it has none. */
int record_key_index(unsigned type);

/* The types as bits, 1 << type. */
enum {
#define BIT_OF(name, ...) | 1 << RECORD_##name
    RECORD_BUILD_STEP_BITS = 0 RECORD_BUILD_STEPS(BIT_OF),
#undef BIT_OF
#define BIT_OF(name, number, class, domain, ...)                                                   \
    | (RECORD_DOMAIN_##domain == RECORD_DOMAIN_BUILD ||                                            \
       RECORD_DOMAIN_##domain == RECORD_DOMAIN_WORKER)                                             \
            << RECORD_##name
    RECORD_OF_BUILDS_BITS = 0 RECORD_LIST(BIT_OF),
#undef BIT_OF
#define BIT_OF(name, ...) | (name##_TEXT_COUNT > 0) << RECORD_##name
    RECORD_STEP_TEXT_BITS = 0 RECORD_BUILD_STEPS(BIT_OF),
#undef BIT_OF
};

static inline bool record_is_build_step(unsigned type)
{
    return type < RECORD_TYPES && (RECORD_BUILD_STEP_BITS >> type & 1) != 0;
}

/* Whether a build step of this type carries a text. */
static inline bool record_is_step_with_text(unsigned type)
{
    return type < RECORD_TYPES && (RECORD_STEP_TEXT_BITS >> type & 1) != 0;
}

/* Whether a record of this type touches queues, builds and workers alone. */
static inline bool record_is_of_builds(unsigned type)
{
    return type < RECORD_TYPES && (RECORD_OF_BUILDS_BITS >> type & 1) != 0;
}

/* For a switch over enum record_type without default: all types of a list, or all but the build
 * steps. */
#define RECORD_CASE(name, ...) case RECORD_##name:
#define RECORD_NO_BUILD_STEP                                                                       \
    case RECORD_NONE:                                                                              \
    case RECORD_VOTE:                                                                              \
        RECORD_ORDERED(RECORD_CASE)

struct record {
    uint64_t lsn;
    uint64_t time_ms; /* wall time of its commit; never goes back */
    uint64_t num[RECORD_NUMS];
    struct span text[RECORD_TEXTS]; /* borrowed */
    enum record_type type;
};

/* Returns the key of the request; empty: it has none. */
static inline struct span record_key(const struct record *record)
{
    int at = record_key_index(record->type);
    return at >= 0 ? record->text[at] : (struct span){NULL, 0};
}

/* Consecutive VOTE records without texts, which are most of a log. */
enum { VOTE_RUN_MAX = 64 };

struct vote_run {
    uint64_t first_lsn;
    uint64_t time_ms;
    uint32_t count;
    uint64_t option[VOTE_RUN_MAX];
    uint64_t before[VOTE_RUN_MAX];
    uint64_t n[VOTE_RUN_MAX];
};

#endif
