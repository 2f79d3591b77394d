/* tally as a C library: open a directory, count votes, hand out builds, close; no network needed.
 */
#ifndef TALLY_ENGINE_TALLY_H
#define TALLY_ENGINE_TALLY_H

#include "wal/base/err.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally;   /* the engine: one data directory, one committer thread */
struct session; /* one thread's blocking handle on it */

/* The machine's clocks. Threads: any, both of them. */
struct tally_clock {
    uint64_t (*wall_ms)(void *arg); /* since 1970; may jump */
    uint64_t (*mono_ns)(void *arg); /* never goes back */
    void *arg;
};

struct tally_options {
    const char *dir;
    bool create;                /* make the directory when it is missing */
    unsigned edges;             /* how many threads will open an edge or a session; 0: 4 */
    uint32_t payload_bytes_max; /* 0: 1 MiB */
    /* What clients can make it hold (engine/base/ledger.h); 0: half of what the machine, or its
     * control group, has; UINT64_MAX: no limit. */
    uint64_t memory_bytes;
    uint64_t segment_bytes; /* 0: 64 MiB */
    /* A snapshot is made after so many bytes of log, or so many seconds with a change; 0: 256 MiB,
     * or an eighth of what the file system can hold, if that is less; 900 s; UINT64_MAX: never for
     * that reason. */
    uint64_t snapshot_bytes;
    uint64_t snapshot_s;
    uint32_t snapshot_slice; /* for tests: entities looked at after a commit; 0: for 0.3 ms */
    /* Segments that two snapshots do not need go when the log is larger, or they are older, than
     * this; 0: 8 GiB, or half of what the file system can hold, if that is less; 7 days;
     * UINT64_MAX: never for that reason. On a full disk they go in any case. */
    uint64_t retain_bytes;
    uint64_t retain_s;
    /*
     * Called when the log cannot be written any more (or was found to contradict itself): code is
     * the exit code that says so. It must not return to work as usual. NULL: print why and
     * _exit(code).
     */
    void (*fatal)(void *arg, int code, const char *why);
    void *fatal_arg;
    /* Called now and then while the log is read, percent never falling. NULL: nobody. */
    void (*progress)(void *arg, unsigned percent);
    void *progress_arg;
    /*
     * Called when a file of the log was found damaged on the disk while all is whole in memory:
     * nothing stops, but the next start would not go through. From a background thread; it may not
     * block. NULL: print what.
     */
    void (*warn)(void *arg, const char *what);
    void *warn_arg;
    /* Called when the log cannot have its next segment now (no space, no descriptor), and when it
     * has it after all; threads as warn. NULL: print what. */
    void (*trouble)(void *arg, const char *what);
    void *trouble_arg;
    const struct tally_clock *clock; /* NULL: the machine's; else copied, for tests that turn it */
    struct wal_io *io; /* NULL: the real file system at dir; else borrowed, and dir is unused */
};

/* What open found; text is for people. */
struct tally_report {
    uint64_t records;
    uint64_t lsn;               /* of the last record */
    uint64_t snapshot_lsn;      /* of the snapshot that was loaded; 0: none */
    bool clean;                 /* the log ended with a clean shutdown, or was new */
    bool torn;                  /* a torn tail was kept aside and cut */
    uint64_t disk_needed_bytes; /* by the log without history, and its snapshots */
    uint64_t disk_free_bytes;
    bool readonly;        /* the disk is full: new changes are refused */
    bool snapshot_passed; /* one is damaged, and the one before it was taken, or none */
    char text[512];
};

/*
 * Opens or creates the data in a directory and replays its log.
 * Errors: TALLY_LOCKED, TALLY_DAMAGE, TALLY_NEWER, TALLY_IO, TALLY_NOSPC, TALLY_NOMEM,
 * TALLY_THREAD; TALLY_NOTFOUND: the directory, or the one above it, is not there; TALLY_EXISTS:
 * one of them is something else; TALLY_DENIED: it may not be used; the report says why. Threads:
 * one; blocks for the replay.
 */
int tally_open(struct tally **out, const struct tally_options *options,
               struct tally_report *report);

/* From now on every new mutation is refused with TALLY_DRAINING; completions go on. Any thread. */
void tally_drain(struct tally *tally);

/* All sessions and edges must be gone. Ends the log cleanly. Errors: TALLY_IO. */
int tally_close(struct tally *tally);

/* Threads: a session belongs to the thread that made it, one to a thread; each call blocks until
 * its answer is durable. */
int tally_session_new(struct session **out, struct tally *tally);
void tally_session_destroy(struct session *session);

int tally_poll(struct session *s, const char *name);
int tally_option(struct session *s, const char *poll, const char *label, uint64_t *option);
int tally_vote(struct session *s, uint64_t option, uint64_t n, uint64_t *votes_after);

struct tally_count {
    uint64_t option;
    uint64_t votes;
};
/* Most votes first. *count: room in, rows out. Returns 0 or NOTFOUND. */
int tally_tally(struct session *s, const char *poll, struct tally_count *rows, size_t *count);

int tally_worker(struct session *s, const char *worker, uint32_t slots);
int tally_submit(struct session *s, const char *queue, struct span payload, uint64_t *id);

struct tally_claim {
    uint64_t id;
    uint32_t token;
    uint32_t attempt;
    uint64_t lease_ms;
    void *payload; /* owned by the caller: free() */
    size_t payload_bytes;
    bool again;
};
/* Returns 0, 1 when there is nothing to claim, or NOTFOUND, OFFLINE, ... */
int tally_claim(struct session *s, const char *worker, const char *queue,
                struct tally_claim *claim);
/* Errors: STALE, ...; EXISTS: it was done before, with another result, which stays. */
int tally_done(struct session *s, uint64_t id, uint32_t token, struct span result);
int tally_fail(struct session *s, uint64_t id, uint32_t token, struct span text);
int tally_release(struct session *s, uint64_t id, uint32_t token);

#endif
