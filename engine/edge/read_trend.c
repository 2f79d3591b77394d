/* TREND: the counts of a poll's options at the ends of the buckets of a window. */
#include "engine/read.h"

#include "engine/edge/slice.h"
#include "engine/state/trend.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"

#include <stdlib.h>

/*
 * A slice copies, for the poll's total and for each option, what a trend is at one moment: the
 * address of its samples, their number, the last change, the count. Then the options with most
 * votes are chosen, and the samples are looked through in the same pass, in which no array is
 * freed. So the slice is as short as TALLY's, and a busy server does not hold the read up.
 */
struct trend_copy {
    uint64_t id;         /* of an option */
    uint64_t generation; /* to which its count belongs */
    struct trend_view view;
};

/* The first copies are the poll's: its total, and the trend of its generation. */
enum { COPY_TOTAL, COPY_RESETS, COPY_OPTIONS };

static int copy_option(struct read *read, const struct poll *poll, const struct option *option)
{
    if (option == NULL || option->poll != poll) {
        return TALLY_BUSY; /* the rank was of a poll of this name that is deleted */
    }
    struct trend_copy *copy = slice_row(read);
    if (copy == NULL) {
        return TALLY_NOMEM;
    }
    *copy = (struct trend_copy){
        .id = option->id,
        .generation = FIELD_GET(option->generation),
        .view = trend_view(&option->samples, &option->trend_until_ms, FIELD_GET(option->votes))};
    return 0;
}

static int copy_poll(struct read *read, const struct poll *poll)
{
    struct trend_copy *total = slice_row(read);
    struct trend_copy *resets = total != NULL ? slice_row(read) : NULL;
    if (resets == NULL) {
        return TALLY_NOMEM;
    }
    total = (struct trend_copy *)read->rows.at + COPY_TOTAL; /* the second row may move the first */
    total->view = trend_view(&poll->samples, &poll->trend_until_ms, FIELD_GET(poll->total));
    resets->view =
        trend_view(&poll->reset_samples, &poll->reset_until_ms, FIELD_GET(poll->generation));
    return 0;
}

static int run_trend(struct read *read, const struct state *state)
{
    const struct read_trend *r = (const struct read_trend *)read;
    const struct poll *poll = state_poll(state, r->top.poll);
    if (poll == NULL) {
        return TALLY_NOTFOUND;
    }
    uint64_t count = FIELD_GET(poll->option_count);
    if (count > READ_SLICE && r->picked_count == 0) {
        slice_empty(read, sizeof(struct tally_row)); /* the rank makes those */
        return READ_BESIDE;
    }
    if (read->rows.size != sizeof(struct trend_copy)) {
        slice_empty(read, sizeof(struct trend_copy));
    }
    DCHECK(read->rows.count == 0); /* a TREND is one slice */
    int err = copy_poll(read, poll);
    for (size_t i = 0; i < r->picked_count && err == 0; i++) {
        err = copy_option(read, poll, state_option(state, r->picked[i]));
    }
    for (uint64_t i = 0; i < count && r->picked_count == 0 && err == 0; i++) {
        err = copy_option(read, poll, poll_option(poll, i));
    }
    return err;
}

/* A rank has made the rows of a TALLY: its options are those to be shown. */
static int pick(struct read *read)
{
    struct read_trend *r = (struct read_trend *)read;
    const struct tally_row *rows = read->rows.at;
    /* none: the poll was deleted meanwhile, and made anew without options */
    DCHECK(read->rows.count <= TREND_TOP_MAX);
    for (size_t i = 0; i < read->rows.count; i++) {
        r->picked[r->picked_count++] = rows[i].id;
    }
    slice_empty(read, sizeof(struct trend_copy));
    return READ_MORE;
}

/* An option that was not changed since a RESET has its old count up to the bucket of that. */
static void void_reset(struct trend_copy *copy, const struct trend_view *resets)
{
    if (copy->generation != resets->count) {
        copy->view.void_from = trend_first_above(resets, copy->generation);
    }
}

static uint64_t count_now(const struct trend_copy *copy)
{
    return copy->view.void_from == UINT64_MAX ? copy->view.count : 0;
}

static int compare_copies(const void *a, const void *b)
{
    const struct trend_copy *x = a;
    const struct trend_copy *y = b;
    if (count_now(x) != count_now(y)) {
        return count_now(x) < count_now(y) ? 1 : -1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

/* Fills in the counts at the ends of all buckets. */
static void fill(const struct read_trend *r, const struct trend_view *view, uint64_t *counts)
{
    const uint64_t unit = trend_windows[r->window].unit;
    const uint64_t first = r->first_ms / r->every_ms;
    struct trend_at at = {0};
    for (size_t i = 0; i < r->line_count; i++) {
        counts[i] = trend_count(view, &at, (first + i) * unit + unit - 1);
    }
}

/* Finds the buckets: the last one is under way, or has the last change of the poll, which may be a
 * moment later than the time at which the read was asked for. */
static void find_lines(struct read_trend *r, const struct trend_view *total)
{
    const struct trend_window *window = &trend_windows[r->window];
    uint64_t now = r->top.read.log_ms / TREND_BUCKET_MS;
    now = total->until > now + 1 ? total->until - 1 : now;
    uint64_t last = now / window->unit;
    r->line_count = last < window->lines ? last + 1 : window->lines;
    r->every_ms = window->unit * TREND_BUCKET_MS;
    r->first_ms = (last + 1 - r->line_count) * r->every_ms;
    r->from_ms = r->first_ms;
}

/* Notes from which bucket on a trend is exact. */
static void note_exact(struct read_trend *r, const struct trend_view *view)
{
    uint64_t last_ms = r->first_ms + (r->line_count - 1) * r->every_ms;
    uint64_t from_ms = trend_exact_from(view) * TREND_BUCKET_MS;
    from_ms = from_ms / r->every_ms * r->every_ms;   /* its end is behind it */
    from_ms = from_ms < last_ms ? from_ms : last_ms; /* the last count is the count now */
    r->from_ms = from_ms > r->from_ms ? from_ms : r->from_ms;
}

static int settle(struct read *read)
{
    struct read_trend *r = (struct read_trend *)read;
    struct trend_copy *copies = read->rows.at;
    size_t count = read->rows.count;
    int err = 0;
    mutant_pause(MUTANT(MUTANT_TREND_FREE_AT_ONCE));
    read->rows.at = NULL;
    slice_empty(read, sizeof(struct trend_row));
    find_lines(r, &copies[COPY_TOTAL].view);
    note_exact(r, &copies[COPY_TOTAL].view);
    note_exact(r, &copies[COPY_RESETS].view);
    fill(r, &copies[COPY_TOTAL].view, r->totals);
    for (size_t i = COPY_OPTIONS; i < count; i++) {
        void_reset(&copies[i], &copies[COPY_RESETS].view);
    }
    qsort(copies + COPY_OPTIONS, count - COPY_OPTIONS, sizeof *copies, compare_copies);
    for (size_t i = COPY_OPTIONS; i < count && i < read->wanted + COPY_OPTIONS && err == 0; i++) {
        struct trend_row *row = slice_row(read);
        if (row == NULL) {
            err = TALLY_NOMEM;
        } else {
            row->id = copies[i].id;
            note_exact(r, &copies[i].view);
            fill(r, &copies[i].view, row->votes);
        }
    }
    free(copies);
    return err;
}

static void end_trend(struct read *read)
{
    struct read_trend *r = (struct read_trend *)read;
    r->rows = read->rows.at;
    r->row_count = read->rows.count;
}

void read_trend_init(struct read_trend *r, struct span poll, unsigned window, size_t top)
{
    DCHECK(window < TREND_WINDOWS && top <= TREND_TOP_MAX);
    *r = (struct read_trend){.window = window};
    read_tally_init(&r->top, poll, top);
    r->top.read.run = run_trend;
    r->top.read.settle = settle;
    r->top.read.ranked = pick;
    r->top.read.end = end_trend;
    r->top.read.compare = NULL;
    r->top.read.rows.size = sizeof(struct trend_copy);
}

void read_trend_fini(struct read_trend *r)
{
    slice_fini(&r->top.read);
}
