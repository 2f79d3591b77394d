/* Finding events in the ring, or in the recents of a poll. */
#include "engine/events/event_find.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

/* Kept events in the order of their lsns: the ring, or the recents of a poll. */
struct view {
    const struct event_store *store;
    const struct event_recent *recent; /* NULL: the ring */
    uint64_t count;
};

static const struct kept_event *view_at(const struct view *view, uint64_t i)
{
    const struct event_recent *recent = view->recent;
    DCHECK(i < view->count);
    return recent != NULL ? event_store_recent_at(recent, i)
                          : event_store_at(view->store, view->store->first + i);
}

static bool is_about(const struct event *event, const struct event_match *match)
{
    bool is_of_poll = event_is_of_poll(event);
    switch (match->of) {
    case EVENT_OF_ANY:
        return true;
    case EVENT_OF_POLL:
        return is_of_poll && match->id != 0 && event->num[EVENT_POLL] == match->id;
    case EVENT_OF_QUEUE:
        return !is_of_poll && span_equal(event->text[EVENT_QUEUE], match->name);
    case EVENT_OF_BUILD:
        return !is_of_poll && match->id != 0 && event->num[EVENT_BUILD] == match->id;
    case EVENT_OF_WORKER:
        return !is_of_poll && span_equal(event->text[EVENT_WORKER], match->name);
    }
    return false;
}

/* Opens the event at a place. Returns whether it is asked for. */
static bool view_open(const struct view *view, uint64_t i, const struct event_ask *ask,
                      struct event *event)
{
    event_store_open(view->store, view_at(view, i), event);
    for (size_t m = 0; m < ask->match_count; m++) {
        if (is_about(event, &ask->matches[m])) {
            return true;
        }
    }
    return ask->match_count == 0;
}

/* Goes through the events from `from` on, or back before it, until there are as many as asked for.
 * Returns the place where it stops, and how many lines there are in *lines. */
static uint64_t look(const struct view *view, const struct event_ask *ask, uint64_t from,
                     uint64_t *lines)
{
    uint64_t i = from;
    *lines = 0;
    while (*lines < ask->count && (ask->from != 0 ? i < view->count : i > 0)) {
        struct event event;
        i = ask->from != 0 ? i + 1 : i - 1;
        if (view_open(view, ask->from != 0 ? i - 1 : i, ask, &event)) {
            *lines += ask->each && event.type == RECORD_VOTE ? event.num[EVENT_N] : 1;
        }
        if (i % EVENTS_PAUSE == 0 && view->store->pause != NULL) {
            view->store->pause();
        }
    }
    return i;
}

/* Tells an event, but for its first `skip` lines, and no more than *left lines. */
static int tell(const struct event_ask *ask, const struct event *event, uint64_t skip,
                uint64_t *left)
{
    bool is_each = ask->each && event->type == RECORD_VOTE;
    uint64_t n = is_each ? event->num[EVENT_N] : 1;
    int err = 0;
    for (uint64_t i = skip; i<n && * left> 0 && err == 0; i++, --*left) {
        struct event one = *event;
        if (is_each) {
            one.num[EVENT_VOTES] = event->num[EVENT_VOTES] - n + i + 1;
            one.num[EVENT_N] = 1;
        }
        err = ask->tell(ask->arg, &one);
    }
    return err;
}

static int view_tell(const struct view *view, const struct event_ask *ask)
{
    uint64_t begin = ask->from != 0 ? 0 : view->count;
    uint64_t end = view->count;
    uint64_t lines = 0;
    for (uint64_t less = 0, more = view->count; ask->from != 0 && less < more;) {
        uint64_t half = less + (more - less) / 2;
        bool is_before = view_at(view, half)->lsn < ask->from;
        less = is_before ? half + 1 : less;
        more = is_before ? more : half;
        begin = less;
    }
    uint64_t stop = look(view, ask, begin, &lines);
    begin = ask->from != 0 ? begin : stop;
    end = ask->from != 0 ? stop : end;
    /* the first event may have more lines than are asked for, or the last one */
    uint64_t skip = ask->from == 0 && lines > ask->count ? lines - ask->count : 0;
    uint64_t left = ask->count;
    int err = 0;
    for (uint64_t i = begin; i < end && err == 0; i++) {
        struct event event;
        if (view_open(view, i, ask, &event)) {
            err = tell(ask, &event, skip, &left);
            skip = 0;
        }
    }
    return err;
}

/* Whether the recents of a poll answer: the ring has no more of it, or more than enough is here. */
static bool is_enough(const struct event_recent *recent, const struct event_ask *ask)
{
    return recent->count < EVENTS_RECENT || recent->count >= ask->count;
}

int event_find(struct event_store *store, const struct event_ask *ask, uint64_t *oldest)
{
    struct view view = {.store = store, .count = store->end - store->first};
    DCHECK(ask->count > 0);
    for (size_t i = 0; i < ask->match_count; i++) {
        struct event_match *match = &ask->matches[i];
        if (match->of == EVENT_OF_POLL) {
            const struct poll *poll = state_poll(store->state, match->name);
            match->id = poll != NULL ? poll->id : 0;
        }
    }
    pthread_mutex_lock(&store->lock);
    *oldest = store->oldest;
    int err = ask->from != 0 && ask->from < store->oldest ? TALLY_RANGE : 0;
    if (err == 0 && ask->from == 0 && ask->match_count == 1 &&
        ask->matches[0].of == EVENT_OF_POLL) {
        const struct event_recent *recent = table_get(&store->recents, ask->matches[0].id);
        if (recent != NULL && is_enough(recent, ask)) {
            view.recent = recent;
            view.count = recent->count;
        }
    }
    err = err != 0 ? err : view_tell(&view, ask);
    pthread_mutex_unlock(&store->lock);
    return err;
}
