/* The committed state: polls, options, queues, builds, workers. Only apply changes it. */
#ifndef TALLY_ENGINE_STATE_STATE_H
#define TALLY_ENGINE_STATE_STATE_H

#include "engine/base/index.h"
#include "engine/log/event.h"
#include "engine/base/ledger.h"
#include "engine/state/keys.h"
#include "engine/state/oldest.h"
#include "engine/base/parcel.h"
#include "engine/base/seq.h"
#include "engine/base/table.h"
#include "engine/state/ticket.h"
#include "engine/state/trend.h"
#include "engine/state/voters.h"
#include "engine/state/word.h"
#include "wal/base/check.h"

#include <sys/queue.h>

/*
 *     polls (by name) ── poll ── options by place ──┐
 *     labels (by poll and folded label) ────────────┤
 *     beginnings (by poll and beginning of a word) ─┤
 *     options (by id) ──────────────────────────────┴─ option { word | accepted, votes }
 *
 *     queues (by name) ── queue ── need sets ── ticket lists (engine/state/ticket.h)
 *     builds (by id) ── build { word, lease | accepted, applied, ... }
 *     workers (by name) ── worker ── held builds by slot
 *
 * Synchronization table
 *   word of an option or build   stepped by any edge and the committer, engine/state/word.h
 *   accepted                     the committer alone
 *   fields with _Atomic          written by apply alone (FIELD_PUT), read by any thread
 *                                (FIELD_GET); several of them together are a whole only inside
 *                                seq_read_begin / seq_read_is_valid on state.seq
 *   other fields                 set before the entity is published, or the committer's alone
 *                                (said so there)
 *
 * Fields that only make sense together, and how they are read as one. A "cut" is a valid read of
 * state.seq, which edge_read makes; the committer reads a cut whenever it is between two blocks.
 *
 *   state and token of a build        the upper half of its word, and of `applied`
 *   votes and changes of an option    its word; as committed, others read `votes` alone
 *   votes and generation of an        a cut, as option_votes_now says
 *   option, generation of its poll
 *   n and ms of a limit               poll.rate: rate_word()
 *   open, close, being closed         poll.vote_until and ballot_until; the edges read nothing else
 *                                     of a poll's times, `open` is for POLLS, the rest is the
 *                                     committer's
 *   mode of a poll, as plain votes    poll.vote_until: VOTES_BALLOTS; `mode` is for POLLS and for a
 *   meet it                           first look at a ballot, which apply judges
 *   second[] and second_votes[]       a cut
 *   a trend, and its count            a cut: engine/state/trend.h
 *   total and the options' votes      a cut
 *   options and option_count          a place below the count is set for good before the count
 *                                     moves
 *   sets and set_count                a place below the count is set before the count moves; what
 *                                     stands there may be replaced when no unfinished build has it
 *   held and its capacity             the capacity stands in the array
 *   a held slot and its build         the build's word and `applied`: a slot that has gone is seen
 *   held_count and the slots          a cut (WORKERS); a claim counts the slots that it has looked
 *                                     at
 *   by_state of a queue, of all       a cut
 *   oldest_submitted_ms               one word: of the heap, which is apply's
 *   pending counts of lists           seq_read_begin / seq_read_is_valid in edge_claim
 *   lease and attempts of a claim     written before `applied` says its token; a heartbeat's step
 *                                     succeeds only while that token stands
 *   a POLLDEL on its way              poll.is_leaving: set by the edge that appends it, and never
 *                                     cleared: what comes behind it waits until the poll is deleted
 *   a claim's end, and its token      build.ending: ending_word()
 *   what BEAT says, and its token     build.progress
 *   told again or taken back, and     build.told: engine/edge/told.h
 *   its token
 *   payload and result of a build     result is read first, then the payload: that one goes first
 *   lsn, bytes, time of a snapshot    shared.snapshot_made, an immutable object
 *   log time; running time            one word each beside the monotonic clock: engine/base/time.h
 *
 * Reclamation: a poll that is deleted (POLLDEL) is taken out of the index of names at once, and so
 * is out of reach for all but ids, which state_option answers with NULL. PURGE records take its
 * options out of table and index and retire them, a slice each, and the poll with the last one; the
 * gate begins with that when no lane has a step on an option of it, nor the reader a rank
 * (engine/commit/gate.h). Its beginnings of words go in slices, too (engine/state/label_index.h).
 * A finished build beyond QUEUE_KEEP of
 * its queue, or named by a FORGET record, is taken out of the table and retired. So are the bytes
 * that a FORGET frees, old arrays of those that grow, and a need set that is replaced (all its
 * tickets are dead). A queue is retired with the last of its builds. A worker that has left is
 * taken out and retired when a FORGET names it: engine/commit/forget.h.
 */

struct blob { /* bytes with their length, one allocation */
    size_t len;
    char at[];
};

/* Copies; an empty span gives a blob of length 0. Returns NULL without memory. Ended by free(). */
struct blob *blob_new(struct span bytes);
static inline struct span blob_span(const struct blob *blob)
{
    return blob != NULL ? (struct span){blob->at, blob->len} : (struct span){NULL, 0};
}

struct option {
    /* stepped by the edges; beside it what is read or changed seldom */
    _Alignas(64) _Atomic uint64_t word;
    struct blob *key;                        /* poll id and folded label: option_key_new */
    _Atomic(struct trend_samples *) samples; /* of its trend */
    /* written by the committer */
    _Alignas(64) uint64_t accepted;
    _Atomic uint64_t votes;          /* of its generation: option_votes_now */
    _Atomic uint64_t trend_until_ms; /* of its trend */
    uint64_t changes;
    uint32_t id;
    _Atomic uint32_t generation; /* that of its poll when it got its last votes */
    struct poll *poll;
    struct blob *label;
    uint32_t captured; /* the committer alone: engine/apply/snapshot_capture.h */
    uint32_t place;    /* in its poll */
};

/* Each part of a poll's options is twice as long as the part before, so no option is ever moved. */
enum { POLL_FIRST = 16, POLL_PARTS = 21 };

/* A vote limit in one word, so that both numbers come from the same POLL: n:32 | ms:32. 0: no
 * limit. */
static inline uint64_t rate_word(uint64_t n, uint64_t ms)
{
    DCHECK(n <= UINT32_MAX && ms <= UINT32_MAX);
    return n << 32 | ms;
}

static inline uint64_t rate_word_n(uint64_t rate)
{
    return rate >> 32;
}

static inline uint64_t rate_word_ms(uint64_t rate)
{
    return rate & UINT32_MAX;
}

struct timer {
    struct timer *prev; /* NULL: in no ring */
    struct timer *next;
};

/*
 * poll.vote_until and poll.ballot_until: the log time until which the poll takes plain votes, and
 * ballots (votes that name a voter), or one of these values: closed; in the gate, and votes wait;
 * the mode asks for ballots (vote_until alone).
 */
enum { VOTES_CLOSED = 0, VOTES_WAIT = 1, VOTES_BALLOTS = 2 };
#define VOTES_EVER UINT64_MAX /* no end is set */

/* The state of a poll in the gate, which opens and closes it: engine/commit/gate.h. */
enum poll_window { WINDOW_NONE, WINDOW_TIMED, WINDOW_WAITING, WINDOW_MOVING, WINDOW_DELETED };

/* Whether a poll with these times takes votes. */
static inline bool window_is_open(uint64_t open_ms, uint64_t close_ms, uint64_t log_ms)
{
    return open_ms <= log_ms && (close_ms == 0 || log_ms < close_ms);
}

struct ordered_request; /* engine/edge/ordered_request.h */
STAILQ_HEAD(request_list, ordered_request);

/* Who has voted by ballots in a poll since its last RESET. The committer alone. */
struct voter_set {
    struct voters voters;
    uint64_t poll_id;
    uint32_t begun;  /* the last capture that has begun to walk over it */
    uint32_t walked; /* the last capture that has walked over it, or that ran when it was made */
    TAILQ_ENTRY(voter_set) dropped; /* state.dropped or dropped_early, after the RESET */
};

TAILQ_HEAD(voter_set_list, voter_set);

struct poll {
    /* read by the edges with each vote, written seldom */
    uint64_t id;
    struct blob *name;
    _Atomic uint64_t vote_until;   /* of plain votes: log ms, or VOTES_ */
    _Atomic uint64_t ballot_until; /* of ballots */
    _Atomic uint64_t rate;         /* rate_word() */
    _Atomic uint64_t open_ms;
    _Atomic uint64_t close_ms;
    _Atomic bool open;           /* as the last applied record says */
    _Atomic bool is_deleted;     /* by a POLLDEL: it and its options are for nobody any more */
    _Atomic bool is_leaving;     /* volatile: a POLLDEL is on its way */
    _Atomic uint32_t mode;       /* enum poll_mode, as the last applied record says */
    _Atomic uint32_t generation; /* how often it was reset */
    _Atomic uint64_t option_count;
    _Atomic(struct option *_Atomic *) options[POLL_PARTS]; /* by place: poll_option */
    /* volatile, not state: engine/commit/gate.h */
    _Atomic uint64_t settled; /* of `altered` */
    uint64_t altered;         /* this and the following fields: the committer alone */
    uint64_t decided;
    struct timer timer;
    enum poll_window window;
    bool gated;                   /* votes wait for what the gate does with it */
    uint32_t mode_wanted;         /* as the last POLL says: state, not volatile */
    uint32_t words_generation;    /* of which the words of its options are, unless it is gated */
    uint32_t holds;               /* records of the gate in the committer's lane, and its round */
    struct request_list acts;     /* RESETs and POLLDELs that wait for the gate */
    uint32_t act_count;           /* in `acts` */
    uint32_t acts_due;            /* of these: in this round of the gate */
    uint64_t swept;               /* options of which the words are set already */
    uint32_t voted_batch;         /* the last of the merge's batches with a BALLOT for it, */
    uint32_t unvoted_batch;       /* ... with an UNVOTE: engine/commit/judge.h */
    struct voter_set *voter_set;  /* owned; NULL: no ballot yet */
    struct beginning *beginnings; /* of its labels' words: engine/state/label_index.h */
    /* written with each vote: the parts of the options keep it off the line of the first group */
    uint32_t captured; /* the committer alone: engine/apply/snapshot_capture.h */
    struct feed *feed; /* the committer alone: set while the reader ranks the poll; or NULL */
    _Atomic uint64_t total;
    _Atomic uint64_t trend_until_ms; /* of the trend of its total */
    _Atomic(struct trend_samples *) samples;
    _Atomic uint64_t reset_until_ms; /* of the trend of its generation */
    _Atomic(struct trend_samples *) reset_samples;
    /* votes by second: place is second mod POLL_SECONDS */
    _Atomic uint64_t second[POLL_SECONDS];
    _Atomic uint64_t second_votes[POLL_SECONDS];
};

/* Sets vote_until and ballot_until: until when votes are taken, by what is committed and by the
 * gate. Threads: the committer. */
void poll_set_until(struct poll *poll);

/* Returns the votes of an option: those that were counted before the last RESET of its poll are
 * none. Threads: the committer, and others in a cut; without one, it may be of no moment. */
static inline uint64_t option_votes_now(const struct option *option)
{
    uint64_t votes = FIELD_GET(option->votes);
    return FIELD_GET(option->generation) == FIELD_GET(option->poll->generation) ? votes : 0;
}

/* Sets the votes that an option has. Threads: apply. */
static inline void option_put_votes(struct option *option, uint64_t votes)
{
    FIELD_PUT(option->votes, votes);
    FIELD_PUT(option->generation, FIELD_OWN(option->poll->generation));
}

/* Sets the word of an option to what is committed. REQUIRES: no step on it is in flight, and none
 * can begin. Threads: the committer. */
void option_set_word(struct option *option);

/* Returns the part of a place, and in *in_part the index in it. */
static inline unsigned poll_part(uint64_t place, uint64_t *in_part)
{
    unsigned part = 63 - (unsigned)__builtin_clzll(place / POLL_FIRST + 1);
    *in_part = place - POLL_FIRST * (((uint64_t)1 << part) - 1);
    DCHECK(part < POLL_PARTS && *in_part < (uint64_t)POLL_FIRST << part);
    return part;
}

/* Returns the option at a place. REQUIRES: the place is below option_count, or was below it when
 * the read section began, before PURGEs. */
static inline struct option *poll_option(const struct poll *poll, uint64_t place)
{
    DCHECK(place < FIELD_GET(poll->option_count) || FIELD_GET(poll->is_deleted));
    uint64_t at = 0;
    unsigned part = poll_part(place, &at);
    return FIELD_GET(FIELD_GET(poll->options[part])[at]);
}

struct build {
    /* stepped by the edges, and by the committer when it arms and disarms */
    _Alignas(64) _Atomic uint64_t word;
    struct timer timer;        /* the committer alone */
    _Atomic uint32_t lease_ms; /* of the claim that holds it; else that of SUBMIT */
    _Atomic uint32_t told;     /* the last claim that was told again or taken back, in one word:
                                  { taken back:1 | token:28 }; volatile, not state */
    _Atomic uint64_t progress; /* { token:32 | percent:32 } from BEAT: volatile, not state */
    _Atomic uint64_t ending;   /* ending_word() */
    uint8_t pri;
    uint8_t set;            /* index of the need set in the queue */
    uint8_t byes;           /* how often it went back because its worker left */
    _Atomic bool goes_back; /* its worker has left: an UNHOLD will follow */
    uint32_t submit_lease_ms;
    uint16_t tries;
    _Atomic uint16_t attempts; /* claims that were counted */
    /* written by the committer */
    _Alignas(64) uint32_t accepted;
    _Atomic uint32_t applied; /* state and token, as committed */
    uint64_t id;
    struct queue *queue;
    _Atomic(struct worker *) worker; /* that holds it */
    _Atomic(struct blob *) by;       /* the name of the last holder; NULL: none yet */
    uint32_t held_at;                /* slot in worker->held */
    uint32_t captured;               /* engine/apply/snapshot_capture.h */
    uint32_t oldest_at;              /* place in queue->oldest, while it is pending */
    uint64_t submitted_ms;
    _Atomic uint64_t started_ms;
    _Atomic uint64_t ended_ms;
    uint64_t pending_lsn; /* of the record that made it pending or delayed last */
    uint64_t due_ms;
    _Atomic(struct parcel *) payload; /* NULL: it has ended, and a FORGET has freed all three */
    _Atomic(struct parcel *) result;
    _Atomic(struct parcel *) error;
    struct blob *uniq;        /* queue and uniq: the key of state.uniqs, while unfinished */
    struct build *next_ended; /* the committer alone: the queue's finished builds, oldest first */
    uint64_t ended_lsn;       /* of the record that ended it; 0: none yet */
    TAILQ_ENTRY(build) ended; /* the committer alone: state.ended */
};

TAILQ_HEAD(build_list, build);

struct need_set {
    struct blob *tags; /* sorted, with commas between; empty for none */
    uint64_t open;     /* the committer alone: unfinished builds with it */
    struct ticket_list lists[BUILD_PRIORITIES];
};

struct queue {
    uint64_t id;
    struct blob *name;
    _Atomic(struct need_set *) sets[NEED_SETS_MAX];
    _Atomic uint32_t set_count;
    _Atomic uint64_t by_state[BUILD_STATES];
    _Atomic uint64_t *all_by_state; /* state.by_state: the sum over all queues */
    struct oldest oldest;           /* the committer alone: pending builds, engine/state/oldest.h */
    _Atomic uint64_t oldest_submitted_ms; /* of the oldest pending build; 0: none is pending */
    struct build *ended_first;            /* the committer alone */
    struct build *ended_last;
    uint64_t ended_count;
    TAILQ_ENTRY(queue) idle; /* state.idle, while all its builds are finished */
    uint32_t captured;       /* the committer alone: engine/apply/snapshot_capture.h */
};

TAILQ_HEAD(queue_list, queue);

struct worker_held {
    uint32_t capacity;
    _Atomic(struct build *) slot[];
};

struct worker {
    uint64_t id;
    struct blob *name; /* its id in the protocol */
    _Atomic(struct blob *) title;
    _Atomic(struct blob *) tags; /* sorted, with commas between */
    _Atomic uint32_t state;
    _Atomic uint32_t slots;
    _Atomic uint32_t used;    /* volatile: slots taken, claims in flight included; any thread */
    _Atomic uint64_t seen_ms; /* volatile: running time; any thread */
    /* volatile: moves when a slot may have come free; waiting claims read it */
    _Atomic uint64_t left;
    _Atomic uint64_t done;
    _Atomic uint64_t failed;
    _Atomic uint64_t held_count;
    _Atomic(struct worker_held *) held;
    /* the committer alone */
    uint32_t captured;        /* engine/apply/snapshot_capture.h */
    uint64_t gone_lsn;        /* of its BYE; 0: it has not left */
    TAILQ_ENTRY(worker) gone; /* state.gone */
};

TAILQ_HEAD(worker_list, worker);

struct state {
    struct seq seq;
    _Atomic uint64_t lsn;
    uint64_t time_ms;
    struct index polls, labels, queues, workers, uniqs;
    struct index beginnings; /* of the words of labels: engine/state/label_index.h */
    struct table options, builds, poll_ids, queue_ids, worker_ids;
    _Atomic uint64_t option_count, build_next, poll_count, queue_count;
    /* the last ids that were given out */
    _Atomic uint64_t option_last, poll_last, queue_last;
    /* the committer alone: polls that are deleted, and their options; not in the counts above */
    uint64_t deleted_polls, deleted_options;
    _Atomic uint64_t worker_count; /* workers that have not left */
    _Atomic uint64_t worker_last;  /* as queue_last */
    _Atomic uint64_t builds_in_memory, payload_bytes;
    _Atomic uint64_t by_state[BUILD_STATES]; /* builds of all queues */
    _Atomic uint64_t votes;
    uint64_t trend_pools[TREND_POOLS]; /* apply alone; in a replay, each of the options its own */
    struct ledger ledger;
    /* the committer alone: all finished builds, oldest first, and forgotten in this order; the
     * first one whose bytes are kept; and the bytes that are kept */
    struct build_list ended;
    struct build *ended_kept;
    uint64_t ended_count, ended_bytes;
    struct queue_list idle;  /* ... queues without unfinished builds, the longest idle first */
    struct worker_list gone; /* the committer alone: workers in the order in which they left */
    struct keys keys;        /* the committer alone: requests that may be repeated */
    struct voter_set_list dropped;       /* the committer alone: sets to be freed, in slices */
    struct voter_set_list dropped_early; /* ... sets that the capture has not walked over yet */
    uint64_t voters_seed;                /* of their hashes; no record and no reply depends on it */
    struct capture *capture;     /* the committer alone: the snapshot that is being made, or NULL */
    uint32_t captures;           /* the committer alone: captures begun so far */
    struct rcu_retirer *retirer; /* NULL while there are no readers */
    /* the committer alone, or a replay's builds: what apply tells; borrowed; NULL: not wanted */
    struct event_buf *events;
};

/* Makes an empty state. Errors: NOMEM. */
int state_init(struct state *state);
void state_fini(struct state *state);

/* Frees p after a grace period, when no reader can have it any more. */
void state_retire(struct state *state, void *p, void (*free_fn)(void *p));

/* Finds the poll, queue or worker of a name, the build or option of an id; or returns NULL.
 * An option whose poll is deleted is found by state_option_any alone. */
struct poll *state_poll(const struct state *state, struct span name);
struct queue *state_queue(const struct state *state, struct span name);
struct worker *state_worker(const struct state *state, struct span name);
static inline struct option *state_option_any(const struct state *state, uint64_t id)
{
    return table_get(&state->options, id);
}
static inline struct option *state_option(const struct state *state, uint64_t id)
{
    struct option *option = state_option_any(state, id);
    return option != NULL && !FIELD_GET(option->poll->is_deleted) ? option : NULL;
}
/* Returns whether a voter has voted in a poll, and then how. Threads: the committer. */
static inline bool poll_voter(const struct poll *poll, struct span voter, struct voters_view *view)
{
    return poll->voter_set != NULL && voters_find(&poll->voter_set->voters, voter, view);
}
static inline uint64_t poll_voters(const struct poll *poll)
{
    return poll->voter_set != NULL ? poll->voter_set->voters.count : 0;
}
static inline struct build *state_build(const struct state *state, uint64_t id)
{
    return table_get(&state->builds, id);
}

/* The trends of an option's votes, of a poll's total, and of its generation. A RESET touches none
 * of an option: its count is that of its own generation, and 0 from the next one on, which the
 * trend of the poll's generation tells (trend_first_above). */
static inline struct trend option_trend(struct state *state, struct option *option)
{
    return (struct trend){&option->samples, &option->trend_until_ms,
                          &state->trend_pools[option->id % TREND_OPTION_POOLS], TREND_POOL_MAX};
}
static inline struct trend poll_trend(struct state *state, struct poll *poll)
{
    return (struct trend){&poll->samples, &poll->trend_until_ms,
                          &state->trend_pools[TREND_POOL_OF_POLLS], TREND_POOL_POLLS_MAX};
}
static inline struct trend poll_reset_trend(struct state *state, struct poll *poll)
{
    return (struct trend){&poll->reset_samples, &poll->reset_until_ms,
                          &state->trend_pools[TREND_POOL_OF_POLLS], TREND_POOL_POLLS_MAX};
}

/*
 * The memory of an entity, about: with its names, its places in indexes, tables and lists, and the
 * overhead of the allocator; without payload, result, error and trends. The weight is added to
 * LEDGER_ENTITIES when the entity is made and subtracted when it is retired; a part that changes is
 * weighed before and after.
 */
enum { WEIGHT_PLACES = 64, WEIGHT_ALLOCATION = 16 };
uint64_t blob_weight(const struct blob *blob);
uint64_t poll_weight(const struct poll *poll);
uint64_t poll_voters_weight(const struct voter_set *set);
uint64_t option_weight(const struct option *option);
uint64_t queue_weight(const struct queue *queue);
uint64_t need_set_weight(const struct need_set *set);
uint64_t worker_weight(const struct worker *worker);
uint64_t build_weight(const struct build *build);

/* The bytes of a build's payload, result and error; 0 when a FORGET has freed them. */
uint64_t build_bytes(const struct build *build);

/* "first/second": the key of a UNIQ (queue, uniq). By free(). */
struct blob *key_of_two(struct span first, struct span second);

/* The key of an option: the bytes of its poll's id, which no other poll ever gets, and the folded
 * label. By free(). */
enum { OPTION_KEY_POLL = sizeof(uint64_t) + 1 }; /* where the folded label begins */
struct blob *option_key_new(const struct poll *poll, struct span fold);
static inline struct span option_fold(const struct option *option)
{
    DCHECK(option->key->len >= OPTION_KEY_POLL);
    return (struct span){option->key->at + OPTION_KEY_POLL, option->key->len - OPTION_KEY_POLL};
}

/* Frees up to `pieces` pieces (engine/state/voters.h) of a set that is in no list any more, and
 * subtracts them from the ledger. Returns whether all is freed, the set itself included. */
bool poll_voters_free_some(struct state *state, struct voter_set *set, uint64_t pieces);

void option_free(void *option);
void poll_free(void *poll); /* REQUIRES: it has no voters */
void build_free(void *build);
void need_set_free(void *set);
void queue_free(void *queue);
void worker_free(void *worker);

#endif
