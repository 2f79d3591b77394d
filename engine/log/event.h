/* Events: what the accepted changes are told as, to those who ask what has happened. */
#ifndef TALLY_ENGINE_LOG_EVENT_H
#define TALLY_ENGINE_LOG_EVENT_H

#include "engine/log/record.h"

#include <stddef.h>

/*
 * A record says what was asked; an event says what became of it: the id that apply gave, the votes
 * after. A record that apply refused has no event, one that changed several options has one for
 * each. A VOTE without texts is its own event, so apply makes none for it: it is decoded from the
 * block when somebody looks (engine/events/event_store.h).
 *
 * The type is that of a record; its domain says which of the fields below are used. What does not
 * fit a type is 0 or empty.
 */
enum { EVENT_NUMS = 5, EVENT_TEXTS = 2 };

/* of the domains VOTE and POLL */
enum {
    EVENT_OPTION, /* id; 0: it is about the poll */
    EVENT_VOTES,  /* of the option, after */
    EVENT_N,      /* so many of them by this event */
    EVENT_POLL,   /* id */
    EVENT_VALUE,  /* POLL_WINDOW: open; RESET, POLLDEL: the votes before */
};
enum { EVENT_VOTER, EVENT_POLL_NAME }; /* the name in POLLDEL alone */

/* of the domains BUILD and WORKER */
enum {
    EVENT_BUILD, /* id */
    EVENT_TOKEN, /* of the claim that begins, goes on or ends */
    EVENT_STATE, /* enum build_state, after */
    EVENT_PRI,   /* SUBMIT */
    EVENT_AGAIN, /* WORKER: it was registered before */
};
enum { EVENT_QUEUE, EVENT_WORKER };

struct event {
    uint64_t lsn;
    uint64_t time_ms;
    enum record_type type;
    uint64_t num[EVENT_NUMS];
    struct span text[EVENT_TEXTS]; /* borrowed */
};

/* Whether an event of this type is about a poll: the fields are those of VOTE and POLL. */
static inline bool event_is_of_poll(const struct event *event)
{
    return !record_is_of_builds(event->type);
}

/*
 * Events as bytes:
 *
 *     events = event*
 *     event  = varint lsn , varint time_ms , varint type , row (engine/log/row.h)
 */
struct event_buf {
    unsigned char *at; /* owned */
    size_t len;
    size_t capacity;
    bool is_cut; /* without memory an event was left out */
};

/* All zero is an empty buffer. */
void event_buf_fini(struct event_buf *buf);

/* Appends an event; without memory the buffer says that it is cut. */
void event_put(struct event_buf *buf, const struct event *event);

/* Reads the event at *at, whose texts point into the bytes, and moves *at behind it. Errors:
 * CORRUPT, also for a type that is none. */
int event_get(const unsigned char **at, const unsigned char *end, struct event *event);

/* Returns the lsn of the last event. REQUIRES: the bytes are events. */
uint64_t event_last_lsn(struct span events);

#endif
