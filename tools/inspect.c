/* Dumping and verifying a log. */
#include "tools/inspect.h"

#include "engine/apply.h"
#include "engine/columns.h"
#include "wal/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_TORN = 4, EXIT_DAMAGE = 5, EXIT_IO = 74 };

/* What goes along while the log is read: the state as far as it has come. */
struct inspector {
    struct state state;
    bool dumps;
    uint64_t bad_lsn; /* the record that contradicts what is before it; 0: none */
    const char *bad_type;
    uint64_t by_type[RECORD_TYPES];
};

/* ---- dump ---- */

static void print_quoted(const char *key, struct span text)
{
    printf(" %s=\"", key);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            printf("\\x%02X", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static void print_name(const char *key, struct span name)
{
    printf(" %s=%.*s", key, (int)name.len, name.at);
}

static void print_vote(const struct inspector *inspector, const struct record *record)
{
    const struct option *option = state_option(&inspector->state, record->num[VOTE_OPTION]);
    printf(" option=%" PRIu64, record->num[VOTE_OPTION]);
    if (option != NULL) {
        print_quoted("label", blob_span(option->label));
        print_name("poll", blob_span(option->poll->name));
    }
    uint64_t n = record->num[VOTE_N];
    printf(" votes=%" PRIu64 " n=%" PRIu64, record->num[VOTE_BEFORE] + n, n);
}

static void print_step(const struct inspector *inspector, const struct record *record)
{
    const struct build *build = state_build(&inspector->state, record->num[STEP_BUILD]);
    uint32_t before = (uint32_t)record->num[STEP_BEFORE];
    uint32_t after = (uint32_t)record->num[STEP_AFTER];
    printf(" build=%" PRIu64, record->num[STEP_BUILD]);
    if (build != NULL) {
        print_name("queue", blob_span(build->queue->name));
    }
    printf(" from=%s to=%s token=%" PRIu32, build_state_name(half_state(before)),
           build_state_name(half_state(after)), half_token(after));
    if (record->type == RECORD_CLAIM) {
        const struct worker *worker =
            table_get(&inspector->state.worker_ids, record->num[STEP_WORKER]);
        if (worker != NULL) {
            print_name("worker", blob_span(worker->name));
        }
        printf(" lease_ms=%" PRIu64, record->num[STEP_LEASE_MS]);
    } else if (record->num[STEP_DELAY_MS] != 0) {
        printf(" delay_ms=%" PRIu64, record->num[STEP_DELAY_MS]);
    }
    if (record->type == RECORD_DONE) {
        printf(" result_bytes=%zu", record->text[STEP_TEXT].len);
    } else if (record->type == RECORD_FAIL) {
        print_quoted("error", record->text[STEP_TEXT]);
    }
}

/* Judged records: all that they carry, by the names of the record table. */
static void print_judged(const struct record *record, const struct verdict *verdict)
{
    for (unsigned i = 0; i < record_num_count(record->type); i++) {
        struct span name = record_num_name(record->type, i);
        printf(" %.*s=%" PRIu64, (int)name.len, name.at, record->num[i]);
    }
    for (unsigned i = 0; i < record_text_count(record->type); i++) {
        struct span name = record_text_name(record->type, i);
        struct span text = record->text[i];
        if (record->type == RECORD_SUBMIT && i == SUBMIT_PAYLOAD) {
            printf(" payload_bytes=%zu", text.len);
        } else if (text.len > 0) {
            char key[32];
            snprintf(key, sizeof key, "%.*s", (int)name.len, name.at);
            print_quoted(key, text);
        }
    }
    if (verdict->err != 0) {
        printf(" refused=%s", tally_err_name(verdict->err));
    } else if (record->type == RECORD_SUBMIT || record->type == RECORD_OPTION) {
        printf(" id=%" PRIu64, verdict->value);
    }
}

static void dump_record(const struct inspector *inspector, const struct record *record,
                        const struct verdict *verdict)
{
    printf("%" PRIu64 " %" PRIu64 " %s", record->lsn, record->time_ms,
           record_type_name(record->type));
    if (record->type == RECORD_VOTE) {
        print_vote(inspector, record);
    } else if (record->type >= RECORD_CLAIM) {
        print_step(inspector, record);
    } else {
        print_judged(record, verdict);
    }
    putchar('\n');
}

/* ---- reading ---- */

static int see_record(void *arg, const struct record *record)
{
    struct inspector *inspector = arg;
    struct verdict verdict;
    int err = apply(&inspector->state, record, &verdict);
    if (err != 0) {
        inspector->bad_lsn = record->lsn;
        inspector->bad_type = record_type_name(record->type);
        return err;
    }
    inspector->by_type[record->type]++;
    if (inspector->dumps) {
        dump_record(inspector, record, &verdict);
    }
    return 0;
}

static int see_block(void *arg, const struct wal_block *block)
{
    if (block->count == 0) {
        return 0;
    }
    return columns_decode(block->raw, block->raw_bytes, block->first_lsn, block->count, see_record,
                          arg);
}

static int exit_code(int err, const struct wal_report *report)
{
    if (err == TALLY_CORRUPT || err == TALLY_DAMAGE || err == TALLY_NEWER) {
        return EXIT_DAMAGE;
    }
    if (err != 0) {
        return EXIT_IO;
    }
    return report->end == WAL_END_TORN ? EXIT_TORN : 0;
}

static void say_verified(const struct inspector *inspector, const struct wal_report *report)
{
    const struct state *state = &inspector->state;
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

static int read_log(struct inspector *inspector, const char *dir)
{
    struct wal_io *io = NULL;
    int err = wal_file_io_new(&io, dir, 0);
    if (err != 0) {
        fprintf(stderr, "tally-wal: cannot open %s: %s\n", dir, strerror(-err));
        return EXIT_IO;
    }
    struct wal_report report = {0};
    err = wal_read(io, see_block, inspector, &report);
    io->ops->destroy(io);
    if (!inspector->dumps && err == 0) {
        say_verified(inspector, &report);
    }
    fflush(stdout);
    if (inspector->bad_lsn != 0) {
        fprintf(stderr,
                "tally-wal: damage: record %" PRIu64 " (%s) contradicts what is before it\n",
                inspector->bad_lsn, inspector->bad_type);
    } else if (report.text[0] != '\0') {
        fprintf(stderr, "tally-wal: %s\n", report.text);
    } else if (err != 0) {
        fprintf(stderr, "tally-wal: %s\n", tally_err_text(err));
    }
    return exit_code(err, &report);
}

int inspect(const char *dir, bool dumps)
{
    struct inspector *inspector = calloc(1, sizeof *inspector);
    int code = EXIT_IO;
    if (inspector != NULL && state_init(&inspector->state) == 0) {
        inspector->dumps = dumps;
        code = read_log(inspector, dir);
        state_fini(&inspector->state);
    } else {
        fprintf(stderr, "tally-wal: out of memory\n");
    }
    free(inspector);
    return code;
}
