/* Commands about workers: WORKER WORKERS HELD BYE. */
#include "net/commands/cmd.h"

#include "engine/read.h"
#include "net/commands/refusal.h"
#include "wal/base/check.h"
#include "wal/base/glyph.h"

#include <stdlib.h>

/* ---- WORKER ---- */

static void answer_worker(struct reply *reply, int err, const struct edge_result *result)
{
    if (err != 0) {
        refusal_put(reply, err, "worker");
        return;
    }
    reply_begin(reply);
    reply_name(reply, NULL, result->value == 0 ? SPAN("new") : SPAN("again"));
    reply_end(reply);
}

/* Whether a NAME is UTF-8 that a terminal can show. */
static bool is_text(struct span text)
{
    bool is_good = text.len > 0 && text.len <= NAME_LEN_MAX;
    while (is_good && text.len > 0) {
        size_t shown = glyph_shown(text);
        is_good = shown > 0;
        text = (struct span){text.at + shown, text.len - shown};
    }
    return is_good;
}

enum outcome cmd_worker(struct ask *ask)
{
    struct edge_worker worker = {.id = ask->request->words[0]};
    uint64_t slots = 0;
    const struct keyword keywords[] = {
        {"NAME", KEYWORD_TEXT, 0, 0, &worker.name},
        {"TAGS", KEYWORD_TEXT, 0, 0, &worker.tags},
        {"SLOTS", KEYWORD_NUMBER, 1, WORKER_SLOTS_MAX, &slots},
    };
    if (!ask_name(ask, worker.id, "worker's id") || !ask_keywords(ask, 1, keywords, 3) ||
        !ask_tags(ask, worker.tags)) {
        return ASK_ANSWERED;
    }
    if (worker.name.at != NULL && !is_text(worker.name)) {
        return ask_error(ask, TALLY_INVAL, "NAME is 1 to 64 bytes of UTF-8, no control characters");
    }
    worker.slots = (uint32_t)slots;
    int err = edge_worker(ask->edge, &worker);
    ask->on_result = answer_worker;
    return err == 0 ? ASK_ORDERED : ask_refused(ask, err, "worker");
}

/* ---- BYE ---- */

static void answer_bye(struct reply *reply, int err, const struct edge_result *result)
{
    if (err != 0) {
        refusal_put(reply, err, "worker");
        return;
    }
    reply_begin(reply);
    reply_number(reply, "released", result->value);
    reply_end(reply);
}

enum outcome cmd_bye(struct ask *ask)
{
    struct span id = ask->request->words[0];
    if (!ask_name(ask, id, "worker's id")) {
        return ASK_ANSWERED;
    }
    int err = edge_bye(ask->edge, id);
    ask->on_result = answer_bye;
    return err == 0 ? ASK_ORDERED : ask_refused(ask, err, "worker");
}

/* ---- HELD ---- */

struct held_reading {
    struct reading reading;
    struct read_held held;
    char worker[NAME_LEN_MAX];
};

static void put_held(const struct reading *reading, size_t i, struct reply *reply)
{
    const struct read_held *held = &((const struct held_reading *)reading)->held;
    CHECK(i < held->row_count); /* reading_rows counts up to there */
    const struct held_row *row = &held->rows[i];
    reply_number(reply, NULL, row->id);
    reply_number(reply, NULL, row->token);
    reply_name(reply, NULL, row->queue);
    reply_number(reply, NULL, row->attempt);
    reply_number(reply, NULL, row->lease_ms);
}

static bool format_held(struct reading *reading, struct reply *reply)
{
    const struct read_held *held = &((struct held_reading *)reading)->held;
    if (held->read.err != 0) {
        refusal_put(reply, held->read.err, "worker");
        return true;
    }
    if (reading_begins(reading)) {
        reply_rows(reply, held->row_count);
    }
    return reading_rows(reading, reply, held->row_count, put_held);
}

static void destroy_held(struct reading *reading)
{
    read_held_fini(&((struct held_reading *)reading)->held);
    free(reading);
}

enum outcome cmd_held(struct ask *ask)
{
    struct span worker = ask->request->words[0];
    if (!ask_name(ask, worker, "worker's id")) {
        return ASK_ANSWERED;
    }
    struct held_reading *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    read_held_init(&mine->held, ask->edge, ask_keep(mine->worker, worker));
    mine->reading =
        (struct reading){.read = &mine->held.read, .format = format_held, .destroy = destroy_held};
    return ask_read(ask, &mine->reading);
}

/* ---- WORKERS ---- */

struct workers_reading {
    struct reading reading;
    struct read_workers workers;
    char id[NAME_LEN_MAX];
};

static void put_text(struct reply *reply, const char *key, struct span text)
{
    if (text.len > 0) {
        reply_text(reply, key, text);
    } else {
        reply_name(reply, key, SPAN("-"));
    }
}

static void put_worker(const struct reading *reading, size_t i, struct reply *reply)
{
    const struct read_workers *workers = &((const struct workers_reading *)reading)->workers;
    CHECK(i < workers->row_count); /* reading_rows counts up to there */
    const struct worker_row *row = &workers->rows[i];
    reply_name(reply, NULL, row->id);
    reply_name(reply, NULL, row->online ? SPAN("online") : SPAN("offline"));
    put_text(reply, "name", row->name);
    reply_number(reply, "done", row->done);
    reply_number(reply, "failed", row->failed);
    reply_number(reply, "seen_ms", row->seen_ms);
    put_text(reply, "tags", row->tags);
    reply_number(reply, "builds", row->builds);
    reply_number(reply, "slots", row->slots);
}

static bool format_workers(struct reading *reading, struct reply *reply)
{
    const struct read_workers *workers = &((struct workers_reading *)reading)->workers;
    if (workers->read.err != 0) {
        refusal_put(reply, workers->read.err, "worker");
        return true;
    }
    if (reading_begins(reading)) {
        reply_rows(reply, workers->row_count);
    }
    return reading_rows(reading, reply, workers->row_count, put_worker);
}

static void destroy_workers(struct reading *reading)
{
    read_workers_fini(&((struct workers_reading *)reading)->workers);
    free(reading);
}

enum outcome cmd_workers(struct ask *ask)
{
    struct span id = {0};
    if (ask->request->count > 0) {
        id = ask->request->words[0];
        if (!ask_name(ask, id, "worker's id")) {
            return ASK_ANSWERED;
        }
    }
    struct workers_reading *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    read_workers_init(&mine->workers, ask_keep(mine->id, id));
    mine->reading = (struct reading){
        .read = &mine->workers.read, .format = format_workers, .destroy = destroy_workers};
    return ask_read(ask, &mine->reading);
}
