/* A run: one life of a log on a simulated disk, compared with the model at every step. */
#include "tests/crash/run.h"

#include "tests/crash/disk_file.h"
#include "wal/base/check.h"
#include "wal/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The janitor pays no time for bytes, and scrubs whenever time passes (fiber_tick). */
#define AT_ONCE        ((uint64_t)1 << 62)
#define SCRUB_EVERY_MS 30000

enum { SMALL_BYTES = 1100, NOTES_BYTES = 9000, LARGE_BYTES = 19000, ROTATING_BYTES = 52 << 10 };

void run_init(struct run *run, uint64_t seed, enum fiber_order order)
{
    *run = (struct run){.order = order, .seed = {seed}};
    disk_init(&run->disk);
    model_init(&run->model);
    run->next_id = seed_next(&run->seed) >> 20;
    run->disk.seed.state = seed_next(&run->seed); /* also the log's uuid */
}

bool run_wrong(struct run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (run->wrong[0] == '\0') {
        vsnprintf(run->wrong, sizeof(run->wrong), format, args);
    }
    va_end(args);
    return false;
}

int run_close(struct run *run, bool is_clean)
{
    snaps_join(run);
    struct wal_janitor_stats stats;
    wal_janitor_stats(run->wal, &stats);
    run->packed += stats.packed_segments;
    int err = wal_close(run->wal, is_clean);
    run->wal = NULL;
    return err;
}

void run_stop(struct run *run)
{
    run->disk.is_off = true;
    if (run->wal != NULL) {
        (void)run_close(run, false);
    }
    disk_kill(&run->disk);
}

void run_fini(struct run *run)
{
    run_stop(run);
    disk_fini(&run->disk);
    model_fini(&run->model);
}

/* Checks that the log reports no damage but the test's own. */
static void on_damage(void *arg, const struct wal_report *damage)
{
    struct run *run = arg;
    bool is_ours = run->model.is_damaged && strncmp(damage->text, "snap-", 5) == 0;
    if (!is_ours && !run->disk.is_off && !run->disk.fault.hit) {
        run_wrong(run, "the janitor finds damage: %s", damage->text);
    }
}

static int open_once(struct run *run, struct model_replay *replay)
{
    const struct wal_janitor_options janitor = {
        .pack_bytes_per_s = AT_ONCE,
        .scrub_bytes_per_s = AT_ONCE,
        .scrub_every_ms = SCRUB_EVERY_MS,
        .on_damage = on_damage,
        .arg = run,
    };
    struct wal_options options = {
        .io = &run->disk.io,
        .segment_bytes = WAL_SEGMENT_BYTES_MIN,
        .start_bytes = WAL_SEGMENT_BYTES_MIN,
        .janitor = run->has_janitor ? &janitor : NULL,
        .load = model_load,
        .unload = model_unload,
    };
    *replay = (struct model_replay){.model = &run->model};
    fiber_begin(run->order, seed_next(&run->seed));
    run->opens++;
    run->is_inside = true;
    int err = wal_open(&run->wal, &options, model_visit, replay, &run->report);
    run->is_inside = false;
    run->snaps = (struct snaps){.newest_lsn = run->report.snapshot_lsn};
    return err;
}

bool run_is_excused(const struct run *run, int err)
{
    bool is_full = run->disk.space_bytes != 0 || run->disk.fault.err == -ENOSPC;
    return (err == TALLY_NOMEM && run->is_starved) || (err == TALLY_NOSPC && is_full) ||
           (err == TALLY_IO && (run->disk.fault.hit || run->is_starved));
}

/* Checks that the start has loaded the snapshot that counts, or a later one. */
static bool check_snapshot(struct run *run, const struct model_replay *replay)
{
    uint64_t lsn = run->report.snapshot_lsn;
    run->loads += lsn > 0;
    if (lsn != replay->loaded) {
        return run_wrong(run, "snapshot %llu holds what was up to record %llu",
                         (unsigned long long)lsn, (unsigned long long)replay->loaded);
    }
    return lsn >= run->model.snapshot_lsn ||
           run_wrong(run, "snapshot %llu counts, and the start took %llu: %s",
                     (unsigned long long)run->model.snapshot_lsn, (unsigned long long)lsn,
                     run->report.text);
}

bool run_open(struct run *run)
{
    struct model_replay replay;
    int err = open_once(run, &replay);
    if (err == TALLY_IO && run->is_starved) {
        return run_wrong(run, "no memory, and it says: %s", run->report.text);
    }
    if (run_is_excused(run, err) && replay.wrong[0] == '\0') {
        run->excuses++;
        run->disk.fault = (struct disk_fault){.countdown = 0};
        run->disk.space_bytes = 0;
        run->is_starved = false;
        disk_kill(&run->disk);
        err = open_once(run, &replay);
    }
    run->disk.fault.hit = false;
    if (replay.wrong[0] != '\0') {
        return run_wrong(run, "%s", replay.wrong);
    }
    if (err != 0) {
        return run_wrong(run, "refused: %s: %s", tally_err_name(err), run->report.text);
    }
    if (!model_settle(&replay)) {
        return run_wrong(run, "%s; %s", replay.wrong, run->report.text);
    }
    if (wal_next_lsn(run->wal) != model_next_lsn(&run->model)) {
        return run_wrong(run, "the next lsn is %llu instead of %llu",
                         (unsigned long long)wal_next_lsn(run->wal),
                         (unsigned long long)model_next_lsn(&run->model));
    }
    return check_snapshot(run, &replay);
}

static bool reopen(struct run *run)
{
    run_stop(run);
    return run_open(run);
}

/* Deals with a failed call into the log. */
static bool excuse(struct run *run, int err)
{
    if (!run_is_excused(run, err)) {
        return run_wrong(run, "append: %s: %s", tally_err_name(err), wal_why(run->wal));
    }
    run->excuses++;
    if (err == TALLY_NOSPC) {
        return true;
    }
    if (wal_append(run->wal, 1, "x", 1) != TALLY_IO) {
        return run_wrong(run, "an append after a failed call did not fail");
    }
    return reopen(run);
}

static bool append(struct run *run, uint32_t count, uint32_t raw_bytes, bool is_noise)
{
    static unsigned char raw[WAL_SEGMENT_BYTES_MIN];
    run->next_id++;
    model_submit(&run->model, run->next_id << 1 | is_noise, count, raw_bytes, raw);
    run->is_inside = true;
    int err = wal_append(run->wal, count, raw, raw_bytes);
    run->is_inside = false;
    if (err == 0) {
        model_acknowledge(&run->model);
        return true;
    }
    if (err == TALLY_NOSPC) {
        model_withdraw(&run->model);
    }
    return excuse(run, err);
}

static bool confirm(struct run *run)
{
    int err = wal_confirm(run->wal);
    return err == 0 || excuse(run, err);
}

bool run_close_clean(struct run *run)
{
    int err = run_close(run, true);
    disk_kill(&run->disk);
    if (err != 0 && !run_is_excused(run, err)) {
        return run_wrong(run, "close: %s", tally_err_name(err));
    }
    run->excuses += err != 0;
    return true;
}

bool run_tear(struct run *run)
{
    static unsigned char raw[LARGE_BYTES];
    run->next_id++;
    model_submit(&run->model, run->next_id << 1 | 1, 3, LARGE_BYTES, raw);
    run->disk.off_at = run->disk.calls + 1; /* the write is done, the sync is not */
    if (wal_append(run->wal, 3, raw, LARGE_BYTES) == 0) {
        return run_wrong(run, "an append without a sync was acknowledged");
    }
    run_stop(run);
    disk_crash(&run->disk, (struct disk_choice){DISK_LOSE_MASK, 0x5555555555555555});
    return true;
}

static bool power_cut(struct run *run, enum disk_loss loss)
{
    run_stop(run);
    disk_crash(&run->disk, (struct disk_choice){loss, seed_next(&run->seed) >> 32});
    return run_open(run);
}

/* Kills the process, and damages the newest snapshot. */
static bool damage_snapshot(struct run *run)
{
    run_stop(run);
    (void)snaps_damage(run);
    return run_open(run);
}

static void make_full(struct run *run)
{
    uint64_t used = 0;
    for (size_t i = 0; i < run->disk.dir.count; i++) {
        used += run->disk.dir.names[i].file->size;
    }
    run->disk.space_bytes = used + seed_below(&run->seed, 3 * WAL_SEGMENT_BYTES_MIN / 2);
}

/* Sets one fault at a time, for the log may not have reported the last one yet. But the calls that
 * a start makes because of it may fail, too. */
static void plan_fault(struct run *run)
{
    if (run->disk.fault.hit) {
        return;
    }
    run->disk.fault = (struct disk_fault){
        .countdown = 1 + seed_below(&run->seed, 6),
        .only = 1U << DISK_DATASYNC | 1U << DISK_SYNC,
        .err = -EIO,
        .again = seed_below(&run->seed, 5),
    };
}

bool run_do(struct run *run, char op)
{
    switch (op) {
    case 'a':
        return append(run, 1, SMALL_BYTES, true);
    case 'n':
        return append(run, 7, NOTES_BYTES, false);
    case 'l':
        return append(run, 3, LARGE_BYTES, true);
    case 'r':
        return append(run, 2, ROTATING_BYTES, true);
    case 'c':
        return confirm(run);
    case 'x':
        return run_close_clean(run) && run_open(run);
    case 'k':
        return reopen(run);
    case 'p':
        return power_cut(run, DISK_LOSE_RANDOM);
    case 'P':
        return power_cut(run, DISK_LOSE_ALL);
    case 'S':
        snaps_begin(run);
        return true;
    case 'd':
        return damage_snapshot(run);
    case 'j':
        run->has_janitor = true;
        return reopen(run);
    case 's':
        fiber_settle();
        return true;
    case 't':
        fiber_tick();
        return true;
    case 'f':
        plan_fault(run);
        return true;
    case 'e':
        make_full(run);
        return true;
    case 'h': /* the helper notices the space at its next try */
        run->disk.space_bytes = 0;
        fiber_tick();
        return true;
    default:
        return run_wrong(run, "no such operation: %c", op);
    }
}

bool run_script(struct run *run, const char *script)
{
    bool is_right = run_open(run);
    while (is_right && *script != '\0') {
        is_right = run_do(run, *script++) && run->wrong[0] == '\0';
    }
    return is_right;
}
