/* Limits of votes per client address: two counted windows approximate one that slides. */
#include "net/rate.h"

#include "wal/base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * An address is looked for in one group of eight entries, and a group belongs to one of a few
 * locks. An entry whose two windows are over is free. A full group refuses (BUSY): to forget a live
 * window would hand its address fresh votes.
 */
enum { GROUPS = 8192, GROUP_ENTRIES = 8, LOCKS = 64, BUSY_RETRY_MS = 1000 };

struct entry {
    uint64_t poll;
    struct rate_address from;
    uint64_t start_ms; /* of the current window */
    uint64_t end_ms;   /* from then on the entry is free */
    uint64_t current;  /* votes in it */
    uint64_t previous; /* votes in the window before it */
};

struct rate {
    pthread_mutex_t locks[LOCKS];
    struct entry entries[GROUPS][GROUP_ENTRIES];
};

int rate_new(struct rate **out)
{
    struct rate *rate = calloc(1, sizeof(*rate));
    if (rate == NULL) {
        return TALLY_NOMEM;
    }
    for (int i = 0; i < LOCKS; i++) {
        pthread_mutex_init(&rate->locks[i], NULL);
    }
    *out = rate;
    return 0;
}

void rate_destroy(struct rate *rate)
{
    for (int i = 0; i < LOCKS; i++) {
        pthread_mutex_destroy(&rate->locks[i]);
    }
    free(rate);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

static unsigned group_of(const struct rate_ask *ask)
{
    return (unsigned)(mix(ask->poll ^ mix(ask->from.high ^ mix(ask->from.low))) % GROUPS);
}

static bool is_for(const struct entry *entry, const struct rate_ask *ask)
{
    return entry->poll == ask->poll && entry->from.high == ask->from.high &&
           entry->from.low == ask->from.low;
}

/* The entry of the asker, or with `make` a free one that becomes it, or NULL. */
static struct entry *find(struct entry *group, const struct rate_ask *ask, bool make)
{
    struct entry *vacant = NULL;
    for (int i = 0; i < GROUP_ENTRIES; i++) {
        bool live = group[i].end_ms > ask->now_ms;
        if (live && is_for(&group[i], ask)) {
            return &group[i];
        }
        if (!live) {
            vacant = &group[i];
        }
    }
    if (make && vacant != NULL) {
        *vacant = (struct entry){.poll = ask->poll,
                                 .from = ask->from,
                                 .start_ms = ask->now_ms,
                                 .end_ms = ask->now_ms + 2 * ask->per_ms};
        return vacant;
    }
    return make ? NULL : vacant;
}

/* Each thread has a time of its own: one may ask with a time from before the window's start, which
 * another has just set. To it the window has just begun. */
static uint64_t passed_ms(const struct entry *entry, const struct rate_ask *ask)
{
    return ask->now_ms > entry->start_ms ? ask->now_ms - entry->start_ms : 0;
}

static void slide(struct entry *entry, const struct rate_ask *ask)
{
    if (passed_ms(entry, ask) >= ask->per_ms) {
        uint64_t windows = passed_ms(entry, ask) / ask->per_ms;
        entry->previous = windows == 1 ? entry->current : 0;
        entry->current = 0;
        entry->start_ms += windows * ask->per_ms;
        entry->end_ms = entry->start_ms + 2 * ask->per_ms;
    }
}

/* How long until a window that held `votes` has slid out so far that `room` is left of n. */
static uint64_t slid_out_ms(uint64_t votes, uint64_t room, uint64_t per_ms)
{
    return votes <= room ? 0 : per_ms - (uint64_t)((double)per_ms * (double)room / (double)votes);
}

static uint64_t wait_ms(const struct entry *entry, const struct rate_ask *ask)
{
    uint64_t passed = passed_ms(entry, ask);
    if (ask->votes > ask->n) {
        return 2 * ask->per_ms;
    }
    if (entry->current + ask->votes <= ask->n) {
        uint64_t room = ask->n - entry->current - ask->votes;
        uint64_t until = slid_out_ms(entry->previous, room, ask->per_ms);
        return until > passed ? until - passed : 0;
    }
    return ask->per_ms - passed + slid_out_ms(entry->current, ask->n - ask->votes, ask->per_ms);
}

int rate_take(struct rate *rate, const struct rate_ask *ask, uint64_t *retry_ms)
{
    unsigned group = group_of(ask);
    int err = 0;
    pthread_mutex_lock(&rate->locks[group % LOCKS]);
    struct entry *entry = find(rate->entries[group], ask, true);
    if (entry == NULL) {
        *retry_ms = BUSY_RETRY_MS;
        err = TALLY_BUSY;
    } else {
        slide(entry, ask);
        *retry_ms = wait_ms(entry, ask);
        err = *retry_ms > 0 ? TALLY_RATE : 0;
        entry->current += err == 0 ? ask->votes : 0;
    }
    pthread_mutex_unlock(&rate->locks[group % LOCKS]);
    return err;
}

void rate_give_back(struct rate *rate, const struct rate_ask *ask)
{
    unsigned group = group_of(ask);
    pthread_mutex_lock(&rate->locks[group % LOCKS]);
    struct entry *entry = find(rate->entries[group], ask, false);
    if (entry != NULL && is_for(entry, ask) && entry->current >= ask->votes) {
        entry->current -= ask->votes;
    }
    pthread_mutex_unlock(&rate->locks[group % LOCKS]);
}
