/* tally-wal dump: one line for each record; with --follow also for new ones. */
#include "tools/tally-wal/commands.h"
#include "tools/tally-wal/fields.h"
#include "tools/tally-wal/follow.h"
#include "tools/tally-wal/inspector.h"
#include "tools/tally-wal/moment.h"
#include "wal/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct dump {
    const struct settings *settings;
    struct inspector *inspector;
    struct follow follow; /* with --follow */
};

/* ---- one record ---- */

static void print_option(const struct state *state, uint64_t id, const char *key,
                         struct fields *fields)
{
    const struct option *option = state_option(state, id);
    fields_number(fields, key, id);
    if (option != NULL) {
        fields_quoted(fields, "label", blob_span(option->label));
        fields_name(fields, "poll", blob_span(option->poll->name));
    }
}

static void print_build(const struct state *state, uint64_t id, const char *key,
                        struct fields *fields)
{
    const struct build *build = state_build(state, id);
    fields_number(fields, key, id);
    if (build != NULL) {
        fields_name(fields, "queue", blob_span(build->queue->name));
    }
}

static void print_state(const char *key, uint64_t status, struct fields *fields)
{
    fields_name(fields, key, span_of(status_state_name(status_state((uint32_t)status))));
}

static void print_worker(const struct state *state, uint64_t id, const char *key,
                         struct fields *fields)
{
    const struct worker *worker = table_get(&state->worker_ids, id);
    if (worker != NULL) {
        fields_name(fields, key, blob_span(worker->name));
    }
}

static void print_num(const struct state *state, const struct record *record, unsigned i,
                      struct fields *fields)
{
    const struct record_schema *schema = record_schema(record->type);
    const char *key = schema->nums[i].name;
    uint64_t num = record->num[i];
    switch (schema->nums[i].what) {
    case RECORD_NUM_PLAIN:
    case RECORD_NUM_LEASE_MS:
        fields_number(fields, key, num);
        break;
    case RECORD_NUM_DELAY_MS:
    case RECORD_NUM_SELDOM:
        if (num != 0) {
            fields_number(fields, key, num);
        }
        break;
    case RECORD_NUM_DEAD:
        break;
    case RECORD_NUM_MODE:
        if (num != POLL_FREE) {
            fields_name(fields, key, span_of(status_mode_name((uint32_t)num)));
        }
        break;
    case RECORD_NUM_OPTION:
        print_option(state, num, key, fields);
        break;
    case RECORD_NUM_VOTES_BEFORE:
        fields_number(fields, "votes", num + record->num[VOTE_N]);
        break;
    case RECORD_NUM_BUILD:
        print_build(state, num, key, fields);
        break;
    case RECORD_NUM_STATUS_BEFORE:
        print_state("from", num, fields);
        break;
    case RECORD_NUM_STATUS_AFTER:
        print_state("to", num, fields);
        fields_number(fields, "token", status_token((uint32_t)num));
        break;
    case RECORD_NUM_WORKER:
        print_worker(state, num, key, fields);
        break;
    }
}

static void print_text(const struct record *record, unsigned i, struct fields *fields)
{
    const struct record_schema *schema = record_schema(record->type);
    const char *key = schema->texts[i].name;
    struct span text = record->text[i];
    switch (schema->texts[i].shown) {
    case RECORD_TEXT_QUOTED:
        if (text.len > 0) {
            fields_quoted(fields, key, text);
        }
        break;
    case RECORD_TEXT_QUOTED_ALWAYS:
        fields_quoted(fields, key, text);
        break;
    case RECORD_TEXT_BYTES:
        fields_bytes(fields, key, text);
        break;
    }
}

/* Prints the result of an ordered record. */
static void print_result(const struct record_schema *schema, const struct apply_result *result,
                         struct fields *fields)
{
    if (result->err != 0) {
        fields_name(fields, "refused", span_of(tally_err_name(result->err)));
    } else if (schema->makes != RECORD_MAKES_NOTHING) {
        fields_number(fields, "id", result->reply.value);
    }
    if (result->reply.dup) {
        fields_number(fields, "dup", 1);
    }
}

static void print_fields(const struct state *state, const struct record *record,
                         const struct apply_result *result, struct fields *fields)
{
    const struct record_schema *schema = record_schema(record->type);
    for (unsigned i = 0; i < schema->num_count; i++) {
        print_num(state, record, i, fields);
    }
    for (unsigned i = 0; i < schema->text_count; i++) {
        print_text(record, i, fields);
    }
    if (schema->class == RECORD_CLASS_ORDERED) {
        print_result(schema, result, fields);
    }
}

static int print_json(const struct state *state, const struct record *record,
                      const struct apply_result *result)
{
    char time[MOMENT_TEXT_BYTES];
    struct fields fields = {.is_json = true, .object = object_new()};
    moment_format(time, record->time_ms);
    object_number(fields.object, "lsn", record->lsn);
    object_number(fields.object, "time_ms", record->time_ms);
    object_text(fields.object, "time", span_of(time));
    object_text(fields.object, "type", span_of(record_type_name(record->type)));
    print_fields(state, record, result, &fields);
    return object_print(fields.object, stdout);
}

static int see(void *arg, const struct record *record, const struct apply_result *result)
{
    const struct dump *dump = arg;
    const struct state *state = &dump->inspector->state;
    const struct filter *filter = &dump->settings->filter;
    if (filter_is_past(filter, record)) {
        return INSPECT_ENOUGH;
    }
    if (filter_takes(filter, state, record, result)) {
        if (dump->settings->is_json) {
            return print_json(state, record, result);
        }
        struct fields fields = {.is_json = false};
        printf("%" PRIu64 " %" PRIu64 " %s", record->lsn, record->time_ms,
               record_type_name(record->type));
        print_fields(state, record, result, &fields);
        putchar('\n');
    }
    /* so that a dump of the live log ends at its last record without waiting for another */
    return record->lsn == filter->to_lsn ? INSPECT_ENOUGH : 0;
}

/* ---- the log ---- */

static int see_block_following(void *arg, const struct wal_block *block)
{
    struct dump *dump = arg;
    (void)block;
    return follow_is_over(&dump->follow) ? INSPECT_ENOUGH : 0;
}

/*
 * Reads on whenever a file has changed. The tail is judged only when it is not blank, or when files
 * were added or removed.
 */
static int read_on(struct dump *dump, struct wal_reader *reader)
{
    struct inspector *inspector = dump->inspector;
    bool is_blank = false;
    int err = wal_reader_judge(reader, &inspector->report);
    progress_end(&inspector->progress);
    inspector->progress.is_on = false;
    while (err == 0) {
        fflush(stdout);
        if (follow_is_over(&dump->follow) || !follow_wait(&dump->follow)) {
            return INSPECT_ENOUGH;
        }
        err = wal_reader_more(reader, &is_blank);
        if (err == 0 && (!is_blank || dump->follow.has_files)) {
            dump->follow.has_files = false;
            err = wal_reader_judge(reader, &inspector->report);
        }
    }
    return err;
}

static int dump_following(struct dump *dump)
{
    struct inspector *inspector = dump->inspector;
    struct wal_reader *reader;
    int err = follow_init(&dump->follow, dump->settings->dir);
    if (err != 0) {
        fprintf(stderr, "tally-wal: cannot watch %s: %s\n", dump->settings->dir,
                strerrordesc_np(-err));
        return EXIT_UNREADABLE;
    }
    inspector->see_block = see_block_following;
    err = INSPECT_AGAIN;
    while (err == INSPECT_AGAIN) {
        err = wal_reader_new(&reader, inspector->io, inspector_see_block, inspector);
        if (err == 0) {
            err = read_on(dump, reader);
            wal_reader_destroy(reader);
        }
        if (err == INSPECT_AGAIN && inspector_restart(inspector) != 0) {
            err = TALLY_NOMEM;
        }
    }
    follow_fini(&dump->follow);
    return inspector_end(inspector, err);
}

int command_dump(const struct settings *settings)
{
    struct inspector *inspector = inspector_new(settings->dir, "reading");
    if (inspector == NULL) {
        return EXIT_UNREADABLE;
    }
    struct dump dump = {.settings = settings, .inspector = inspector};
    inspector->see = see;
    inspector->arg = &dump;
    int code = settings->follows ? dump_following(&dump) : inspector_read(inspector);
    inspector_destroy(inspector);
    return code;
}
