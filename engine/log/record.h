/* The record: one mutation, the same shape at the edge, in the log and in apply. */
#ifndef TALLY_ENGINE_LOG_RECORD_H
#define TALLY_ENGINE_LOG_RECORD_H

#include "wal/base/span.h"

#include <stdint.h>

enum { RECORD_NUMS = 8, RECORD_TEXTS = 5 };

/*
 * Each type: number on disk, name, its numbers, its texts. One table: the code below, the encoder,
 * the decoder and the inspector are made from it. A number once given is never used for anything
 * else; new numbers and texts go to the end of their list, and the decoder reads a missing one as 0
 * or empty, so old logs stay readable.
 *
 * VOTE and the build steps (CLAIM to UNHOLD) are steps: they carry the entity, what its word said
 * before and after. The others are decided by apply, in log order.
 */
#define RECORD_LIST(X)                                                                             \
    X(VOTE, 1, "option,before,n", "voter,key")                                                     \
    X(POLL, 2, "keep,open_ms,close_ms,rate_n,rate_ms", "poll")                                     \
    X(OPTION, 3, "", "poll,label,fold,key")                                                        \
    X(SUBMIT, 4, "pri,delay_ms,lease_ms,tries", "queue,need,uniq,payload,key")                     \
    X(WORKER, 5, "slots,keep", "worker,name,tags")                                                 \
    X(BYE, 6, "", "worker")                                                                        \
    X(OFFLINE, 7, "worker", "")                                                                    \
    X(POLL_WINDOW, 8, "poll,open", "")                                                             \
    X(FORGET, 9, "bytes_until,builds_until,workers_until", "")                                     \
    X(SEEN, 10, "worker", "")                                                                      \
    X(CLAIM, 16, "build,before,after,worker,lease_ms", "")                                         \
    X(BEAT, 17, "build,before,after", "")                                                          \
    X(DONE, 18, "build,before,after", "result")                                                    \
    X(FAIL, 19, "build,before,after,delay_ms,dead", "error")                                       \
    X(RELEASE, 20, "build,before,after,delay_ms", "")                                              \
    X(EXPIRE, 21, "build,before,after", "")                                                        \
    X(DUE, 22, "build,before,after", "")                                                           \
    X(UNHOLD, 23, "build,before,after", "")

enum record_type {
    RECORD_NONE = 0,
#define X(name, number, nums, texts) RECORD_##name = number,
    RECORD_LIST(X)
#undef X
        RECORD_TYPES = 32
};

/* A type with this bit may be skipped by a reader that does not know it. */
enum { RECORD_SKIPPABLE = 0x80 };

/* Where the numbers and texts of each type stand; the order is that of the list above. */
enum { VOTE_OPTION, VOTE_BEFORE, VOTE_N };
enum { POLL_KEEP_MASK, POLL_OPEN_MS, POLL_CLOSE_MS, POLL_RATE_N, POLL_RATE_MS };
enum { POLL_NAME };
enum { OPTION_POLL, OPTION_LABEL, OPTION_FOLD };
enum { SUBMIT_PRI, SUBMIT_DELAY_MS, SUBMIT_LEASE_MS, SUBMIT_TRIES };
enum { SUBMIT_QUEUE, SUBMIT_NEED, SUBMIT_UNIQ, SUBMIT_PAYLOAD };
enum { WORKER_SLOTS, WORKER_KEEP };
enum { WORKER_ID, WORKER_NAME, WORKER_TAGS };
enum { WORKER_KEEP_NAME = 1, WORKER_KEEP_TAGS = 2 };
enum { POLL_WINDOW_POLL, POLL_WINDOW_OPEN };
/* lsns: of what ended, or left, no later */
enum { FORGET_BYTES_UNTIL, FORGET_BUILDS_UNTIL, FORGET_WORKERS_UNTIL };
enum {
    STEP_BUILD,
    STEP_BEFORE,
    STEP_AFTER,
    STEP_WORKER, /* CLAIM */
    STEP_LEASE_MS,
    STEP_DELAY_MS = 3, /* FAIL, RELEASE */
    STEP_DEAD          /* FAIL: 1: no further attempt is wanted */
};
enum { STEP_TEXT };

struct record {
    uint64_t lsn;
    uint64_t time_ms; /* wall time of its commit; never goes back */
    uint64_t num[RECORD_NUMS];
    struct span text[RECORD_TEXTS]; /* borrowed */
    enum record_type type;
};

/* VOTE records that follow each other and have no texts: what most of a log is. */
enum { VOTE_RUN_MAX = 64 };

struct vote_run {
    uint64_t first_lsn;
    uint64_t time_ms;
    uint32_t count;
    uint64_t option[VOTE_RUN_MAX];
    uint64_t before[VOTE_RUN_MAX];
    uint64_t n[VOTE_RUN_MAX];
};

/* "VOTE" ...; NULL for a number that is no type. Static storage. */
const char *record_type_name(unsigned type);

/* How many numbers and texts a type has; and the name of one, as a span. Static storage. */
unsigned record_num_count(enum record_type type);
unsigned record_text_count(enum record_type type);
struct span record_num_name(enum record_type type, unsigned i);
struct span record_text_name(enum record_type type, unsigned i);

#endif
