/* EVENTS: what has happened, as lines that a follower would hear. */
#include "net/commands/cmd.h"

#include "engine/base/label.h"
#include "engine/read.h"
#include "net/commands/refusal.h"
#include "net/protocol/number.h"
#include "net/protocol/word.h"
#include "wal/base/check.h"

#include <stdlib.h>

enum { EVENTS_COUNT_DEFAULT = 10, EVENTS_COUNT_MAX = 1000, EVENTS_MATCHES_MAX = 16 };

struct events_reading {
    struct reading reading;
    struct read_events events;
    struct event_match matches[EVENTS_MATCHES_MAX];
    char names[EVENTS_MATCHES_MAX][NAME_LEN_MAX];
};

/* ---- one line ---- */

/* Events about polls: option, label and poll; then what fits the type. */
static void put_of_poll(struct reply *reply, const struct event_row *row)
{
    const struct event *event = &row->event;
    if (event->num[EVENT_OPTION] != 0) {
        reply_number(reply, "option", event->num[EVENT_OPTION]);
        if (row->label.at != NULL) { /* else it is deleted */
            reply_text(reply, "label", row->label);
        }
    }
    if (row->poll.at != NULL) {
        reply_name(reply, "poll", row->poll);
    }
    if (event->type == RECORD_VOTE || event->type == RECORD_UNVOTE || event->type == RECORD_SEED) {
        reply_number(reply, "votes", event->num[EVENT_VOTES]);
        reply_number(reply, "n", event->num[EVENT_N]);
    }
    if (event->type == RECORD_POLL_WINDOW) {
        reply_number(reply, "open", event->num[EVENT_VALUE]);
    }
    if (event->type == RECORD_RESET || event->type == RECORD_POLLDEL) {
        reply_number(reply, "total", event->num[EVENT_VALUE]);
    }
    if (event->text[EVENT_VOTER].len > 0) {
        reply_text(reply, "voter", event->text[EVENT_VOTER]);
    }
}

static void put_of_build(struct reply *reply, const struct event *event)
{
    reply_number(reply, "build", event->num[EVENT_BUILD]);
    reply_name(reply, "queue", event->text[EVENT_QUEUE]);
    reply_name(reply, "state",
               span_of(status_state_name((enum build_state)event->num[EVENT_STATE])));
    if (event->text[EVENT_WORKER].len > 0) {
        reply_name(reply, "worker", event->text[EVENT_WORKER]);
        reply_number(reply, "token", event->num[EVENT_TOKEN]);
    }
    if (event->type == RECORD_SUBMIT) {
        reply_number(reply, "pri", event->num[EVENT_PRI]);
    }
}

static void put_event(const struct reading *reading, size_t i, struct reply *reply)
{
    const struct read_events *events = &((const struct events_reading *)reading)->events;
    CHECK(i < events->row_count); /* reading_rows counts up to there */
    const struct event_row *row = &events->rows[i];
    const struct event *event = &row->event;
    reply_name(reply, NULL, SPAN(">"));
    reply_number(reply, NULL, event->lsn);
    reply_number(reply, NULL, event->time_ms);
    reply_name(reply, NULL, span_of(record_type_name(event->type)));
    if (event_is_of_poll(event)) {
        put_of_poll(reply, row);
    } else if (event->num[EVENT_BUILD] != 0) {
        put_of_build(reply, event);
    } else {
        reply_name(reply, "worker", event->text[EVENT_WORKER]);
        if (event->type == RECORD_WORKER) {
            reply_number(reply, "again", event->num[EVENT_AGAIN]);
        }
    }
}

/* ---- the reply ---- */

static bool format_events(struct reading *reading, struct reply *reply)
{
    const struct read_events *events = &((struct events_reading *)reading)->events;
    if (events->read.err == TALLY_RANGE) {
        reply_err(reply, TALLY_RANGE, "oldest=%llu earlier events are not kept",
                  (unsigned long long)events->oldest);
        return true;
    }
    if (events->read.err != 0) {
        refusal_put(reply, events->read.err, "event");
        return true;
    }
    if (reading_begins(reading)) {
        reply_rows(reply, events->row_count);
    }
    return reading_rows(reading, reply, events->row_count, put_event);
}

static void destroy_events(struct reading *reading)
{
    read_events_fini(&((struct events_reading *)reading)->events);
    free(reading);
}

/* ---- the request ---- */

/* Reads a pattern: `*`, or what it is about, a slash, and a name or an id. */
static bool read_pattern(struct span word, struct event_match *match, char *name)
{
    static const struct {
        const char *word;
        enum event_of of;
    } kinds[] = {{"POLL", EVENT_OF_POLL},
                 {"QUEUE", EVENT_OF_QUEUE},
                 {"BUILD", EVENT_OF_BUILD},
                 {"WORKER", EVENT_OF_WORKER}};
    if (span_equal(word, SPAN("*"))) {
        match->of = EVENT_OF_ANY;
        return true;
    }
    const char *slash = word.len > 0 ? memchr(word.at, '/', word.len) : NULL;
    size_t len = slash != NULL ? (size_t)(slash - word.at) : 0;
    struct span rest = {word.at + len + 1, slash != NULL ? word.len - len - 1 : 0};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (slash != NULL && word_equal((struct span){word.at, len}, kinds[i].word)) {
            match->of = kinds[i].of;
            if (match->of == EVENT_OF_BUILD) {
                return number_read(rest, 0, UINT64_MAX, &match->id) == 0;
            }
            match->name = name_is_valid(rest) ? ask_keep(name, rest) : (struct span){0};
            return match->name.at != NULL;
        }
    }
    return false;
}

/* Takes the patterns behind MATCH out of the request's words. False: the ERR is written. */
static bool read_matches(struct ask *ask, struct events_reading *mine, struct request *rest)
{
    const struct request *request = ask->request;
    struct read_events *events = &mine->events;
    *rest = (struct request){.verb = request->verb};
    for (size_t i = 0; i < request->count; i++) {
        bool is_first = word_equal(request->words[i], "MATCH");
        size_t before = events->match_count;
        if (!is_first) {
            rest->words[rest->count++] = request->words[i];
            continue;
        }
        while (i + 1 < request->count && events->match_count < EVENTS_MATCHES_MAX &&
               read_pattern(request->words[i + 1], &mine->matches[events->match_count],
                            mine->names[events->match_count])) {
            events->match_count++;
            i++;
        }
        if (events->match_count == before) {
            ask_error(ask, TALLY_INVAL,
                      "behind MATCH come 1 to 16 of poll/NAME queue/NAME build/ID worker/ID *");
            return false;
        }
    }
    return true;
}

enum outcome cmd_events(struct ask *ask)
{
    struct request rest;
    uint64_t count = EVENTS_COUNT_DEFAULT;
    struct events_reading *mine = calloc(1, sizeof(*mine));
    if (mine == NULL) {
        return ask_read(ask, NULL);
    }
    struct read_events *events = &mine->events;
    read_events_init(events, 0);
    const struct keyword keywords[] = {
        {"FROM", KEYWORD_NUMBER, 1, UINT64_MAX, &events->from},
        {"COUNT", KEYWORD_NUMBER, 1, EVENTS_COUNT_MAX, &count},
        {"EACH", KEYWORD_FLAG, 0, 0, &events->each},
    };
    events->matches = mine->matches;
    if (!read_matches(ask, mine, &rest)) {
        free(mine);
        return ASK_ANSWERED;
    }
    ask->request = &rest;
    if (!ask_keywords(ask, 0, keywords, 3)) {
        free(mine);
        return ASK_ANSWERED;
    }
    events->read.wanted = count;
    mine->reading =
        (struct reading){.read = &events->read, .format = format_events, .destroy = destroy_events};
    return ask_read(ask, &mine->reading);
}
