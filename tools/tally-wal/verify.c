/* tally-wal verify: checks every checksum, applies every record, and compares every snapshot. */
#include "tools/tally-wal/commands.h"
#include "tools/tally-wal/inspector.h"
#include "tools/tally-wal/object.h"
#include "tools/tally-wal/snapshots.h"
#include "wal/base/err.h"

#include <inttypes.h>
#include <stdio.h>

struct verify {
    struct inspector *inspector;
    struct snapshots snapshots;
};

static int see(void *arg, const struct record *record, const struct apply_result *result)
{
    struct verify *verify = arg;
    (void)result;
    if (record->lsn > verify->inspector->snapshot_lsn) { /* the inspector has loaded that one */
        snapshots_compare(&verify->snapshots, record->lsn, &verify->inspector->state);
    }
    return 0;
}

/* Returns the exit code of the log or, if that is 0, of its snapshots. */
static int code_of(const struct verify *verify, int err)
{
    int code = inspector_code(verify->inspector, err);
    bool is_fine = code == EXIT_WHOLE || code == EXIT_TORN;
    return is_fine && snapshots_wrong(&verify->snapshots) != NULL ? EXIT_DAMAGE : code;
}

static const char *text_of(const struct verify *verify, int err)
{
    const struct snapshot_file *bad = snapshots_wrong(&verify->snapshots);
    bool is_of_log = inspector_code(verify->inspector, err) == EXIT_DAMAGE;
    return bad != NULL && !is_of_log ? bad->text : inspector_text(verify->inspector, err);
}

static void print_text(const struct verify *verify)
{
    const struct inspector *inspector = verify->inspector;
    const struct state *state = &inspector->state;
    const struct wal_report *report = &inspector->report;
    printf("records=%" PRIu64 " blocks=%" PRIu64 " bytes=%" PRIu64 " next_lsn=%" PRIu64 "\n",
           report->records, report->blocks, report->stored_bytes, report->next_lsn);
    for (unsigned type = 0; type < RECORD_TYPES; type++) {
        if (inspector->by_type[type] > 0) {
            printf("  %-12s %" PRIu64 "\n", record_type_name(type), inspector->by_type[type]);
        }
    }
    printf("polls=%" PRIu64 " options=%" PRIu64 " votes=%" PRIu64 " builds=%" PRIu64 "\n",
           FIELD_GET(state->poll_count), FIELD_GET(state->option_count), FIELD_GET(state->votes),
           FIELD_GET(state->build_next) - 1);
    printf("snapshots=%zu newest=%" PRIu64 "\n", verify->snapshots.count,
           snapshots_newest(&verify->snapshots));
}

static const char *result_of(int code)
{
    switch (code) {
    case EXIT_WHOLE:
        return "whole";
    case EXIT_TORN:
        return "torn";
    case EXIT_DAMAGE:
        return "damage";
    case EXIT_MISSING:
        return "missing";
    case EXIT_CUT:
        return "cut";
    default:
        return "unreadable";
    }
}

static void print_json(const struct verify *verify, int err)
{
    const struct inspector *inspector = verify->inspector;
    const struct state *state = &inspector->state;
    const struct wal_report *report = &inspector->report;
    int code = code_of(verify, err);
    struct object *object = object_new();
    struct object *types = object_new();
    object_text(object, "result", span_of(result_of(code)));
    object_number(object, "exit", (uint64_t)code);
    object_number(object, "records", report->records);
    object_number(object, "blocks", report->blocks);
    object_number(object, "bytes", report->stored_bytes);
    object_number(object, "next_lsn", report->next_lsn);
    object_number(object, "polls", FIELD_GET(state->poll_count));
    object_number(object, "options", FIELD_GET(state->option_count));
    object_number(object, "votes", FIELD_GET(state->votes));
    object_number(object, "builds", FIELD_GET(state->build_next) - 1);
    for (unsigned type = 0; type < RECORD_TYPES; type++) {
        if (inspector->by_type[type] > 0) {
            object_number(types, record_type_name(type), inspector->by_type[type]);
        }
    }
    object_child(object, "by_type", types);
    object_number(object, "snapshots", verify->snapshots.count);
    object_number(object, "snapshot_lsn", snapshots_newest(&verify->snapshots));
    object_text(object, "text", span_of(text_of(verify, err)));
    (void)object_print(object, stdout); /* without memory the exit code still tells the result */
}

int command_verify(const struct settings *settings)
{
    struct verify verify = {.inspector = inspector_new(settings->dir, "verifying")};
    struct inspector *inspector = verify.inspector;
    if (inspector == NULL) {
        return EXIT_UNREADABLE;
    }
    inspector->see = see;
    inspector->arg = &verify;
    /* read before the log, so that the log reaches at least as far as the snapshots */
    int err = snapshots_read(&verify.snapshots, inspector->io);
    err = err != 0 ? err : inspector_run(inspector);
    progress_end(&inspector->progress);
    int code = code_of(&verify, err);
    if (settings->is_json) {
        print_json(&verify, err);
    } else if (err == 0 && code != EXIT_MISSING) {
        print_text(&verify);
    }
    if (code == EXIT_DAMAGE && inspector_code(inspector, err) != EXIT_DAMAGE) {
        fprintf(stderr, "tally-wal: %s\n", text_of(&verify, err));
    }
    (void)inspector_end(inspector, err);
    inspector_destroy(inspector);
    return code;
}
