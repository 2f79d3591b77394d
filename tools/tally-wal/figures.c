/* Printing the figures of a log: a table, three pictures; or one JSON object. */
#include "tools/tally-wal/figures.h"

#include "tools/tally-wal/moment.h"
#include "tools/tally-wal/object.h"
#include "tools/tally-wal/picture.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { LABEL_COLUMNS = 12, NUMBER_COLUMNS = 14, VOTE_ROWS = 6 };

static uint64_t ahead_of(const struct figures *figures)
{
    uint64_t files = figures->inspector->segment_files;
    return files > figures->segments ? files - figures->segments : 0;
}

/* ---- the table ---- */

__attribute__((format(printf, 2, 3))) static void row(const char *name, const char *format, ...)
{
    va_list args;
    printf("%-*s ", LABEL_COLUMNS, name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void print_time(const struct figures *figures)
{
    char first[MOMENT_TEXT_BYTES];
    char last[MOMENT_TEXT_BYTES];
    moment_format(first, figures->first_ms);
    moment_format(last, figures->last_ms);
    row("time", "%s to %s, %.3f s", first, last,
        (double)(figures->last_ms - figures->first_ms) / 1000);
}

static void print_table(const struct figures *figures)
{
    const struct figures_blocks *all = &figures->all;
    const struct figures_blocks *pure = &figures->pure;
    const struct state *state = &figures->inspector->state;
    row("records", "%" PRIu64 " in %" PRIu64 " blocks", all->records, all->blocks);
    if (all->records > 0) {
        print_time(figures);
    }
    row("adds up to",
        "%" PRIu64 " polls, %" PRIu64 " options, %" PRIu64 " votes, %" PRIu64 " builds",
        FIELD_GET(state->poll_count), FIELD_GET(state->option_count), FIELD_GET(state->votes),
        FIELD_GET(state->build_next) - 1);
    row("stored", "%" PRIu64 " bytes: %.2f a record", all->stored_bytes,
        figures_ratio(all->stored_bytes, all->records));
    if (pure->blocks > 0) {
        row("votes alone",
            "%" PRIu64 " bytes for %" PRIu64 " votes in %" PRIu64 " records: %.3f a vote",
            pure->stored_bytes, figures->pure_votes, pure->records,
            figures_ratio(pure->stored_bytes, figures->pure_votes));
    }
    row("packed", "%" PRIu64 " bytes into %" PRIu64 ": %.2f to 1, %" PRIu64 " blocks by LZ4",
        all->raw_bytes, all->payload_bytes, figures_ratio(all->raw_bytes, all->payload_bytes),
        figures->lz4_blocks);
    row("block fill", "%.1f %% of the pages of the blocks",
        100 * figures_ratio(all->payload_bytes, all->stored_bytes));
    row("marks", "%" PRIu64 " blocks without records, %" PRIu64 " bytes", figures->mark_blocks,
        figures->mark_bytes);
    row("segments",
        "%" PRIu64 ": %" PRIu64 " sealed, %" PRIu64 " open, %" PRIu64 " made ahead; %" PRIu64
        " bytes of files",
        figures->inspector->segment_files, figures->sealed, figures->segments - figures->sealed,
        ahead_of(figures), figures->inspector->segment_bytes);
}

/* ---- the pictures ---- */

static void print_bar(const struct picture *picture, const char *label, uint64_t value,
                      uint64_t max)
{
    printf("%-*s ", LABEL_COLUMNS, label);
    picture_bar(picture, picture->columns - LABEL_COLUMNS - NUMBER_COLUMNS - 2, value, max);
    printf(" %*" PRIu64 "\n", NUMBER_COLUMNS, value);
}

static uint64_t max_of(const uint64_t *values, size_t count)
{
    uint64_t max = 0;
    for (size_t i = 0; i < count; i++) {
        max = values[i] > max ? values[i] : max;
    }
    return max;
}

static void draw_types(const struct figures *figures, const struct picture *picture)
{
    const uint64_t *by_type = figures->inspector->by_type;
    printf("\nrecords by type\n");
    for (unsigned type = 0; type < RECORD_TYPES; type++) {
        if (by_type[type] > 0) {
            print_bar(picture, record_type_name(type), by_type[type],
                      max_of(by_type, RECORD_TYPES));
        }
    }
}

static void draw_fill(const struct figures *figures, const struct picture *picture)
{
    printf("\nblocks by how full their pages are\n");
    for (unsigned i = 0; i < FILL_BINS; i++) {
        char label[LABEL_COLUMNS + 1];
        snprintf(label, sizeof label, "%2u-%3u %%", i * 10, i * 10 + 10);
        print_bar(picture, label, figures->fill[i], max_of(figures->fill, FILL_BINS));
    }
}

static void draw_votes(const struct figures *figures, const struct picture *picture)
{
    uint64_t columns[PICTURE_COLUMNS_MAX];
    const struct series *votes = &figures->votes;
    size_t count = series_columns(votes, columns, picture->columns - 2);
    if (count == 0) {
        return;
    }
    char first[MOMENT_TEXT_BYTES];
    char last[MOMENT_TEXT_BYTES];
    moment_format(first, votes->first_ms);
    moment_format(last, votes->last_ms);
    printf("\nvotes over time: %s to %s, up to %" PRIu64 " a column of %.3f s\n", first, last,
           max_of(columns, count),
           (double)(votes->last_ms - votes->first_ms + votes->bin_ms) / 1000 / (double)count);
    picture_columns(picture, columns, count, VOTE_ROWS, 2);
}

void figures_print(const struct figures *figures)
{
    struct picture picture;
    picture_init(&picture, stdout);
    print_table(figures);
    if (figures->all.blocks > 0) {
        draw_types(figures, &picture);
        draw_fill(figures, &picture);
        draw_votes(figures, &picture);
    }
}

/* ---- JSON ---- */

static struct object *object_of_blocks(const struct figures_blocks *blocks)
{
    struct object *object = object_new();
    object_number(object, "blocks", blocks->blocks);
    object_number(object, "records", blocks->records);
    object_number(object, "raw_bytes", blocks->raw_bytes);
    object_number(object, "payload_bytes", blocks->payload_bytes);
    object_number(object, "stored_bytes", blocks->stored_bytes);
    return object;
}

static struct object *object_of_segments(const struct figures *figures)
{
    struct object *object = object_new();
    object_number(object, "files", figures->inspector->segment_files);
    object_number(object, "file_bytes", figures->inspector->segment_bytes);
    object_number(object, "sealed", figures->sealed);
    object_number(object, "open", figures->segments - figures->sealed);
    object_number(object, "ahead", ahead_of(figures));
    return object;
}

static struct object *object_of_votes(const struct series *votes)
{
    uint64_t columns[SERIES_BINS];
    struct object *object = object_new();
    object_number(object, "first_ms", votes->first_ms);
    object_number(object, "bin_ms", votes->bin_ms);
    object_list(object, "bins", columns, series_columns(votes, columns, SERIES_BINS));
    return object;
}

void figures_print_json(const struct figures *figures)
{
    const struct inspector *inspector = figures->inspector;
    struct object *object = object_new();
    struct object *types = object_new();
    for (unsigned type = 0; type < RECORD_TYPES; type++) {
        if (inspector->by_type[type] > 0) {
            object_number(types, record_type_name(type), inspector->by_type[type]);
        }
    }
    object_number(object, "records", figures->all.records);
    object_number(object, "next_lsn", inspector->report.next_lsn);
    object_number(object, "first_ms", figures->first_ms);
    object_number(object, "last_ms", figures->last_ms);
    object_number(object, "polls", FIELD_GET(inspector->state.poll_count));
    object_number(object, "options", FIELD_GET(inspector->state.option_count));
    object_number(object, "votes", FIELD_GET(inspector->state.votes));
    object_number(object, "builds", FIELD_GET(inspector->state.build_next) - 1);
    object_child(object, "by_type", types);
    object_child(object, "all", object_of_blocks(&figures->all));
    object_child(object, "pure", object_of_blocks(&figures->pure));
    object_number(object, "pure_votes", figures->pure_votes);
    object_real(object, "bytes_per_record",
                figures_ratio(figures->all.stored_bytes, figures->all.records));
    object_real(object, "bytes_per_vote",
                figures_ratio(figures->pure.stored_bytes, figures->pure_votes));
    object_real(object, "compression",
                figures_ratio(figures->all.raw_bytes, figures->all.payload_bytes));
    object_real(object, "fill",
                figures_ratio(figures->all.payload_bytes, figures->all.stored_bytes));
    object_list(object, "fill_bins", figures->fill, FILL_BINS);
    object_number(object, "lz4_blocks", figures->lz4_blocks);
    object_number(object, "mark_blocks", figures->mark_blocks);
    object_number(object, "mark_bytes", figures->mark_bytes);
    object_child(object, "segments", object_of_segments(figures));
    object_child(object, "votes_over_time", object_of_votes(&figures->votes));
    (void)object_print(object, stdout); /* without memory there is no line */
}
