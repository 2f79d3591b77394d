/* Images: what a snapshot says of one poll, option, queue, worker or build; to bytes and back. */
#ifndef TALLY_ENGINE_LOG_IMAGE_H
#define TALLY_ENGINE_LOG_IMAGE_H

#include "wal/base/span.h"

#include <stddef.h>
#include <stdint.h>

enum { IMAGE_NUMS = 21, IMAGE_TEXTS = 5 };

/*
 * Each kind: number on disk, name, its numbers, its texts. As in engine/log/record.h a number once
 * given is never used for anything else, new numbers and texts go to the end of their list, and a
 * missing one reads as 0 or empty. An image comes after those that it refers to: an option after
 * its poll, a build after its queue and its worker. HEAD is first, END is last.
 *
 * tags of a QUEUE: its need sets in their order, ';' between. seconds of a POLL: three varints for
 * each place that holds votes: place, second, votes.
 */
#define IMAGE_LIST(X)                                                                              \
    X(HEAD, 1,                                                                                     \
      "lsn,time_ms,votes,polls,options,queues,workers,build_next,builds,payload_bytes,"            \
      "worker_last,queue_last",                                                                    \
      "")                                                                                          \
    X(POLL, 2, "id,total,open_ms,close_ms,rate_n,rate_ms,open", "poll,seconds")                    \
    X(OPTION, 3, "id,poll,votes,changes", "label,fold")                                            \
    X(QUEUE, 4, "id,sets", "queue,tags")                                                           \
    X(WORKER, 5, "id,state,slots,room,done,failed,gone_lsn", "worker,name,tags")                   \
    X(BUILD, 6,                                                                                    \
      "id,applied,queue,set,pri,ending,tries,attempts,submit_lease_ms,lease_ms,worker,held_at,"    \
      "submitted_ms,started_ms,ended_ms,pending_lsn,due_ms,ended_lsn,forgotten,byes,goes_back",    \
      "payload,result,error,uniq,by")                                                              \
    X(END, 7, "images", "")

enum image_kind {
    IMAGE_NONE = 0,
#define X(name, number, nums, texts) IMAGE_##name = number,
    IMAGE_LIST(X)
#undef X
        IMAGE_KINDS
};

/* Where the numbers and texts of each kind stand; the order is that of the list above. */
enum {
    HEAD_LSN,
    HEAD_TIME_MS,
    HEAD_VOTES,
    HEAD_POLLS,
    HEAD_OPTIONS,
    HEAD_QUEUES,
    HEAD_WORKERS,
    HEAD_BUILD_NEXT,
    HEAD_BUILDS,
    HEAD_PAYLOAD_BYTES,
    HEAD_WORKER_LAST,
    HEAD_QUEUE_LAST
};
enum { IMAGE_ID }; /* of all but HEAD and END */
enum { IPOLL_TOTAL = 1, IPOLL_OPEN_MS, IPOLL_CLOSE_MS, IPOLL_RATE_N, IPOLL_RATE_MS, IPOLL_OPEN };
enum { IPOLL_NAME, IPOLL_SECONDS };
enum { IOPTION_POLL = 1, IOPTION_VOTES, IOPTION_CHANGES };
enum { IOPTION_LABEL, IOPTION_FOLD };
enum { IQUEUE_SETS = 1 };
enum { IQUEUE_NAME, IQUEUE_TAGS };
enum {
    IWORKER_STATE = 1,
    IWORKER_SLOTS,
    IWORKER_ROOM,
    IWORKER_DONE,
    IWORKER_FAILED,
    IWORKER_GONE_LSN /* 0: it has not left */
};
enum { IWORKER_ID, IWORKER_NAME, IWORKER_TAGS };
enum {
    IBUILD_APPLIED = 1,
    IBUILD_QUEUE,
    IBUILD_SET,
    IBUILD_PRI,
    IBUILD_ENDING, /* ending_word() */
    IBUILD_TRIES,
    IBUILD_ATTEMPTS,
    IBUILD_SUBMIT_LEASE_MS,
    IBUILD_LEASE_MS,
    IBUILD_WORKER,
    IBUILD_HELD_AT,
    IBUILD_SUBMITTED_MS,
    IBUILD_STARTED_MS,
    IBUILD_ENDED_MS,
    IBUILD_PENDING_LSN,
    IBUILD_DUE_MS,
    IBUILD_ENDED_LSN,
    IBUILD_FORGOTTEN, /* 1: payload, result and error are given back */
    IBUILD_BYES,
    IBUILD_GOES_BACK
};
enum { IBUILD_PAYLOAD, IBUILD_RESULT, IBUILD_ERROR, IBUILD_UNIQ, IBUILD_BY };
enum { END_IMAGES };

struct image {
    enum image_kind kind;
    uint64_t num[IMAGE_NUMS];
    struct span text[IMAGE_TEXTS]; /* borrowed */
};

/* "POLL" ...; NULL for a number that is no kind. Static storage. */
const char *image_kind_name(unsigned kind);

/*
 *     images = image*
 *     image  = byte kind, row (engine/log/row.h)
 */
struct image_buf {
    unsigned char *at; /* owned */
    size_t len;
    size_t room;
    uint32_t count; /* images */
};

void image_buf_fini(struct image_buf *buf);

/* Appends an image. Errors: NOMEM; then nothing has changed. */
int image_put(struct image_buf *buf, const struct image *image);

/*
 * Hands each of count images to fn; their texts point into the bytes. Returns 0, CORRUPT when the
 * bytes are not exactly so many images, NEWER for a kind it does not know, or what fn returned.
 */
int image_each(const void *bytes, size_t len, uint32_t count,
               int (*fn)(void *arg, const struct image *image), void *arg);

#endif
