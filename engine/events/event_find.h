/* Finding events: the newest, or those from an lsn on, of what is asked for. */
#ifndef TALLY_ENGINE_EVENTS_EVENT_FIND_H
#define TALLY_ENGINE_EVENTS_EVENT_FIND_H

#include "engine/events/event_store.h"
#include "engine/read.h"

struct event_ask {
    uint64_t from; /* an lsn; 0: the newest */
    size_t count;  /* events; combined votes count one by one if `each` */
    bool each;
    struct event_match *matches; /* none: all events; the polls' ids are filled in */
    size_t match_count;
    /* Called for each event, oldest first; its texts live until it returns. 0, or an error. */
    int (*tell)(void *arg, const struct event *event);
    void *arg;
};

/*
 * Tells the events that are asked for. Without `from` the newest, else the first from there on; a
 * combined vote is cut where the count ends. Returns 0; RANGE, `from` is before *oldest, which is
 * set in any case; or the error of tell. Threads: the reader.
 */
int event_find(struct event_store *store, const struct event_ask *ask, uint64_t *oldest);

#endif
