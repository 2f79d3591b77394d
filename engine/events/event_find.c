/* Finding events in the ring, or in the recents of a poll. */
#include "engine/events/event_find.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

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

static bool is_wanted(const struct event_ask *ask, const struct event *event)
{
    for (size_t m = 0; m < ask->match_count; m++) {
        if (is_about(event, &ask->matches[m])) {
            return true;
        }
    }
    return ask->match_count == 0;
}

/* Tells an event, if it is asked for; of combined votes each one, in the order of the search. */
static int look_at(const struct event_store *store, const struct event_ask *ask,
                   const struct kept_event *kept)
{
    struct event event;
    event_store_open(store, kept, &event);
    if (!is_wanted(ask, &event)) {
        return 0;
    }
    if (!ask->each || event.type != RECORD_VOTE) {
        return ask->tell(ask->arg, &event);
    }
    uint64_t n = event.num[EVENT_N];
    uint64_t last = event.num[EVENT_VOTES];
    int err = 0;
    DCHECK(n <= last);
    event.num[EVENT_N] = 1;
    for (uint64_t i = 0; i < n && err == 0; i++) {
        event.num[EVENT_VOTES] = ask->from != 0 ? last - n + 1 + i : last - i;
        err = ask->tell(ask->arg, &event);
    }
    return err;
}

/* The recents that a search may use: those of the one poll whose newest events are asked for. */
static const struct event_recent *recents_of(const struct event_store *store,
                                             const struct event_ask *ask)
{
    bool is_of_one = ask->from == 0 && ask->match_count == 1 && ask->matches[0].of == EVENT_OF_POLL;
    return is_of_one ? table_get(&store->recents, ask->matches[0].id) : NULL;
}

/* Looks at the recents of a poll that are before an lsn, newest first. */
static int look_at_recents(const struct event_store *store, const struct event_ask *ask,
                           const struct event_recent *recent, uint64_t before)
{
    int err = 0;
    for (uint32_t i = recent->count; i > 0 && err == 0; i--) {
        const struct kept_event *kept = event_store_recent_at(recent, i - 1);
        err = kept->lsn < before ? look_at(store, ask, kept) : 0;
    }
    return err;
}

/* Returns the place of the first event of this lsn or behind it. */
static uint64_t place_of(const struct event_store *store, uint64_t lsn)
{
    uint64_t less = store->first;
    uint64_t more = store->end;
    while (less < more) {
        uint64_t half = less + (more - less) / 2;
        bool is_before = event_store_at(store, half)->lsn < lsn;
        less = is_before ? half + 1 : less;
        more = is_before ? more : half;
    }
    return less;
}

/* Looks at the next events of the ring. Returns 0 at its end. */
static int look_at_ring(const struct event_store *store, const struct event_ask *ask,
                        struct event_place *place)
{
    bool is_forward = ask->from != 0;
    int err = 0;
    for (unsigned i = 0; err == 0; i++) {
        bool is_over = place->at < store->first ||
                       (is_forward ? place->at >= store->end : place->at == store->first);
        if (is_over) {
            return 0;
        }
        if (i == EVENT_FIND_SLICE) {
            return EVENT_FIND_MORE;
        }
        const struct kept_event *kept =
            event_store_at(store, is_forward ? place->at : place->at - 1);
        place->at = is_forward ? place->at + 1 : place->at - 1;
        if (kept->lsn >= store->oldest) {
            err = look_at(store, ask, kept);
            place->lsn = kept->lsn;
        }
    }
    return err;
}

/* Goes on in the ring, and behind its end in the recents. */
static int look(const struct event_store *store, const struct event_ask *ask,
                struct event_place *place)
{
    const struct event_recent *recent = recents_of(store, ask);
    if (place->lsn == 0 && recent != NULL &&
        ((recent->count < EVENTS_RECENT && !recent->is_short) || recent->count >= ask->count)) {
        return look_at_recents(store, ask, recent, UINT64_MAX); /* the ring has no more to add */
    }
    int err = look_at_ring(store, ask, place);
    if (err != 0 || recent == NULL) {
        return err;
    }
    return look_at_recents(store, ask, recent,
                           place->at < store->first ? place->lsn : store->oldest);
}

static void begin(const struct event_store *store, const struct event_ask *ask,
                  struct event_place *place)
{
    place->has_begun = true;
    place->at = ask->from != 0 ? place_of(store, ask->from) : store->end;
    for (size_t i = 0; i < ask->match_count; i++) {
        struct event_match *match = &ask->matches[i];
        if (match->of == EVENT_OF_POLL) {
            const struct poll *poll = state_poll(store->state, match->name);
            match->id = poll != NULL ? poll->id : 0;
        }
    }
}

int event_find(struct event_store *store, const struct event_ask *ask, struct event_place *place,
               uint64_t *oldest)
{
    int err = 0;
    DCHECK(ask->count > 0);
    pthread_mutex_lock(&store->lock);
    *oldest = store->oldest;
    if (!place->has_begun) {
        begin(store, ask, place);
        err = ask->from != 0 && ask->from < store->oldest ? TALLY_RANGE : 0;
    }
    err = err != 0 ? err : look(store, ask, place);
    pthread_mutex_unlock(&store->lock);
    return err == EVENT_FIND_ENOUGH ? 0 : err;
}
