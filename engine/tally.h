/* tally as a C library: open a directory, count votes, hand out builds, close; with no network. */
#ifndef TALLY_ENGINE_TALLY_H
#define TALLY_ENGINE_TALLY_H

#include "wal/base/err.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 *     tally_open ─▶ tally ─── tally_session_new ─▶ session ─── tally_vote, tally_claim, ... ───┐
 *                     │              │                                                         │
 *                     │      one a thread, at most options.edges at a time                     │
 *                     │                                                                        │
 *     tally_close ◀───┴───────── tally_session_destroy, of all of them ◀───────────────────────┘
 *
 * A function that returns int returns 0, or a negative TALLY_ error (wal/base/err.h: its name and
 * a sentence for people). A function that returns an error has changed nothing, except for
 * tally_close. A call on a session returns when its answer, positive or negative, is on disk, so no
 * crash takes it back.
 *
 * Errors of every call on a session that changes something: READONLY, the disk is full, or the log
 * was removed; DRAINING, after tally_drain; NOMEM. Those that add to what is stored (poll, option,
 * worker, submit) have MEMORY, too: options.memory_bytes are used up.
 *
 * Names (of polls, queues, workers) are 1 to NAME_LEN_MAX of A-Z a-z 0-9 _ . -, and all limits
 * stand in engine/limits.h. Strings and payloads that are handed in are copied: the caller keeps
 * its own. engine/example.c uses all of it.
 */

struct tally;   /* the engine: one data directory, one committer thread */
struct session; /* one thread's blocking handle on it */

/* The machine's clocks. Threads: any, both of them. */
struct tally_clock {
    uint64_t (*wall_ms)(void *arg); /* since 1970; may jump */
    uint64_t (*mono_ns)(void *arg); /* never goes back */
    void *arg;
};

/* How a tally is opened. All zero but dir is a good choice. Owns: dir, clock and the struct are
 * borrowed for tally_open, io and the args of the functions until tally_close. */
struct tally_options {
    const char *dir;
    bool create;                /* make the directory when it is missing */
    unsigned edges;             /* threads that may have a session (or an edge) at once; 0: 4 */
    uint32_t payload_bytes_max; /* of tally_submit; 0: 1 MiB; at most BUILD_TEXT_BYTES_MAX */
    /* The bytes that clients can make the engine hold (engine/base/ledger.h); 0: half the memory
     * of the machine, or of its control group; UINT64_MAX: no limit. */
    uint64_t memory_bytes;
    uint64_t segment_bytes; /* of a file of the log; 0: 64 MiB */
    /* A snapshot is made after so many bytes of log, or so many seconds with a change; 0: 256 MiB,
     * or an eighth of what the file system can hold, if that is less; 900 s; UINT64_MAX: never for
     * that reason. */
    uint64_t snapshot_bytes;
    uint64_t snapshot_s;
    uint32_t snapshot_slice; /* for tests: entities looked at after a commit; 0: for 0.3 ms */
    /* A segment that the two newest snapshots do not need is removed when the log is larger, or the
     * segment is older, than this; 0: 8 GiB, or half of what the file system can hold, if that is
     * less; 7 days; UINT64_MAX: never for that reason. On a full disk it is removed in any case. */
    uint64_t retain_bytes;
    uint64_t retain_s;
    /*
     * Called when the process cannot go on: code is the exit code that says why (74: the log cannot
     * be written; 71: no memory; 70: a bug, a record contradicts the state). Calls that wait get no
     * answer. When fatal returns, the process ends by _exit(code). NULL: why is printed. Threads:
     * the committer's.
     */
    void (*fatal)(void *arg, int code, const char *why);
    void *fatal_arg;
    /* Called now and then while the log is read; percent never falls. NULL: nothing is reported.
     * Threads: that of tally_open. */
    void (*progress)(void *arg, unsigned percent);
    void *progress_arg;
    /*
     * Called when a file of the log was found damaged on the disk while the state in memory is
     * whole: the engine goes on, but the next start would fail. NULL: the message is printed.
     * Threads: one in the background; the function may not block, nor call anything here.
     */
    void (*warn)(void *arg, const char *what);
    void *warn_arg;
    /* Called when the next segment of the log cannot be made now (no space, no descriptor), and
     * when it was made after all. NULL: the message is printed. Threads: as warn. */
    void (*trouble)(void *arg, const char *what);
    void *trouble_arg;
    const struct tally_clock *clock; /* NULL: the machine's; else copied, for tests that turn it */
    struct wal_io *io; /* NULL: the real file system at dir; else borrowed, and dir is unused */
};

/* The result of tally_open, also when it has failed. */
struct tally_report {
    uint64_t records;           /* read from the log, behind the snapshot */
    uint64_t lsn;               /* of the last record; 0: there is none */
    uint64_t snapshot_lsn;      /* of the snapshot that was loaded; 0: none */
    bool clean;                 /* the log ended with a clean shutdown, or was new */
    bool torn;                  /* a torn tail was kept aside and cut */
    uint64_t disk_needed_bytes; /* by the log without history, and its snapshots */
    uint64_t disk_free_bytes;
    bool readonly;        /* the disk is full: new changes are refused */
    bool snapshot_passed; /* a damaged snapshot was left out: an older one was loaded, or none */
    char text[512];       /* for people: what was wrong, and where */
};

/*
 * Opens or creates the data in a directory, loads its newest snapshot and replays the log behind
 * it. Only one process at a time has a directory open.
 * Returns 0, and the engine in *out; *report is filled in any case.
 * Errors: NOTFOUND, the directory, or the one above it, is not there; EXISTS, one of them is
 * something else; DENIED, it may not be used; LOCKED, another process has it open; DAMAGE, what was
 * acknowledged cannot be read back, and nothing was changed (report->text says where); NEWER, a
 * later version wrote it; IO, NOSPC, NOMEM, THREAD.
 * Owns: the caller ends *out by tally_close.
 * Threads: any, one directory by one thread; blocks for the replay.
 */
int tally_open(struct tally **out, const struct tally_options *options,
               struct tally_report *report);

/*
 * Starts draining: from now on new work (poll, option, vote, worker, submit, claim) is refused with
 * DRAINING, and the ends of claims are still taken. Draining cannot be taken back.
 * Threads: any; does not block.
 */
void tally_drain(struct tally *tally);

/*
 * Drains, ends the committer and closes the log cleanly: the next tally_open finds nothing to
 * repair. A record of the engine's own, as the end of a lease, that finds no space on the disk is
 * tried for 10 s, one that finds the log removed not at all: then options.fatal is called with 74.
 * REQUIRES: all sessions and edges are gone, and all reads have ended.
 * Returns 0.
 * Errors: IO, the log could not be closed; the engine is gone all the same, and every change that
 * was answered is on disk.
 * Owns: frees the engine. Threads: one; blocks until the background threads have ended.
 */
int tally_close(struct tally *tally);

/*
 * Opens a session for the calling thread, which becomes the only one that may use it.
 * Returns 0, and the session in *out.
 * Errors: FULL, options.edges are in use; NOMEM.
 * Owns: the caller ends *out by tally_session_destroy, in the same thread.
 * Threads: any, each with one session at most; does not block.
 */
int tally_session_new(struct session **out, struct tally *tally);

/* Ends a session. Threads: its own; does not block, since every call has waited for its answer. */
void tally_session_destroy(struct session *session);

/* ---- votes; Threads, of this and all below: the session's own; a call blocks until its answer is
 * on disk, which takes one commit, or as long as the disk is full ---- */

/*
 * Creates a poll of this name; a poll that exists stays as it is. A new poll takes votes at once
 * and for ever (edge_poll has times and limits).
 * Errors: INVAL, it is no name; FULL, there are POLLS_MAX.
 */
int tally_poll(struct session *s, const char *name);

/*
 * Adds an option to a poll. The label is trimmed, at most LABEL_CHARACTERS_MAX long, UTF-8 and
 * printable; two labels of one poll differ in more than case.
 * Returns 0, and its id in *option.
 * Errors: EXISTS, the poll has this label already, and *option is its id; NOTFOUND, no such poll;
 * INVAL, name or label; FULL.
 */
int tally_option(struct session *s, const char *poll, const char *label, uint64_t *option);

/*
 * Adds n votes to an option, all in one step.
 * Returns 0, and in *votes_after the votes of the option just after them: no two votes get the same
 * number.
 * Errors: NOTFOUND, no such option; CLOSED, its poll takes no votes now; RANGE, n is not in
 * 1..VOTE_N_MAX, or the option has all the votes that it can count.
 */
int tally_vote(struct session *s, uint64_t option, uint64_t n, uint64_t *votes_after);

/*
 * Sets the votes of all options of a poll to 0, as one act: each vote is before it or behind it.
 * Returns 0, and in *votes_before the votes that the poll had.
 * Errors: NOTFOUND, no such poll; INVAL, it is no name.
 */
int tally_reset(struct session *s, const char *poll, uint64_t *votes_before);

/*
 * Deletes a poll, its options and its voters, as one act: its name is free for a new poll, its ids
 * are never given out again.
 * Errors: NOTFOUND, no such poll; INVAL, it is no name.
 */
int tally_polldel(struct session *s, const char *poll);

struct tally_count {
    uint64_t option;
    uint64_t votes;
};

/*
 * Reads a poll at one moment: its options, most votes first, then the lower id.
 * Returns 0, and in *count how many rows were filled in; the caller sets *count to the capacity of
 * rows.
 * Errors: NOTFOUND, no such poll; BUSY, votes come faster than they are counted: ask again; NOMEM.
 * With an error *count is 0.
 */
int tally_tally(struct session *s, const char *poll, struct tally_count *rows, size_t *count);

/* ---- builds ---- */

/*
 * Registers a worker, or brings back one that was silent or had left. It may hold `slots` builds at
 * once; 0: as many as before, 1 for a new one. A worker that gives no sign of life for five minutes
 * is offline.
 * Errors: INVAL, it is no name, or slots are more than WORKER_SLOTS_MAX; FULL, there are
 * WORKERS_MAX.
 */
int tally_worker(struct session *s, const char *worker, uint32_t slots);

/*
 * Adds a build to a queue, which is made when it is new. Priority, lease and tries are the defaults
 * (BUILD_PRI_DEFAULT, ...); edge_submit has them all.
 * Returns 0, and its id in *id.
 * Errors: INVAL, the queue is no name; TOOBIG, the payload is larger than
 * options.payload_bytes_max; FULL, the queue has QUEUE_OPEN_MAX unfinished builds, or there are
 * QUEUES_MAX queues with unfinished builds.
 */
int tally_submit(struct session *s, const char *queue, struct span payload, uint64_t *id);

/* A build that a worker holds, until the claim is ended with its token or the lease expires. */
struct tally_claim {
    uint64_t id;
    uint32_t token;    /* names this claim; ends it */
    uint32_t attempt;  /* 1 for the first */
    uint64_t lease_ms; /* left of the lease; when it expires the build is offered again */
    void *payload;     /* owned by the caller: free() */
    size_t payload_bytes;
    bool again; /* the worker holds it already, and has no free slot for another one */
};

/*
 * Takes the next build of a queue for a worker: the highest priority, then the oldest offer. A
 * worker without a free slot is told again what it holds.
 * Returns 0, and the build in *claim; 1 when there is nothing to claim.
 * Errors: NOTFOUND, no such worker; OFFLINE, it was silent: tally_worker brings it back; NOMEM, but
 * the build may be held: it is told again, or it is offered when its lease expires.
 * Owns: claim->payload is the caller's, by free().
 */
int tally_claim(struct session *s, const char *worker, const char *queue,
                struct tally_claim *claim);

/*
 * Ends a claim: the build is completed, with a result, which may be empty. A repeated call with the
 * same token and result returns 0 again.
 * Errors: NOTFOUND, no such build; STALE, the token does not hold it any more; EXISTS, it was
 * completed by this token with another result, which stays; TOOBIG, the result is larger than
 * BUILD_TEXT_BYTES_MAX; MEMORY, never for an empty result. Not DRAINING; READONLY only when the
 * reserve of the disk is used up, too.
 */
int tally_done(struct session *s, uint64_t id, uint32_t token, struct span result);

/*
 * Ends a claim: the attempt has failed, with a text for people, which may be empty. The build is
 * offered again, or fails for good after its last try. A repeated call with the same token before
 * the next claim returns 0 again, and the first text stays.
 * Errors: as tally_done, but for EXISTS.
 */
int tally_fail(struct session *s, uint64_t id, uint32_t token, struct span text);

/*
 * Gives a build back: it is offered again, and the attempt is not counted. A repeated call with the
 * same token before the next claim returns 0 again.
 * Errors: NOTFOUND, STALE, READONLY, as tally_done.
 */
int tally_release(struct session *s, uint64_t id, uint32_t token);

#endif
