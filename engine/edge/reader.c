/* The reader's thread: it makes long reads one after the other, and keeps ranks of large polls. */
#include "engine/edge/reader.h"

#include "engine/edge/edge_internal.h"
#include "engine/events/event_store.h"
#include "engine/state/feed.h"
#include "engine/base/rank.h"
#include "engine/edge/slice.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"
#include "wal/base/mutant.h"
#include "wal/base/thread.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

enum {
    RANKS_MAX = 8,
    RANK_TRIES = 3,    /* to make a rank while votes fill its feed */
    DRAIN_STEP = 1024, /* entries, after which their places are given back */
    RETRY_NS = 50 * 1000,
};

static const uint64_t rank_keep_ns = 60000000000U; /* since the last TALLY that asked for it */
static const uint64_t sleep_ns = 5000000000U;

/* The rank of a poll, and the feed that brings it the changes. */
struct ranked {
    struct poll *poll; /* NULL: the place is free */
    struct feed *feed;
    struct rank rank;
    uint64_t asked_ns;
    size_t counted; /* in the ledger, among the entities */
};

struct reader {
    struct shared *shared;
    pthread_t thread;
    _Alignas(64) _Atomic(struct read *) asked; /* newest first */
    _Atomic(struct feed *) attach;
    _Atomic(struct feed *) detach;
    _Atomic bool is_ending;
    struct wake wake;
    /* the thread's own */
    _Alignas(64) struct read *waiting; /* oldest first, by asked_before */
    struct read **waiting_end;
    struct ranked ranks[RANKS_MAX];
};

/* ---- asking and answering ---- */

void reader_ask(struct reader *reader, struct edge *edge, struct read *read)
{
    DCHECK(read->err == READ_MORE || read->err == READ_BESIDE);
    DCHECK(!read_is_done(read));
    read->edge = edge;
    /* R7: relaxed: the edge alone adds; pairs with R8 */
    atomic_fetch_add_explicit(&edge->reads_open, 1, memory_order_relaxed);
    /* R0: relaxed: R1 fails when it is old */
    struct read *before = atomic_load_explicit(&reader->asked, memory_order_relaxed);
    do {
        read->asked_before = before;
        /* R1: release; pairs with R2 */
    } while (!atomic_compare_exchange_weak_explicit(&reader->asked, &before, read,
                                                    memory_order_release, memory_order_relaxed));
    wake_up(&reader->wake);
}

bool read_is_done(const struct read *read)
{
    /* R4: acquire; pairs with R3 */
    return atomic_load_explicit(&read->is_done, memory_order_acquire);
}

void read_is_unwanted(struct read *read)
{
    /* R9: relaxed: only a hint */
    atomic_store_explicit(&read->unwanted, true, memory_order_relaxed);
}

static void reader_answer(struct read *read)
{
    struct edge *edge = read->edge;
    DCHECK(read->err <= 0 && FIELD_GET(edge->reads_open) > 0);
    /* R3: release; pairs with R4. From here on the read may be freed. */
    atomic_store_explicit(&read->is_done, true, memory_order_release);
    if (wake_signal(&edge->lane->wake)) {
        edge->wake(edge->arg);
    }
    /* R8: release; pairs with R7 in edge_destroy: behind it the edge is not touched */
    atomic_fetch_sub_explicit(&edge->reads_open, 1, memory_order_release);
}

/* Makes a slice; waits a moment after one that was not whole. */
static void try_slice(struct reader *reader, struct read *read)
{
    const struct timespec pause = {.tv_nsec = RETRY_NS};
    if (!slice_make(read, reader->shared->state)) {
        read->err = READ_MORE;
        (void)nanosleep(&pause, NULL); /* a block is being applied: its end is near */
    }
    rcu_quiescent();
}

/* Makes a read of a ranked poll. One that goes on with the rank's rows has one slice more. */
static void make_ranked(struct reader *reader, struct read *read)
{
    read->err = reader_tally(reader, read);
    if (read->err == 0 && read->ranked != NULL) {
        read->err = read->ranked(read);
    }
    while (read->err == READ_MORE) {
        try_slice(reader, read);
    }
}

/* Makes a read that the edge could not make, or a slice of one that is not of the state. */
static void make_beside(struct reader *reader, struct read *read)
{
    if (read->beside != NULL) {
        read->err = read->beside(reader, read);
        rcu_quiescent();
    } else {
        make_ranked(reader, read);
    }
}

static bool has_room(const struct reader *reader)
{
    /* rows that no client fetches do not use up the memory */
    return ledger_has_buffers(&reader->shared->state->ledger, LEDGER_REPLIES_SHARE);
}

/* Takes the reads that were asked for, oldest first. A read of a ranked poll, and the first slice
 * of a search for events, is made at once: it is short, and lists are long. */
static void take_asked(struct reader *reader)
{
    /* R2: acquire; pairs with R1 */
    struct read *newest = atomic_exchange_explicit(&reader->asked, NULL, memory_order_acquire);
    struct read *oldest = NULL;
    while (newest != NULL) {
        struct read *before = newest->asked_before;
        newest->asked_before = oldest;
        oldest = newest;
        newest = before;
    }
    while (oldest != NULL) {
        struct read *read = oldest;
        oldest = read->asked_before;
        read->asked_before = NULL;
        if (read->err == READ_BESIDE) {
            if (has_room(reader)) {
                make_beside(reader, read);
            } else {
                read->err = TALLY_BUSY;
            }
        }
        if (read->err == READ_MORE) {
            *reader->waiting_end = read;
            reader->waiting_end = &read->asked_before;
        } else {
            slice_end(read);
            reader_answer(read);
        }
    }
}

/* Takes the events of the blocks that were committed; a snapshot may wait for it. */
static void take_events(struct reader *reader)
{
    event_store_take(reader->shared->events);
    if (FIELD_GET(reader->shared->snapshot_running)) {
        wake_up(&reader->shared->wake);
    }
}

static void ranking_make(struct reader *reader, struct read *read)
{
    read->err = has_room(reader) ? READ_MORE : TALLY_BUSY;
    while (read->err == READ_MORE) {
        /* R9: relaxed: only a hint */
        if (atomic_load_explicit(&read->unwanted, memory_order_relaxed)) {
            read->err = TALLY_NOTFOUND;
        } else if (read->beside != NULL) {
            make_beside(reader, read);
        } else {
            try_slice(reader, read);
        }
        slice_trim(read);
        take_events(reader);
        take_asked(reader);
    }
    DCHECK(read->err != READ_MORE);
    if (read->err == READ_BESIDE) {
        make_beside(reader, read);
    }
    slice_end(read);
}

/* Makes the next waiting read. Returns whether there was one. */
static bool make_next(struct reader *reader)
{
    take_asked(reader);
    struct read *read = reader->waiting;
    if (read == NULL) {
        return false;
    }
    reader->waiting = read->asked_before;
    reader->waiting_end = reader->waiting != NULL ? reader->waiting_end : &reader->waiting;
    ranking_make(reader, read);
    reader_answer(read);
    return true;
}

/* ---- feeds ---- */

/* Asks the committer to attach or detach a feed, and waits until it has. */
static void have_done(struct reader *reader, _Atomic(struct feed *) *place, struct feed *feed)
{
    DCHECK(feed != NULL && FIELD_OWN(*place) == NULL); /* one at a time */
    /* R5: release; pairs with R6 */
    atomic_store_explicit(place, feed, memory_order_release);
    wake_up(&reader->shared->wake);
    rcu_offline();
    /* R5: acquire; pairs with R6 */
    while (atomic_load_explicit(place, memory_order_acquire) != NULL) {
        if (wake_may_sleep(&reader->wake)) {
            wake_block(&reader->wake, sleep_ns);
            wake_awake(&reader->wake);
        }
    }
    rcu_online();
}

static void serve(struct state *state, _Atomic(struct feed *) *place, bool is_attached,
                  struct wake *wake)
{
    /* R6: acquire; pairs with R5 */
    struct feed *feed = atomic_load_explicit(place, memory_order_acquire);
    if (feed != NULL) {
        struct poll *poll = table_get(&state->poll_ids, feed->poll_id);
        bool is_there = poll != NULL && !FIELD_OWN(poll->is_deleted);
        if (is_attached && !is_there) {
            FIELD_PUT(feed->broken, true); /* the poll was deleted meanwhile */
        } else if (is_attached) {
            feed->poll = poll;
            poll->feed = feed;
        } else if (feed->poll != NULL) {
            feed->poll->feed = NULL; /* it is there as long as the feed is attached */
        }
        /* R6: release; pairs with R5 */
        atomic_store_explicit(place, NULL, memory_order_release);
        wake_up(wake);
    }
}

void reader_serve(struct reader *reader)
{
    struct state *state = reader->shared->state;
    serve(state, &reader->attach, true, &reader->wake);
    serve(state, &reader->detach, false, &reader->wake);
}

/* Counts the bytes of a rank in the ledger. */
static void rank_count(struct reader *reader, struct ranked *ranked, size_t bytes)
{
    if (bytes != ranked->counted) {
        ledger_add(&reader->shared->state->ledger, LEDGER_ENTITIES, bytes - ranked->counted);
        ranked->counted = bytes;
    }
}

static uint64_t feed_bytes(const struct feed *feed)
{
    DCHECK((feed->entries & (feed->entries - 1)) == 0); /* the ring's mask needs a power of two */
    return sizeof *feed + feed->entries * sizeof feed->ring[0];
}

static void rank_drop(struct reader *reader, struct ranked *ranked)
{
    if (ranked->poll != NULL) {
        rank_count(reader, ranked, 0);
        have_done(reader, &reader->detach, ranked->feed);
        rank_fini(&ranked->rank);
        free(ranked->feed);
        *ranked = (struct ranked){.poll = NULL};
    }
}

/* Takes the entries of the feed up to a tail into the rank. */
static int feed_drain(struct ranked *ranked, uint64_t tail)
{
    struct feed *feed = ranked->feed;
    uint64_t head = FIELD_OWN(feed->head);
    int err = 0;
    DCHECK(tail - head <= feed->entries);
    while (err == 0 && head != tail) {
        const struct feed_entry *entry = &feed->ring[head & (feed->entries - 1)];
        err = rank_set(&ranked->rank, entry->option->place, entry->votes);
        head++;
        if (head % DRAIN_STEP == 0 || head == tail) {
            FIELD_PUT(feed->head, head); /* F3: release, as S2; pairs with F4 */
        }
    }
    return err;
}

/* Copies the votes that the options have now. Some votes may be newer than the entries read from
 * the feed, and changes behind its first entry may be missing. NULL: no memory. */
static uint64_t *copy_votes(const struct poll *poll, uint32_t *count)
{
    *count = (uint32_t)FIELD_GET(poll->option_count);
    uint64_t *votes = malloc((*count + (size_t)1) * sizeof *votes);
    for (uint32_t i = 0; votes != NULL && i < *count; i++) {
        if (i % READ_SLICE == 0) {
            rcu_quiescent();
        }
        const struct option *option = poll_option(poll, i);
        votes[i] = option_votes_now(option);
    }
    return votes;
}

/* Makes the rank of a poll. NOTFOUND: the poll is being deleted. */
static int rank_make(struct reader *reader, struct ranked *ranked, struct poll *poll)
{
    DCHECK(ranked->poll == NULL);
    uint64_t entries = FEED_ENTRIES_MIN;
    while (entries < FIELD_GET(poll->option_count) && entries < FEED_ENTRIES_MAX) {
        entries *= 2;
    }
    struct feed *feed = aligned_alloc(64, sizeof *feed + entries * sizeof feed->ring[0]);
    uint32_t count = 0;
    if (feed == NULL) {
        return TALLY_NOMEM;
    }
    feed->entries = entries;
    feed->poll = NULL;
    feed->poll_id = poll->id;
    feed->wake = &reader->wake;
    atomic_init(&feed->tail, 0);
    atomic_init(&feed->head, 0);
    atomic_init(&feed->broken, false);
    *ranked = (struct ranked){.poll = poll, .feed = feed};
    uint64_t *votes = MUTANT(MUTANT_RANK_COPY_EARLY) ? copy_votes(poll, &count) : NULL;
    have_done(reader, &reader->attach, feed);
    if (feed->poll == NULL) {
        free(votes);
        rank_drop(reader, ranked);
        return TALLY_NOTFOUND;
    }
    /* attached: the poll and its options stay until the feed is detached */
    votes = votes == NULL ? copy_votes(poll, &count) : votes;
    int err = votes != NULL ? 0 : TALLY_NOMEM;
    rcu_offline();
    err = err == 0 ? rank_build(&ranked->rank, votes, count) : err;
    rcu_online();
    if (err != 0) {
        rank_drop(reader, ranked);
    } else {
        rank_count(reader, ranked, feed_bytes(feed) + rank_bytes(&ranked->rank));
    }
    return err;
}

/* Finds the rank of a poll, or the place to make it: a free place, or that of the rank whose last
 * TALLY is the longest ago. */
static struct ranked *rank_of(struct reader *reader, const struct poll *poll)
{
    struct ranked *place = &reader->ranks[0];
    for (int i = 0; i < RANKS_MAX; i++) {
        struct ranked *ranked = &reader->ranks[i];
        if (ranked->poll == poll) {
            return ranked;
        }
        bool is_better = ranked->poll == NULL || ranked->asked_ns < place->asked_ns;
        place = place->poll != NULL && is_better ? ranked : place;
    }
    rank_drop(reader, place);
    return place;
}

/* Between two reads: drains the feeds before they are full, and drops ranks that are not used. */
static void look_after_ranks(struct reader *reader)
{
    uint64_t now_ns = clock_mono_ns();
    for (int i = 0; i < RANKS_MAX; i++) {
        struct ranked *ranked = &reader->ranks[i];
        if (ranked->poll == NULL) {
            continue;
        }
        /* F2: acquire, as S4; pairs with F1 */
        int err = feed_drain(ranked, FIELD_GET(ranked->feed->tail));
        err = FIELD_GET(ranked->poll->is_deleted) ? TALLY_NOTFOUND : err;
        if (err != 0 || now_ns - ranked->asked_ns > rank_keep_ns) {
            rank_drop(reader, ranked);
        } else {
            rank_count(reader, ranked, feed_bytes(ranked->feed) + rank_bytes(&ranked->rank));
        }
    }
}

/* ---- TALLY of a large poll ---- */

/* Fixes the moment of the state that the reply shows. Returns false when the feed is broken. */
static bool cut(const struct state *state, const struct ranked *ranked, struct read_tally *r,
                uint64_t *tail)
{
    const struct timespec pause = {.tv_nsec = RETRY_NS};
    uint64_t mark = 0;
    for (;;) {
        if (seq_read_begin(&state->seq, &mark)) {
            r->read.lsn = FIELD_GET(state->lsn);
            r->rate_per_min = slice_poll_last_minute(ranked->poll, r->read.log_ms);
            *tail = FIELD_GET(ranked->feed->tail); /* F2: acquire, as S4; pairs with F1 */
            bool is_good = !FIELD_GET(ranked->feed->broken);
            if (seq_read_is_valid(&state->seq, mark)) {
                return is_good;
            }
        }
        rcu_quiescent();
        (void)nanosleep(&pause, NULL);
    }
}

static int fill_rows(const struct ranked *ranked, struct read_tally *r)
{
    uint32_t count =
        ranked->rank.count < r->read.wanted ? ranked->rank.count : (uint32_t)r->read.wanted;
    struct rank_at at = {0};
    uint32_t place = 0;
    uint64_t votes = 0;
    DCHECK(r->read.rows.count == 0);
    r->read.compare = NULL; /* the rank gives them in order */
    for (uint32_t i = 0; i < count && rank_next(&ranked->rank, &at, &place, &votes); i++) {
        struct tally_row *row = slice_row(&r->read);
        if (row == NULL) {
            return TALLY_NOMEM;
        }
        if (i % READ_SLICE == 0) {
            rcu_quiescent();
        }
        const struct option *option = poll_option(ranked->poll, place);
        *row =
            (struct tally_row){option->id, votes, slice_text(&r->read, blob_span(option->label))};
        if (row->label.at == NULL) {
            return TALLY_NOMEM;
        }
    }
    r->total = ranked->rank.total;
    return 0;
}

int reader_tally(struct reader *reader, struct read *read)
{
    struct read_tally *r = (struct read_tally *)read;
    const struct state *state = reader->shared->state;
    for (int tries = 0; tries < RANK_TRIES; tries++) {
        struct poll *poll = state_poll(state, r->poll);
        struct ranked *ranked = poll != NULL ? rank_of(reader, poll) : NULL;
        /* while a rank was dropped, the poll may have been deleted and made anew */
        if (ranked == NULL || (ranked->poll == NULL && state_poll(state, r->poll) != poll)) {
            continue;
        }
        uint64_t tail = 0;
        int err = ranked->poll == NULL ? rank_make(reader, ranked, poll) : 0;
        if (err == TALLY_NOTFOUND) {
            continue;
        }
        if (err != 0) {
            return err;
        }
        ranked->asked_ns = clock_mono_ns();
        if (!cut(state, ranked, r, &tail)) {
            rank_drop(reader, ranked);
            continue;
        }
        err = feed_drain(ranked, tail);
        err = err == 0 ? fill_rows(ranked, r) : err;
        if (err != 0) {
            rank_drop(reader, ranked);
        }
        return err;
    }
    return state_poll(state, r->poll) == NULL ? TALLY_NOTFOUND : TALLY_BUSY;
}

int reader_events(struct reader *reader, struct read *read)
{
    if (!((const struct read_events *)read)->place.has_begun) {
        /* what the edge has seen applied was put into the pipe before */
        take_events(reader);
    }
    return reader_find_events(reader->shared, read);
}

/* ---- the thread ---- */

static void *reader_run(void *arg)
{
    struct reader *reader = arg;
    rcu_thread_register();
    reader->shared->events->pause = rcu_quiescent;
    /* R10: acquire; pairs with R11 */
    while (!atomic_load_explicit(&reader->is_ending, memory_order_acquire)) {
        bool was_any = make_next(reader);
        look_after_ranks(reader);
        take_events(reader);
        rcu_quiescent();
        /* the wake for a read or for the end may have come while the reader waited for a feed */
        /* R2: acquire; pairs with R1 */
        was_any = was_any || atomic_load_explicit(&reader->asked, memory_order_acquire) != NULL;
        /* R10: acquire; pairs with R11 */
        bool ends = atomic_load_explicit(&reader->is_ending, memory_order_acquire);
        if (!was_any && !ends && wake_may_sleep(&reader->wake)) {
            rcu_offline();
            wake_block(&reader->wake, sleep_ns);
            rcu_online();
            wake_awake(&reader->wake);
        }
    }
    for (int i = 0; i < RANKS_MAX; i++) {
        rank_drop(reader, &reader->ranks[i]);
    }
    rcu_thread_unregister();
    return NULL;
}

int reader_new(struct reader **out, struct shared *shared)
{
    struct reader *reader = aligned_alloc(64, sizeof *reader);
    if (reader == NULL) {
        return TALLY_NOMEM;
    }
    *reader = (struct reader){.shared = shared};
    reader->waiting_end = &reader->waiting;
    *out = reader; /* before the thread: the committer serves it */
    if (thread_start(&reader->thread, reader_run, reader) != 0) {
        *out = NULL;
        free(reader);
        return TALLY_THREAD;
    }
    return 0;
}

void reader_wake(struct reader *reader)
{
    wake_up(&reader->wake);
}

void reader_stop(struct reader *reader)
{
    /* R11: release; pairs with R10 */
    atomic_store_explicit(&reader->is_ending, true, memory_order_release);
    wake_up(&reader->wake);
    pthread_join(reader->thread, NULL);
    CHECK(FIELD_OWN(reader->asked) == NULL); /* no read is open, as reader_stop requires */
}

/* A function of its own, since the committer may still wake the reader after reader_stop. */
void reader_free(struct reader *reader)
{
    free(reader);
}
