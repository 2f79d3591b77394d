/* A log whose beginning retention has removed, with the state's digest at each record. */
#include "tests/inspect/retention.h"

#include "engine/apply/apply.h"
#include "engine/apply/digest.h"
#include "engine/log/columns.h"
#include "engine/apply/snapshot_load.h"
#include "engine/apply/snapshot_capture.h"
#include "wal/background/retain.h"
#include "wal/base/err.h"
#include "wal/files/snapshot_writer.h"
#include "wal/format/snapshot.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct state state; /* of the log being made or read */

/* ---- making ---- */

static int put(void *arg, struct image_buf *images)
{
    int err = wal_snapshot_writer_put(arg, images->count, images->at, images->len);
    image_buf_fini(images);
    *images = (struct image_buf){.at = NULL};
    return err;
}

static void save(struct cut *cut)
{
    struct wal_snapshot_writer *snapshot = NULL;
    struct capture capture;
    uint64_t bytes;
    uint64_t lsn = FIELD_OWN(state.lsn);
    cr_assert_eq(wal_snapshot_writer_new(&snapshot, cut->disk.io, wal_uuid(cut->disk.wal), lsn), 0);
    snapshot_capture_begin(&capture, &state, put, snapshot);
    cr_assert(snapshot_capture_walk(&capture, SIZE_MAX) && capture.err == 0);
    snapshot_capture_end(&capture);
    cr_assert_eq(wal_snapshot_writer_end(snapshot, NULL, NULL, &bytes), 0);
    wal_snapshot_writer_destroy(snapshot);
}

/* Applies a record, and writes a snapshot where one is due. */
static void take(struct cut *cut, uint64_t time_ms, struct record record)
{
    struct apply_result result;
    uint64_t lsn = FIELD_OWN(state.lsn) + 1;
    record.lsn = lsn;
    record.time_ms = time_ms;
    cr_assert(apply(&state, &record, &result) == 0 && result.err == 0);
    cut->digests[lsn] = digest_state(&state);
    if (lsn == CUT_FAR_LSN || lsn == CUT_OLDER_LSN || lsn == CUT_NEWEST_LSN) {
        save(cut);
    }
}

static void add(struct cut *cut, unsigned block, const struct record *records, size_t count)
{
    made_block(&cut->disk, cut_time_ms(block), records, count);
    for (size_t i = 0; i < count; i++) {
        take(cut, cut_time_ms(block), records[i]);
    }
}

void cut_init(struct cut *cut)
{
    static const struct record begin[] = {
        {.type = RECORD_POLL, .text = {SPAN("p")}},
        {.type = RECORD_OPTION, .text = {SPAN("p"), SPAN("A"), SPAN("a")}}};
    *cut = (struct cut){.digests = {0}};
    cr_assert_eq(state_init(&state), 0);
    made_init(&cut->disk);
    add(cut, 0, begin, 2);
    for (unsigned block = 1; block <= CUT_BLOCKS; block++) {
        uint64_t before = 3 * ((uint64_t)block - 1);
        const struct record votes[] = {{.type = RECORD_VOTE, .num = {1, before, 1}},
                                       {.type = RECORD_VOTE, .num = {1, before + 1, 1}},
                                       {.type = RECORD_VOTE, .num = {1, before + 2, 1}}};
        add(cut, block, votes, 3);
    }
    cr_assert_eq(FIELD_OWN(state.lsn), CUT_LAST_LSN);
    state_fini(&state);
    log_dir_close_clean(&cut->disk);
}

void cut_fini(struct cut *cut)
{
    log_dir_fini(&cut->disk);
}

void cut_retain(const struct cut *cut, uint64_t safe_lsn)
{
    struct wal_io *io;
    const struct wal_retain retain = {.safe_lsn = safe_lsn, .bytes_max = 0};
    cr_assert_eq(wal_file_io_new(&io, cut->disk.path, 0), 0);
    cr_assert_gt(wal_retain(io, &retain), 0);
    io->ops->destroy(io);
}

void cut_spoil(const struct cut *cut, uint64_t lsn)
{
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, lsn);
    log_dir_flip(&cut->disk, name,
                 8 * (WAL_PAGE_BYTES + 70)); /* in the payload of the first block */
}

/* ---- starting ---- */

static int see_record(void *arg, const struct record *record)
{
    struct apply_result result;
    (void)arg;
    return record->lsn <= FIELD_OWN(state.lsn) ? 0 : apply(&state, record, &result);
}

static int see_block(void *arg, const struct wal_block *block)
{
    return block->count == 0 ? 0
                             : columns_decode(block->raw, block->raw_bytes, block->first_lsn,
                                              block->count, see_record, arg);
}

uint64_t cut_start(const char *dir, struct wal_report *report)
{
    struct wal_io *io;
    struct wal *wal;
    struct snapshot_load load;
    cr_assert_eq(state_init(&state), 0);
    snapshot_load_init(&load, &state);
    cr_assert_eq(wal_file_io_new(&io, dir, 0), 0);
    const struct wal_options options = {.io = io, .load = snapshot_load_block};
    cr_assert_eq(wal_open(&wal, &options, see_block, &load, report), 0, "%s", report->text);
    uint64_t digest = digest_state(&state);
    cr_assert_eq(wal_next_lsn(wal), FIELD_OWN(state.lsn) + 1);
    cr_assert_eq(wal_close(wal, true), 0);
    io->ops->destroy(io);
    snapshot_load_fini(&load);
    state_fini(&state);
    return digest;
}
