/* Finding events: the newest, or those from an lsn on, of what is asked for. */
#ifndef TALLY_ENGINE_EVENTS_EVENT_FIND_H
#define TALLY_ENGINE_EVENTS_EVENT_FIND_H

#include "engine/events/event_store.h"
#include "engine/read.h"

enum { EVENT_FIND_MORE = 1, EVENT_FIND_ENOUGH = 2 };

/* Events looked at in one call: less than 0.3 ms. */
enum { EVENT_FIND_SLICE = 4096 };

struct event_ask {
    uint64_t from;               /* an lsn; 0: the newest */
    size_t count;                /* about as many are wanted */
    bool each;                   /* combined votes one by one */
    struct event_match *matches; /* none: all events; the polls' ids are filled in */
    size_t match_count;
    /* Called for each event: with `from` oldest first, else newest first. Its texts live until it
     * returns. Returns 0; EVENT_FIND_ENOUGH, to end the search; or an error. */
    int (*tell)(void *arg, const struct event *event);
    void *arg;
};

/*
 * Goes on with a search, which is told what it finds. The newest of one poll are found in the ring,
 * and before it in the poll's recents; all else in the ring alone. Returns 0, it has ended;
 * EVENT_FIND_MORE, call again; RANGE, `from` is before *oldest, which is set in any case; or the
 * error of tell. Events that the ring drops while a search is under way end it there, so what was
 * told has no hole. Threads: the reader.
 */
int event_find(struct event_store *store, const struct event_ask *ask, struct event_place *place,
               uint64_t *oldest);

#endif
