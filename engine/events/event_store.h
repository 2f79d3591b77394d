/* The store: the newest events of all, and the newest events of each poll. */
#ifndef TALLY_ENGINE_EVENTS_EVENT_STORE_H
#define TALLY_ENGINE_EVENTS_EVENT_STORE_H

#include "engine/apply/apply.h"
#include "engine/events/event_pipe.h"
#include "engine/log/event.h"
#include "wal/base/check.h"

#include <pthread.h>

/*
 *     committer ── event_pipe ──▶ reader ─┬─▶ ring      the newest EVENTS_KEPT of all
 *     replay ───────────────────────────┬─┘
 *                                       └─▶ recents   the newest EVENTS_RECENT of each poll
 *     snapshot ── recents as they were ─┘
 *
 * The ring is for reading on from an lsn, the recents are for pages of polls: a poll's last votes
 * stay though other polls have millions, and over a restart from a snapshot. Both are memory, and
 * no part of the committed state: an event never changes, so what has it once may tell it for ever.
 *
 * Synchronization: `lock`. The thread that takes blocks (a replay, then the reader) and the one
 * that searches are the same; it holds the lock for a block, or for a slice of a search. The
 * committer only tries it, for a snapshot, and comes again when it fails: it never waits. `events`
 * is apply's and the committer's alone; the pipe has its own table.
 * Reclamation: what the ring and the recents drop is freed at once, under the lock; events that are
 * handed out are copied by the caller before it gives the lock back.
 */
enum {
    EVENTS_KEPT = 1 << 18, /* a power of two */
    EVENTS_RECENT = 16,
    EVENTS_PAUSE = 1024,               /* events between two calls of `pause` */
    EVENTS_MORE_BYTES_MAX = 8 << 20,   /* of events that are more than a vote, in the ring */
    EVENTS_MORE_SHARE = 16,            /* ... or this share of the ledger's ceiling */
    EVENTS_REPLAY_BYTES_MAX = 2 << 20, /* of blocks that a replay keeps for the ring */
};

/* An event in memory: a vote without texts, or the bytes of any event. */
struct kept_event {
    uint64_t lsn;
    uint64_t time_ms;
    uint64_t votes; /* of the option, after */
    uint32_t option;
    uint32_t n;
    unsigned char *more; /* owned; NULL: a vote without texts */
    size_t more_len;
};

/* The newest events of a poll: a ring once it has its full capacity. */
struct event_recent {
    struct kept_event *at; /* owned */
    uint32_t capacity;
    uint32_t begin;
    uint32_t count;
    bool is_short; /* some of the newest are missing: there was no memory for them */
    uint32_t due;  /* steps of the batch that are to be put, and those that were found */
    uint32_t found;
};

struct event_store {
    pthread_mutex_t lock;
    const struct state *state; /* asked for the poll of an option; it may be gone */
    void (*pause)(void);       /* between two parts of a long work; NULL: nothing */
    struct event_pipe pipe;
    struct event_buf events; /* what apply tells: the committer's, or a replay's */
    size_t told;             /* a replay: so many bytes of them are taken */
    uint64_t dropped;        /* ... and blocks up to this lsn are not kept for the ring */
    uint64_t due;            /* ... and so many steps of a batch are to be put into the recents */
    struct kept_event *ring;
    uint64_t first, end; /* places in the ring, mod EVENTS_KEPT */
    uint64_t oldest;     /* every event from this lsn on is in the ring */
    uint64_t position;   /* the last lsn that was taken */
    size_t more_bytes;
    struct table recents; /* by poll id */
};

/* Makes an empty store for a state, which is borrowed. Errors: NOMEM; call fini in any case. */
int event_store_init(struct event_store *store, struct state *state);
void event_store_fini(struct event_store *store);

/* Forgets everything; the next event is behind this lsn. */
void event_store_begin(struct event_store *store, uint64_t lsn);

/* ---- a replay ---- */

/* Keeps a block of the log that was applied, with what apply has told of it, for the ring. `alone`:
 * its events go into the recents, too; else event_store_votes puts its votes there. */
void event_store_block(struct event_store *store, struct event_block block, bool alone);

/* Votes without texts that follow each other in the log. */
struct event_votes {
    uint64_t first_lsn;
    uint64_t time_ms;
    size_t begin; /* index of the first of their steps */
};

/*
 * Puts the last votes of each poll in a batch into the recents: event_store_votes, after
 * event_store_expect has been told of all polls in it, and how many steps each has.
 */
void event_store_expect(struct event_store *store, uint64_t poll, uint64_t steps);
void event_store_votes(struct event_store *store, const struct vote_step *steps, size_t count,
                       const struct event_votes *votes, size_t votes_count);

/* Ends a replay: fills the ring from the blocks. */
void event_store_replayed(struct event_store *store);

/* ---- the reader ---- */

/* Takes the blocks that the committer has put so far. */
void event_store_take(struct event_store *store);

/* Return the kept event at a place of the ring, from store->first to store->end, and the i-th of a
 * poll's recents. */
static inline struct kept_event *event_store_at(const struct event_store *store, uint64_t place)
{
    DCHECK(place >= store->first && place <= store->end);
    return &store->ring[place & (EVENTS_KEPT - 1)];
}

static inline struct kept_event *event_store_recent_at(const struct event_recent *recent,
                                                       uint64_t i)
{
    DCHECK(i < recent->count);
    return &recent->at[(recent->begin + i) % recent->capacity];
}

/* The event of a kept one; its texts point into it. */
void event_store_open(const struct event_store *store, const struct kept_event *kept,
                      struct event *event);

/* ---- snapshots ---- */

enum { EVENTS_RECENT_NONE = 1 };

/*
 * Appends the recents of the next poll, from *poll on, as they were at an lsn; *poll becomes its
 * id. Returns 0; EVENTS_RECENT_NONE, there is no more; PARK, the store is in use, or has not come
 * up to that lsn: try later. Threads: the committer.
 */
int event_store_recent(struct event_store *store, uint64_t lsn, uint64_t *poll,
                       struct event_buf *buf);

/* Puts recents of a poll from a snapshot back. REQUIRES: bounds.c has checked them. Errors: NOMEM.
 */
int event_store_load(struct event_store *store, uint64_t poll, struct span events);

#endif
