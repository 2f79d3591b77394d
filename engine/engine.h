/* The engine from inside: what the committer, the timers and the edges share. */
#ifndef TALLY_ENGINE_ENGINE_H
#define TALLY_ENGINE_ENGINE_H

#include "engine/apply/apply.h"
#include "engine/log/columns.h"
#include "engine/edge/edges.h"
#include "engine/edge/lane.h"
#include "engine/edge/ordered_request.h"
#include "engine/edge/reader.h"
#include "engine/edge/shared.h"
#include "engine/commit/snapshot.h"
#include "engine/tally.h"
#include "engine/base/time.h"
#include "engine/state/wheel.h"
#include "wal/wal.h"

#include <pthread.h>

enum {
    BATCH_RECORDS_MAX = 1 << 17,
    BATCH_BYTES_MAX = 8 << 20,
    TIMERS_ROOM = LANE_SLOTS / 8,   /* slots of its own lane that the timers leave free */
    WORKER_SILENCE_MS = 300 * 1000, /* then a worker is offline */
};

/* The polls that are being closed together: rule 10 of the design. */
struct gate {
    enum gate_phase {
        GATE_IDLE,  /* polls that wait for it are marked */
        GATE_GRACE, /* votes begun before end their pass */
        GATE_TAILS, /* and are applied */
        GATE_SAYS,  /* then the log says that they are closed */
    } phase;
    struct timer waiting; /* polls for the next one */
    struct timer closing; /* polls of this one */
    uint32_t count;       /* in `closing` */
    _Atomic bool passed;  /* every edge has ended a pass since */
    uint64_t tails[EDGES_MAX];
};

/* Heads of lanes that are not next: usual for some instructions, a bug after a grace period. */
struct stuck {
    bool asked;
    _Atomic bool passed; /* every edge has ended a pass, so published, since it was asked */
    uint64_t commits;
};

/* Workers that have left: engine/commit/forget.c. */
struct forget {
    uint64_t passed_lsn; /* a grace period has passed since the BYE of this lsn was published */
    uint64_t asked_lsn;  /* ... is to pass */
    bool is_asked;
    _Atomic bool passed;
};

/* The disk, as the committer has seen it last. */
struct space {
    uint64_t log_bytes_min; /* two segments; set by the open */
    uint64_t looked_ns;
    uint64_t looked_stored;
    uint64_t free_after; /* while a snapshot is made: what it will leave, at least */
    bool is_short;       /* it has no room for one more snapshot */
    bool is_lost;        /* the log is not in its directory any more */
    const char *told;    /* why new changes are refused; NULL: they are not */
};

struct tally {
    /* written once */
    struct tally_options options;
    struct wal_io *io;
    bool io_is_ours;
    uint64_t lane_bytes_all; /* what all lanes can hold, encoded */
    pthread_t thread;
    struct edges edges;
    struct shared shared;
    _Atomic bool stopping;
    /* the committer alone */
    _Alignas(64) struct state state;
    struct wal *wal;
    struct lane *own; /* its own lane */
    struct columns columns;
    struct lane_slot **batch;
    uint32_t batch_count;
    struct wheel leases;  /* builds that are held, in ticks of the lease clock */
    struct wheel delays;  /* builds that are delayed, in ticks of log time */
    struct wheel windows; /* polls that open or close, in ticks of log time */
    uint64_t tick_rest_ns;
    uint64_t workers_next; /* whom to look at next; 0: all were */
    uint64_t workers_seen_ms;
    uint64_t last_commit_ns;
    struct gate gate;
    struct stuck stuck;
    struct forget forget;
    uint64_t forgotten_at; /* in its own lane: behind the last FORGET */
    bool offered;          /* since the last publication */
    struct snapshot snapshot;
    struct space disk;
};

/* Ends the engine's work: calls options.fatal, which must not come back to work as usual. */
_Noreturn void engine_fatal(struct tally *tally, int code, const char *why);

/* Tells the operator what may pass: options.trouble. Threads: any. */
void engine_trouble(const struct tally *tally, const char *what);

/* ---- committer.c ---- */
void *committer_main(void *tally);

/* ---- space.c ---- */
/* Before the committer begins. */
void space_init(struct tally *tally);
void space_put(struct tally *tally, enum space_left room);
/* Threads, of this and the rest: the committer. */
void space_judge(struct tally *tally);
/* Whether the log is not in its directory any more; then changes are refused. Looks again when the
 * last look is too old. */
bool space_is_lost(struct tally *tally);
/* The next look is at once. */
void space_look_soon(struct tally *tally);
/* A snapshot is going to take what it takes at most. */
void space_snapshot_begins(struct tally *tally);
/* Whether a snapshot that nobody has asked for leaves room for another one. */
bool space_for_snapshot(const struct tally *tally);

/* ---- merge.c ---- */
/* Takes what is next from all lanes into the batch and the block; returns how many slots. */
uint32_t merge(struct tally *tally);
/* To be called when merge took nothing: ends the process (70) if that can never change. */
void merge_look_if_stuck(struct tally *tally);

static inline bool slot_is_step(const struct lane_slot *slot)
{
    return record_is_build_step(slot->type);
}

/* The record that a slot stands for, but for its lsn and time. */
void slot_record(const struct lane_slot *slot, struct record *record);

/* ---- timers.c: the timers, in the committer ---- */
/* After the replay: tickets, leases, delays. Errors: NOMEM. */
int timers_init(struct tally *tally);
void timers_run(struct tally *tally);
/* The effects of records: a build is offered; waits for its time; is held, and its lease begins;
 * has left the worker. */
void timers_offered(struct tally *tally, struct build *build);
void timers_delayed(struct tally *tally, struct build *build);
void timers_claimed(struct tally *tally, struct build *build);
void timers_left(struct tally *tally, struct build *build, struct worker *worker);
/* Takes back what a worker holds that said BYE. Returns how many builds have gone back; what is on
 * its way to the worker goes back when it is applied. */
uint32_t timers_gone(struct tally *tally, struct worker *worker);
/* How long the committer may sleep, in ns. */
uint64_t timers_idle_ns(const struct tally *tally);
/* Whether the committer's own lane has room beyond what it needs for commits. */
bool timers_have_room(const struct tally *tally);
/* Appends an ordered record with these numbers to it. REQUIRES: there is room. */
enum { TIMERS_NUMS = 3 };
void timers_append(struct tally *tally, enum record_type type, const uint64_t num[TIMERS_NUMS]);

/* ---- forget.c: what the log is told to forget ---- */
void forget_run(struct tally *tally);
/* Whether there is something to wait for. */
bool forget_is_busy(const struct tally *tally);

/* ---- gate.c: polls open and close, in the committer ---- */
/* After the replay, and once log time goes on. */
void gate_init(struct tally *tally);
/* The effects of records: a POLL was applied; a poll was opened or closed. */
void gate_poll_altered(struct tally *tally, struct poll *poll);
void gate_poll_moved(struct tally *tally, struct poll *poll);
/* Looks at those whose times have come. */
void gate_run_windows(struct tally *tally);
/* Closes what waits to be closed. */
void gate_run(struct tally *tally);
bool gate_is_busy(const struct tally *tally);

#endif
