/* Replies in flight: one thread's queue of those that wait until the lane is applied. */
#ifndef TALLY_NET_PIPELINE_PENDING_H
#define TALLY_NET_PIPELINE_PENDING_H

#include "wal/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct rate_ask;
struct edge_result;
struct reading;
struct reply;

enum {
    PENDING_MAX = 1 << 16, /* entries; when it is full, requests wait as for room in the lane */
};

enum pending_kind {
    PENDING_HELD,   /* the reply is in the connection's held buffer */
    PENDING_RESULT, /* the reply is made from the result of the ordered request at pos */
};

enum {
    PENDING_CHANGE = 1, /* the connection's own later claims and reads must not overtake it */
    PENDING_ORDERED = 2,
    PENDING_CLAIM = 4,  /* the reply hands out builds */
    PENDING_BALLOT = 8, /* a vote that the committer counts: plain votes must not overtake it */
};

/*
 *      tail of the lane when it was made         the lane is applied up to here
 *                 |                                        |
 *     head -> [pos conn ...] [pos conn ...] [pos conn ...] | [pos conn ...] <- tail
 *
 * pos never falls from head to tail, so no entry behind the first one that is not applied has to be
 * looked at. Each connection's entries are in the order of its requests.
 *
 * The result of an ordered request may come later than its position is applied: a POLL and a RESET
 * wait for the gate. Such an entry holds up its own connection alone: those of others behind it are
 * answered, and stay, as answered ones, until it is.
 */
struct pending_entry {
    uint64_t pos;      /* the reply may leave when the lane is applied up to here */
    struct conn *conn; /* NULL: it is answered */
    size_t held_bytes; /* length of the reply in the held buffer, for PENDING_HELD */
    void (*on_result)(struct reply *reply, int err, const struct edge_result *result);
    struct reading *reading; /* owned; the reply when the result is EXISTS */
    struct rate_ask *taken;  /* owned; votes that the limiter has counted; NULL: none */
    uint8_t kind;
    uint8_t flags;
};

struct pending {
    struct pending_entry *entries; /* owned; PENDING_MAX of them */
    uint32_t head;                 /* both count up; tail - head is the number of entries */
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

/* Returns the i-th entry from the head on; NULL: there are not so many. */
static inline struct pending_entry *pending_at(const struct pending *pending, uint32_t i)
{
    bool is_there = i < pending->tail - pending->head;
    return is_there ? &pending->entries[(pending->head + i) % PENDING_MAX] : NULL;
}

/* Removes the answered entries at the head. */
static inline void pending_pop(struct pending *pending)
{
    while (pending->head != pending->tail && pending_head(pending)->conn == NULL) {
        pending->head++;
    }
}

/* Appends an entry. Returns false when it was merged into the last one instead, which has the same
 * connection, position and flags. REQUIRES: there is room for it. */
bool pending_push(struct pending *pending, const struct pending_entry *entry);

#endif
