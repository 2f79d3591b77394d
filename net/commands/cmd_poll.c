/* Commands about polls: POLL POLLS RESET POLLDEL OPTION VOTE TALLY. */
#include "net/commands/cmd.h"

#include "engine/base/label.h"
#include "engine/read.h"
#include "net/commands/ballot.h"
#include "net/commands/refusal.h"
#include "net/commands/similar.h"
#include "net/protocol/number.h"
#include "net/protocol/word.h"
#include "wal/base/check.h"

#include <stdlib.h>

enum {
    POLLS_COUNT_DEFAULT = 100,
    POLLS_COUNT_MAX = 1000,
    TALLY_TOP_MAX = 65536,
};

/* ---- POLL ---- */

static void answer_ok(struct reply *reply, int err, const struct edge_result *result)
{
    (void)result;
    if (err != 0) {
        refusal_put(reply, err, "poll");
    } else {
        reply_ok(reply);
    }
}

/* Reads `n/ms`, or `0` for no limit. False: the ERR is written. */
static bool read_rate(struct ask *ask, struct span word, struct edge_poll *poll)
{
    uint64_t n = 0;
    uint64_t ms = 0;
    const char *slash = word.len > 0 ? memchr(word.at, '/', word.len) : NULL;
    size_t n_len = slash == NULL ? word.len : (size_t)(slash - word.at);
    struct span rest = {word.at + n_len + 1, slash == NULL ? 0 : word.len - n_len - 1};
    int err = number_read((struct span){word.at, n_len}, slash != NULL, POLL_RATE_N_MAX, &n);
    if (err == 0 && slash != NULL) {
        err = number_read(rest, 1, POLL_RATE_MS_MAX, &ms);
    } else if (err == 0 && n != 0) {
        err = TALLY_INVAL;
    }
    if (err != 0) {
        ask_error(ask, err, "RATE is votes/ms, as in 10/60000, or 0 for no limit");
        return false;
    }
    DCHECK((n == 0) == (ms == 0)); /* the engine requires both or none */
    poll->rate_n = (int64_t)n;
    poll->rate_ms = (int64_t)ms;
    return true;
}

/* Reads a mode; without one it stays as it is. False: the ERR is written. */
static bool read_mode(struct ask *ask, struct span word, int64_t *mode)
{
    static const char *const names[POLL_MODES] = {
        [POLL_FREE] = "FREE", [POLL_ONCE] = "ONCE", [POLL_CHANGE] = "CHANGE"};
    *mode = EDGE_KEEP;
    for (int64_t i = 0; word.at != NULL && i < POLL_MODES; i++) {
        if (word_equal(word, names[i])) {
            *mode = i;
        }
    }
    if (word.at != NULL && *mode == EDGE_KEEP) {
        ask_error(ask, TALLY_INVAL, "MODE is free, once or change");
        return false;
    }
    return true;
}

enum outcome cmd_poll(struct ask *ask)
{
    struct span mode = {0};
    struct span rate = {0};
    uint64_t open_ms = UINT64_MAX;
    uint64_t close_ms = UINT64_MAX;
    const struct keyword keywords[] = {
        {"MODE", KEYWORD_TEXT, 0, 0, &mode},
        {"OPEN", KEYWORD_NUMBER, 0, TIME_MS_MAX, &open_ms},
        {"CLOSE", KEYWORD_NUMBER, 0, TIME_MS_MAX, &close_ms},
        {"RATE", KEYWORD_TEXT, 0, 0, &rate},
    };
    struct edge_poll poll = {
        .name = ask->request->words[0], .rate_n = EDGE_KEEP, .rate_ms = EDGE_KEEP};
    if (!ask_name(ask, poll.name, "poll's name") || !ask_keywords(ask, 1, keywords, 4) ||
        !read_mode(ask, mode, &poll.mode) || (rate.at != NULL && !read_rate(ask, rate, &poll))) {
        return ASK_ANSWERED;
    }
    poll.open_ms = open_ms == UINT64_MAX ? EDGE_KEEP : (int64_t)open_ms;
    poll.close_ms = close_ms == UINT64_MAX ? EDGE_KEEP : (int64_t)close_ms;
    int err = edge_poll(ask->edge, &poll);
    ask->on_result = answer_ok;
    return err == 0 ? ASK_ORDERED : ask_refused(ask, err, "poll");
}

/* ---- POLLS ---- */

struct polls_reading {
    struct reading reading;
    struct read_polls polls;
    char after[NAME_LEN_MAX];
};

static void put_poll(const struct reading *reading, size_t i, struct reply *reply)
{
    const struct read_polls *polls = &((const struct polls_reading *)reading)->polls;
    CHECK(i < polls->row_count); /* reading_rows counts up to there */
    const struct poll_row *row = &polls->rows[i];
    reply_name(reply, NULL, row->name);
    reply_number(reply, "options", row->options);
    reply_number(reply, "votes", row->votes);
    reply_name(reply, "mode", span_of(status_mode_name(row->mode)));
    reply_number(reply, "open", row->open);
}

static bool format_polls(struct reading *reading, struct reply *reply)
{
    const struct read_polls *polls = &((struct polls_reading *)reading)->polls;
    if (polls->read.err != 0) {
        refusal_put(reply, polls->read.err, "poll");
        return true;
    }
    if (reading_begins(reading)) {
        reply_rows(reply, polls->row_count);
    }
    return reading_rows(reading, reply, polls->row_count, put_poll);
}

static void destroy_polls(struct reading *reading)
{
    read_polls_fini(&((struct polls_reading *)reading)->polls);
    free(reading);
}

enum outcome cmd_polls(struct ask *ask)
{
    struct span after = {0};
    uint64_t count = POLLS_COUNT_DEFAULT;
    const struct keyword keywords[] = {
        {"AFTER", KEYWORD_TEXT, 0, 0, &after},
        {"COUNT", KEYWORD_NUMBER, 1, POLLS_COUNT_MAX, &count},
    };
    if (!ask_keywords(ask, 0, keywords, 2) ||
        (after.at != NULL && !ask_name(ask, after, "poll's name"))) {
        return ASK_ANSWERED;
    }
    struct polls_reading *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    read_polls_init(&mine->polls, ask_keep(mine->after, after), count);
    mine->reading = (struct reading){
        .read = &mine->polls.read, .format = format_polls, .destroy = destroy_polls};
    return ask_read(ask, &mine->reading);
}

/* ---- RESET ---- */

static void answer_reset(struct reply *reply, int err, const struct edge_result *result)
{
    if (err == 0) {
        ask_ok_number(reply, result);
    } else if (!ask_key_clashes(reply, err, result)) {
        refusal_put(reply, err, "poll");
    }
}

enum outcome cmd_reset(struct ask *ask)
{
    struct span poll = ask->request->words[0];
    struct span key = {0};
    const struct keyword keywords[] = {{"KEY", KEYWORD_TEXT, 0, 0, &key}};
    if (!ask_name(ask, poll, "poll's name") || !ask_keywords(ask, 1, keywords, 1) ||
        !ask_key(ask, key)) {
        return ASK_ANSWERED;
    }
    int err = edge_reset(ask->edge, poll, key);
    ask->on_result = answer_reset;
    return err == 0 ? ASK_ORDERED : ask_refused(ask, err, "poll");
}

/* ---- POLLDEL ---- */

enum outcome cmd_polldel(struct ask *ask)
{
    struct span poll = ask->request->words[0];
    if (!ask_name(ask, poll, "poll's name")) {
        return ASK_ANSWERED;
    }
    int err = edge_polldel(ask->edge, poll);
    ask->on_result = answer_ok;
    return err == 0 ? ASK_ORDERED : ask_refused(ask, err, "poll");
}

/* ---- OPTION ---- */

static void answer_option(struct reply *reply, int err, const struct edge_result *result)
{
    if (err == 0) {
        ask_ok_number(reply, result);
    } else if (ask_key_clashes(reply, err, result)) {
        return;
    } else if (err == TALLY_INVAL) {
        reply_err(reply, err, "a label is 1 to 50 characters of UTF-8, no control characters");
    } else if (err == TALLY_EXISTS) {
        reply_err(reply, err, "id=%llu the poll has this label already",
                  (unsigned long long)result->value);
    } else {
        refusal_put(reply, err, "poll");
    }
}

enum outcome cmd_option(struct ask *ask)
{
    struct span poll = ask->request->words[0];
    struct span label = ask->request->words[1];
    struct span key = {0};
    const struct keyword keywords[] = {{"KEY", KEYWORD_TEXT, 0, 0, &key}};
    if (!ask_name(ask, poll, "poll's name") || !ask_keywords(ask, 2, keywords, 1) ||
        !ask_key(ask, key)) {
        return ASK_ANSWERED;
    }
    int err = edge_option(ask->edge, poll, label, key);
    if (err == 0) {
        ask->on_result = answer_option;
        ask->reading = similar_new(
            ask->edge, poll, label); /* without it the reply to a clash names no similar labels */
        return ASK_ORDERED;
    }
    if (err == TALLY_INVAL) {
        answer_option(&ask->reply, err, 0);
        return ASK_ANSWERED;
    }
    return ask_refused(ask, err, "poll");
}

/* ---- VOTE ---- */

/* Whether a word behind the first can be an option: no option word is a number, or has a '/'. */
static bool is_option(struct span word)
{
    return word.len > 0 &&
           ((unsigned char)(word.at[0] - '0') <= 9 || memchr(word.at, '/', word.len) != NULL);
}

/* Reads the options with which the words begin, into the ballot. Returns how many words they are;
 * 0: *outcome says what became of the request. */
static size_t read_options(struct ask *ask, struct edge_ballot *ballot, enum outcome *outcome)
{
    const struct request *request = ask->request;
    size_t at = 0;
    *outcome = ASK_ANSWERED;
    while (at < request->count && (at == 0 || is_option(request->words[at]))) {
        if (at == BALLOT_OPTIONS_MAX) {
            *outcome = ask_error(ask, TALLY_RANGE, "more than 60 options");
            return 0;
        }
        if (!ask_option(ask, request->words[at], &ballot->options[at], outcome)) {
            return 0;
        }
        at++;
    }
    ballot->option_count = (unsigned)at;
    return at;
}

/* Casts a plain vote. */
static enum outcome cast_plain(struct ask *ask, uint64_t option, uint64_t n,
                               const struct vote_from *from)
{
    uint64_t retry_ms = 0;
    if (ask->conn->ballots > 0) {
        return ask_stop(ask, STOP_ORDERED); /* else it could be counted before them */
    }
    int err = votes_cast(ask->conn, option, n, from, &retry_ms);
    if (err == 0) {
        return ASK_VOTED;
    }
    if (err == TALLY_INVAL) {
        return ask_error(ask, err, "the poll's MODE asks for a VOTER");
    }
    if (err == TALLY_RANGE) {
        return ask_error(ask, err,
                         "more votes at once than the poll's RATE allows, or than the "
                         "option can still count");
    }
    if (err == TALLY_RATE || (err == TALLY_BUSY && retry_ms > 0)) {
        refusal_put_retry(&ask->reply, err, retry_ms);
        return ASK_ANSWERED;
    }
    return ask_refused(ask, err, "option");
}

enum outcome cmd_vote(struct ask *ask)
{
    struct edge_ballot ballot = {.n = 1};
    struct vote_from counted = {RATE_BY_ADDRESS, {0}, false};
    struct span by = {0};
    const struct keyword keywords[] = {
        {"N", KEYWORD_NUMBER, 1, VOTE_N_MAX, &ballot.n},
        {"BY", KEYWORD_TEXT, 0, 0, &by},
        {"VOTER", KEYWORD_TEXT, 0, 0, &ballot.voter},
        {"KEY", KEYWORD_TEXT, 0, 0, &ballot.key},
    };
    enum outcome outcome;
    size_t from = read_options(ask, &ballot, &outcome);
    if (from == 0) {
        return outcome;
    }
    if (!ask_keywords(ask, from, keywords, 4) || !ask_key(ask, ballot.key) ||
        (ballot.voter.at != NULL && !ballot_voter(ask, ballot.voter))) {
        return ASK_ANSWERED;
    }
    if (by.at != NULL && (by.len == 0 || by.len > RATE_NAME_MAX)) {
        return ask_error(ask, TALLY_INVAL, "BY is 1 to 64 bytes");
    }
    if (ballot.voter.at != NULL) {
        counted = (struct vote_from){RATE_BY_VOTER, ballot.voter, false};
    } else if (by.at != NULL) {
        counted = (struct vote_from){RATE_BY_WORD, by, false};
    }
    bool is_plain = ballot.option_count == 1 && ballot.voter.at == NULL && ballot.key.at == NULL;
    counted.is_ballot = !is_plain;
    return is_plain ? cast_plain(ask, ballot.options[0], ballot.n, &counted)
                    : ballot_cast(ask, &ballot, &counted);
}

/* ---- TALLY ---- */

struct tally_reading {
    struct reading reading;
    struct read_tally tally;
    char poll[NAME_LEN_MAX];
};

static void put_option(const struct reading *reading, size_t i, struct reply *reply)
{
    const struct read_tally *tally = &((const struct tally_reading *)reading)->tally;
    CHECK(i < tally->row_count); /* reading_rows counts up to there */
    const struct tally_row *row = &tally->rows[i];
    reply_number(reply, NULL, row->id);
    reply_number(reply, NULL, row->votes);
    reply_percent(reply, row->votes, tally->total);
    reply_text(reply, NULL, row->label);
}

static void put_head(const struct read_tally *tally, struct reply *reply)
{
    reply_rows(reply, tally->row_count + 1);
    reply_row(reply);
    reply_number(reply, "lsn", tally->read.lsn);
    reply_number(reply, "total", tally->total);
    reply_number(reply, "rate_per_min", tally->rate_per_min);
    if (tally->row_count > 0 && tally->rows[0].votes > 0) {
        reply_number(reply, "leader", tally->rows[0].id);
    } else {
        reply_name(reply, "leader", SPAN("-"));
    }
    reply_end(reply);
}

static bool format_tally(struct reading *reading, struct reply *reply)
{
    const struct read_tally *tally = &((struct tally_reading *)reading)->tally;
    if (tally->read.err != 0) {
        refusal_put(reply, tally->read.err, "poll");
        return true;
    }
    if (reading_begins(reading)) {
        put_head(tally, reply);
    }
    return reading_rows(reading, reply, tally->row_count, put_option);
}

static void destroy_tally(struct reading *reading)
{
    read_tally_fini(&((struct tally_reading *)reading)->tally);
    free(reading);
}

enum outcome cmd_tally(struct ask *ask)
{
    struct span poll = ask->request->words[0];
    uint64_t top = TALLY_TOP_MAX;
    const struct keyword keywords[] = {{"TOP", KEYWORD_NUMBER, 1, TALLY_TOP_MAX, &top}};
    if (!ask_name(ask, poll, "poll's name") || !ask_keywords(ask, 1, keywords, 1)) {
        return ASK_ANSWERED;
    }
    struct tally_reading *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    read_tally_init(&mine->tally, ask_keep(mine->poll, poll), top);
    mine->reading = (struct reading){
        .read = &mine->tally.read, .format = format_tally, .destroy = destroy_tally};
    return ask_read(ask, &mine->reading);
}
