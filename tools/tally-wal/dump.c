/* tally-wal dump: one line for each record; with --follow also for those that come. */
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

static void tell_vote(const struct state *state, const struct record *record, struct fields *fields)
{
    const struct option *option = state_option(state, record->num[VOTE_OPTION]);
    fields_number(fields, "option", record->num[VOTE_OPTION]);
    if (option != NULL) {
        fields_quoted(fields, "label", blob_span(option->label));
        fields_name(fields, "poll", blob_span(option->poll->name));
    }
    uint64_t n = record->num[VOTE_N];
    fields_number(fields, "votes", record->num[VOTE_BEFORE] + n);
    fields_number(fields, "n", n);
}

static void tell_step(const struct state *state, const struct record *record, struct fields *fields)
{
    const struct build *build = state_build(state, record->num[STEP_BUILD]);
    uint32_t before = (uint32_t)record->num[STEP_BEFORE];
    uint32_t after = (uint32_t)record->num[STEP_AFTER];
    fields_number(fields, "build", record->num[STEP_BUILD]);
    if (build != NULL) {
        fields_name(fields, "queue", blob_span(build->queue->name));
    }
    fields_name(fields, "from", span_of(status_state_name(status_state(before))));
    fields_name(fields, "to", span_of(status_state_name(status_state(after))));
    fields_number(fields, "token", status_token(after));
    if (record->type == RECORD_CLAIM) {
        const struct worker *worker = table_get(&state->worker_ids, record->num[STEP_WORKER]);
        if (worker != NULL) {
            fields_name(fields, "worker", blob_span(worker->name));
        }
        fields_number(fields, "lease_ms", record->num[STEP_LEASE_MS]);
    } else if (record->num[STEP_DELAY_MS] != 0) {
        fields_number(fields, "delay_ms", record->num[STEP_DELAY_MS]);
    }
    if (record->type == RECORD_DONE) {
        fields_bytes(fields, "result", record->text[STEP_TEXT]);
    } else if (record->type == RECORD_FAIL) {
        fields_quoted(fields, "error", record->text[STEP_TEXT]);
    }
}

/* The texts, by the names of the record table. */
static void tell_texts(const struct record *record, struct fields *fields)
{
    for (unsigned i = 0; i < record_text_count(record->type); i++) {
        char key[32];
        struct span name = record_text_name(record->type, i);
        snprintf(key, sizeof key, "%.*s", (int)name.len, name.at);
        if (record->type == RECORD_SUBMIT && i == SUBMIT_PAYLOAD) {
            fields_bytes(fields, key, record->text[i]);
        } else if (record->text[i].len > 0) {
            fields_quoted(fields, key, record->text[i]);
        }
    }
}

/* Ordered records: all that they carry, and what became of them. */
static void tell_judged(const struct record *record, const struct apply_result *verdict,
                        struct fields *fields)
{
    for (unsigned i = 0; i < record_num_count(record->type); i++) {
        char key[32];
        struct span name = record_num_name(record->type, i);
        snprintf(key, sizeof key, "%.*s", (int)name.len, name.at);
        fields_number(fields, key, record->num[i]);
    }
    tell_texts(record, fields);
    if (verdict->err != 0) {
        fields_name(fields, "refused", span_of(tally_err_name(verdict->err)));
    } else if (record->type == RECORD_SUBMIT || record->type == RECORD_OPTION) {
        fields_number(fields, "id", verdict->value);
    }
}

static void tell_fields(const struct state *state, const struct record *record,
                        const struct apply_result *verdict, struct fields *fields)
{
    if (record->type == RECORD_VOTE) {
        tell_vote(state, record, fields);
        if (fields->is_json) {
            tell_texts(record, fields); /* a voter, a key */
        }
    } else if (record->type >= RECORD_CLAIM) {
        tell_step(state, record, fields);
    } else {
        tell_judged(record, verdict, fields);
    }
}

static int print_json(const struct state *state, const struct record *record,
                      const struct apply_result *verdict)
{
    char time[MOMENT_TEXT_BYTES];
    struct fields fields = {.is_json = true, .object = object_new()};
    moment_format(time, record->time_ms);
    object_number(fields.object, "lsn", record->lsn);
    object_number(fields.object, "time_ms", record->time_ms);
    object_text(fields.object, "time", span_of(time));
    object_text(fields.object, "type", span_of(record_type_name(record->type)));
    tell_fields(state, record, verdict, &fields);
    return object_print(fields.object, stdout);
}

static int see(void *arg, const struct record *record, const struct apply_result *verdict)
{
    const struct dump *dump = arg;
    const struct state *state = &dump->inspector->state;
    const struct filter *filter = &dump->settings->filter;
    if (filter_is_past(filter, record)) {
        return INSPECT_ENOUGH;
    }
    if (filter_takes(filter, state, record, verdict)) {
        if (dump->settings->is_json) {
            return print_json(state, record, verdict);
        }
        struct fields fields = {.is_json = false};
        printf("%" PRIu64 " %" PRIu64 " %s", record->lsn, record->time_ms,
               record_type_name(record->type));
        tell_fields(state, record, verdict, &fields);
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
 * Reads on whenever something has changed. What stands at the end is judged only when it is not
 * blank, or when files have come: until then it is a log that nobody writes to.
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
