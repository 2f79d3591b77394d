/* The edge: one thread's handle on the engine, where steps are decided and ordered requests begin.
 */
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
 *   EDGE_NIL     nothing there (a claim), certain: the reply may leave now;
 *   TALLY_PARK   cannot be known before the next commit: ask again, unchanged, when
 *                edge_commits() has moved (rules 8 to 10 of the design);
 *   TALLY_ROOM   the lane is full: ask again, unchanged, when edge_applied() has moved and
 *                edge_free() was called;
 *   other < 0    refused, certain, nothing changed: ERR may leave now.
 *
 * "May leave" is from the engine's side; a connection still answers in request order, and it holds
 * back a request that could see what an earlier one of its own is still changing (rule 8): a read,
 * a claim, or an ordered request that names what an earlier ordered one creates.
 */
enum { EDGE_NIL = 1, EDGE_QUEUED = 2, EDGE_DUP = 3, EDGE_SLOTS = 4 };

struct tally; /* the engine: engine/tally.h */
struct edge;
struct ledger; /* engine/base/ledger.h */

/*
 * Opens an edge for the calling thread, which becomes the only one that may use it. wake(arg) is
 * called from the committer, at most once a commit, only while the edge sleeps. A thread has one
 * edge. Errors: TALLY_NOMEM; TALLY_FULL when all lanes are taken.
 */
int edge_new(struct edge **out, struct tally *tally, void (*wake)(void *arg), void *arg);

/* Everything appended must be applied. Threads: the owner. */
void edge_destroy(struct edge *edge);

/* A pass: pointers that reads and claims gave out live until its end. Threads: the owner. */
void edge_pass_begin(struct edge *edge);
void edge_pass_end(struct edge *edge);

/*
 * True when the owner may block in the kernel: from then on each commit calls wake. False when a
 * commit has come since the last edge_awake or edge_may_sleep: make another pass first.
 * After blocking, and only after true, call edge_awake.
 */
bool edge_may_sleep(struct edge *edge);
void edge_awake(struct edge *edge);

/* Lane positions count records appended since the start. */
uint64_t edge_tail(const struct edge *edge);

/* Everything below this position is durable and applied. Order: acquire. */
uint64_t edge_applied(const struct edge *edge);

/* Counts commits of the engine; what was parked may be asked again when it has moved. Sample it,
 * like edge_offers, before a request is asked: what came in between must count as moved. */
uint64_t edge_commits(const struct edge *edge);

/* Verdicts below pos have been read; their slots may be used again. pos <= edge_applied. */
void edge_free(struct edge *edge, uint64_t pos);

/* Hands what was appended to the committer; wakes it if it sleeps. Cheap when nothing is new. */
void edge_publish(struct edge *edge);

/* ---- votes ---- */

struct edge_vote {
    uint32_t slot;
    uint32_t ordinal; /* votes of this pass up to and with this one */
};

/*
 * Adds n votes for an option. Votes of one pass for one option are combined: the step itself is
 * made by edge_flush, and only then edge_votes_after can tell the number.
 * Errors: NOTFOUND, CLOSED, RANGE (n not in 1..2^20, or the counter is near its end), READONLY,
 * DRAINING, PARK, ROOM.
 */
int edge_vote(struct edge *edge, uint64_t option, uint64_t n, struct edge_vote *vote);

/* Makes the steps of all votes since the last flush. Never fails: the room was made sure of. */
void edge_flush(struct edge *edge);

/* The count just after this vote. Valid from the flush until the next edge_vote. */
uint64_t edge_votes_after(const struct edge *edge, struct edge_vote vote);

/* Finds an option by poll and label, without regard to case. Errors: NOTFOUND. */
int edge_option_find(struct edge *edge, struct span poll, struct span label, uint64_t *option);

/* ---- builds: steps ---- */

struct edge_claim {
    struct span worker;
    struct span queues[CLAIM_QUEUES_MAX];
    unsigned queue_count;
    uint32_t lease_ms; /* 0: as the build says */
    bool fresh_only;   /* at the slot limit: EDGE_NIL instead of a build it holds already */
    bool waits;        /* at the slot limit: EDGE_SLOTS instead */
};

struct edge_claimed {
    uint64_t id;
    uint32_t token;
    uint32_t attempt;  /* 1 for the first */
    uint64_t lease_ms; /* what is left */
    struct span queue;
    struct span payload; /* both until edge_pass_end */
    uint64_t worker; /* with EDGE_SLOTS, for edge_worker_left: which, and what that said before */
    uint64_t left;
    bool again; /* held already; nothing was appended */
};

/*
 * Takes the next build for a worker: the highest priority, then the oldest offer.
 * Errors: NOTFOUND (worker), OFFLINE, READONLY, DRAINING, PARK, ROOM; EDGE_NIL.
 */
int edge_claim(struct edge *edge, const struct edge_claim *ask, struct edge_claimed *got);

/*
 * At the slot limit, what it holds: the build of the lowest id above *after, which is set to it.
 * Errors: those of edge_claim; EDGE_NIL: that was all.
 */
int edge_claim_again(struct edge *edge, const struct edge_claim *ask, uint64_t *after,
                     struct edge_claimed *got);

/* Moves when a slot of the worker may have come free, or it has left. */
uint64_t edge_worker_left(const struct edge *edge, uint64_t worker);

/*
 * Heartbeat: a fresh lease; prog 0..100 or -1 for none.
 * Errors: NOTFOUND, STALE, READONLY (a first beat), PARK, ROOM.
 */
int edge_beat(struct edge *edge, uint64_t id, uint32_t token, int prog, uint64_t *lease_ms);

/*
 * Ends a claim with a result (may be empty), copied. Repeated with the same token: 0
 * again; EDGE_DUP with another result, and the first one stays.
 * Errors: NOTFOUND, STALE, READONLY (no reserve left), MEMORY (a result, and no memory for clients
 * is left), NOMEM, PARK, ROOM.
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
    bool final;             /* it is failed for good */
    uint32_t attempts_left; /* else */
    bool dup;               /* it was asked before, with another text, which stays */
};

/*
 * Errors: NOTFOUND, STALE, READONLY, RANGE, TOOBIG, MEMORY, NOMEM, PARK, ROOM. Repeated before the
 * next claim, with the same delay and dead: the same again.
 */
int edge_fail(struct edge *edge, const struct edge_fail *ask, struct edge_failed *how);

/* Gives back, the attempt not counted. Repeated with the same delay before the next claim: 0 again.
 * Errors: NOTFOUND, STALE, READONLY, RANGE, PARK, ROOM. */
int edge_release(struct edge *edge, uint64_t id, uint32_t token, uint32_t delay_ms);

/*
 * The reply to a claim did not reach the worker: as edge_release, but no sign of life of it. STALE
 * also when the worker knows of the claim all the same: it has sent a BEAT, or was told again. Of
 * this and being told again only one comes about.
 */
int edge_take_back(struct edge *edge, uint64_t id, uint32_t token);

/* ---- ordered requests: the result comes from edge_apply_result ----
 * Errors of those that add to the state: MEMORY, at the ceiling of the ledger. */

struct edge_submit {
    struct span queue;   /* a name; the queue is made when it is new */
    struct span need;    /* tags with commas between, or empty */
    struct span uniq;    /* or empty */
    struct span payload; /* copied */
    uint32_t pri;        /* 0..9, 0 first */
    uint32_t delay_ms;
    uint32_t lease_ms;
    uint32_t tries;
};

/* Result: the id; or EXISTS (an unfinished build has this uniq: value is its id), FULL. */
int edge_submit(struct edge *edge, const struct edge_submit *ask);

enum { EDGE_KEEP = -1 };

struct edge_poll {
    struct span name;
    int64_t open_ms;  /* wall time, 0 for "always"; EDGE_KEEP: as it was */
    int64_t close_ms; /* wall time, 0 for "never"; EDGE_KEEP */
    int64_t rate_n;   /* votes per client address in rate_ms, 0 for no limit; EDGE_KEEP */
    int64_t rate_ms;  /* with rate_n: both are named or both are kept */
};

/* Creates a poll or alters what is named. Errors: INVAL. Result: 0; FULL. */
int edge_poll(struct edge *edge, const struct edge_poll *ask);

/* Adds an option; the label is trimmed. Result: the id; NOTFOUND, EXISTS (its id), INVAL, FULL. */
int edge_option(struct edge *edge, struct span poll, struct span label);

struct edge_worker {
    struct span id;
    struct span name; /* for people; at NULL: as it was */
    struct span tags; /* with commas between; at NULL: as they were */
    uint32_t slots;   /* 0: as it was */
};

/* Registers a worker or brings it back. Result: 0 for new, 1 for again; FULL, INVAL. */
int edge_worker(struct edge *edge, const struct edge_worker *ask);

/* A worker leaves; its builds go back. Result: how many. Errors: NOTFOUND at once or as result.*/
int edge_bye(struct edge *edge, struct span worker);

/*
 * The result of the ordered request that was appended last when edge_tail() was pos.
 * Returns 0 or the refusal, with the number in *value; TALLY_PARK when it is applied but what it
 * set going is not yet: ask again after the next commit. Valid until edge_free(pos).
 */
int edge_apply_result(struct edge *edge, uint64_t pos, uint64_t *value);

/* ---- what a client address may do ---- */

/* The limit of votes for the poll of an option: false when it has none. */
bool edge_vote_rate(struct edge *edge, uint64_t option, uint64_t *n, uint64_t *per_ms,
                    uint64_t *poll);

/* True once some queue was offered a build since the edge last asked; then waiting claims ask. */
uint64_t edge_offers(const struct edge *edge);

struct edge_snapshot {
    uint64_t lsn;
    uint64_t bytes; /* of its file */
};

/*
 * Asks for a snapshot of what is committed now or later, and waits for it: first with *ticket 0,
 * then again after each commit with what it left there. Returns TALLY_PARK until there is an
 * answer; 0: one counts; TALLY_IO: it could not be made. With the answer *ticket is 0 again.
 */
int edge_snapshot(struct edge *edge, uint64_t *ticket, struct edge_snapshot *done);

/* Where the caller counts what it holds for its clients. */
struct ledger *edge_ledger(const struct edge *edge);
struct ledger *tally_ledger(struct tally *tally);

/* TALLY_OK, TALLY_READONLY or TALLY_DRAINING: what a new mutation would be told now. */
int edge_mode(const struct edge *edge);

#endif
