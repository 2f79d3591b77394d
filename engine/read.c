/* Reads of polls, queues, workers and counters. */
#include "engine/read.h"

#include "engine/alike.h"
#include "engine/engine.h"
#include "engine/label.h"
#include "wal/base/clock.h"

#include <stdlib.h>

enum { TRIES = 3 };

int edge_read(struct edge *edge, struct read *read)
{
    const struct state *state = &edge->tally->state;
    for (int i = 0; i < TRIES; i++) {
        uint64_t mark = 0;
        if (!seq_read_begin(&state->seq, &mark)) {
            continue;
        }
        read->lsn = FIELD_GET(state->lsn);
        read->err = read->run(read, state);
        if (seq_read_whole(&state->seq, mark)) {
            return 0;
        }
    }
    if (edge_room(edge) == 0) {
        return TALLY_ROOM;
    }
    *lane_append(edge->lane) = (struct lane_slot){.type = LANE_READ, .arg = read};
    return EDGE_QUEUED;
}

static int compare_spans(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.at, b.at, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Rows that grow; the element size is the caller's. */
struct rows {
    void **at;
    size_t *count;
    size_t room;
    size_t size;
    int err;
};

/* Room for one more row, zeroed; NULL without memory (err says so). */
static void *rows_add(struct rows *rows)
{
    if (*rows->count == rows->room) {
        size_t room = rows->room * 2 + 16;
        void *grown = realloc(*rows->at, room * rows->size);
        if (grown == NULL) {
            rows->err = TALLY_NOMEM;
            return NULL;
        }
        *rows->at = grown;
        rows->room = room;
    }
    void *row = (char *)*rows->at + (*rows->count)++ * rows->size;
    memset(row, 0, rows->size);
    return row;
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

static uint64_t last_minute(const struct poll *poll)
{
    uint64_t now = clock_wall_ms() / 1000;
    uint64_t sum = 0;
    for (unsigned i = 0; i < POLL_SECONDS; i++) {
        uint64_t second = FIELD_GET(poll->second[i]);
        if (second + 60 > now && second <= now) {
            sum += FIELD_GET(poll->second_votes[i]);
        }
    }
    return sum;
}

static int run_tally(struct read *read, const struct state *state)
{
    struct read_tally *r = (struct read_tally *)read;
    const struct poll *poll = state_poll(state, r->poll);
    r->row_count = 0;
    if (poll == NULL) {
        return TALLY_NOTFOUND;
    }
    uint64_t count = FIELD_GET(poll->option_count);
    struct option *_Atomic *options = FIELD_GET(poll->options);
    struct tally_row *rows = realloc(r->rows, (size_t)(count + 1) * sizeof *rows);
    if (rows == NULL) {
        return TALLY_NOMEM;
    }
    r->rows = rows;
    for (uint64_t i = 0; i < count; i++) {
        const struct option *option = FIELD_GET(options[i]);
        rows[i] =
            (struct tally_row){option->id, FIELD_GET(option->votes), blob_span(option->label)};
    }
    r->total = FIELD_GET(poll->total);
    r->rate_per_min = last_minute(poll);
    qsort(rows, (size_t)count, sizeof *rows, compare_tally);
    r->row_count = count < r->top ? (size_t)count : r->top;
    return 0;
}

void read_tally_init(struct read_tally *r, struct span poll, size_t top)
{
    *r = (struct read_tally){.read.run = run_tally, .poll = poll, .top = top};
}

void read_tally_fini(struct read_tally *r)
{
    free(r->rows);
}

/* ---- labels that are alike ---- */

static int run_similar(struct read *read, const struct state *state)
{
    struct read_similar *r = (struct read_similar *)read;
    const struct option *found[SIMILAR_MAX];
    char *fold = NULL;
    size_t len = 0;
    r->row_count = 0;
    int err = label_fold(r->label, &fold, &len);
    int count = err;
    if (err == 0) {
        count = alike_find(state, r->poll, (struct span){fold, len}, found, SIMILAR_MAX);
    }
    free(fold);
    for (int i = 0; i < count; i++) {
        r->rows[r->row_count++] = blob_span(found[i]->label);
    }
    return count < 0 ? count : 0;
}

void read_similar_init(struct read_similar *r, struct span poll, struct span label)
{
    *r = (struct read_similar){.read.run = run_similar, .poll = poll, .label = label};
}

/* ---- POLLS ---- */

struct polls_walk {
    struct read_polls *r;
    struct rows rows;
};

static void add_poll(void *arg, void *entity)
{
    struct polls_walk *walk = arg;
    const struct poll *poll = entity;
    struct span name = blob_span(poll->name);
    if (walk->r->after.at != NULL && compare_spans(name, walk->r->after) <= 0) {
        return;
    }
    struct poll_row *row = rows_add(&walk->rows);
    if (row != NULL) {
        *row = (struct poll_row){name, FIELD_GET(poll->option_count), FIELD_GET(poll->total),
                                 FIELD_GET(poll->open)};
    }
}

static int compare_polls(const void *a, const void *b)
{
    return compare_spans(((const struct poll_row *)a)->name, ((const struct poll_row *)b)->name);
}

static int run_polls(struct read *read, const struct state *state)
{
    struct read_polls *r = (struct read_polls *)read;
    read_polls_fini(r);
    struct polls_walk walk = {r, {(void **)&r->rows, &r->row_count, 0, sizeof *r->rows, 0}};
    index_each(&state->polls, add_poll, &walk);
    if (r->row_count > 0) {
        qsort(r->rows, r->row_count, sizeof *r->rows, compare_polls);
    }
    r->row_count = r->row_count < r->count ? r->row_count : r->count;
    return walk.rows.err;
}

void read_polls_init(struct read_polls *r, struct span after, size_t count)
{
    *r = (struct read_polls){.read.run = run_polls, .after = after, .count = count};
}

void read_polls_fini(struct read_polls *r)
{
    free(r->rows);
    r->rows = NULL;
    r->row_count = 0;
}

/* ---- QUEUES ---- */

struct queues_walk {
    struct read_queues *r;
    struct rows rows;
};

static uint64_t oldest_of(const struct queue *queue, uint64_t now_ms)
{
    uint64_t oldest = now_ms;
    for (uint32_t i = 0; i < FIELD_GET(queue->set_count); i++) {
        struct need_set *set = FIELD_GET(queue->sets[i]);
        for (int pri = 0; pri < PRIORITIES; pri++) {
            const struct ticket *ticket = ticket_first(&set->lists[pri]);
            if (ticket != NULL && ticket->build->submitted_ms < oldest) {
                oldest = ticket->build->submitted_ms;
            }
        }
    }
    return now_ms - oldest;
}

static void add_queue(void *arg, void *entity)
{
    struct queues_walk *walk = arg;
    const struct queue *queue = entity;
    struct queue_row *row = rows_add(&walk->rows);
    if (row == NULL) {
        return;
    }
    row->name = blob_span(queue->name);
    for (int i = 0; i < BUILD_STATES; i++) {
        row->by_state[i] = FIELD_GET(queue->by_state[i]);
    }
    row->oldest_ms = oldest_of(queue, clock_wall_ms());
}

static int compare_queues(const void *a, const void *b)
{
    return compare_spans(((const struct queue_row *)a)->name, ((const struct queue_row *)b)->name);
}

static int run_queues(struct read *read, const struct state *state)
{
    struct read_queues *r = (struct read_queues *)read;
    read_queues_fini(r);
    struct queues_walk walk = {r, {(void **)&r->rows, &r->row_count, 0, sizeof *r->rows, 0}};
    if (r->name.at != NULL) {
        struct queue *queue = state_queue(state, r->name);
        if (queue == NULL) {
            return TALLY_NOTFOUND;
        }
        add_queue(&walk, queue);
    } else {
        index_each(&state->queues, add_queue, &walk);
    }
    if (r->row_count > 0) {
        qsort(r->rows, r->row_count, sizeof *r->rows, compare_queues);
    }
    return walk.rows.err;
}

void read_queues_init(struct read_queues *r, struct span name)
{
    *r = (struct read_queues){.read.run = run_queues, .name = name};
}

void read_queues_fini(struct read_queues *r)
{
    free(r->rows);
    r->rows = NULL;
    r->row_count = 0;
}

/* ---- WORKERS ---- */

struct workers_walk {
    struct rows rows;
    uint64_t now_ms;
};

static char *copy_text(struct span text)
{
    return text.len > 0 ? strndup(text.at, text.len) : NULL;
}

static void add_worker(void *arg, void *entity)
{
    struct workers_walk *walk = arg;
    const struct worker *worker = entity;
    if (FIELD_GET(worker->state) == WORKER_GONE) {
        return;
    }
    struct worker_row *row = rows_add(&walk->rows);
    if (row == NULL) {
        return;
    }
    uint64_t seen_ms = FIELD_GET(worker->seen_ms);
    *row = (struct worker_row){
        .id = blob_span(worker->name),
        .name = copy_text(blob_span(FIELD_GET(worker->title))),
        .tags = copy_text(blob_span(FIELD_GET(worker->tags))),
        .online = FIELD_GET(worker->state) == WORKER_ONLINE,
        .done = FIELD_GET(worker->done),
        .failed = FIELD_GET(worker->failed),
        .seen_ms = walk->now_ms > seen_ms ? walk->now_ms - seen_ms : 0,
        .builds = FIELD_GET(worker->held_count),
        .slots = FIELD_GET(worker->slots),
    };
}

static int compare_workers(const void *a, const void *b)
{
    return compare_spans(((const struct worker_row *)a)->id, ((const struct worker_row *)b)->id);
}

static int run_workers(struct read *read, const struct state *state)
{
    struct read_workers *r = (struct read_workers *)read;
    read_workers_fini(r);
    struct workers_walk walk = {{(void **)&r->rows, &r->row_count, 0, sizeof *r->rows, 0},
                                clock_mono_ns() / 1000000};
    if (r->id.at != NULL) {
        struct worker *worker = state_worker(state, r->id);
        if (worker == NULL || FIELD_GET(worker->state) == WORKER_GONE) {
            return TALLY_NOTFOUND;
        }
        add_worker(&walk, worker);
    } else {
        index_each(&state->workers, add_worker, &walk);
    }
    if (r->row_count > 0) {
        qsort(r->rows, r->row_count, sizeof *r->rows, compare_workers);
    }
    return walk.rows.err;
}

void read_workers_init(struct read_workers *r, struct span id)
{
    *r = (struct read_workers){.read.run = run_workers, .id = id};
}

void read_workers_fini(struct read_workers *r)
{
    for (size_t i = 0; i < r->row_count; i++) {
        free(r->rows[i].name);
        free(r->rows[i].tags);
    }
    free(r->rows);
    r->rows = NULL;
    r->row_count = 0;
}
