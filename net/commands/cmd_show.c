/* Commands that show builds and queues: BUILD BUILDS PAYLOAD RESULT QUEUES. */
#include "net/commands/cmd.h"

#include "engine/base/parcel.h"
#include "engine/read.h"
#include "net/commands/refusal.h"
#include "wal/base/check.h"

#include <stdlib.h>

enum { BUILDS_COUNT_DEFAULT = 100, BUILDS_COUNT_MAX = 1000 };

/* ---- BUILD, BUILDS ---- */

struct builds_reading {
    struct reading reading;
    struct read_builds builds;
    char queue[NAME_LEN_MAX];
    char worker[NAME_LEN_MAX];
};

static void put_build(struct reply *reply, const struct build_row *row)
{
    reply_number(reply, "id", row->id);
    reply_name(reply, "queue", row->queue);
    reply_name(reply, "state", span_of(status_state_name(row->state)));
    reply_number(reply, "pri", row->pri);
    reply_number(reply, "attempt", row->attempt);
    reply_name(reply, "worker", row->worker.at != NULL ? row->worker : SPAN("-"));
    reply_number(reply, "prog", row->prog);
    reply_number(reply, "submitted_ms", row->submitted_ms);
    reply_number(reply, "started_ms", row->started_ms);
    reply_number(reply, "ended_ms", row->ended_ms);
    if (row->error.at != NULL) {
        reply_text(reply, "error", row->error);
    }
}

static bool format_build(struct reading *reading, struct reply *reply)
{
    const struct read_builds *builds = &((struct builds_reading *)reading)->builds;
    if (builds->read.err != 0 || builds->row_count == 0) {
        refusal_put(reply, builds->read.err != 0 ? builds->read.err : TALLY_NOTFOUND, "build");
        return true;
    }
    reply_begin(reply);
    put_build(reply, &builds->rows[0]);
    reply_end(reply);
    return true;
}

static void put_row(const struct reading *reading, size_t row, struct reply *reply)
{
    const struct read_builds *builds = &((const struct builds_reading *)reading)->builds;
    CHECK(row < builds->row_count); /* reading_rows counts up to there */
    put_build(reply, &builds->rows[row]);
}

static bool format_builds(struct reading *reading, struct reply *reply)
{
    const struct read_builds *builds = &((struct builds_reading *)reading)->builds;
    if (builds->read.err != 0) {
        refusal_put(reply, builds->read.err, "queue");
        return true;
    }
    if (reading_begins(reading)) {
        reply_rows(reply, builds->row_count);
    }
    return reading_rows(reading, reply, builds->row_count, put_row);
}

static void destroy_builds(struct reading *reading)
{
    read_builds_fini(&((struct builds_reading *)reading)->builds);
    free(reading);
}

static struct builds_reading *builds_new(bool (*format)(struct reading *, struct reply *))
{
    struct builds_reading *mine = calloc(1, sizeof(*mine));
    if (mine != NULL) {
        read_builds_init(&mine->builds);
        mine->reading = (struct reading){
            .read = &mine->builds.read, .format = format, .destroy = destroy_builds};
    }
    return mine;
}

enum outcome cmd_build(struct ask *ask)
{
    uint64_t id = 0;
    if (!ask_number(ask, 0, "id", UINT64_MAX, &id)) {
        return ASK_ANSWERED;
    }
    if (id == 0) {
        return ask_refused(ask, TALLY_NOTFOUND, "build"); /* to the engine 0 means all */
    }
    struct builds_reading *mine = builds_new(format_build);
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    DCHECK(id > 0);
    mine->builds.id = id;
    mine->builds.count = 1;
    return ask_read(ask, &mine->reading);
}

static uint32_t state_bit(struct span word)
{
    for (enum build_state state = BUILD_PENDING; state < BUILD_STATES; state++) {
        const char *name = status_state_name(state);
        size_t i = 0;
        while (i < word.len && name[i] != '\0' && (word.at[i] | 0x20) == name[i]) {
            i++;
        }
        if (i == word.len && name[i] == '\0') {
            return 1u << state;
        }
    }
    return 0;
}

/* Reads `state,...` into a mask. False: the ERR is written. */
static bool read_states(struct ask *ask, struct span list, uint32_t *mask)
{
    bool is_last = list.at == NULL;
    while (!is_last) {
        const char *comma = list.len > 0 ? memchr(list.at, ',', list.len) : NULL;
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.at);
        uint32_t bit = state_bit((struct span){list.at, len});
        if (bit == 0) {
            ask_error(ask, TALLY_INVAL,
                      "STATE is of pending delayed assigned building completed "
                      "failed cancelled, with commas between");
            return false;
        }
        *mask |= bit;
        is_last = comma == NULL;
        list.at += is_last ? 0 : len + 1;
        list.len -= is_last ? 0 : len + 1;
    }
    return true;
}

enum outcome cmd_builds(struct ask *ask)
{
    struct span queue = ask->request->words[0];
    struct span states = {0};
    struct span worker = {0};
    uint64_t after = 0;
    uint64_t count = BUILDS_COUNT_DEFAULT;
    bool reverse = false;
    uint32_t mask = 0;
    const struct keyword keywords[] = {
        {"STATE", KEYWORD_TEXT, 0, 0, &states},
        {"WORKER", KEYWORD_TEXT, 0, 0, &worker},
        {"AFTER", KEYWORD_NUMBER, 0, UINT64_MAX, &after},
        {"COUNT", KEYWORD_NUMBER, 1, BUILDS_COUNT_MAX, &count},
        {"REV", KEYWORD_FLAG, 0, 0, &reverse},
    };
    bool is_all = span_equal(queue, SPAN("*"));
    if ((!is_all && !ask_name(ask, queue, "queue's name")) || !ask_keywords(ask, 1, keywords, 5) ||
        !read_states(ask, states, &mask) ||
        (worker.at != NULL && !ask_name(ask, worker, "worker's id"))) {
        return ASK_ANSWERED;
    }
    struct builds_reading *mine = builds_new(format_builds);
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    mine->builds.queue = ask_keep(mine->queue, is_all ? (struct span){0} : queue);
    mine->builds.worker = ask_keep(mine->worker, worker);
    mine->builds.state_mask = mask;
    mine->builds.after = after;
    mine->builds.count = count;
    mine->builds.reverse = reverse;
    return ask_read(ask, &mine->reading);
}

/* ---- PAYLOAD, RESULT ---- */

struct parcel_reading {
    struct reading reading;
    struct parcel *parcel; /* owns a hold on it */
};

static bool format_parcel(struct reading *reading, struct reply *reply)
{
    struct span bytes = parcel_span(((const struct parcel_reading *)reading)->parcel);
    /* the hold keeps the bytes unchanged */
    CHECK(reading->told <= bytes.len);
    if (reading_begins(reading)) {
        reply_begin(reply);
        reply_blob_begin(reply, bytes.len);
    }
    reading->told += reply_blob_bytes(reply, bytes, reading->told);
    if (reading->told < bytes.len) {
        return false;
    }
    reply_end(reply);
    return true;
}

static void destroy_parcel(struct reading *reading)
{
    parcel_release(((struct parcel_reading *)reading)->parcel);
    free(reading);
}

static enum outcome show_bytes(struct ask *ask,
                               int (*get)(struct edge *edge, uint64_t id, struct parcel **parcel))
{
    uint64_t id = 0;
    struct parcel *parcel = NULL;
    if (!ask_number(ask, 0, "id", UINT64_MAX, &id)) {
        return ASK_ANSWERED;
    }
    int err = get(ask->edge, id, &parcel);
    if (err == TALLY_STATE) {
        return ask_error(ask, err, "the build has no result yet");
    }
    if (err != 0) {
        return ask_refused(ask, err, "build, or it ended long ago and gave its bytes back");
    }
    /* the hold is the caller's now; NULL: DONE came without a result */
    struct parcel_reading *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        parcel_release(parcel);
        return ask_refused(ask, TALLY_NOMEM, "");
    }
    mine->parcel = parcel;
    mine->reading = (struct reading){
        .format = format_parcel, .destroy = destroy_parcel, .held = parcel_span(parcel).len};
    return ask_tell(ask, &mine->reading);
}

enum outcome cmd_payload(struct ask *ask)
{
    return show_bytes(ask, edge_payload);
}

enum outcome cmd_result(struct ask *ask)
{
    return show_bytes(ask, edge_result);
}

/* ---- QUEUES ---- */

struct queues_reading {
    struct reading reading;
    struct read_queues queues;
    char name[NAME_LEN_MAX];
};

static void put_queue(const struct reading *reading, size_t i, struct reply *reply)
{
    const struct read_queues *queues = &((const struct queues_reading *)reading)->queues;
    CHECK(i < queues->row_count); /* reading_rows counts up to there */
    const struct queue_row *row = &queues->rows[i];
    reply_name(reply, NULL, row->name);
    for (enum build_state state = BUILD_PENDING; state < BUILD_STATES; state++) {
        reply_number(reply, status_state_name(state), row->by_state[state]);
    }
    reply_number(reply, "paused", 0);
    reply_number(reply, "oldest_ms", row->oldest_ms);
}

static bool format_queues(struct reading *reading, struct reply *reply)
{
    const struct read_queues *queues = &((struct queues_reading *)reading)->queues;
    if (queues->read.err != 0) {
        refusal_put(reply, queues->read.err, "queue");
        return true;
    }
    if (reading_begins(reading)) {
        reply_rows(reply, queues->row_count);
    }
    return reading_rows(reading, reply, queues->row_count, put_queue);
}

static void destroy_queues(struct reading *reading)
{
    read_queues_fini(&((struct queues_reading *)reading)->queues);
    free(reading);
}

enum outcome cmd_queues(struct ask *ask)
{
    struct span name = {0};
    if (ask->request->count > 0) {
        name = ask->request->words[0];
        if (!ask_name(ask, name, "queue's name")) {
            return ASK_ANSWERED;
        }
    }
    struct queues_reading *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    read_queues_init(&mine->queues, ask_keep(mine->name, name));
    mine->reading = (struct reading){
        .read = &mine->queues.read, .format = format_queues, .destroy = destroy_queues};
    return ask_read(ask, &mine->reading);
}
