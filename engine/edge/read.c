/* Reads of polls, queues, workers and counters. */
#include "engine/read.h"

#include "engine/state/label_index.h"
#include "engine/edge/edge_internal.h"
#include "engine/base/label.h"
#include "engine/edge/reader.h"
#include "engine/edge/slice.h"
#include "wal/base/check.h"

#include <stdlib.h>

enum { TRIES = 3 };

int edge_read(struct edge *edge, struct read *read)
{
    DCHECK(read->run != NULL && read->end != NULL && read->rows.size > 0);
    DCHECK(read->rows.count == 0 && read->asked_before == NULL); /* a read runs once */
    read->ledger = edge_ledger(edge);
    read->log_ms = edge->now_ms;
    read->run_ms = edge->run_ms;
    for (int i = 0; i < TRIES; i++) {
        if (slice_make(read, edge->state)) {
            if (read->err != READ_MORE && read->err != READ_BESIDE) {
                slice_end(read);
                return 0;
            }
            break;
        }
    }
    read->err = read->err == READ_BESIDE ? READ_BESIDE : READ_MORE;
    reader_ask(edge->shared->reader, edge, read);
    return EDGE_QUEUED;
}

static int compare_spans(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.at, b.at, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/*
 * Looks at a slice of a table's entities, from read->next on. add returns 0 or an error. Entities
 * of ids above `last` are left out.
 */
static int read_walk(struct read *read, const struct table *table, uint64_t last,
                     int (*add)(struct read *read, void *entity))
{
    int err = 0;
    for (int i = 0; err == 0; i++) {
        void *entity = table_next(table, &read->next);
        if (entity == NULL || read->next > last) {
            return 0;
        }
        DCHECK(read->next > 0 && read->next <= last);
        if (i == READ_SLICE) {
            return READ_MORE;
        }
        err = add(read, entity);
        read->next++;
    }
    return err;
}

/* ---- TALLY ---- */

static int compare_tally(const void *a, const void *b)
{
    const struct tally_row *x = a;
    const struct tally_row *y = b;
    if (x->votes != y->votes) {
        return x->votes < y->votes ? 1 : -1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

uint64_t slice_poll_last_minute(const struct poll *poll, uint64_t log_ms)
{
    uint64_t now = log_ms / 1000;
    uint64_t sum = 0;
    for (unsigned i = 0; i < POLL_SECONDS; i++) {
        uint64_t second = FIELD_GET(poll->second[i]);
        if (second + 60 > now) { /* a vote's second may be a moment later than `now` */
            sum += FIELD_GET(poll->second_votes[i]);
        }
    }
    return sum;
}

static int run_tally(struct read *read, const struct state *state)
{
    struct read_tally *r = (struct read_tally *)read;
    const struct poll *poll = state_poll(state, r->poll);
    if (poll == NULL) {
        return TALLY_NOTFOUND;
    }
    uint64_t count = FIELD_GET(poll->option_count);
    if (count > READ_SLICE) {
        return READ_BESIDE;
    }
    DCHECK(read->rows.count == 0); /* a TALLY is one slice */
    for (uint64_t i = 0; i < count; i++) {
        struct tally_row *row = slice_row(read);
        if (row == NULL) {
            return TALLY_NOMEM;
        }
        const struct option *option = poll_option(poll, i);
        *row = (struct tally_row){option->id, option_votes_now(option),
                                  slice_text(read, blob_span(option->label))};
        if (row->label.at == NULL) {
            return TALLY_NOMEM;
        }
    }
    r->total = FIELD_GET(poll->total);
    r->rate_per_min = slice_poll_last_minute(poll, read->log_ms);
    return 0;
}

static void end_tally(struct read *read)
{
    struct read_tally *r = (struct read_tally *)read;
    r->rows = read->rows.at;
    r->row_count = read->rows.count;
}

void read_tally_init(struct read_tally *r, struct span poll, size_t top)
{
    *r = (struct read_tally){.read = {.run = run_tally,
                                      .end = end_tally,
                                      .compare = compare_tally,
                                      .wanted = top,
                                      .rows.size = sizeof(struct tally_row)},
                             .poll = poll};
}

void read_tally_fini(struct read_tally *r)
{
    slice_fini(&r->read);
}

/* ---- EVENTS ---- */

static int run_events(struct read *read, const struct state *state)
{
    (void)read;
    (void)state;
    return READ_BESIDE; /* the reader has the events */
}

static void end_events(struct read *read)
{
    struct read_events *r = (struct read_events *)read;
    r->rows = read->rows.at;
    r->row_count = read->rows.count;
    for (size_t i = 0; r->from == 0 && i < r->row_count / 2; i++) {
        struct event_row newer = r->rows[i]; /* the newest were found first */
        r->rows[i] = r->rows[r->row_count - 1 - i];
        r->rows[r->row_count - 1 - i] = newer;
    }
}

void read_events_init(struct read_events *r, size_t count)
{
    *r = (struct read_events){.read = {.run = run_events,
                                       .beside = reader_events,
                                       .end = end_events,
                                       .wanted = count,
                                       .rows.size = sizeof(struct event_row)}};
}

void read_events_fini(struct read_events *r)
{
    slice_fini(&r->read);
}

/* ---- FIND, similar labels ---- */

_Static_assert(FOUND_MAX == (int)ALIKE_MAX, "the index finds as many as are told");

static int find_labels(const struct edge *edge, struct span poll_name, struct span text,
                       enum label_match_way least, struct found_label rows[FOUND_MAX])
{
    const struct poll *poll = state_poll(edge->state, poll_name);
    const struct option *found[ALIKE_MAX];
    char *fold = NULL;
    size_t len = 0;
    int count = poll != NULL ? label_fold(text, &fold, &len) : TALLY_NOTFOUND;
    if (count == 0) {
        count = label_index_find(edge->state, poll, (struct span){fold, len}, least, found);
    }
    free(fold);
    DCHECK(count <= FOUND_MAX);
    for (int i = 0; i < count; i++) {
        rows[i] = (struct found_label){found[i]->id, blob_span(found[i]->label)};
    }
    return count;
}

int edge_find(struct edge *edge, struct span poll, struct span text,
              struct found_label rows[FOUND_MAX])
{
    return find_labels(edge, poll, text, LABEL_MATCH_CLOSE, rows);
}

int edge_similar(struct edge *edge, struct span poll, struct span label,
                 struct found_label rows[FOUND_MAX])
{
    return find_labels(edge, poll, label, LABEL_MATCH_ALIKE, rows);
}

/* ---- POLLS ---- */

static int add_poll(struct read *read, void *entity)
{
    const struct read_polls *r = (const struct read_polls *)read;
    const struct poll *poll = entity;
    struct span name = blob_span(poll->name);
    bool is_before = r->after.at != NULL && compare_spans(name, r->after) <= 0;
    if (is_before || FIELD_GET(poll->is_deleted)) {
        return 0;
    }
    DCHECK(FIELD_GET(poll->option_count) <= POLL_OPTIONS_MAX);
    struct poll_row *row = slice_row(read);
    if (row == NULL) {
        return TALLY_NOMEM;
    }
    *row = (struct poll_row){.name = {NULL, name.len},
                             .options = FIELD_GET(poll->option_count),
                             .votes = FIELD_GET(poll->total),
                             .mode = FIELD_GET(poll->mode),
                             .open = FIELD_GET(poll->open)};
    memcpy(row->text, name.at, name.len);
    return 0;
}

static int compare_polls(const void *a, const void *b)
{
    const struct poll_row *x = a;
    const struct poll_row *y = b;
    return compare_spans((struct span){x->text, x->name.len}, (struct span){y->text, y->name.len});
}

static int run_polls(struct read *read, const struct state *state)
{
    return read_walk(read, &state->poll_ids, FIELD_GET(state->poll_last), add_poll);
}

static void end_polls(struct read *read)
{
    struct read_polls *r = (struct read_polls *)read;
    r->rows = read->rows.at;
    r->row_count = read->rows.count;
    for (size_t i = 0; i < r->row_count; i++) {
        r->rows[i].name.at = r->rows[i].text; /* the rows stay where they are from now on */
    }
}

void read_polls_init(struct read_polls *r, struct span after, size_t count)
{
    *r = (struct read_polls){.read = {.run = run_polls,
                                      .end = end_polls,
                                      .compare = compare_polls,
                                      .wanted = count,
                                      .next = 1,
                                      .rows.size = sizeof(struct poll_row)},
                             .after = after};
}

void read_polls_fini(struct read_polls *r)
{
    slice_fini(&r->read);
}

/* ---- QUEUES ---- */

static uint64_t oldest_of(const struct queue *queue, uint64_t now_ms)
{
    uint64_t since_ms = FIELD_GET(queue->oldest_submitted_ms);
    return since_ms != 0 && since_ms < now_ms ? now_ms - since_ms : 0;
}

static int add_queue(struct read *read, void *entity)
{
    const struct queue *queue = entity;
    struct queue_row *row = slice_row(read);
    if (row == NULL) {
        return TALLY_NOMEM;
    }
    row->name = slice_text(read, blob_span(queue->name));
    for (int i = 0; i < BUILD_STATES; i++) {
        row->by_state[i] = FIELD_GET(queue->by_state[i]);
    }
    row->oldest_ms = oldest_of(queue, read->log_ms);
    return row->name.at != NULL ? 0 : TALLY_NOMEM;
}

static int compare_queues(const void *a, const void *b)
{
    return compare_spans(((const struct queue_row *)a)->name, ((const struct queue_row *)b)->name);
}

static int run_queues(struct read *read, const struct state *state)
{
    const struct read_queues *r = (const struct read_queues *)read;
    if (r->name.at == NULL) {
        return read_walk(read, &state->queue_ids, FIELD_GET(state->queue_last), add_queue);
    }
    struct queue *queue = state_queue(state, r->name);
    return queue != NULL ? add_queue(read, queue) : TALLY_NOTFOUND;
}

static void end_queues(struct read *read)
{
    struct read_queues *r = (struct read_queues *)read;
    r->rows = read->rows.at;
    r->row_count = read->rows.count;
}

void read_queues_init(struct read_queues *r, struct span name)
{
    *r = (struct read_queues){.read = {.run = run_queues,
                                       .end = end_queues,
                                       .compare = compare_queues,
                                       .wanted = SIZE_MAX,
                                       .next = 1,
                                       .rows.size = sizeof(struct queue_row)},
                              .name = name};
}

void read_queues_fini(struct read_queues *r)
{
    slice_fini(&r->read);
}

/* ---- WORKERS ---- */

static int add_worker(struct read *read, void *entity)
{
    const struct worker *worker = entity;
    if (FIELD_GET(worker->state) == WORKER_GONE) {
        return 0;
    }
    struct worker_row *row = slice_row(read);
    if (row == NULL) {
        return TALLY_NOMEM;
    }
    uint64_t now_ms = read->run_ms;
    uint64_t seen_ms = FIELD_GET(worker->seen_ms);
    *row = (struct worker_row){
        .id = slice_text(read, blob_span(worker->name)),
        .name = slice_text(read, blob_span(FIELD_GET(worker->title))),
        .tags = slice_text(read, blob_span(FIELD_GET(worker->tags))),
        .online = FIELD_GET(worker->state) == WORKER_ONLINE,
        .done = FIELD_GET(worker->done),
        .failed = FIELD_GET(worker->failed),
        .seen_ms = now_ms > seen_ms ? now_ms - seen_ms : 0,
        .builds = FIELD_GET(worker->held_count),
        .slots = FIELD_GET(worker->slots),
    };
    return row->id.at != NULL && row->name.at != NULL && row->tags.at != NULL ? 0 : TALLY_NOMEM;
}

static int compare_workers(const void *a, const void *b)
{
    return compare_spans(((const struct worker_row *)a)->id, ((const struct worker_row *)b)->id);
}

static int run_workers(struct read *read, const struct state *state)
{
    const struct read_workers *r = (const struct read_workers *)read;
    if (r->id.at == NULL) {
        return read_walk(read, &state->worker_ids, FIELD_GET(state->worker_last), add_worker);
    }
    struct worker *worker = state_worker(state, r->id);
    if (worker == NULL || FIELD_GET(worker->state) == WORKER_GONE) {
        return TALLY_NOTFOUND;
    }
    return add_worker(read, worker);
}

static void end_workers(struct read *read)
{
    struct read_workers *r = (struct read_workers *)read;
    r->rows = read->rows.at;
    r->row_count = read->rows.count;
}

void read_workers_init(struct read_workers *r, struct span id)
{
    *r = (struct read_workers){.read = {.run = run_workers,
                                        .end = end_workers,
                                        .compare = compare_workers,
                                        .wanted = SIZE_MAX,
                                        .next = 1,
                                        .rows.size = sizeof(struct worker_row)},
                               .id = id};
}

void read_workers_fini(struct read_workers *r)
{
    slice_fini(&r->read);
}
