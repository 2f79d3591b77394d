/* tally-wal verify: checksums and meaning of every record, and what the log adds up to. */
#include "tools/wal/commands.h"
#include "tools/wal/inspector.h"
#include "tools/wal/object.h"

#include <inttypes.h>
#include <stdio.h>

static void print_text(const struct inspector *inspector)
{
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
    case EXIT_CUT:
        return "cut";
    default:
        return "unreadable";
    }
}

static void print_json(struct inspector *inspector, int err)
{
    const struct state *state = &inspector->state;
    const struct wal_report *report = &inspector->report;
    int code = inspector_code(inspector, err);
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
    object_text(object, "text", span_of(inspector_text(inspector, err)));
    (void)object_print(object, stdout); /* without memory the exit code still says it */
}

int command_verify(const struct settings *settings)
{
    struct inspector *inspector = inspector_new(settings->dir, "verifying");
    if (inspector == NULL) {
        return EXIT_UNREADABLE;
    }
    int err = inspector_run(inspector);
    progress_end(&inspector->progress);
    if (settings->is_json) {
        print_json(inspector, err);
    } else if (err == 0) {
        print_text(inspector);
    }
    int code = inspector_end(inspector, err);
    inspector_destroy(inspector);
    return code;
}
