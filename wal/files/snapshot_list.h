/* The snapshots of a directory: which is loaded, which is the witness, which are removed. */
#ifndef TALLY_WAL_FILES_SNAPSHOT_LIST_H
#define TALLY_WAL_FILES_SNAPSHOT_LIST_H

#include "wal/disk/io.h"
#include "wal/files/snapshot_read.h"

#include <stdint.h>

/* The callbacks that are shown a snapshot while it is verified. */
struct wal_snapshot_loader {
    wal_visit_fn load;
    /* Called when the snapshot that load was shown turns out not to be whole: forgets it. Returns 0
     * or a negative error, which ends the loading. NULL: load keeps nothing. */
    int (*unload)(void *arg);
    void *arg; /* of both */
};

/*
 * Loads the newest snapshot that is whole: reads each once, from the newest on, and shows its
 * blocks while they are verified. What load returns counts only if the rest of the file is whole
 * too; if it is not, unload is called and the next older snapshot is tried. Returns 0 also when
 * there is none (info->lsn is 0); info->text then tells the fault of the newest one, if it has one.
 * Errors: what load or unload returned; TALLY_IO when the directory cannot be listed; TALLY_NEWER
 * when any snapshot, whole or not, is a newer version's, which may not be passed over; TALLY_NOMEM.
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

/* The same, of the snapshots below an lsn. */
int wal_snapshot_list_before(struct wal_io *io, uint64_t below, uint64_t *lsn);

/* The size of a snapshot's file; 0: there is none. */
uint64_t wal_snapshot_list_bytes(struct wal_io *io, uint64_t lsn);

/*
 * Finds the witness: the newest snapshot with a valid header, whatever its blocks are now;
 * info->lsn is 0 without one. The header was written last, and the file got its name when it was
 * whole: so all records up to its lsn were durable, and a log that ends before is damaged. Only lsn
 * and uuid are set. Returns 0, or a negative errno value: a file that cannot be read may be a newer
 * witness.
 */
int wal_snapshot_list_witness(struct wal_io *io, struct wal_snapshot_info *info);

/* Removes all snapshots but these two. Errors: TALLY_IO. */
int wal_snapshot_list_keep(struct wal_io *io, uint64_t newest, uint64_t older);

#endif
