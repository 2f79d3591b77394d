/* The inspector, which all commands use: reads a log record by record and keeps the state. */
#include "tools/tally-wal/inspector.h"

#include "engine/apply/apply.h"
#include "engine/log/columns.h"
#include "engine/log/bounds.h"
#include "tools/tally-wal/beginning.h"
#include "wal/base/err.h"
#include "wal/format/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int add_segment(void *arg, const char *name)
{
    struct inspector *inspector = arg;
    uint64_t number;
    if (!wal_segment_is_name(name, &number)) {
        return 0;
    }
    int fd = inspector->io->ops->open(inspector->io, name, WAL_OPEN_READ);
    int64_t bytes = fd < 0 ? 0 : inspector->io->ops->size(inspector->io, fd);
    if (fd >= 0) {
        inspector->io->ops->close(inspector->io, fd);
    }
    inspector->segment_files++;
    inspector->segment_bytes += bytes > 0 ? (uint64_t)bytes : 0;
    return 0;
}

/* REQUIRES: the state is that of state_init. */
static int find_beginning(struct inspector *inspector)
{
    int err = beginning_load(inspector->io, &inspector->state, &inspector->first_lsn);
    inspector->snapshot_lsn = FIELD_OWN(inspector->state.lsn);
    inspector->snapshot_ms = inspector->state.time_ms;
    return err;
}

int inspector_restart(struct inspector *inspector)
{
    state_fini(&inspector->state);
    return state_init(&inspector->state) != 0 ? TALLY_NOMEM : find_beginning(inspector);
}

struct inspector *inspector_new(const char *dir, const char *doing)
{
    struct inspector *inspector = aligned_alloc(_Alignof(struct inspector), sizeof *inspector);
    if (inspector == NULL) {
        fprintf(stderr, "tally-wal: %s\n", tally_err_text(TALLY_NOMEM));
        return NULL;
    }
    *inspector = (struct inspector){.io = NULL};
    int err = wal_file_io_new(&inspector->io, dir, 0);
    if (err != 0) {
        fprintf(stderr, "tally-wal: cannot open %s: %s\n", dir, strerrordesc_np(-err));
        free(inspector);
        return NULL;
    }
    if (state_init(&inspector->state) != 0 || find_beginning(inspector) != 0) {
        fprintf(stderr, "tally-wal: %s\n", tally_err_text(TALLY_NOMEM));
        inspector->io->ops->destroy(inspector->io);
        free(inspector);
        return NULL;
    }
    /* a failure is left to the reading, which reports it */
    (void)inspector->io->ops->list(inspector->io, add_segment, inspector);
    progress_init(&inspector->progress, doing, inspector->segment_bytes);
    return inspector;
}

void inspector_destroy(struct inspector *inspector)
{
    state_fini(&inspector->state);
    inspector->io->ops->destroy(inspector->io);
    free(inspector);
}

/* Shows a record. One that the snapshot holds is not applied: only its own fields are checked. */
static int take_record(struct inspector *inspector, const struct record *record,
                       struct apply_result *result)
{
    if (record->lsn > inspector->snapshot_lsn) {
        return apply(&inspector->state, record, result);
    }
    bool is_next = record->time_ms >= inspector->last_ms && record->time_ms <= TIME_MS_MAX;
    inspector->last_ms = record->time_ms;
    return is_next && bounds_record_error(record) == NULL ? 0 : TALLY_CORRUPT;
}

static int see_record(void *arg, const struct record *record)
{
    struct inspector *inspector = arg;
    inspector->result.err = 0;
    inspector->result.reply.value = 0;
    int err = take_record(inspector, record, &inspector->result);
    if (err != 0) {
        inspector->bad_lsn = record->lsn;
        inspector->bad_type = record_type_name(record->type);
        return err;
    }
    inspector->by_type[record->type]++;
    return inspector->see != NULL ? inspector->see(inspector->arg, record, &inspector->result) : 0;
}

int inspector_see_block(void *arg, const struct wal_block *block)
{
    struct inspector *inspector = arg;
    int err = 0;
    if (!inspector->has_begun && block->first_lsn > inspector->snapshot_lsn + 1) {
        inspector->lost_lsn = block->first_lsn;
        return block->first_lsn > inspector->first_lsn ? INSPECT_AGAIN : TALLY_DAMAGE;
    }
    inspector->has_begun = true;
    inspector->seen_bytes += block->stored_bytes;
    progress_at(&inspector->progress, inspector->seen_bytes);
    if (ledger_is_beyond(&inspector->state.ledger)) {
        return TALLY_NOMEM;
    }
    if (block->count > 0) {
        err = columns_decode(block->raw, block->raw_bytes, block->first_lsn, block->count,
                             see_record, inspector);
    }
    return err == 0 && inspector->see_block != NULL ? inspector->see_block(inspector->arg, block)
                                                    : err;
}

int inspector_code(const struct inspector *inspector, int err)
{
    switch (err) {
    case INSPECT_ENOUGH:
        return EXIT_WHOLE;
    case 0:
        return inspector->report.end == WAL_END_EMPTY  ? EXIT_MISSING
               : inspector->report.end == WAL_END_TORN ? EXIT_TORN
                                                       : EXIT_WHOLE;
    case TALLY_CORRUPT:
    case TALLY_DAMAGE:
    case TALLY_NEWER:
        return EXIT_DAMAGE;
    case TALLY_LOCKED:
        return EXIT_IN_USE;
    case TALLY_MISSED:
        return EXIT_CUT;
    default:
        return EXIT_UNREADABLE;
    }
}

const char *inspector_text(struct inspector *inspector, int err)
{
    struct wal_report *report = &inspector->report;
    if (inspector->bad_lsn != 0) {
        snprintf(report->text, sizeof report->text,
                 "damage: record %" PRIu64 " (%s) contradicts what is before it",
                 inspector->bad_lsn, inspector->bad_type);
    } else if (inspector->lost_lsn != 0 && !inspector->has_begun) {
        snprintf(report->text, sizeof report->text,
                 "damage: the log begins with record %" PRIu64
                 ", and no snapshot that can be read holds what was before it",
                 inspector->lost_lsn);
    } else if (report->text[0] == '\0' && err != 0 && err != INSPECT_ENOUGH) {
        snprintf(report->text, sizeof report->text, "%s", tally_err_text(err));
    }
    return report->text;
}

int inspector_end(struct inspector *inspector, int err)
{
    progress_end(&inspector->progress);
    fflush(stdout);
    const char *text = inspector_text(inspector, err);
    if (err != INSPECT_ENOUGH && text[0] != '\0') {
        fprintf(stderr, "tally-wal: %s\n", text);
    }
    return inspector_code(inspector, err);
}

/* Ends, because the log begins later at each restart. */
int inspector_run(struct inspector *inspector)
{
    int err = INSPECT_AGAIN;
    while (err == INSPECT_AGAIN) {
        err = wal_reader_once(inspector->io, inspector_see_block, inspector, &inspector->report);
        if (err == INSPECT_AGAIN && inspector_restart(inspector) != 0) {
            err = TALLY_NOMEM;
        }
    }
    return err;
}

int inspector_read(struct inspector *inspector)
{
    return inspector_end(inspector, inspector_run(inspector));
}
