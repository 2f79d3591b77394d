/* The snapshots of a directory: each is loaded, and compared with the state of the log. */
#ifndef TALLY_TOOLS_TALLY_WAL_SNAPSHOTS_H
#define TALLY_TOOLS_TALLY_WAL_SNAPSHOTS_H

#include "engine/state/state.h"
#include "wal/disk/io.h"

#include <stdbool.h>
#include <stdint.h>

enum { SNAPSHOTS_MAX = 16 };

struct snapshot_file {
    uint64_t lsn;
    uint64_t digest; /* of the state that it holds */
    bool has_keys;   /* it was made by a tally that stores the keys of requests */
    bool is_whole;   /* it can be loaded */
    bool is_right;   /* it is whole and, as far as the log was read, the state at its lsn */
    char text[224];  /* its fault */
};

struct snapshots {
    size_t count; /* the newest, at most SNAPSHOTS_MAX */
    struct snapshot_file at[SNAPSHOTS_MAX];
};

/* Whether the snapshot of this lsn is gone: a running server removes the oldest when a new one
 * counts. */
bool snapshots_is_gone(struct wal_io *io, uint64_t lsn);

/* Loads one snapshot after the other; the fault of one is in its text. Returns 0 or TALLY_NOMEM. */
int snapshots_read(struct snapshots *snapshots, struct wal_io *io);

/* Compares the snapshot of this lsn, if there is one, with the state of the log at that lsn. */
void snapshots_compare(struct snapshots *snapshots, uint64_t lsn, const struct state *state);

/* The first snapshot that is not right; NULL: all are. */
const struct snapshot_file *snapshots_wrong(const struct snapshots *snapshots);

/* The lsn of the newest snapshot that is right; 0: there is none. */
uint64_t snapshots_newest(const struct snapshots *snapshots);

#endif
