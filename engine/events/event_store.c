/* The store: keeps events as they come, and finds those that are asked for. */
#include "engine/events/event_store.h"

#include "engine/log/columns.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>
#include <string.h>

enum { RECENT_FIRST = 2 };

/* Drops the events that a poll has. */
static void recent_clear(struct event_store *store, struct event_recent *recent)
{
    uint64_t bytes = recent->capacity * sizeof recent->at[0];
    for (uint32_t i = 0; i < recent->count; i++) {
        struct kept_event *kept = event_store_recent_at(recent, i);
        bytes += kept->more_len;
        free(kept->more);
    }
    ledger_sub(store->pipe.ledger, LEDGER_ENTITIES, bytes);
    free(recent->at);
    recent->at = NULL;
    recent->capacity = recent->begin = recent->count = 0;
}

static void recent_free(struct event_store *store, struct event_recent *recent)
{
    recent_clear(store, recent);
    ledger_sub(store->pipe.ledger, LEDGER_ENTITIES, sizeof *recent);
    free(recent);
}

static void recents_drop(struct event_store *store)
{
    struct event_recent *recent;
    for (uint64_t id = 1; (recent = table_next(&store->recents, &id)) != NULL; id++) {
        recent_free(store, recent);
    }
    table_fini(&store->recents);
    store->recents = (struct table){.root = NULL};
}

static void ring_drop(struct event_store *store)
{
    const struct kept_event *first = event_store_at(store, store->first);
    store->first++;
    store->more_bytes -= first->more_len;
    ledger_sub(store->pipe.ledger, LEDGER_EVENTS, first->more_len);
    free(first->more);
    /* other events of the same record may be left; they are not told any more */
    DCHECK(first->lsn + 1 >= store->oldest);
    store->oldest = first->lsn + 1;
}

int event_store_init(struct event_store *store, struct state *state)
{
    *store = (struct event_store){.state = state, .oldest = 1};
    pthread_mutex_init(&store->lock, NULL);
    store->ring = calloc(EVENTS_KEPT, sizeof store->ring[0]);
    int err = event_pipe_init(&store->pipe, &state->ledger);
    state->events = &store->events;
    return store->ring != NULL ? err : TALLY_NOMEM;
}

void event_store_begin(struct event_store *store, uint64_t lsn)
{
    while (store->first != store->end) {
        ring_drop(store);
    }
    recents_drop(store);
    store->position = lsn;
    store->oldest = lsn + 1;
}

void event_store_fini(struct event_store *store)
{
    if (store->state == NULL) {
        return; /* it was never made */
    }
    if (store->ring != NULL) {
        event_store_begin(store, 0);
    }
    event_pipe_fini(&store->pipe);
    event_buf_fini(&store->events);
    free(store->ring);
    pthread_mutex_destroy(&store->lock);
}

/* ---- events in memory ---- */

void event_store_open(const struct event_store *store, const struct kept_event *kept,
                      struct event *event)
{
    if (kept->more != NULL) {
        const unsigned char *at = kept->more;
        int err = event_get(&at, at + kept->more_len, event);
        CHECK(err == 0); /* event_put has written it */
        return;
    }
    const struct option *option = state_option(store->state, kept->option);
    *event = (struct event){
        .lsn = kept->lsn,
        .time_ms = kept->time_ms,
        .type = RECORD_VOTE,
        .num = {[EVENT_OPTION] = kept->option,
                [EVENT_VOTES] = kept->votes,
                [EVENT_N] = kept->n,
                [EVENT_POLL] = option != NULL ? option->poll->id : 0},
    };
}

/* Copies the bytes that an event owns, if it owns any. Returns false without memory. */
static bool kept_copy(struct event_store *store, struct kept_event *kept, enum ledger_kind kind)
{
    if (kept->more == NULL) {
        return true;
    }
    unsigned char *more = malloc(kept->more_len);
    if (more == NULL) {
        return false;
    }
    kept->more = memcpy(more, kept->more, kept->more_len);
    ledger_add(store->pipe.ledger, kind, kept->more_len);
    return true;
}

/* Forgets all events up to this lsn, for some of them are missing. */
static void cut(struct event_store *store, uint64_t lsn)
{
    event_store_begin(store, lsn);
}

static bool recent_grow(struct event_store *store, struct event_recent *recent)
{
    uint32_t capacity = recent->capacity == 0 ? RECENT_FIRST : recent->capacity * 2;
    struct kept_event *at = reallocarray(recent->at, capacity, sizeof *at);
    if (at == NULL) {
        return false;
    }
    ledger_add(store->pipe.ledger, LEDGER_ENTITIES, (capacity - recent->capacity) * sizeof *at);
    recent->at = at;
    recent->capacity = capacity;
    return true;
}

/* Finds the recents of a poll, or makes them. NULL: no memory. */
static struct event_recent *recent_of(struct event_store *store, uint64_t poll)
{
    struct event_recent *recent = table_get(&store->recents, poll);
    if (recent != NULL) {
        return recent;
    }
    recent = calloc(1, sizeof *recent);
    if (recent == NULL || table_put(&store->recents, poll, recent) != 0) {
        free(recent);
        return NULL;
    }
    ledger_add(store->pipe.ledger, LEDGER_ENTITIES, sizeof *recent);
    return recent;
}

/* Whether the ledger lets the recents of a poll grow by one more event. Votes ask it for nothing,
 * and there may be very many polls. */
static bool recent_may_take(const struct event_store *store, const struct event_recent *recent,
                            const struct kept_event *event)
{
    uint64_t more = event->more_len;
    uint64_t less = 0;
    if (recent->count == EVENTS_RECENT) {
        less = event_store_recent_at(recent, 0)->more_len;
    } else if (recent->count == recent->capacity) {
        more += (uint64_t)(recent->capacity + RECENT_FIRST) * sizeof recent->at[0];
    }
    return more <= less || ledger_takes(store->pipe.ledger, more - less, false);
}

/* Puts an event, which is copied, into the recents of its poll. */
static bool recent_put(struct event_store *store, struct event_recent *recent,
                       const struct kept_event *event)
{
    struct kept_event kept = *event;
    if (recent != NULL && !recent_may_take(store, recent, event)) {
        recent_clear(store, recent); /* rather none than some */
        recent->is_short = true;
        return true;
    }
    if (recent == NULL || !kept_copy(store, &kept, LEDGER_ENTITIES)) {
        return false;
    }
    if (recent->count == recent->capacity && recent->capacity < EVENTS_RECENT &&
        !recent_grow(store, recent)) {
        ledger_sub(store->pipe.ledger, LEDGER_ENTITIES, kept.more_len);
        free(kept.more);
        return false;
    }
    DCHECK(recent->begin == 0 || recent->count == recent->capacity);
    struct kept_event *place = &recent->at[(recent->begin + recent->count) % recent->capacity];
    if (recent->count == recent->capacity) {
        ledger_sub(store->pipe.ledger, LEDGER_ENTITIES, place->more_len);
        free(place->more);
        recent->begin = (recent->begin + 1) % recent->capacity;
    } else {
        recent->count++;
    }
    *place = kept;
    return true;
}

static bool ring_put(struct event_store *store, const struct kept_event *event)
{
    struct kept_event kept = *event;
    if (!kept_copy(store, &kept, LEDGER_EVENTS)) {
        return false;
    }
    store->more_bytes += kept.more_len;
    uint64_t more_max = ledger_share(store->pipe.ledger, EVENTS_MORE_SHARE, EVENTS_MORE_BYTES_MAX);
    while (store->end - store->first == EVENTS_KEPT ||
           (store->more_bytes > more_max && store->first != store->end)) {
        ring_drop(store);
    }
    *event_store_at(store, store->end) = kept;
    store->end++;
    return true;
}

/* ---- taking blocks ---- */

/* A block being taken. */
struct taking {
    struct event_store *store;
    const unsigned char *at; /* events that apply has told, not taken yet */
    const unsigned char *end;
    bool is_ring;   /* its events go into the ring */
    bool is_recent; /* ... into the recents */
    unsigned since_pause;
};

/* Puts an event into the recents of its poll, or drops these with the poll. Returns false without
 * memory. */
static bool take_recent(struct event_store *store, const struct kept_event *kept)
{
    struct event event;
    event_store_open(store, kept, &event);
    uint64_t poll = event_is_of_poll(&event) ? event.num[EVENT_POLL] : 0;
    if (event.type == RECORD_POLLDEL) {
        struct event_recent *recent = table_get(&store->recents, poll);
        if (recent != NULL) {
            table_remove(&store->recents, poll);
            recent_free(store, recent);
        }
        return true;
    }
    return poll == 0 || recent_put(store, recent_of(store, poll), kept);
}

static void take(struct taking *taking, const struct kept_event *kept)
{
    struct event_store *store = taking->store;
    if (kept->lsn < store->oldest) {
        return; /* it is from a snapshot, or an event behind it is missing */
    }
    if ((taking->is_ring && !ring_put(store, kept)) ||
        (taking->is_recent && !take_recent(store, kept))) {
        cut(store, kept->lsn);
    }
    if (++taking->since_pause % EVENTS_PAUSE == 0 && store->pause != NULL) {
        store->pause();
    }
}

/* Takes the told events up to an lsn. */
static void take_told(struct taking *taking, uint64_t lsn)
{
    while (taking->at != taking->end) {
        struct event event;
        const unsigned char *behind = taking->at;
        int err = event_get(&behind, taking->end, &event);
        CHECK(err == 0); /* event_put has written it */
        if (event.lsn > lsn) {
            return;
        }
        const struct kept_event kept = {.lsn = event.lsn,
                                        .time_ms = event.time_ms,
                                        .more = (unsigned char *)taking->at,
                                        .more_len = (size_t)(behind - taking->at)};
        take(taking, &kept);
        taking->at = behind;
    }
}

static int take_votes(void *arg, const struct vote_run *run)
{
    struct taking *taking = arg;
    take_told(taking, run->first_lsn);
    for (uint32_t i = 0; i < run->count; i++) {
        const struct kept_event kept = {.lsn = run->first_lsn + i,
                                        .time_ms = run->time_ms,
                                        .votes = run->before[i] + run->n[i],
                                        .option = (uint32_t)run->option[i],
                                        .n = (uint32_t)run->n[i]};
        take(taking, &kept);
    }
    return 0;
}

static void take_block(struct event_store *store, const struct event_block *block, bool is_ring,
                       bool is_recent)
{
    const unsigned char *at = (const unsigned char *)block->events.at;
    const unsigned char *end = at != NULL ? at + block->events.len : NULL;
    struct taking taking = {store, at, end, is_ring, is_recent, 0};
    const struct columns_visitor visitor = {.votes = take_votes, .arg = &taking};
    if (block->votes.len > 0) {
        int err = columns_visit_votes(block->votes.at, block->votes.len, block->first_lsn,
                                      block->count, &visitor);
        CHECK(err == 0); /* the committer has encoded it, or the replay has decoded it */
    }
    take_told(&taking, UINT64_MAX);
}

void event_store_take(struct event_store *store)
{
    struct event_block block;
    while (event_pipe_take(&store->pipe, &block)) {
        pthread_mutex_lock(&store->lock);
        if (block.first_lsn > store->position + 1) {
            cut(store, block.first_lsn - 1);
        }
        take_block(store, &block, true, true);
        store->position = block.first_lsn + block.count - 1;
        pthread_mutex_unlock(&store->lock);
    }
    uint64_t lost = event_pipe_lost(&store->pipe);
    if (lost > store->position) {
        pthread_mutex_lock(&store->lock);
        cut(store, lost);
        pthread_mutex_unlock(&store->lock);
    }
}

/* ---- a replay ---- */

static void note_dropped(struct event_store *store, uint64_t lsn)
{
    store->dropped = lsn > store->dropped ? lsn : store->dropped;
}

/* Returns what apply has told up to an lsn and was not returned before. */
static struct span told_until(struct event_store *store, uint64_t lsn)
{
    const unsigned char *at = store->events.at + store->told;
    const unsigned char *end = store->events.at + store->events.len;
    const unsigned char *behind = at;
    for (struct event event; behind != end;) {
        const unsigned char *next = behind;
        int err = event_get(&next, end, &event);
        CHECK(err == 0); /* event_put has written it */
        if (event.lsn > lsn) {
            break;
        }
        behind = next;
    }
    store->told += (size_t)(behind - at);
    return (struct span){(const char *)at, (size_t)(behind - at)};
}

void event_store_block(struct event_store *store, struct event_block block, bool alone)
{
    struct event_block old;
    uint64_t last_lsn = block.first_lsn + block.count - 1;
    block.events = store->events.len > 0 ? told_until(store, last_lsn) : (struct span){0};
    if (alone) {
        take_block(store, &block, false, true);
    }
    (void)event_pipe_put(&store->pipe, &block);
    if (store->told == store->events.len) {
        store->told = store->events.len = 0;
    }
    if (store->events.is_cut) {
        store->events.is_cut = false;
        note_dropped(store, last_lsn);
    }
    while (event_pipe_bytes(&store->pipe) > EVENTS_REPLAY_BYTES_MAX &&
           event_pipe_take(&store->pipe, &old)) {
        note_dropped(store, old.first_lsn + old.count - 1);
    }
}

void event_store_expect(struct event_store *store, uint64_t poll, uint64_t steps)
{
    struct event_recent *recent = recent_of(store, poll);
    if (recent == NULL) {
        recents_drop(store); /* rather none than some: event_store_votes will not find all */
        store->due++;
        return;
    }
    uint32_t due = recent->due + (uint32_t)(steps < EVENTS_RECENT ? steps : EVENTS_RECENT);
    due = due < EVENTS_RECENT ? due : EVENTS_RECENT;
    store->due += due - recent->due;
    recent->due = due;
}

/* A step that is to be put into the recents of its poll. */
struct due_step {
    struct event_recent *recent;
    size_t at; /* index of the step */
};

/* Steps looked at later are prefetched: with many polls most of the time is waiting for memory. */
enum { PREFETCH_STEPS = 16 };

/* Finds the steps that are due, the last one first. Returns how many. */
static size_t find_due(struct event_store *store, const struct vote_step *steps, size_t count,
                       struct due_step *found)
{
    const struct poll *poll = NULL;
    struct event_recent *recent = NULL;
    size_t n = 0;
    for (size_t i = count; i > 0 && n < store->due; i--) {
        if (i > PREFETCH_STEPS) {
            const struct option *later =
                state_option(store->state, steps[i - 1 - PREFETCH_STEPS].option);
            __builtin_prefetch(&later->poll);
        }
        const struct option *option = state_option(store->state, steps[i - 1].option);
        if (option->poll != poll) {
            poll = option->poll;
            recent = table_get(&store->recents, poll->id);
        }
        if (recent != NULL && recent->found < recent->due) {
            recent->found++;
            found[n++] = (struct due_step){recent, i - 1};
        }
    }
    return n;
}

void event_store_votes(struct event_store *store, const struct vote_step *steps, size_t count,
                       const struct event_votes *votes, size_t votes_count)
{
    struct due_step *found = malloc((store->due + 1) * sizeof *found);
    size_t n = found != NULL ? find_due(store, steps, count, found) : 0;
    bool is_whole = found != NULL && n == store->due;
    size_t v = 0;
    for (; n > 0 && is_whole; n--) {
        size_t at = found[n - 1].at;
        struct event_recent *recent = found[n - 1].recent;
        while (v + 1 < votes_count && votes[v + 1].begin <= at) {
            v++;
        }
        if (n > PREFETCH_STEPS) {
            __builtin_prefetch(found[n - 1 - PREFETCH_STEPS].recent->at, 1);
        }
        const struct kept_event kept = {.lsn = votes[v].first_lsn + (at - votes[v].begin),
                                        .time_ms = votes[v].time_ms,
                                        .votes = steps[at].before + steps[at].n,
                                        .option = steps[at].option,
                                        .n = steps[at].n};
        recent->due = recent->found = 0;
        is_whole = recent_put(store, recent, &kept);
    }
    if (!is_whole) {
        recents_drop(store); /* rather none than some */
    }
    store->due = 0;
    free(found);
}

void event_store_replayed(struct event_store *store)
{
    struct event_block block;
    uint64_t lost = event_pipe_lost(&store->pipe);
    note_dropped(store, lost);
    store->oldest = store->dropped >= store->oldest ? store->dropped + 1 : store->oldest;
    while (event_pipe_take(&store->pipe, &block)) {
        take_block(store, &block, true, false);
    }
    store->position = FIELD_OWN(store->state->lsn);
}

/* ---- snapshots ---- */

int event_store_recent(struct event_store *store, uint64_t lsn, uint64_t *poll,
                       struct event_buf *buf)
{
    if (pthread_mutex_trylock(&store->lock) != 0) {
        return TALLY_PARK;
    }
    int err = store->position < lsn ? TALLY_PARK : 0;
    const struct event_recent *recent = err == 0 ? table_next(&store->recents, poll) : NULL;
    for (uint32_t i = 0; recent != NULL && i < recent->count; i++) {
        struct event event;
        event_store_open(store, event_store_recent_at(recent, i), &event);
        if (event.lsn <= lsn) {
            event.num[EVENT_POLL] = *poll; /* a vote's option may be gone since */
            event_put(buf, &event);
        }
    }
    pthread_mutex_unlock(&store->lock);
    return err != 0 || recent != NULL ? err : EVENTS_RECENT_NONE;
}

int event_store_load(struct event_store *store, uint64_t poll, struct span events)
{
    const unsigned char *at = (const unsigned char *)events.at;
    const unsigned char *end = at + events.len;
    struct event_recent *recent = recent_of(store, poll);
    while (at != end) {
        struct event event;
        const unsigned char *begin = at;
        int err = event_get(&at, end, &event);
        CHECK(err == 0); /* bounds.c has refused other bytes */
        const struct kept_event kept = {.lsn = event.lsn,
                                        .time_ms = event.time_ms,
                                        .more = (unsigned char *)begin,
                                        .more_len = (size_t)(at - begin)};
        if (!recent_put(store, recent, &kept)) {
            return TALLY_NOMEM;
        }
    }
    return 0;
}
