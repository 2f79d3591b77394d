/* Replies in flight: one thread's queue of what leaves when the lane is applied so far. */
#ifndef TALLY_NET_PIPELINE_PENDING_H
#define TALLY_NET_PIPELINE_PENDING_H

#include "wal/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct reading;
struct reply;

enum {
    PENDING_MAX = 1 << 16, /* entries; beyond, requests wait as for room in the lane */
};

enum pending_kind {
    PENDING_HELD,   /* the text stands in the connection's held buffer */
    PENDING_RESULT, /* made from the result of the ordered request at pos */
};

enum {
    PENDING_CHANGE = 1, /* the connection's own later claims and reads must not overtake it */
    PENDING_ORDERED = 2,
    PENDING_CLAIM = 4, /* it hands out builds */
};

/*
 *      tail of the lane when it was made         the lane is applied up to here
 *                 |                                        |
 *     head -> [pos conn ...] [pos conn ...] [pos conn ...] | [pos conn ...] <- tail
 *
 * pos never falls from head to tail, so the head alone is looked at, and each connection's entries
 * stand in the order of its requests.
 */
struct pending_entry {
    uint64_t pos; /* it may be answered when the lane is applied up to here */
    struct conn *conn;
    size_t held_bytes; /* of the held buffer, for PENDING_HELD */
    void (*on_result)(struct reply *reply, int err, uint64_t value);
    struct reading *reading; /* owned; the answer when it EXISTS */
    uint8_t kind;
    uint8_t flags;
};

struct pending {
    struct pending_entry *entries; /* owned; PENDING_MAX of them */
    uint32_t head;                 /* both count up; the difference is how many there are */
    uint32_t tail;
};

int pending_init(struct pending *pending); /* Errors: NOMEM */
void pending_fini(struct pending *pending);

static inline uint32_t pending_room(const struct pending *pending)
{
    DCHECK(pending->tail - pending->head <= PENDING_MAX);
    return PENDING_MAX - (pending->tail - pending->head);
}

static inline struct pending_entry *pending_head(const struct pending *pending)
{
    return pending->head == pending->tail ? NULL : &pending->entries[pending->head % PENDING_MAX];
}

static inline void pending_pop(struct pending *pending)
{
    DCHECK(pending->head != pending->tail);
    pending->head++;
}

/* Appends an entry, for which there is room. Returns false when it went into the last one instead,
 * which has the same connection, position and flags. */
bool pending_push(struct pending *pending, const struct pending_entry *entry);

#endif
