/* A new data directory that appears under its name when it is whole and on disk, or not at all. */
#ifndef TALLY_TOOLS_TALLY_WAL_NEWDIR_H
#define TALLY_TOOLS_TALLY_WAL_NEWDIR_H

#include "wal/wal.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>

/* The snapshot to be copied was removed: retention has removed more of the log's beginning. */
enum { NEWDIR_AGAIN = -1 };

struct newdir {
    struct wal *wal;   /* open, empty, to be filled; NULL once it is finished */
    struct wal_io *io; /* without syncs until the end: before that nobody can see it */
    struct wal_io_ops lazy_ops;
    const struct wal_io_ops *real_ops;
    sigset_t mask;       /* of signals, as it was before */
    char path[PATH_MAX]; /* the final name */
    char temp[PATH_MAX]; /* the present name; empty: the directory is finished or removed */
};

/*
 * Makes a directory beside `path`, with an empty log in it. The signals that end (tools/signals.h)
 * are blocked until newdir_fini, so that no unfinished directory is left behind. `path` must not
 * exist, or be an empty directory. With a snapshot_lsn the log goes on behind a copy of that
 * snapshot of `from`, and its first record is snapshot_lsn + 1; with 0 it is record 1. Returns an
 * exit code (tools/tally-wal/exit.h), after it has printed why it is not 0, or NEWDIR_AGAIN; after
 * these newdir_fini is not to be called.
 */
int newdir_begin(struct newdir *newdir, const char *path, struct wal_io *from,
                 uint64_t snapshot_lsn);

/* Whether one of the signals has come: then the caller gives up. */
bool newdir_is_interrupted(void);

/* Closes the log in order, syncs all of it, and gives it its name. Returns as newdir_begin. */
int newdir_finish(struct newdir *newdir);

/* Frees everything, and removes an unfinished directory. A pending signal then ends the process. */
void newdir_fini(struct newdir *newdir);

#endif
