/* Space in the log and on the disk: when new changes are refused, and how much is kept free. */
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
    uint64_t lane_bytes_all; /* of the records that all lanes can hold, encoded */
    uint64_t log_bytes_min;  /* two segments */
    /* the disk at the last look */
    uint64_t looked_ns;
    uint64_t looked_stored;
    uint64_t free_after; /* while a snapshot is made: bytes that it will leave free, at least */
    bool is_short;       /* there is no space for one more snapshot */
    bool is_lost;        /* the log is not in its directory any more */
    const char *told;    /* why new changes are refused; NULL: they are not */
};

/* Takes the first look, before the committer begins. The fields written once are set. */
void space_start(struct space *space);

/* Publishes which changes the edges may let in. Threads, of this and the rest: the committer. */
void space_put(struct space *space, enum space_left left);

/* Judges the space that is left, and publishes the result. now_ns: the monotonic clock. */
void space_judge(struct space *space, uint64_t now_ns);

/* Whether the log is not in its directory any more; then changes are refused. Looks again when the
 * last look is too old. */
bool space_is_lost(struct space *space);

/* Makes the next look come at once. */
void space_look_soon(struct space *space);

/* Sets aside the space that a beginning snapshot takes at most. */
void space_snapshot_begins(struct space *space);

/* Whether a snapshot that nobody has asked for leaves space for another one. */
bool space_for_snapshot(const struct space *space);

#endif
