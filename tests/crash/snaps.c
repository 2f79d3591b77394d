/* Snapshots beside the writer of a simulated log, and retention when they count. */
#include "tests/crash/snaps.h"

#include "tests/crash/run.h"
#include "wal/background/retain.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/thread.h"
#include "wal/files/snapshot_list.h"
#include "wal/files/snapshot_writer.h"
#include "wal/format/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* Images handed over at once: few, so that a snapshot has several blocks. */
enum { PUT_IMAGES = 5, KEEP_BYTES_STEP = 64 << 10 };

static int write_all(struct snaps *snaps, struct wal_snapshot_writer *snapshot)
{
    uint64_t bytes = 0;
    for (size_t at = 0; at < snaps->count; at += PUT_IMAGES) {
        size_t left = snaps->count - at;
        uint32_t count = left < PUT_IMAGES ? (uint32_t)left : PUT_IMAGES;
        int err = wal_snapshot_writer_put(snapshot, count, snaps->images + at * MODEL_IMAGE_BYTES,
                                          (size_t)count * MODEL_IMAGE_BYTES);
        if (err != 0) {
            return err;
        }
    }
    return wal_snapshot_writer_end(snapshot, NULL, NULL, &bytes);
}

/* Removes the third snapshot, and the segments that neither of the other two needs. */
static int tidy_up(struct run *run)
{
    const struct snaps *snaps = &run->snaps;
    const struct wal_retain retain = {.safe_lsn = snaps->older_lsn,
                                      .bytes_max = snaps->bytes_max,
                                      .files_lock = wal_files_lock(run->wal)};
    int err = wal_snapshot_list_keep(&run->disk.io, snaps->newest_lsn, snaps->older_lsn);
    int removed = err == 0 ? wal_retain(&run->disk.io, &retain) : err;
    run->removed += removed > 0 ? (uint64_t)removed : 0;
    return removed < 0 ? removed : 0;
}

static void tell(struct run *run, const char *what, int err, const char *why)
{
    if (run->disk.is_off) {
        return;
    }
    if (run_is_excused(run, err)) {
        run->excuses++;
        return;
    }
    run_wrong(run, "%s: %s %s", what, tally_err_name(err), why);
}

static void *snaps_main(void *arg)
{
    struct run *run = arg;
    struct snaps *snaps = &run->snaps;
    struct wal_snapshot_writer *snapshot = NULL;
    int err = wal_snapshot_writer_new(&snapshot, &run->disk.io, snaps->uuid, snaps->lsn);
    if (err == 0) {
        err = write_all(snaps, snapshot);
    }
    if (err != 0) {
        tell(run, "snapshot", err, snapshot != NULL ? wal_snapshot_writer_why(snapshot) : "");
        wal_snapshot_writer_destroy(snapshot);
        return NULL;
    }
    wal_snapshot_writer_destroy(snapshot);
    snaps->older_lsn = snaps->newest_lsn;
    snaps->newest_lsn = snaps->lsn;
    run->model.older_lsn = snaps->older_lsn;
    run->model.snapshot_lsn = snaps->newest_lsn;
    err = tidy_up(run);
    if (err != 0) {
        tell(run, "retention", err, "");
    }
    return NULL;
}

void snaps_begin(struct run *run)
{
    struct snaps *snaps = &run->snaps;
    const struct model *model = &run->model;
    snaps_join(run);
    uint64_t lsn = model_next_lsn(model) - 1;
    if (lsn == snaps->newest_lsn) {
        return; /* no record was appended since the last one */
    }
    snaps->lsn = lsn;
    snaps->count = model->acked;
    snaps->bytes_max = seed_below(&run->seed, 4) * KEEP_BYTES_STEP;
    snaps->images = malloc(snaps->count * MODEL_IMAGE_BYTES);
    CHECK(snaps->images != NULL);
    for (size_t i = 0; i < snaps->count; i++) {
        model_image(&model->blocks[i], snaps->images + i * MODEL_IMAGE_BYTES);
    }
    memcpy(snaps->uuid, wal_uuid(run->wal), sizeof(snaps->uuid));
    CHECK(thread_start(&snaps->thread, snaps_main, run) == 0);
    snaps->is_running = true;
}

void snaps_join(struct run *run)
{
    struct snaps *snaps = &run->snaps;
    if (snaps->is_running) {
        CHECK(pthread_join(snaps->thread, NULL) == 0);
        snaps->is_running = false;
        free(snaps->images);
    }
}

bool snaps_damage(struct run *run)
{
    struct model *model = &run->model;
    char name[WAL_NAME_BYTES];
    uint64_t newest = 0;
    uint64_t size = 0;
    unsigned char byte = 0;
    CHECK(run->wal == NULL && wal_snapshot_list_newest(&run->disk.io, &newest) == 0);
    if (newest == model->snapshot_lsn) {
        if (model->older_lsn == 0) {
            return false;
        }
        model->snapshot_lsn = model->older_lsn;
        model->older_lsn = 0;
    }
    model->is_damaged = true;
    wal_snapshot_name(name, newest);
    CHECK(disk_find(&run->disk, name, &size) && size > 0);
    uint64_t at = seed_below(&run->seed, size);
    disk_load(&run->disk, name, at, &byte, 1);
    byte ^= (unsigned char)(1U << seed_below(&run->seed, 8));
    disk_store(&run->disk, name, at, &byte, 1);
    return true;
}
