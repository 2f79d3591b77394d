/* Images: the form in which a snapshot stores one poll, option, queue, worker or build. */
#ifndef TALLY_ENGINE_LOG_IMAGE_H
#define TALLY_ENGINE_LOG_IMAGE_H

#include "engine/limits.h"
#include "wal/base/span.h"

#include <stddef.h>
#include <stdint.h>

enum { IMAGE_NUMS = 21, IMAGE_TEXTS = 5 };

/*
 * The schema: each kind, its number on disk, and its fields. As in engine/log/record.h a number
 * once given is never used for anything else, new fields go to the end of their list, and a missing
 * one reads as 0 or empty. An image comes after those that it refers to: an option after its poll,
 * a build after its queue and its worker. HEAD is first, END is last.
 *
 * Encoder, decoder and bounds (bounds.c) are made from these lists; capture, load and digest from
 * engine/apply/snapshot_fields.h, which does not compile while it lacks a number.
 *
 * N(index, name, at most): bounds.c refuses more. T(index, name, is): the form of the text
 * (bounds.h, enum bounds_text).
 */
#define IMAGE_LIST(X)                                                                              \
    X(HEAD, 1)                                                                                     \
    X(POLL, 2)                                                                                     \
    X(OPTION, 3)                                                                                   \
    X(QUEUE, 4)                                                                                    \
    X(WORKER, 5)                                                                                   \
    X(BUILD, 6)                                                                                    \
    X(END, 7)                                                                                      \
    X(KEY, 8)                                                                                      \
    X(RECENT, 9)                                                                                   \
    X(VOTER, 10)

/* has_keys is 1; an earlier tally, whose snapshots have no keys, wrote 0. Polls
 * that are deleted but still in memory, and their options, are counted apart (deleted_), and so are
 * the ids of those that were (past_); the sum of the three is the last id that was given out. */
#define IMAGE_HEAD_NUMS(N)                                                                         \
    N(HEAD_LSN, "lsn", WAL_LSN_MAX)                                                                \
    N(HEAD_TIME_MS, "time_ms", TIME_MS_MAX)                                                        \
    N(HEAD_VOTES, "votes", COUNT_MAX)                                                              \
    N(HEAD_POLLS, "polls", POLLS_MAX)                                                              \
    N(HEAD_OPTIONS, "options", OPTIONS_MAX)                                                        \
    N(HEAD_QUEUES, "queues", QUEUES_MAX)                                                           \
    N(HEAD_WORKERS, "workers", BOUNDS_ANY)                                                         \
    N(HEAD_BUILD_NEXT, "build_next", COUNT_MAX)                                                    \
    N(HEAD_BUILDS, "builds", BOUNDS_ANY)                                                           \
    N(HEAD_PAYLOAD_BYTES, "payload_bytes", BOUNDS_ANY)                                             \
    N(HEAD_WORKER_LAST, "worker_last", COUNT_MAX)                                                  \
    N(HEAD_QUEUE_LAST, "queue_last", COUNT_MAX)                                                    \
    N(HEAD_KEYS, "keys", KEYS_MAX)                                                                 \
    N(HEAD_HAS_KEYS, "has_keys", 1)                                                                \
    N(HEAD_DELETED_POLLS, "deleted_polls", POLL_ID_MAX)                                            \
    N(HEAD_DELETED_OPTIONS, "deleted_options", OPTION_ID_MAX)                                      \
    N(HEAD_PAST_POLLS, "past_polls", POLL_ID_MAX)                                                  \
    N(HEAD_PAST_OPTIONS, "past_options", OPTION_ID_MAX)
#define IMAGE_HEAD_TEXTS(T)

/* seconds: three varints for each place that holds votes: place, second, votes; trend: of the
 * total, engine/state/trend.h; resets: the trend of the generation */
#define IMAGE_POLL_NUMS(N)                                                                         \
    N(IPOLL_ID, "id", BOUNDS_ANY)                                                                  \
    N(IPOLL_TOTAL, "total", COUNT_MAX)                                                             \
    N(IPOLL_OPEN_MS, "open_ms", TIME_MS_MAX)                                                       \
    N(IPOLL_CLOSE_MS, "close_ms", TIME_MS_MAX)                                                     \
    N(IPOLL_RATE_N, "rate_n", BOUNDS_ANY)                                                          \
    N(IPOLL_RATE_MS, "rate_ms", BOUNDS_ANY)                                                        \
    N(IPOLL_OPEN, "open", 1)                                                                       \
    N(IPOLL_MODE, "mode", POLL_MODES - 1)                                                          \
    N(IPOLL_MODE_WANTED, "mode_wanted", POLL_MODES - 1)                                            \
    N(IPOLL_GENERATION, "generation", UINT32_MAX)                                                  \
    N(IPOLL_VOTERS, "voters", COUNT_MAX)                                                           \
    N(IPOLL_DELETED, "deleted", 1)
#define IMAGE_POLL_TEXTS(T)                                                                        \
    T(IPOLL_NAME, "poll", NAME)                                                                    \
    T(IPOLL_SECONDS, "seconds", SECONDS)                                                           \
    T(IPOLL_TREND, "trend", TREND)                                                                 \
    T(IPOLL_RESETS, "resets", TREND)

#define IMAGE_OPTION_NUMS(N)                                                                       \
    N(IOPTION_ID, "id", BOUNDS_ANY)                                                                \
    N(IOPTION_POLL, "poll", BOUNDS_ANY)                                                            \
    N(IOPTION_VOTES, "votes", VOTES_MASK)                                                          \
    N(IOPTION_CHANGES, "changes", WAL_LSN_MAX)                                                     \
    N(IOPTION_GENERATION, "generation", UINT32_MAX)
#define IMAGE_OPTION_TEXTS(T)                                                                      \
    T(IOPTION_LABEL, "label", LABEL)                                                               \
    T(IOPTION_FOLD, "fold", FOLD)                                                                  \
    T(IOPTION_TREND, "trend", TREND)

/* tags: the need sets in their order, ';' between */
#define IMAGE_QUEUE_NUMS(N)                                                                        \
    N(IQUEUE_ID, "id", BOUNDS_ANY)                                                                 \
    N(IQUEUE_SETS, "sets", NEED_SETS_MAX)
#define IMAGE_QUEUE_TEXTS(T) T(IQUEUE_NAME, "queue", NAME) T(IQUEUE_TAGS, "tags", ANY)

/* gone_lsn is 0 when the worker has not left */
#define IMAGE_WORKER_NUMS(N)                                                                       \
    N(IWORKER_ID_NUM, "id", BOUNDS_ANY)                                                            \
    N(IWORKER_STATE, "state", WORKER_GONE)                                                         \
    N(IWORKER_SLOTS, "slots", WORKER_SLOTS_MAX)                                                    \
    N(IWORKER_CAPACITY, "capacity", WORKER_SLOTS_MAX)                                              \
    N(IWORKER_DONE, "done", COUNT_MAX)                                                             \
    N(IWORKER_FAILED, "failed", COUNT_MAX)                                                         \
    N(IWORKER_GONE_LSN, "gone_lsn", BOUNDS_ANY)
#define IMAGE_WORKER_TEXTS(T)                                                                      \
    T(IWORKER_ID, "worker", NAME)                                                                  \
    T(IWORKER_NAME, "name", TITLE)                                                                 \
    T(IWORKER_TAGS, "tags", TAGS)

/* ending: ending_word(); forgotten is 1 when a FORGET has freed payload, result and error */
#define IMAGE_BUILD_NUMS(N)                                                                        \
    N(IBUILD_ID, "id", BOUNDS_ANY)                                                                 \
    N(IBUILD_APPLIED, "applied", UINT32_MAX)                                                       \
    N(IBUILD_QUEUE, "queue", BOUNDS_ANY)                                                           \
    N(IBUILD_SET, "set", BOUNDS_ANY)                                                               \
    N(IBUILD_PRI, "pri", BUILD_PRIORITIES - 1)                                                     \
    N(IBUILD_ENDING, "ending", BOUNDS_ANY)                                                         \
    N(IBUILD_TRIES, "tries", BUILD_TRIES_MAX)                                                      \
    N(IBUILD_ATTEMPTS, "attempts", BUILD_ATTEMPTS_MAX)                                             \
    N(IBUILD_SUBMIT_LEASE_MS, "submit_lease_ms", BUILD_LEASE_MS_MAX)                               \
    N(IBUILD_LEASE_MS, "lease_ms", BUILD_LEASE_MS_MAX)                                             \
    N(IBUILD_WORKER, "worker", BOUNDS_ANY)                                                         \
    N(IBUILD_HELD_AT, "held_at", WORKER_SLOTS_MAX - 1)                                             \
    N(IBUILD_SUBMITTED_MS, "submitted_ms", TIME_MS_MAX)                                            \
    N(IBUILD_STARTED_MS, "started_ms", TIME_MS_MAX)                                                \
    N(IBUILD_ENDED_MS, "ended_ms", TIME_MS_MAX)                                                    \
    N(IBUILD_PENDING_LSN, "pending_lsn", BOUNDS_ANY)                                               \
    N(IBUILD_DUE_MS, "due_ms", TIME_MS_MAX + BUILD_DELAY_MS_MAX)                                   \
    N(IBUILD_ENDED_LSN, "ended_lsn", BOUNDS_ANY)                                                   \
    N(IBUILD_FORGOTTEN, "forgotten", 1)                                                            \
    N(IBUILD_BYES, "byes", BUILD_BYES_MAX + 1)                                                     \
    N(IBUILD_GOES_BACK, "goes_back", 1)
#define IMAGE_BUILD_TEXTS(T)                                                                       \
    T(IBUILD_PAYLOAD, "payload", BLOB)                                                             \
    T(IBUILD_RESULT, "result", BLOB)                                                               \
    T(IBUILD_ERROR, "error", BLOB)                                                                 \
    T(IBUILD_UNIQ, "uniq", QUEUE_UNIQ)                                                             \
    T(IBUILD_BY, "by", NAME_OR_NONE)

/* values and prev: a varint for each number of the reply */
#define IMAGE_KEY_NUMS(N)                                                                          \
    N(IKEY_LSN, "lsn", BOUNDS_ANY)                                                                 \
    N(IKEY_TIME_MS, "time_ms", TIME_MS_MAX)                                                        \
    N(IKEY_VERB, "verb", RECORD_TYPES - 1)                                                         \
    N(IKEY_FINGERPRINT, "fingerprint", BOUNDS_ANY)                                                 \
    N(IKEY_NIL, "nil", 1)                                                                          \
    N(IKEY_VALUE, "value", BOUNDS_ANY)
#define IMAGE_KEY_TEXTS(T)                                                                         \
    T(IKEY_KEY, "key", KEY)                                                                        \
    T(IKEY_VALUES, "values", NUMBERS)                                                              \
    T(IKEY_PREV, "prev", NUMBERS)

/* place: of the first option of the ballot, in the poll; more: those of the others as varints */
#define IMAGE_VOTER_NUMS(N)                                                                        \
    N(IVOTER_POLL, "poll", BOUNDS_ANY)                                                             \
    N(IVOTER_PLACE, "place", POLL_OPTIONS_MAX - 1)
#define IMAGE_VOTER_TEXTS(T)                                                                       \
    T(IVOTER_VOTER, "voter", VOTER)                                                                \
    T(IVOTER_MORE, "more", ANY)

#define IMAGE_END_NUMS(N) N(END_IMAGES, "images", BOUNDS_ANY)
#define IMAGE_END_TEXTS(T)

/* the newest events of a poll up to the lsn: engine/log/event.h */
#define IMAGE_RECENT_NUMS(N)  N(IRECENT_POLL, "poll", BOUNDS_ANY)
#define IMAGE_RECENT_TEXTS(T) T(IRECENT_EVENTS, "events", ANY)

/* ---- made from the lists ---- */

enum image_kind {
    IMAGE_NONE = 0,
#define X(name, number) IMAGE_##name = number,
    IMAGE_LIST(X)
#undef X
};

#define X(name, number) +1
enum { IMAGE_KINDS = 1 IMAGE_LIST(X) }; /* all kinds are below this number */
#undef X

/* The indexes of the numbers and texts of each kind: HEAD_LSN, IMAGE_HEAD_NUM_COUNT ... */
#define FIELD_INDEX(index, ...) index,
#define X(name, number)                                                                            \
    enum { IMAGE_##name##_NUMS(FIELD_INDEX) IMAGE_##name##_NUM_COUNT };                            \
    enum { IMAGE_##name##_TEXTS(FIELD_INDEX) IMAGE_##name##_TEXT_COUNT };                          \
    _Static_assert(number < IMAGE_KINDS, "the numbers of the kinds have no holes");                \
    _Static_assert((int)IMAGE_##name##_NUM_COUNT <= (int)IMAGE_NUMS, "so many an image has");      \
    _Static_assert((int)IMAGE_##name##_TEXT_COUNT <= (int)IMAGE_TEXTS, "so many an image has");
IMAGE_LIST(X)
#undef X
#undef FIELD_INDEX

enum { IMAGE_ID }; /* of all but HEAD, KEY and END; of RECENT, VOTER: of the poll */
_Static_assert((int)IPOLL_ID == (int)IMAGE_ID && (int)IOPTION_ID == (int)IMAGE_ID &&
                   (int)IQUEUE_ID == (int)IMAGE_ID && (int)IWORKER_ID_NUM == (int)IMAGE_ID &&
                   (int)IBUILD_ID == (int)IMAGE_ID && (int)IRECENT_POLL == (int)IMAGE_ID,
               "the id is first");

struct image {
    enum image_kind kind;
    uint64_t num[IMAGE_NUMS];
    struct span text[IMAGE_TEXTS]; /* borrowed */
};

/* Returns "POLL" ...; NULL for a number that is no kind. Static storage. */
const char *image_kind_name(unsigned kind);

/* Return the last ids that were given out, from the numbers of a HEAD within its bounds. */
static inline uint64_t image_last_poll(const uint64_t *num)
{
    return num[HEAD_POLLS] + num[HEAD_DELETED_POLLS] + num[HEAD_PAST_POLLS];
}
static inline uint64_t image_last_option(const uint64_t *num)
{
    return num[HEAD_OPTIONS] + num[HEAD_DELETED_OPTIONS] + num[HEAD_PAST_OPTIONS];
}

/* Return how many numbers and texts a kind has. */
unsigned image_num_count(enum image_kind kind);
unsigned image_text_count(enum image_kind kind);

/* Reads the places of a VOTER's ballot. Returns how many there are; 0 when they are not 1 to
 * BALLOT_OPTIONS_MAX different places of a poll. */
uint32_t image_voter_places(const struct image *image, uint32_t places[BALLOT_OPTIONS_MAX]);

/*
 *     images = image*
 *     image  = byte kind, row (engine/log/row.h)
 */
struct image_buf {
    unsigned char *at; /* owned */
    size_t len;
    size_t capacity;
    uint32_t count; /* images */
};

void image_buf_fini(struct image_buf *buf);

/* Appends an image. Errors: NOMEM; then nothing has changed. */
int image_put(struct image_buf *buf, const struct image *image);

/*
 * Decodes count images and hands each to fn; their texts point into the bytes. Returns 0; CORRUPT
 * when the bytes are not exactly so many images; NEWER for an unknown kind; or the error of fn.
 */
int image_each(const void *bytes, size_t len, uint32_t count,
               int (*fn)(void *arg, const struct image *image), void *arg);

#endif
