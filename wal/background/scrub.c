/* The scrub: sealed segments are read again from the disk, to find damage while memory is whole. */
#include "wal/background/scrub.h"

#include "wal/base/err.h"
#include "wal/files/snapshot_read.h"
#include "wal/format/snapshot.h"
#include "wal/read/report.h"
#include "wal/disk/full_io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int scrub_block(void *arg, const struct wal_block *block)
{
    struct wal_scrub *scrub = arg;
    scrub->errnum = scrub->pace(scrub->arg, block->stored_bytes);
    return scrub->errnum;
}

void wal_scrub_init(struct wal_scrub *scrub, struct wal_io *io,
                    int (*pace)(void *arg, size_t bytes), void *arg)
{
    *scrub = (struct wal_scrub){.io = io, .pace = pace, .arg = arg};
    wal_scan_init(&scrub->scan, io, scrub_block, scrub);
    wal_scan_detach(&scrub->scan);
}

void wal_scrub_fini(struct wal_scrub *scrub)
{
    wal_scan_fini(&scrub->scan);
}

/* Drops the file from the page cache, so that the disk is read. Returns 0 or a negative errno
 * value. */
static int cache_drop(struct wal_io *io, const char *name)
{
    int fd = io->ops->open(io, name, WAL_OPEN_READ);
    if (fd < 0) {
        return fd;
    }
    int err = io->ops->drop_cache(io, fd);
    io->ops->close(io, fd);
    return err;
}

static int scrub_damaged(struct wal_scrub *scrub, const char *name, int err)
{
    scrub->damage = (struct wal_report){.end = WAL_END_FAILED, .row = 1};
    snprintf(scrub->damage.text, sizeof(scrub->damage.text), "%s: cannot read from the disk: %s",
             name, tally_err_reason(err));
    return WAL_SCRUBBED_DAMAGE;
}

/* The scan is detached after a segment that was not read to its end: the next one may then begin
 * with any record. */
int wal_scrub_segment(struct wal_scrub *scrub, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    bool is_whole = false;
    wal_segment_name(name, number);
    int err = cache_drop(scrub->io, name);
    if (err == -ENOENT) {
        wal_scan_detach(&scrub->scan);
        return WAL_SCRUBBED_GONE;
    }
    if (err != 0) {
        wal_scan_detach(&scrub->scan);
        int result = scrub_damaged(scrub, name, err);
        scrub->damage.segment = number;
        return result;
    }
    err = wal_scan_sealed(&scrub->scan, number, &is_whole);
    if (err != 0) {
        wal_scan_detach(&scrub->scan);
        return err;
    }
    if (is_whole) {
        return WAL_SCRUBBED_WHOLE;
    }
    /* removed since we dropped its pages */
    int result = scrub->scan.findings.errnum == -ENOENT ? WAL_SCRUBBED_GONE : WAL_SCRUBBED_DAMAGE;
    wal_report_fill(&scrub->scan, &scrub->damage);
    wal_scan_detach(&scrub->scan);
    return result;
}

int wal_scrub_snapshot(struct wal_scrub *scrub, uint64_t lsn)
{
    char name[WAL_NAME_BYTES];
    struct wal_snapshot_info info;
    wal_snapshot_name(name, lsn);
    int err = cache_drop(scrub->io, name);
    if (err != 0) {
        return err == -ENOENT ? WAL_SCRUBBED_GONE : scrub_damaged(scrub, name, err);
    }
    err = wal_snapshot_read(scrub->io, lsn, scrub_block, scrub, &info);
    if (err != TALLY_DAMAGE && err != TALLY_NEWER && err != TALLY_IO) {
        return err;
    }
    if (cache_drop(scrub->io, name) == -ENOENT) {
        return WAL_SCRUBBED_GONE; /* removed meanwhile, because there is a newer one */
    }
    scrub->damage = (struct wal_report){.end = WAL_END_DAMAGE};
    snprintf(scrub->damage.text, sizeof(scrub->damage.text), "%s", info.text);
    return WAL_SCRUBBED_DAMAGE;
}
