/* The edge: one thread's handle on the engine, where steps are decided and requests are ordered. */
#ifndef TALLY_ENGINE_EDGE_H
#define TALLY_ENGINE_EDGE_H

#include "engine/limits.h"
#include "wal/base/err.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * How a caller uses it, once a pass:
 *
 *     edge_pass_begin ── requests ── edge_flush ── edge_publish ── answer what is applied ──
 *         edge_free ── edge_pass_end ── (edge_may_sleep? block, edge_awake)
 *
 * Every request function returns one of
 *   0            done at the edge, or appended: the reply (OK with what the call filled in, or the
 *                result) may leave once edge_applied() >= the edge_tail() of that moment;
 *   EDGE_NIL     there is nothing to claim, which is certain: the reply may leave now;
 *   TALLY_PARK   the answer is not known before the next commit: ask again, unchanged, when
 *                edge_commits() has moved (rules 8 to 10 of the design);
 *   TALLY_ROOM   the lane is full: ask again, unchanged, when edge_applied() has moved and
 *                edge_free() was called;
 *   other < 0    refused for certain, nothing changed: ERR may leave now.
 *
 * "May leave" is the engine's rule; a connection still answers in request order. It also holds back
 * a request that could see what an earlier request of its own is still changing (rule 8): a read, a
 * claim, or an ordered request that names what an earlier ordered one creates.
 *
 * Errors below are named without TALLY_; PARK and ROOM are described above, and
 *   READONLY     the disk has no room for new work (an end of a claim: not even in its reserve)
 *   DRAINING     tally_drain was called
 *   MEMORY       the memory for clients is used up (engine/base/ledger.h); NOMEM: the machine's
 *   NOTFOUND     there is none of this name or id, as committed
 *   STALE        the token does not hold the build, as committed
 *
 * Owns: spans that are handed in are borrowed for the call; spans that are handed out live until
 * edge_pass_end. Threads: the one that opened the edge, for all that takes one; none of it blocks.
 */
enum {
    EDGE_NIL = 1,
    EDGE_QUEUED = 2, /* edge_read: the rows will come */
    EDGE_DUP = 3,    /* edge_done: another result was given before and stays */
    EDGE_SLOTS = 4,  /* edge_claim: the worker has no free slot */
};

struct tally; /* the engine: engine/tally.h */
struct edge;
struct ledger; /* engine/base/ledger.h */

/*
 * Opens an edge for the calling thread, which becomes the only one that may use it. wake(arg) is
 * called by the committer, at most once a commit, and by the reader, only while the edge sleeps.
 * Returns 0, and the edge in *out.
 * Errors: FULL, options.edges are in use; NOMEM.
 * Owns: the caller ends *out by edge_destroy, in the same thread; arg is borrowed until then.
 * Threads: any, each with one edge or session at most.
 */
int edge_new(struct edge **out, struct tally *tally, void (*wake)(void *arg), void *arg);

/* Gives an edge back. REQUIRES: everything appended is applied, and every read has ended. */
void edge_destroy(struct edge *edge);

/* A pass has one log time, and pointers that reads and claims give out live until its end. A pass
 * that does not end keeps memory from being freed and polls from being closed. */
void edge_pass_begin(struct edge *edge);
void edge_pass_end(struct edge *edge);

/*
 * Asks whether the owner may block in the kernel.
 * Returns true when the owner may block: from then on each commit calls wake, until edge_awake,
 * which must be called after blocking. Returns false when a commit has come since the last
 * edge_awake or edge_may_sleep: make another pass first; edge_awake is not called then.
 * REQUIRES: between two passes.
 */
bool edge_may_sleep(struct edge *edge);
void edge_awake(struct edge *edge);

/* Returns how many records were appended since the edge was made: a lane position. */
uint64_t edge_tail(const struct edge *edge);

/* Returns the lane position below which everything is durable and applied. Order: acquire; the
 * state that was applied is seen. */
uint64_t edge_applied(const struct edge *edge);

/*
 * Returns the number of the engine's commits: a parked request may be asked again when the number
 * has moved. Read it, like edge_offers, before a request is asked: a commit that comes in between
 * must count as moved.
 * Order: acquire.
 */
uint64_t edge_commits(const struct edge *edge);

/* Results below this lane position have been read, or are of no interest; their slots may be used
 * again. REQUIRES: pos does not go back, and is no more than edge_applied(); edge_apply_result has
 * not said PARK for any of them. */
void edge_free(struct edge *edge, uint64_t pos);

/* Hands the appended records to the committer, and wakes it if it sleeps. Cheap when there are no
 * new ones. Order: release; the committer sees the slots whole. */
void edge_publish(struct edge *edge);

/* ---- votes ---- */

struct edge_vote {
    uint32_t slot;
    uint32_t ordinal; /* votes of this pass up to and with this one */
};

/*
 * Adds n votes for an option. Votes of one pass for one option are combined: the step itself is
 * made by edge_flush, and only then edge_votes_after can tell the number.
 * Returns 0, and *vote for edge_votes_after.
 * Errors: NOTFOUND; CLOSED, the poll takes no votes now; INVAL, its mode asks for a voter; RANGE, n
 * is not in 1..VOTE_N_MAX, or the count would pass 2^39; READONLY, DRAINING, PARK, ROOM.
 */
int edge_vote(struct edge *edge, uint64_t option, uint64_t n, struct edge_vote *vote);

/* Makes the steps of all votes since the last flush. Never fails: edge_vote returns ROOM when the
 * lane is full. Order: each step is one acq_rel RMW. */
void edge_flush(struct edge *edge);

/* Returns the count just after this vote. REQUIRES: it was flushed, and no edge_vote came since. */
uint64_t edge_votes_after(const struct edge *edge, struct edge_vote vote);

/* Finds an option by poll and label, without regard to case. Returns 0, and its id in *option.
 * Errors: NOTFOUND, NOMEM. */
int edge_option_find(struct edge *edge, struct span poll, struct span label, uint64_t *option);

/* ---- builds: steps ---- */

struct edge_claim {
    struct span worker;
    struct span queues[CLAIM_QUEUES_MAX];
    unsigned queue_count;
    uint32_t lease_ms; /* 0: the lease of the build */
    bool fresh_only;   /* at the slot limit: EDGE_NIL instead of a build it already holds */
    bool waits;        /* at the slot limit: EDGE_SLOTS instead */
};

struct edge_claimed {
    uint64_t id;
    uint32_t token;
    uint32_t attempt;  /* 1 for the first */
    uint64_t lease_ms; /* left of the lease */
    struct span queue;
    struct span payload; /* queue and payload live until edge_pass_end */
    uint64_t worker;     /* its id; set with EDGE_NIL and EDGE_SLOTS, too */
    uint64_t left;       /* edge_worker_left before the claim; set like worker */
    bool again;          /* the worker holds it already; nothing was appended */
};

/*
 * Takes the next build for a worker: the highest priority, then the oldest offer. A worker without
 * a free slot is told again what it holds, unless fresh_only or waits.
 * Returns 0, and the build in *got; EDGE_NIL, there is nothing to claim; EDGE_SLOTS.
 * Errors: NOTFOUND, no such worker, or it has left; OFFLINE, it was silent; RANGE, lease_ms is more
 * than BUILD_LEASE_MS_MAX; READONLY, DRAINING, PARK, ROOM.
 */
int edge_claim(struct edge *edge, const struct edge_claim *ask, struct edge_claimed *got);

/*
 * Tells a worker at its slot limit again what it holds: the build of the lowest id above *after,
 * and *after is set to that id. Nothing is appended.
 * Returns 0; EDGE_NIL when there is no further build. Errors: NOTFOUND, OFFLINE, PARK.
 */
int edge_claim_again(struct edge *edge, const struct edge_claim *ask, uint64_t *after,
                     struct edge_claimed *got);

/* Returns a number that moves when a slot of the worker may have come free, or the worker has left.
 */
uint64_t edge_worker_left(const struct edge *edge, uint64_t worker);

/* Says that a claim of the worker waits, so the worker is not silent. */
void edge_worker_waits(struct edge *edge, uint64_t worker);

/*
 * Heartbeat: renews the lease. prog is the progress in percent, 0..100, or -1 for none. The first
 * heartbeat of a claim moves the build from assigned to building by a record; later ones append
 * none.
 * Returns 0, and the lease in *lease_ms.
 * Errors: NOTFOUND, STALE, PARK; a first heartbeat: READONLY, ROOM.
 */
int edge_beat(struct edge *edge, uint64_t id, uint32_t token, int prog, uint64_t *lease_ms);

/*
 * Ends a claim with a result, which is copied and may be empty.
 * Returns 0, also when the call is repeated with the same token; EDGE_DUP, repeated with another
 * result, and the first one stays.
 * Errors: NOTFOUND, STALE, READONLY; TOOBIG, more than BUILD_TEXT_BYTES_MAX; MEMORY, with a result
 * only; NOMEM, PARK, ROOM.
 */
int edge_done(struct edge *edge, uint64_t id, uint32_t token, struct span result);

struct edge_fail {
    uint64_t id;
    uint32_t token;
    uint32_t delay_ms; /* before it is offered again */
    bool dead;         /* no further attempt */
    struct span text;  /* the error for people, copied */
};

struct edge_failed {
    bool final;             /* the build has failed for good */
    uint32_t attempts_left; /* when it has not */
    bool dup;               /* a repeated FAIL with another text; the first text stays */
};

/*
 * Ends a claim that has failed: the build is offered again, at once or after the delay, or it fails
 * for good: with dead, or after its last try.
 * Returns 0, and *how; the same when the call is repeated before the next claim, with the same
 * delay and dead.
 * Errors: those of edge_done; RANGE, delay_ms is more than BUILD_DELAY_MS_MAX.
 */
int edge_fail(struct edge *edge, const struct edge_fail *ask, struct edge_failed *how);

/*
 * Gives a build back; the attempt is not counted.
 * Returns 0, also when the call is repeated with the same delay before the next claim.
 * Errors: NOTFOUND, STALE, READONLY, RANGE as edge_fail, PARK, ROOM.
 */
int edge_release(struct edge *edge, uint64_t id, uint32_t token, uint32_t delay_ms);

/*
 * Takes a claim back whose reply did not reach the worker. It works like edge_release, but is no
 * sign of life of the worker. A claim is either taken back or told again, never both.
 * Errors: NOTFOUND; STALE, also when the worker knows of the claim all the same: it has sent a
 * BEAT, or was told again; READONLY, PARK, ROOM.
 */
int edge_take_back(struct edge *edge, uint64_t id, uint32_t token);

/*
 * ---- ordered requests: apply decides them, in log order ----
 *
 * Each function returns 0 when the request is appended; edge_apply_result then returns its result,
 * which "Result" describes. Errors of all of them, returned at once: INVAL, a field of the request
 * is out of bounds (engine/log/bounds.h); READONLY, DRAINING, NOMEM, ROOM; of those that add to the
 * state: MEMORY. Texts are copied.
 */

struct edge_submit {
    struct span queue;   /* a name; the queue is made when it is new */
    struct span need;    /* tags with commas between, or empty */
    struct span uniq;    /* or empty */
    struct span payload; /* copied */
    struct span key;     /* or empty */
    uint32_t pri;        /* 0..9, 0 first */
    uint32_t delay_ms;
    uint32_t lease_ms;
    uint32_t tries;
};

/*
 * Requests with a key: the first reply is remembered (engine/state/keys.h). A request of the same
 * type with the same key and the same fields changes nothing and has the first reply as its result,
 * with dup set; with other fields its result is EXISTS, with dup set, too.
 */

/* Adds a build. Result: its id; or EXISTS, an unfinished build of the queue has this uniq, and the
 * value is its id; FULL, the limit of the queue, of its need sets, or of all queues is reached.
 * Errors: FULL, there are too many tags. */
int edge_submit(struct edge *edge, const struct edge_submit *ask);

enum { EDGE_KEEP = -1 };

struct edge_poll {
    struct span name;
    int64_t open_ms;  /* wall time, 0 for "always"; EDGE_KEEP: as it was */
    int64_t close_ms; /* wall time, 0 for "never"; EDGE_KEEP */
    int64_t rate_n;   /* votes in rate_ms by the same client, 0 for no limit; EDGE_KEEP */
    int64_t rate_ms;  /* with rate_n: both are named or both are kept */
    int64_t mode;     /* enum poll_mode; EDGE_KEEP: free, for a new poll */
};

/* Creates a poll, or alters the fields that are not EDGE_KEEP. Result: 0, when the poll has this
 * mode and is open or closed as its times say; or FULL, there are POLLS_MAX. */
int edge_poll(struct edge *edge, const struct edge_poll *ask);

/* Adds an option; the label is trimmed. Result: its id; or NOTFOUND, no such poll; EXISTS, the poll
 * has this label, and the value is its id; FULL. Errors: NOTFOUND, when that is already certain. */
int edge_option(struct edge *edge, struct span poll, struct span label, struct span key);

/*
 * Sets the votes of all options of a poll to 0, as one act: each vote is before it or behind it.
 * Result: the votes that the poll had. Errors: NOTFOUND; PARK, the poll may be made by a request
 * that is under way.
 */
int edge_reset(struct edge *edge, struct span poll, struct span key);

/* Deletes a poll, its options and its voters, as one act. Result: nothing, or NOTFOUND, another
 * request has deleted it. Errors: NOTFOUND; PARK, this and what else names the poll, while another
 * POLLDEL of it is on its way. */
int edge_polldel(struct edge *edge, struct span poll);

struct edge_worker {
    struct span id;
    struct span name; /* for people; at NULL: as it was */
    struct span tags; /* with commas between; at NULL: as they were */
    uint32_t slots;   /* 0: as it was */
};

/* Registers a worker or brings it back. Result: 0 for a new worker, 1 for a known one; or FULL,
 * there are WORKERS_MAX. Errors: FULL, there are too many tags. */
int edge_worker(struct edge *edge, const struct edge_worker *ask);

/* A worker leaves, and its builds go back. Result: the number of these builds, when they are
 * offered again; or NOTFOUND. Errors: NOTFOUND, when that is already certain. */
int edge_bye(struct edge *edge, struct span worker);

struct edge_ballot {
    uint64_t options[BALLOT_OPTIONS_MAX]; /* ids, of one poll */
    unsigned option_count;
    uint64_t n; /* votes; 1 where each voter has one vote */
    struct span voter;
    struct span key;  /* or empty */
    int unless_known; /* 0; or the refusal that it gets unless the KEY is known: RATE, BUSY ... */
    uint64_t unless_value;
};

/*
 * Votes in a way that needs more than edge_vote: for a voter, with a key, for several options. In a
 * poll of mode once or change a ballot needs a voter, may have several options, all of which count
 * or none, and n is 1; in a free poll it has one option, and the voter is only noted in the log.
 * Result: the counts just after this ballot, in the order of the options; or NOTFOUND; CLOSED;
 * VOTED, the voter has voted in a poll of mode once; RANGE; INVAL, the poll's mode has changed; or
 * unless_known, with unless_value as its number.
 * Errors: NOTFOUND; INVAL also when the poll's mode, or another poll of one of the options, speaks
 * against it; RANGE, n; CLOSED, unless it has a key; PARK.
 */
int edge_ballot(struct edge *edge, const struct edge_ballot *ask);

/* Takes a voter's vote back. Result: the counts just after it, in the order of the voter's options;
 * nil, the voter has no vote; or NOTFOUND, CLOSED; INVAL, the poll is free. Errors: NOTFOUND, when
 * that is already certain; PARK. */
int edge_unvote(struct edge *edge, struct span poll, struct span voter, struct span key);

struct edge_seed {
    uint64_t option;
    uint64_t n;
    uint64_t over_ms; /* at most SEED_OVER_MS_MAX */
    struct span key;  /* or empty */
};

/* Adds votes that are dated back, spread evenly over the last over_ms, but not behind the last
 * RESET of the poll. Result: the option's votes just after them; or NOTFOUND; CLOSED; RANGE;
 * DENIED, the poll is not free. Errors: the same, when it is already certain; PARK. */
int edge_seed(struct edge *edge, const struct edge_seed *ask);

/* The reply to an ordered request that was taken. */
struct edge_result {
    uint64_t value;      /* the one number that most replies have: an id, a count */
    bool nil;            /* there was nothing to do */
    bool dup;            /* the first reply to this KEY once more; with EXISTS: the KEY was another
                             request's */
    uint8_t value_count; /* numbers at `values`, one for each option of a ballot; 0: `value` says
                             all */
    uint8_t prev_count;  /* numbers at `prev` */
    const uint64_t *values;
    const uint64_t *prev; /* the options that had the voter's vote before */
};

/*
 * Reads the result of the ordered request that was appended last when edge_tail() was pos.
 * Returns 0, and the reply in *result; the refusal, and its number in result->value; PARK, the
 * request is not answered yet, or its effects are still to come: ask again after the next commit.
 * REQUIRES: edge_applied() >= pos, and edge_free(pos) was not called yet.
 * Owns: the numbers live until edge_free(pos).
 */
int edge_apply_result(struct edge *edge, uint64_t pos, struct edge_result *result);

/* ---- limits and waiting ---- */

/* Reads the vote limit of the poll of an option: n votes in per_ms for each client, and the poll's
 * id. Returns false when the poll has no limit. */
bool edge_vote_rate(struct edge *edge, uint64_t option, uint64_t *n, uint64_t *per_ms,
                    uint64_t *poll);

/* Returns 0 while the poll of an option takes plain votes, or ballots; else what edge_vote and
 * edge_ballot would say of one: CLOSED, INVAL, PARK, NOTFOUND. */
int edge_vote_window(const struct edge *edge, uint64_t option, bool is_ballot);

/* Returns a number that moves when a build is offered in some queue, or some worker has other tags
 * or has left: waiting claims then ask again. Order: acquire. */
uint64_t edge_offers(const struct edge *edge);

struct edge_snapshot {
    uint64_t lsn;
    uint64_t bytes; /* of its file */
};

/*
 * Asks for a snapshot of the state that is committed now or later. The first call has *ticket 0;
 * after each commit the caller asks again with the ticket that it got. With the answer *ticket is 0
 * again.
 * Returns 0 when the snapshot counts, and *done describes it. Errors: PARK, until there is an
 * answer; IO, it could not be made; READONLY, the log that it would belong to was removed.
 */
int edge_snapshot(struct edge *edge, uint64_t *ticket, struct edge_snapshot *done);

/* Returns the ledger in which the caller counts the bytes that it holds for its clients. Owns: the
 * engine's. Threads: any. */
struct ledger *edge_ledger(const struct edge *edge);
struct ledger *tally_ledger(struct tally *tally);

/* Returns TALLY_OK, READONLY or DRAINING: the answer that new work would get now. */
int edge_mode(const struct edge *edge);

#endif
