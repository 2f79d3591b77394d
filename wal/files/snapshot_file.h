/* Snapshots: files that hold the state at one lsn, written once, verified before they count. */
#ifndef TALLY_WAL_FILES_SNAPSHOT_FILE_H
#define TALLY_WAL_FILES_SNAPSHOT_FILE_H

#include "wal/disk/io.h"
#include "wal/format/segment.h"
#include "wal/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- writing ---- */

struct wal_snapshot; /* a snapshot that is being written */

/*
 * Begins snap-<lsn>.tmp; one that was left half made goes. uuid is that of the log. Errors:
 * TALLY_NOMEM, TALLY_NOSPC, TALLY_IO. Threads: one thread uses it, any; the file calls block.
 */
int wal_snapshot_new(struct wal_snapshot **out, struct wal_io *io,
                     const unsigned char uuid[WAL_UUID_BYTES], uint64_t lsn);

/* Appends a block of count images. Errors: TALLY_NOSPC, TALLY_IO; then only destroy is left. */
int wal_snapshot_put(struct wal_snapshot *snapshot, uint32_t count, const void *raw,
                     size_t raw_bytes);

/*
 * Ends the file, syncs it, reads all of it back from the disk and verifies it, shows what was read
 * to visit (NULL: nobody), gives it its name, and syncs the directory. When it returns 0 the
 * snapshot counts. Errors: as wal_snapshot_put; DAMAGE when what was read back is not what was
 * written; what visit returned.
 */
int wal_snapshot_end(struct wal_snapshot *snapshot, wal_visit_fn visit, void *arg, uint64_t *bytes);

/* What failed, one sentence; empty while nothing did. Lives as long as the snapshot. */
const char *wal_snapshot_why(const struct wal_snapshot *snapshot);

/* Frees it; what does not count is removed. */
void wal_snapshot_destroy(struct wal_snapshot *snapshot);

/* ---- reading ---- */

struct wal_snapshot_info {
    uint64_t lsn; /* 0: there is none */
    unsigned char uuid[WAL_UUID_BYTES];
    uint64_t bytes;
    uint64_t images;
    char text[192]; /* what is wrong with a file that was passed over; empty: nothing */
};

/*
 * Finds the newest snapshot that verifies whole. Returns 0 also when there is none (info->lsn is
 * 0). Errors: TALLY_IO when the directory cannot be listed; TALLY_NEWER when any of them, whole or
 * not, is a newer version's: it is not ours to pass over; TALLY_NOMEM. Threads: any.
 */
int wal_snapshot_choose(struct wal_io *io, struct wal_snapshot_info *info);

/* Whether all snapshots are of this version or an older one. Errors: as wal_snapshot_choose. */
int wal_snapshot_check_versions(struct wal_io *io, struct wal_snapshot_info *info);

/*
 * Verifies a snapshot from the first to the last byte, and hands its blocks to visit (NULL:
 * nobody): first_lsn is there the number of the block's first image, and the last block is the one
 * with WAL_BLOCK_SEAL and no images. Errors: TALLY_DAMAGE, TALLY_NEWER, TALLY_IO, all with a
 * text; TALLY_NOMEM; what visit returned.
 */
int wal_snapshot_read(struct wal_io *io, uint64_t lsn, wal_visit_fn visit, void *arg,
                      struct wal_snapshot_info *info);

/* The highest lsn in the name of a snapshot, whole or not; 0: there is none. Returns 0 or a
 * negative errno value. */
int wal_snapshot_newest_name(struct wal_io *io, uint64_t *lsn);

/* The highest lsn below this one in the name of a snapshot, whole or not; 0: there is none. Returns
 * 0 or a negative errno value. */
int wal_snapshot_before(struct wal_io *io, uint64_t below, uint64_t *lsn);

/* The size of a snapshot's file; 0: there is none. */
uint64_t wal_snapshot_bytes(struct wal_io *io, uint64_t lsn);

/*
 * The newest snapshot with a valid header, whatever became of what is behind it; info->lsn is 0
 * without one. Its header was written last, and its name was given when it was whole: so all
 * records up to its lsn were durable, and a log that ends before is damaged. Only lsn and uuid are
 * set. Returns 0, or a negative errno value: what cannot be read may say more than what can.
 */
int wal_snapshot_witness(struct wal_io *io, struct wal_snapshot_info *info);

/* ---- removing ---- */

/* Removes all snapshots but these two. Errors: TALLY_IO. */
int wal_snapshot_keep(struct wal_io *io, uint64_t newest, uint64_t older);

void wal_snapshot_name(char name[WAL_NAME_BYTES], uint64_t lsn);
bool wal_snapshot_is_name(const char *name, uint64_t *lsn);

#endif
