/* Reads: consistent copies of the committed state, each stamped with its lsn. */
#ifndef TALLY_ENGINE_READ_H
#define TALLY_ENGINE_READ_H

#include "engine/edge.h"
#include "engine/base/ledger.h"
#include "engine/log/event.h"
#include "engine/log/status.h"

#include <stddef.h>

struct parcel; /* engine/base/parcel.h */
struct reader; /* engine/edge/reader.h */
struct state;

/*
 * How a typed read is used:
 *
 *     read_tally_init ── edge_read ──┬── 0: err, rows are there ─────────────┬── read_tally_fini
 *                                    └── EDGE_QUEUED ── read_is_done? true ──┘
 *
 * Errors, in read.err: NOTFOUND, nothing has this name or id; NOMEM; BUSY, the memory for replies
 * is used up, or the poll changes faster than it is copied: ask again.
 * Owns: the rows, and all spans in them, live until the fini, also when what they tell of is
 * deleted meanwhile, or until the engine ends if that is sooner; the spans of the question are
 * borrowed until the read is done. The fini frees the rows; it is called once, after the read is
 * done.
 * Threads: the edge's, which does not block.
 */

/* The rows of a read, and their texts: engine/edge/slice.h. */
struct read_text;
struct read_rows {
    void *at;
    size_t count, capacity;
    size_t size; /* of a row */
    struct read_text *text;
    struct parcel **parcels; /* held as long as the rows */
    size_t parcel_count, parcel_capacity;
};

/*
 * A read copies its rows slice by slice (engine/edge/slice.h); each slice shows one moment of the
 * state. A read of one slice, and any TALLY, shows one moment. Each typed read below has this as
 * its first member; the init functions fill it.
 */
struct read {
    /* written once */
    int (*run)(struct read *read, const struct state *state);
    int (*beside)(struct reader *reader,
                  struct read *read);             /* a slice, not of the state; or NULL */
    void (*end)(struct read *read);               /* hands the rows to the typed read */
    int (*compare)(const void *a, const void *b); /* rows; NULL: they are made in order */
    /* makes the rows of what a whole slice has copied, as run; NULL: the slice made them */
    int (*settle)(struct read *read);
    /* goes on with the rows of a ranked poll, as run; NULL: they are the read */
    int (*ranked)(struct read *read);
    size_t wanted; /* rows, at most */
    /* the outcome */
    int err;         /* what the last run returned */
    uint64_t lsn;    /* the state's, when it ran */
    uint64_t log_ms; /* log and running time when it was asked */
    uint64_t run_ms;
    /* while it runs: the edge's, or the reader's once it is queued (engine/edge/reader.h) */
    uint64_t next;
    struct read_rows rows;
    struct ledger *ledger;
    size_t counted; /* bytes in the ledger, among the replies; parcels count by themselves */
    struct edge *edge;
    struct read *asked_before;
    _Atomic bool is_done;
    _Atomic bool unwanted;
};

/*
 * Runs a read, or has the reader run it.
 * Returns 0 when read->err and the typed fields are filled now; EDGE_QUEUED when they are filled
 * once read_is_done returns true: keep the read alive until then; the edge is woken.
 * REQUIRES: the init function of its type, in this pass; a read ends before the engine.
 */
int edge_read(struct edge *edge, struct read *read);

/* Returns whether a queued read is done. Order: acquire; its rows are seen. */
bool read_is_done(const struct read *read);

/* Cancels a queued read: it is done soon, with or without rows. */
void read_is_unwanted(struct read *read);

/* ---- TALLY ---- */
struct tally_row {
    uint64_t id;
    uint64_t votes;
    struct span label;
};
struct read_tally {
    struct read read;
    struct span poll;
    uint64_t total;
    uint64_t rate_per_min;  /* votes of the last 60 s */
    struct tally_row *rows; /* most votes first, then the lower id */
    size_t row_count;
};
/* The rows are top at most; SIZE_MAX: all. */
void read_tally_init(struct read_tally *r, struct span poll, size_t top);
void read_tally_fini(struct read_tally *r);

/* ---- TREND ---- */
enum { TREND_TOP_MAX = 100 };
struct trend_row { /* an option: its votes at the ends of all buckets */
    uint64_t id;
    uint64_t votes[TREND_LINES_MAX];
};
/*
 * The buckets of a window, oldest first; the last one is under way. All counts are those of one
 * moment, also of a poll with a rank, whose options are chosen a moment before. Before from_ms the
 * counts are those of some bucket before (engine/state/trend.h).
 */
struct read_trend {
    struct read_tally top;
    unsigned window;
    uint64_t first_ms; /* beginning of the first bucket */
    uint64_t every_ms; /* length of a bucket */
    uint64_t from_ms;
    size_t line_count;
    uint64_t totals[TREND_LINES_MAX];
    struct trend_row *rows; /* options with most votes now, as TALLY's */
    size_t row_count;
    /* while it runs: the options that a rank has chosen */
    uint64_t picked[TREND_TOP_MAX];
    size_t picked_count;
};
/* REQUIRES: window < TREND_WINDOWS, top <= TREND_TOP_MAX. */
void read_trend_init(struct read_trend *r, struct span poll, unsigned window, size_t top);
void read_trend_fini(struct read_trend *r);

/* ---- FIND, similar labels ---- */
enum { FOUND_MAX = 5 };
struct found_label {
    uint64_t id;
    struct span label;
};

/*
 * Finds the options of a poll whose labels fit a text that somebody types: the same label first,
 * then by how well they fit (engine/base/label_match.h). edge_similar has labels that are only
 * similar at its end. The text is as label_clean makes it.
 * Returns how many. Errors: NOTFOUND, no such poll; NOMEM, INVAL.
 * Owns: the labels live until the pass ends. Threads: any, in a pass; takes less than 1 ms.
 */
int edge_find(struct edge *edge, struct span poll, struct span text,
              struct found_label rows[FOUND_MAX]);
int edge_similar(struct edge *edge, struct span poll, struct span label,
                 struct found_label rows[FOUND_MAX]);

/* ---- POLLS ---- */
struct poll_row {
    struct span name;
    uint64_t options;
    uint64_t votes;
    uint32_t mode; /* enum poll_mode */
    bool open;
    char text[NAME_LEN_MAX]; /* of the name */
};
struct read_polls {
    struct read read;
    struct span after;     /* by name; at NULL: from the first */
    struct poll_row *rows; /* by name */
    size_t row_count;
};
void read_polls_init(struct read_polls *r, struct span after, size_t count);
void read_polls_fini(struct read_polls *r);

/* ---- BUILD, BUILDS ---- */
struct build_row {
    uint64_t id;
    struct span queue;
    struct span worker; /* at NULL: none yet */
    enum build_state state;
    uint32_t pri;
    uint32_t attempt;
    uint32_t prog;
    uint64_t submitted_ms; /* wall time; 0: not yet */
    uint64_t started_ms;
    uint64_t ended_ms;
    struct span error; /* at NULL: none */
};
struct read_builds {
    struct read read;
    uint64_t id;         /* one build (NOTFOUND when it is not there), or 0 */
    struct span queue;   /* one queue (NOTFOUND), or at NULL for all */
    struct span worker;  /* only builds that this worker holds or held; at NULL: any */
    uint32_t state_mask; /* 1 << enum build_state; 0: any */
    uint64_t after;      /* ids above this; with reverse: below this, 0: from the newest */
    size_t count;
    bool reverse;
    struct build_row *rows; /* by id */
    size_t row_count;
};
/* Init zeroes the fields; the caller sets the wanted ones between init and edge_read. */
void read_builds_init(struct read_builds *r);
void read_builds_fini(struct read_builds *r);

/*
 * PAYLOAD, RESULT: the bytes of a build.
 * Returns 0, and the bytes in *parcel; NULL is an empty result.
 * Errors: NOTFOUND, no such build, or a FORGET has freed them; STATE, of edge_result: the build has
 * not completed.
 * Owns: the caller has a hold, which it ends by parcel_release. Threads: the edge's.
 */
int edge_payload(struct edge *edge, uint64_t id, struct parcel **parcel);
int edge_result(struct edge *edge, uint64_t id, struct parcel **parcel);

/* ---- QUEUES ---- */
struct queue_row {
    struct span name;
    uint64_t by_state[BUILD_STATES];
    uint64_t oldest_ms; /* age of the oldest pending build; 0: none */
};
struct read_queues {
    struct read read;
    struct span name;       /* one (NOTFOUND), or at NULL for all */
    struct queue_row *rows; /* by name */
    size_t row_count;
};
void read_queues_init(struct read_queues *r, struct span name);
void read_queues_fini(struct read_queues *r);

/* ---- WORKERS ---- */
struct worker_row {
    struct span id;
    struct span name;
    struct span tags;
    bool online;
    uint64_t done;
    uint64_t failed;
    uint64_t seen_ms; /* since its last sign of life */
    uint64_t builds;  /* held */
    uint32_t slots;
};
struct read_workers {
    struct read read;
    struct span id;          /* one (NOTFOUND), or at NULL for all that have not left */
    struct worker_row *rows; /* by id */
    size_t row_count;
};
void read_workers_init(struct read_workers *r, struct span id);
void read_workers_fini(struct read_workers *r);

/* ---- HELD ---- */
struct held_row {
    uint64_t id;
    uint32_t token;
    uint32_t attempt;
    uint64_t lease_ms; /* left of the lease */
    struct span queue;
};
struct read_held {
    struct read read;
    struct span worker;    /* NOTFOUND */
    uint32_t tick;         /* of the lease clock, at the init */
    struct held_row *rows; /* by id */
    size_t row_count;
};
void read_held_init(struct read_held *r, const struct edge *edge, struct span worker);
void read_held_fini(struct read_held *r);

/* ---- EVENTS ---- */
/* What an event is to be about. */
struct event_match {
    enum event_of {
        EVENT_OF_ANY,
        EVENT_OF_POLL,
        EVENT_OF_QUEUE,
        EVENT_OF_BUILD,
        EVENT_OF_WORKER
    } of;
    struct span name; /* of a poll, a queue or a worker */
    uint64_t id;      /* of a build; that of a poll is found by its name */
};
/* Where a search for events is. All zero: it has not begun. */
struct event_place {
    bool has_begun;
    uint64_t at;  /* in the ring: the next one is here, or before it */
    uint64_t lsn; /* of the last one that was looked at; 0: none yet */
};
struct event_row {
    struct event event;
    struct span poll;  /* its name; at NULL: it is about none */
    struct span label; /* of the option; at NULL: it is about none */
};
struct read_events {
    struct read read;            /* RANGE: `from` is before `oldest` */
    uint64_t from;               /* the events from this lsn on; 0: the newest */
    bool each;                   /* combined votes one by one */
    struct event_match *matches; /* borrowed, and filled in; none: all events */
    size_t match_count;
    struct event_place place;
    uint64_t oldest;        /* every event from this lsn on is there to be read */
    struct event_row *rows; /* oldest first */
    size_t row_count;
};
/* Init zeroes the fields; the caller sets the wanted ones between init and edge_read. */
void read_events_init(struct read_events *r, size_t count);
void read_events_fini(struct read_events *r);

/* ---- INFO ---- */
struct engine_info {
    uint64_t lsn;
    uint64_t commits;
    uint64_t records;
    uint64_t log_raw_bytes;
    uint64_t log_stored_bytes;
    uint64_t log_room_bytes;
    uint64_t retain_bytes;
    uint64_t disk_needed_bytes; /* by the log without history, and its snapshots */
    uint64_t disk_free_bytes;
    uint64_t disk_bytes;
    uint64_t segment_failures; /* tries to make the next segment that have failed */
    uint64_t packed_segments;  /* since the start */
    uint64_t packed_from_bytes;
    uint64_t packed_to_bytes;
    uint64_t pack_failures;
    uint64_t scrub_passes;
    uint64_t scrub_bytes;
    uint64_t scrub_damage;   /* files found damaged on the disk */
    uint64_t sync_ns_sum;    /* over all commits */
    uint64_t commit_us_last; /* write, sync and apply */
    uint64_t commit_us_max;
    uint64_t polls;
    uint64_t options;
    uint64_t votes;
    uint64_t queues;
    uint64_t workers;
    uint64_t builds; /* in memory, finished ones too */
    uint64_t builds_by_state[BUILD_STATES];
    uint64_t memory[LEDGER_KINDS];
    uint64_t memory_bytes; /* their sum */
    uint64_t memory_bytes_max;
    uint64_t retired;          /* waiting for a grace period */
    uint64_t snapshot_lsn;     /* of the last that counts; 0: none */
    uint64_t snapshot_time_ms; /* log time */
    uint64_t snapshot_took_ms;
    uint64_t snapshot_bytes;
    uint64_t snapshots; /* since the start */
    uint64_t snapshot_failures;
    uint64_t segments_removed;
    uint64_t wall_ms; /* the wall clock, and the log time made from it: engine/base/time.h */
    uint64_t log_ms;
    uint64_t wall_behind_ms; /* of log time */
    uint64_t wall_ahead_ms;
    uint64_t start_ahead_ms;
    bool snapshot_running;
    bool readonly;
    bool draining;
};
/* Fills in the counters. Each is read at some moment of the call. */
void edge_info(struct edge *edge, struct engine_info *info);

#endif
