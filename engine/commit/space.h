/* What the log and the disk still take: when new changes are refused, and what is kept free. */
#ifndef TALLY_ENGINE_COMMIT_SPACE_H
#define TALLY_ENGINE_COMMIT_SPACE_H

#include "engine/edge/shared.h"
#include "engine/state/state.h"
#include "engine/tally.h"
#include "wal/wal.h"

/*
 *     disk:  │ files │ next segment │ one more snapshot │ free                         │
 *     log:   │ blocks │ ······································ left │
 *                          NONE ◀── 2 lanes ── RESERVE ── 3 lanes ──▶ PLENTY
 *
 * A "lane" here is what all lanes together can hold. New changes are taken with PLENTY, ends of
 * claims with RESERVE, too; with NONE only reads go on.
 *
 * Synchronization table
 *   shared: space       written here (E5 release), read by edges (E6 acquire)
 *   shared: disk_*      written here, read by anybody
 *   all fields below    the committer alone; before it begins and behind its end the thread that
 *                       opens and closes
 */
struct space {
    /* written once */
    const struct state *state;
    struct shared *shared;
    struct wal *wal;
    struct wal_io *io;
    const struct tally_options *options;
    uint64_t lane_bytes_all; /* what all lanes can hold, encoded */
    uint64_t log_bytes_min;  /* two segments */
    /* the disk, as it was seen last */
    uint64_t looked_ns;
    uint64_t looked_stored;
    uint64_t free_after; /* while a snapshot is made: what it will leave, at least */
    bool is_short;       /* it has no room for one more snapshot */
    bool is_lost;        /* the log is not in its directory any more */
    const char *told;    /* why new changes are refused; NULL: they are not */
};

/* Before the committer begins: the fields written once are set. */
void space_start(struct space *space);

/* Says what the edges may let in. Threads, of this and the rest: the committer. */
void space_put(struct space *space, enum space_left left);

/* Looks, and says it. */
void space_judge(struct space *space);

/* Whether the log is not in its directory any more; then changes are refused. Looks again when the
 * last look is too old. */
bool space_is_lost(struct space *space);

/* The next look is at once. */
void space_look_soon(struct space *space);

/* A snapshot is going to take what it takes at most. */
void space_snapshot_begins(struct space *space);

/* Whether a snapshot that nobody has asked for leaves room for another one. */
bool space_for_snapshot(const struct space *space);

#endif
