/* tally-wal replay: makes a new directory whose log ends at a past moment. */
#include "engine/log/columns.h"
#include "tools/tally-wal/commands.h"
#include "tools/tally-wal/inspector.h"
#include "tools/tally-wal/moment.h"
#include "tools/tally-wal/newdir.h"
#include "wal/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct replay_command {
    const struct settings *settings;
    struct inspector *inspector;
    struct wal *wal;   /* the new log */
    uint32_t taken;    /* records of the present block up to the moment */
    uint64_t last_lsn; /* of the last record that was taken, or of the snapshot */
    uint64_t last_ms;  /* its time */
    struct columns columns;
};

/* Counts a record up to the moment. The counted ones are the first of their block, or the first in
 * it behind the snapshot. */
static int see(void *arg, const struct record *record, const struct apply_result *result)
{
    struct replay_command *replay = arg;
    (void)result;
    if (record->lsn > replay->inspector->snapshot_lsn &&
        record->lsn <= replay->settings->until_lsn &&
        record->time_ms <= replay->settings->until_ms) {
        replay->taken++;
        replay->last_lsn = record->lsn;
        replay->last_ms = record->time_ms;
    }
    return 0;
}

static int encode(void *arg, const struct record *record)
{
    struct replay_command *replay = arg;
    if (record->lsn > replay->last_lsn) {
        return INSPECT_ENOUGH;
    }
    if (record->lsn <= replay->inspector->snapshot_lsn) {
        return 0;
    }
    return columns_add(&replay->columns, record);
}

/* Appends the taken records of a block as a block of their own. The decoder skips records that only
 * a newer version knows; then later lsns would change, so such a block is refused. */
static int append_part(struct replay_command *replay, const struct wal_block *block)
{
    const unsigned char *raw;
    size_t raw_bytes;
    columns_begin(&replay->columns, replay->last_ms); /* all records of a block have its time */
    int err = columns_decode(block->raw, block->raw_bytes, block->first_lsn, block->count, encode,
                             replay);
    if (err != 0 && err != INSPECT_ENOUGH) {
        return err;
    }
    uint64_t snapshot_lsn = replay->inspector->snapshot_lsn;
    uint64_t before_lsn = block->first_lsn > snapshot_lsn ? block->first_lsn - 1 : snapshot_lsn;
    if (replay->columns.count != replay->last_lsn - before_lsn) {
        return TALLY_NEWER;
    }
    err = columns_end(&replay->columns, &raw, &raw_bytes);
    return err != 0 ? err : wal_append(replay->wal, replay->columns.count, raw, raw_bytes);
}

/* Copies a block as it is if all of its records are taken. The new log ends with the first block
 * whose last record is not. */
static int see_block(void *arg, const struct wal_block *block)
{
    struct replay_command *replay = arg;
    int err = 0;
    if (newdir_is_interrupted()) {
        return TALLY_TIMEOUT;
    }
    if (block->count == 0) {
        return 0;
    }
    uint64_t block_lsn = block->first_lsn + block->count - 1;
    if (block_lsn <= replay->inspector->snapshot_lsn) {
        return 0;
    }
    bool goes_on = replay->taken > 0 && replay->last_lsn == block_lsn;
    if (goes_on && block->first_lsn > replay->inspector->snapshot_lsn) {
        err = wal_append(replay->wal, block->count, block->raw, block->raw_bytes);
    } else if (replay->taken > 0) {
        err = append_part(replay, block);
    }
    replay->taken = 0;
    if (err == 0 && (!goes_on || block_lsn == replay->settings->until_lsn)) {
        return INSPECT_ENOUGH;
    }
    return err;
}

static int say_not_there(const struct replay_command *replay)
{
    const struct settings *settings = replay->settings;
    if (replay->inspector->report.end == WAL_END_EMPTY) {
        return inspector_end(replay->inspector, 0);
    }
    if (replay->last_lsn == 0) {
        fprintf(stderr, "tally-wal: the log has no record up to then\n");
    } else {
        fprintf(stderr,
                "tally-wal: the log ends at record %" PRIu64 ", before record %" PRIu64 "\n",
                replay->last_lsn, settings->until_lsn);
    }
    return EXIT_USAGE;
}

/* Copies the log into the one that newdir has opened. Returns the exit code; 0: it is complete. */
static int copy(struct replay_command *replay, struct newdir *newdir)
{
    struct inspector *inspector = replay->inspector;
    replay->wal = newdir->wal;
    int err = wal_reader_once(inspector->io, inspector_see_block, inspector, &inspector->report);
    columns_fini(&replay->columns);
    progress_end(&inspector->progress);
    if (err == TALLY_TIMEOUT) {
        return EXIT_UNREADABLE; /* not used: the signal ends the process */
    }
    if (err == INSPECT_AGAIN) {
        return NEWDIR_AGAIN;
    }
    if (err != 0 && err != INSPECT_ENOUGH) {
        const char *why = wal_why(newdir->wal);
        if (why[0] != '\0') {
            fprintf(stderr, "tally-wal: %s: %s\n", replay->settings->into, why);
        }
        return inspector_end(inspector, err);
    }
    uint64_t until_lsn = replay->settings->until_lsn;
    if (replay->last_lsn == 0 || (until_lsn != UINT64_MAX && replay->last_lsn < until_lsn)) {
        return say_not_there(replay);
    }
    return EXIT_WHOLE;
}

/* Checks that the moment is not before the snapshot with which the log begins. */
static int check_beginning(const struct replay_command *replay)
{
    const struct settings *settings = replay->settings;
    const struct inspector *inspector = replay->inspector;
    if (settings->until_lsn < inspector->snapshot_lsn ||
        settings->until_ms < inspector->snapshot_ms) {
        char time[MOMENT_TEXT_BYTES];
        moment_format(time, inspector->snapshot_ms);
        fprintf(stderr,
                "tally-wal: the earliest moment that the log reaches is record %" PRIu64
                ", at %s: older ones have left it by retention\n",
                inspector->snapshot_lsn, time);
        return EXIT_USAGE;
    }
    return EXIT_WHOLE;
}

static void say_done(const struct replay_command *replay)
{
    char time[MOMENT_TEXT_BYTES];
    uint64_t snapshot_lsn = replay->inspector->snapshot_lsn;
    moment_format(time, replay->last_ms);
    uint64_t count = replay->last_lsn - snapshot_lsn;
    printf("%" PRIu64 " record%s, up to %s", count, count == 1 ? "" : "s", time);
    if (snapshot_lsn > 0) {
        printf(", behind the snapshot at record %" PRIu64, snapshot_lsn);
    }
    printf(", in %s\n", replay->settings->into);
}

/* Returns the exit code, or NEWDIR_AGAIN. */
static int replay_once(const struct settings *settings)
{
    struct newdir newdir;
    struct inspector *inspector = inspector_new(settings->dir, "copying");
    if (inspector == NULL) {
        return EXIT_UNREADABLE;
    }
    struct replay_command replay = {.settings = settings,
                                    .inspector = inspector,
                                    .last_lsn = inspector->snapshot_lsn,
                                    .last_ms = inspector->snapshot_ms};
    inspector->see = see;
    inspector->see_block = see_block;
    inspector->arg = &replay;
    int code = check_beginning(&replay);
    if (code == EXIT_WHOLE) {
        code = newdir_begin(&newdir, settings->into, inspector->io, inspector->snapshot_lsn);
    }
    if (code == EXIT_WHOLE) {
        code = copy(&replay, &newdir);
        code = code == EXIT_WHOLE ? newdir_finish(&newdir) : code;
        newdir_fini(&newdir);
    }
    if (code == EXIT_WHOLE) {
        say_done(&replay);
    }
    inspector_destroy(inspector);
    return code;
}

/* Begins anew when retention removes more of the log's beginning meanwhile. */
int command_replay(const struct settings *settings)
{
    int code;
    do {
        code = replay_once(settings);
    } while (code == NEWDIR_AGAIN);
    return code;
}
