/* TREND: the counts of a poll at the ends of the buckets of a window; SEED, which dates back. */
#include "net/commands/cmd.h"

#include "engine/read.h"
#include "net/commands/refusal.h"
#include "net/protocol/word.h"
#include "wal/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TREND_TOP_DEFAULT = 20 };

struct trend_reading {
    struct reading reading;
    struct read_trend trend;
    char poll[NAME_LEN_MAX];
};

static void put_bucket(const struct reading *reading, size_t i, struct reply *reply)
{
    const struct read_trend *trend = &((const struct trend_reading *)reading)->trend;
    CHECK(i < trend->line_count); /* reading_rows counts up to there */
    reply_number(reply, NULL, trend->first_ms + i * trend->every_ms);
    reply_number(reply, NULL, trend->totals[i]);
    for (size_t k = 0; k < trend->row_count; k++) {
        char id[24];
        (void)snprintf(id, sizeof id, "%" PRIu64, trend->rows[k].id);
        reply_number(reply, id, trend->rows[k].votes[i]);
    }
}

static bool format_trend(struct reading *reading, struct reply *reply)
{
    const struct read_trend *trend = &((struct trend_reading *)reading)->trend;
    const struct read *read = &trend->top.read;
    if (read->err != 0) {
        refusal_put(reply, read->err, "poll");
        return true;
    }
    if (reading_begins(reading)) {
        reply_rows(reply, trend->line_count + 1);
        reply_row(reply);
        reply_number(reply, "lsn", read->lsn);
        reply_number(reply, "from_ms", trend->from_ms);
        reply_number(reply, "every_ms", trend->every_ms);
        reply_end(reply);
    }
    return reading_rows(reading, reply, trend->line_count, put_bucket);
}

static void destroy_trend(struct reading *reading)
{
    read_trend_fini(&((struct trend_reading *)reading)->trend);
    free(reading);
}

enum outcome cmd_trend(struct ask *ask)
{
    static const char *const names[TREND_WINDOWS] = {"5M", "1H", "12H", "24H"};
    struct span poll = ask->request->words[0];
    uint64_t top = TREND_TOP_DEFAULT;
    unsigned window = 0;
    const struct keyword keywords[] = {{"TOP", KEYWORD_NUMBER, 1, TREND_TOP_MAX, &top}};
    if (!ask_name(ask, poll, "poll's name") || !ask_keywords(ask, 2, keywords, 1)) {
        return ASK_ANSWERED;
    }
    while (window < TREND_WINDOWS && !word_equal(ask->request->words[1], names[window])) {
        window++;
    }
    if (window == TREND_WINDOWS) {
        return ask_error(ask, TALLY_INVAL, "the window is 5m, 1h, 12h or 24h");
    }
    struct trend_reading *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    read_trend_init(&mine->trend, ask_keep(mine->poll, poll), window, top);
    mine->reading = (struct reading){
        .read = &mine->trend.top.read, .format = format_trend, .destroy = destroy_trend};
    return ask_read(ask, &mine->reading);
}

/* ---- SEED ---- */

static void answer_seed(struct reply *reply, int err, const struct edge_result *result)
{
    if (err == 0) {
        ask_ok_number(reply, result);
    } else if (err == TALLY_DENIED) {
        reply_err(reply, err, "in MODE once and change every vote is a voter's");
    } else if (!ask_key_clashes(reply, err, result)) {
        refusal_put(reply, err, "option");
    }
}

enum outcome cmd_seed(struct ask *ask)
{
    struct edge_seed seed = {.over_ms = SEED_OVER_MS_MAX};
    enum outcome outcome = ASK_ANSWERED;
    const struct keyword keywords[] = {
        {"OVER", KEYWORD_NUMBER, 0, SEED_OVER_MS_MAX, &seed.over_ms},
        {"KEY", KEYWORD_TEXT, 0, 0, &seed.key},
    };
    if (!ask_number(ask, 1, "the number of votes", VOTE_N_MAX, &seed.n) ||
        !ask_keywords(ask, 2, keywords, 2) || !ask_key(ask, seed.key) ||
        !ask_option(ask, ask->request->words[0], &seed.option, &outcome)) {
        return outcome;
    }
    if (seed.n == 0) {
        return ask_error(ask, TALLY_RANGE, "the number of votes is from 1 to 1048576");
    }
    if (ask->conn->votes > 0) {
        return ask_stop(ask, STOP_FLUSH); /* replies leave in order */
    }
    int err = edge_seed(ask->edge, &seed);
    ask->on_result = answer_seed;
    if (err == TALLY_DENIED) {
        answer_seed(&ask->reply, err, &(struct edge_result){.value = 0});
        return ASK_ANSWERED;
    }
    return err == 0 ? ASK_BALLOT : ask_refused(ask, err, "option");
}
