/* Which snapshots a directory has, which one counts, and which go. */
#ifndef TALLY_WAL_FILES_SNAPSHOT_LIST_H
#define TALLY_WAL_FILES_SNAPSHOT_LIST_H

#include "wal/disk/io.h"
#include "wal/files/snapshot_read.h"

#include <stdint.h>

/* Who is shown a snapshot while it is verified. */
struct wal_snapshot_loader {
    wal_visit_fn load;
    /* Called when what load was shown is no whole snapshot after all: forgets it. Returns 0 or a
     * negative error, which ends the loading. NULL: load keeps nothing. */
    int (*unload)(void *arg);
    void *arg; /* of both */
};

/*
 * Loads the newest snapshot that verifies whole: reads each once, from the newest on, and shows its
 * blocks on the way. What load returns counts only if the rest of the file is whole too; if it is
 * not, unload is called and the one before it is tried. Returns 0 also when there is none
 * (info->lsn is 0); info->text then says what is wrong with the newest of all, if anything is.
 * Errors: what load or unload returned; TALLY_IO when the directory cannot be listed; TALLY_NEWER
 * when any of them, whole or not, is a newer version's: it is not ours to pass over; TALLY_NOMEM.
 * Threads: any.
 */
int wal_snapshot_list_load(struct wal_io *io, const struct wal_snapshot_loader *loader,
                           struct wal_snapshot_info *info);

/* Whether all snapshots are of this version or an older one. Errors: TALLY_IO,
 * TALLY_NEWER, TALLY_NOMEM, as wal_snapshot_list_load. */
int wal_snapshot_list_check_versions(struct wal_io *io, struct wal_snapshot_info *info);

/* The highest lsn in the name of a snapshot, whole or not; 0: there is none. Returns 0 or a
 * negative errno value. */
int wal_snapshot_list_newest(struct wal_io *io, uint64_t *lsn);

/* The same of those below an lsn. */
int wal_snapshot_list_before(struct wal_io *io, uint64_t below, uint64_t *lsn);

/* The size of a snapshot's file; 0: there is none. */
uint64_t wal_snapshot_list_bytes(struct wal_io *io, uint64_t lsn);

/*
 * The newest snapshot with a valid header, whatever became of what is behind it; info->lsn is 0
 * without one. Its header was written last, and its name was given when it was whole: so all
 * records up to its lsn were durable, and a log that ends before is damaged. Only lsn and uuid are
 * set. Returns 0, or a negative errno value: what cannot be read may say more than what can.
 */
int wal_snapshot_list_witness(struct wal_io *io, struct wal_snapshot_info *info);

/* Removes all snapshots but these two. Errors: TALLY_IO. */
int wal_snapshot_list_keep(struct wal_io *io, uint64_t newest, uint64_t older);

#endif
